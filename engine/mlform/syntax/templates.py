"""Templates: quoted strings, heredocs and bare texts with ``${ }`` and ``%{ }`` in them."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import Final, NoReturn

from mlform.syntax.assemble import (
    Directive,
    Interpolation,
    Piece,
    Text,
    assemble,
    dedent,
    strip_end,
)
from mlform.syntax.patterns import BLANKS, GAPS, PLAIN, SPACES
from mlform.syntax.problems import (
    BAD_CHARACTER,
    BAD_DIRECTIVE,
    BAD_ESCAPE,
    BAD_HEREDOC,
    BAD_LABEL,
    MAX_DEPTH,
    UNCLOSED_HEREDOC,
    UNCLOSED_SEQUENCE,
    UNCLOSED_STRING,
)
from mlform.syntax.scanner import Scanner, describe
from mlform.syntax.tree import Expr, Literal, Template, TemplateWrap, make

_MARKS: Final = (
    r"(?P<sign>\$++(?!\{)|%++(?!\{))"
    r"|(?P<doubled>\$\$++\{|%%++\{)"
    r"|(?P<opener>[$%]\{)"
)
_PLAIN: Final = re.compile(rf'({PLAIN})(?>("|[$%]\{{)?)', re.ASCII).match
_QUOTED: Final = re.compile(
    r'(?P<plain>[^"\\$%\r\n]++)'
    r'|\\(?P<escape>[nrt"\\])'
    r"|\\(?P<code>u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})|" + _MARKS
).match
_BARE: Final = re.compile(r"(?P<plain>[^$%\n]++)|(?P<newline>\n)|" + _MARKS).match
_LONE_RETURN: Final = re.compile(r"\r(?!\n)").search
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_CLOSER: Final = re.compile(r"(~?)\}").match
_KEYWORD: Final = re.compile(r"(if|else|endif|for|endfor)(?![\w-])").match
_INDENTED: Final = re.compile(f"[{BLANKS}]*+").match


class TemplateScanner(Scanner):
    """Reads templates; how the expressions inside them read, a subclass says."""

    @abstractmethod
    def expression(self, floor: int = -1) -> Expr:
        """Read one expression at the position, of operators above ``floor``."""

    @abstractmethod
    def reference(self, start: int, name: str, tail: str | None) -> Expr:
        """Return what a name means, with the ``.name`` steps of ``tail``."""

    @abstractmethod
    def for_intro(self, summary: str) -> tuple[str | None, str]:
        """Read ``k, v in`` of a ``for`` that begins at ``start``: the names, the first optional."""

    def quoted(self, start: int) -> Expr:
        """Read the quoted string whose opening quote is at ``start``."""
        self.pos = start + 1
        parts = self._segments()
        if parts:
            plain = _PLAIN(self.text, self.pos)
            if plain and plain[2] == '"':
                return self._simple_template(start, plain, parts)
        pieces: list[Piece] = [_piece(part) for part in parts]
        strip = False
        while self.text[self.pos] != '"':
            if text := self._quoted_text(start):
                if strip:
                    text.value = text.value.lstrip(SPACES)
                pieces.append(text)
                strip = False
            if self.text[self.pos] != '"':
                strip = self._sequence(pieces)
        self.pos += 1
        return _template(start, self.pos, pieces, whole=True)

    def _segments(self) -> list[Expr]:
        """Read as much of a quoted string as is plain text and references in ``${ }``."""
        parts: list[Expr] = []
        text, segment = self.text, self.grammar.segment
        while found := segment(text, self.pos):
            start, end = found.span(1)
            if end > start:
                parts.append(make(Literal, (start, end, found[1])))
            parts.append(self.reference(found.start(2), found[2], found[3]))
            self.pos = found.end()
        return parts

    def _simple_template(self, start: int, rest: re.Match[str], parts: list[Expr]) -> Expr:
        """Return the string at ``start`` whose last part, plain text, is ``rest``."""
        self.pos = end = rest.end()
        if rest[1]:
            parts.append(make(Literal, (*rest.span(1), rest[1])))
        elif len(parts) == 1:
            return TemplateWrap(start, end, parts[0])
        return Template(start, end, (*parts,))

    def quoted_literal(self, start: int) -> str:
        """Read the quoted string at ``start``, in which no sequence may stand: a label."""
        self.pos = start + 1
        text = self._quoted_text(start)
        if self.text[self.pos] != '"':
            self.fail(
                BAD_LABEL,
                "A label is fixed text and cannot hold ${ or %{. Write $${ or %%{ for the "
                "characters themselves.",
                self.pos,
                self.pos + 2,
            )
        self.pos += 1
        return text.value if text else ""

    def _quoted_text(self, quote: int) -> Text | None:
        """Read up to the next sequence or the closing quote."""
        start = self.pos
        plain = _PLAIN(self.text, start)
        if plain and plain[2]:
            self.pos = plain.end(1)
            return Text(start, self.pos, plain[1]) if self.pos > start else None
        values: list[str] = []
        while True:
            found = _QUOTED(self.text, self.pos)
            if found is None:
                if self.text[self.pos] == '"':
                    break
                self._bad_quoted(quote)
            kind = found.lastgroup
            if kind == "opener":
                break
            if kind == "escape":
                values.append(_ESCAPES[found["escape"]])
            elif kind == "code":
                values.append(self._code_point(found))
            else:
                values.append(found[0] if kind != "doubled" else found[0][1:])
            self.pos = found.end()
        if self.pos > self.end:
            self._bad_quoted(quote)
        return Text(start, self.pos, "".join(values)) if self.pos > start else None

    def _code_point(self, found: re.Match[str]) -> str:
        code = int(found["code"][1:], 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            self.fail(
                BAD_ESCAPE, f"U+{code:04X} is not a character of Unicode.", self.pos, found.end()
            )
        return chr(code)

    def _bad_quoted(self, quote: int) -> NoReturn:
        start = self.pos
        if self.text[start] == "\\" and start + 1 < self.end:
            char = self.text[start + 1]
            if char not in "\r\n":
                if char in "uU":
                    digits = 4 if char == "u" else 8
                    hint = f"\\{char} is followed by {digits} hexadecimal digits."
                elif char in "$%":
                    hint = f"Write {char}{char}{{ for a literal {char}{{."
                else:
                    hint = (
                        f"{describe(char)} needs no backslash, or cannot be escaped; the escapes "
                        'are \\n, \\r, \\t, \\", \\\\, \\uXXXX and \\UXXXXXXXX.'
                    )
                self.fail(BAD_ESCAPE, hint, start, start + 2)
        if self.text[start] == "\r" and self.text[start + 1] != "\n":
            self._lone_return(start)
        self.fail(
            UNCLOSED_STRING,
            "This string is not closed before the end of its line. Add the closing quote, write "
            "\\n for a line break, or use a heredoc (<<EOT) for text of several lines.",
            quote,
            min(start, self.end),
        )

    def _check_returns(self, text: Text) -> None:
        """Give up at a carriage return that ends no line."""
        if found := _LONE_RETURN(self.text, text.start, text.end):
            self._lone_return(found.start())

    def _lone_return(self, at: int) -> NoReturn:
        self.fail(
            BAD_CHARACTER,
            "A carriage return stands only before a line feed. Write \\r in a quoted string for "
            "the character itself.",
            at,
        )

    def heredoc(self, start: int) -> Expr:
        """Read the heredoc whose ``<<`` is at ``start``."""
        intro = self.grammar.heredoc(self.text, start)
        if intro is None or intro.end() > self.end:
            self.fail(
                BAD_HEREDOC,
                "A heredoc begins with << or <<-, a name, and at once the end of the line, as in "
                "<<EOT.",
                start,
                start + 2,
            )
        self.check_name(intro.start(2), intro.end(2))
        marker = intro[2]
        self.pos = intro.end()
        pieces: list[Piece] = []
        strip, fresh = False, True
        while True:
            if fresh and (end := self._heredoc_end(marker)):
                break
            if self.pos >= self.end:
                self.fail(
                    UNCLOSED_HEREDOC,
                    f'This heredoc is never closed. Write "{marker}" on a line of its own, with a '
                    "line break after it, where it ends.",
                    start,
                    intro.end(2),
                )
            text = self._bare_text()
            if text and "\r" in text.value:
                self._check_returns(text)
            fresh = bool(text and text.value.endswith("\n"))
            if text:
                if strip:
                    text.value = text.value.lstrip(SPACES)
                pieces.append(text)
                strip = False
            if not fresh and self.pos < self.end:
                strip = self._sequence(pieces)
        self.pos = end
        end = start + len(self.text[start:end].rstrip(BLANKS))
        if intro[1]:
            dedent(pieces)
        return _template(start, end, pieces, whole=False)

    def _heredoc_end(self, marker: str) -> int | None:
        """Return where the line at hand ends, if it is the closing marker and nothing else."""
        stop = self.text.find("\n", self.pos)
        if stop >= self.end or not (indent := _INDENTED(self.text, self.pos)):
            return None
        if not self.text.startswith(marker, indent.end()):
            return None
        stop -= self.text[stop - 1] == "\r"
        rest = self.text[indent.end() + len(marker) : stop]
        return None if rest.strip(BLANKS) else stop

    def _bare_text(self) -> Text | None:
        """Read up to the next sequence, or to the end of the line and with its break."""
        start, values = self.pos, list[str]()
        while self.pos < self.end and (found := _BARE(self.text, self.pos)):
            kind = found.lastgroup
            if kind == "opener":
                break
            values.append(found[0] if kind != "doubled" else found[0][1:])
            self.pos = found.end()
            if kind == "newline":
                break
        if self.pos > self.end:
            values[-1] = values[-1][: self.end - self.pos]
            self.pos = self.end
        return Text(start, self.pos, "".join(values)) if self.pos > start else None

    def bare(self) -> Expr:
        """Read the whole text as a template without quotes."""
        pieces: list[Piece] = []
        strip = False
        while self.pos < self.end:
            if text := self._bare_text():
                if strip:
                    text.value = text.value.lstrip(SPACES)
                pieces.append(text)
                strip = False
            elif self.pos < self.end:
                strip = self._sequence(pieces)
        return _template(0, self.end, pieces, whole=True)

    def _sequence(self, pieces: list[Piece]) -> bool:
        """Read the sequence at the position; return whether what follows loses its white space."""
        start = self.pos
        directive = self.text[start] == "%"
        self.pos = start + 2
        if self.text[self.pos] == "~":
            self.pos += 1
            strip_end(pieces)
        mode, self.mode = self.mode, self.grammar.loose
        if directive:
            keyword, expr, key, value = self._directive(start)
        else:
            expr = self.expression()
        if self.text[self.pos] in GAPS:
            self.skip_gap()
        closer = _CLOSER(self.text, self.pos)
        if closer is None or self.pos >= self.end:
            self._not_closed(start)
        self.mode = mode
        self.pos = end = closer.end()
        if directive:
            pieces.append(Directive(start, end, keyword, expr, key, value))
        elif expr is not None:
            pieces.append(Interpolation(start, end, expr))
        return bool(closer[1])

    def _directive(self, start: int) -> tuple[str, Expr | None, str | None, str]:
        self.skip_gap()
        found = _KEYWORD(self.text, self.pos)
        if found is None:
            self.unexpected(
                BAD_DIRECTIVE,
                "if, else, endif, for or endfor after %{",
                "Write %%{ for the characters themselves.",
            )
        self.pos = found.end()
        keyword = found[1]
        if keyword == "for":
            key, value = self.for_intro(BAD_DIRECTIVE)
            return keyword, self.expression(), key, value
        return keyword, self.expression() if keyword == "if" else None, None, ""

    def _not_closed(self, start: int) -> NoReturn:
        opener = self.text[start : start + 2]
        if self.pos >= self.end or self.text[self.pos] == '"':
            self.fail(
                UNCLOSED_SEQUENCE,
                f'This {opener} is never closed. Write "}}" where it ends, or {opener[0]}{opener} '
                "for the characters themselves.",
                start,
                start + 2,
            )
        self.unexpected(
            UNCLOSED_SEQUENCE, f'"}}" to close {opener}', "One expression stands between them."
        )


def _piece(part: Expr) -> Piece:
    if isinstance(part, Literal) and isinstance(part.value, str):
        return Text(part.start, part.end, part.value)
    return Interpolation(part.start, part.end, part)


def _template(start: int, end: int, pieces: list[Piece], *, whole: bool) -> Expr:
    if whole and len(pieces) == 1 and isinstance(only := pieces[0], Interpolation):
        return TemplateWrap(start, end, only.expr)
    parts = assemble(pieces, MAX_DEPTH)
    if not parts:
        return Literal(start, end, "")
    if isinstance(text := parts[0], Literal) and all(isinstance(piece, Text) for piece in pieces):
        return Literal(start, end, text.value)
    return Template(start, end, parts)
