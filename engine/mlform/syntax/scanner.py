"""Where a parse stands in its text, and what it says when it cannot go on."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Final, NoReturn

from mlform.syntax.patterns import TOKEN, grammar
from mlform.syntax.problems import (
    BAD_CHARACTER,
    BAD_NAME,
    BAD_NUMBER,
    BAD_OPERATOR,
    MAX_DIGITS,
    UNCLOSED_COMMENT,
    SyntaxProblem,
)
from mlform.syntax.tree import Source

_SOUND: Final = re.compile(r"\d++(?>(?:\.\d*+)?)(?>(?:[eE][+-]?\d++)?)", re.ASCII).fullmatch
_HINTS: Final = {
    "'": 'Strings are written in double quotes: "…".',
    "`": 'Strings are written in double quotes: "…"; longer texts as heredocs: <<EOT.',
    "“": 'These are typographic quotes. Use the straight ones: "…".',
    "”": 'These are typographic quotes. Use the straight ones: "…".',
    ";": "Items are separated by line breaks, not by semicolons.",
    "\r": "A carriage return counts as a line break only before a line feed.",
    "@": "There is no operator or name with it.",
}
OPERATOR_HINTS: Final = {
    "&": "Write && for a logical and; there are no bitwise operators.",
    "|": "Write || for a logical or; there are no bitwise operators.",
    "^": "There are no bitwise operators; for a power call pow(x, y).",
    "~": "There are no bitwise operators.",
    "**": "For a power call pow(x, y).",
    "??": "For the first value that is not null call coalesce(x, y).",
    "++": "There is no increment: an argument is set once.",
}


class Scanner:
    """A text, a position in it, and the patterns that fit it.

    The text ends in a line feed and a NUL that are not in the source, so that looking at the
    next character never needs a bounds check; ``end`` is where the source itself ends. A space
    keeps a last carriage return from becoming a line break with that line feed.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.end = len(source.text)
        self.text = source.text + (" \n\0" if source.text.endswith("\r") else "\n\0")
        self.ascii_only = source.text.isascii()
        self.grammar = grammar(ascii_only=self.ascii_only)
        self.mode = self.grammar.line
        self.pos = 0
        self.depth = 0

    def fail(self, summary: str, detail: str, start: int, end: int | None = None) -> NoReturn:
        """Give up on the item at hand."""
        stop = start + 1 if end is None else end
        raise SyntaxProblem(summary, detail, min(start, self.end), min(max(start, stop), self.end))

    def skip_gap(self) -> None:
        """Go to the next token."""
        if gap := self.mode.gap(self.text, self.pos):
            self.pos = gap.end()

    def token_end(self, start: int) -> int:
        """Return where the token at ``start`` ends; the end of a line is an empty one."""
        if start >= self.end or self.text[start] == "\n" or self.text.startswith("\r\n", start):
            return start
        found = TOKEN(self.text, start)
        return found.end() if found else start

    def found(self, start: int) -> str:
        """Say what stands at ``start``."""
        if start >= self.end:
            return "the end of the text"
        if self.text[start] == "\n" or self.text.startswith("\r\n", start):
            return "the end of the line"
        if self.text.startswith(("#", "//"), start):
            return "a comment that ends the line"
        return show(self.text[start : self.token_end(start)])

    def unexpected(self, summary: str, wanted: str, hint: str = "") -> NoReturn:
        """Give up at the next token, saying what should stand there."""
        self.skip_gap()
        start = self.pos
        if self.text.startswith(("#", "//"), start):
            # The text may end with the comment; else the line does, and the comment is shown.
            start = self.end if self.text.find("\n", start) >= self.end else start
        self.check_character(start)
        more = f" {hint}" if hint else ""
        self.fail(
            summary,
            f"Expected {wanted}, found {self.found(start)}.{more}",
            start,
            self.token_end(start),
        )

    def check_character(self, start: int) -> None:
        """Give up if no token at all can begin at ``start``."""
        if start >= self.end:
            return
        char = self.text[start]
        if self.text.startswith("/*", start):
            self.fail(
                UNCLOSED_COMMENT,
                'This comment is never closed. Write "*/" where it ends.',
                start,
                start + 2,
            )
        if char in _HINTS and not self.text.startswith("\r\n", start):
            self.fail(BAD_CHARACTER, f"{describe(char)} has no meaning here. {_HINTS[char]}", start)
        if not (char.isascii() and (char.isprintable() or char in "\t\n\r")) and not (
            char.isidentifier()
        ):
            self.fail(
                BAD_CHARACTER,
                f"{describe(char)} has no meaning outside strings and comments.",
                start,
            )

    def check_operator(self, at: int) -> None:
        """Give up at what is an operator in other languages."""
        hint = OPERATOR_HINTS.get(self.text[at : at + 2]) or OPERATOR_HINTS.get(self.text[at])
        if hint and self.text[at : at + 2] not in ("&&", "||"):
            self.fail(
                BAD_OPERATOR, hint, at, at + (2 if self.text[at : at + 2] in OPERATOR_HINTS else 1)
            )

    def check_name(self, start: int, end: int) -> None:
        """Give up if the name holds a character that names cannot have."""
        if self.ascii_only:
            return
        name = self.text[start:end]
        if name.isascii() or name.replace("-", "_").isidentifier():
            return
        for at in range(start, end):
            char = self.text[at]
            if char != "-" and not (char if at == start else f"a{char}").isidentifier():
                self.check_character(at)
                self.fail(
                    BAD_NAME,
                    f"{describe(self.text[at])} cannot be part of a name. Names are made of "
                    "letters, digits, _ and -, and do not begin with a digit.",
                    at,
                )

    def number(self, start: int, end: int) -> int | Decimal:
        """Return the exact value of the number literal from ``start`` to ``end``."""
        text = self.text[start:end]
        if text.isdigit() and len(text) <= MAX_DIGITS:
            return int(text)
        if _SOUND(text) is None:
            self.fail(
                BAD_NUMBER,
                f"{show(text)} has more than one decimal point or exponent. Write versions and "
                "addresses as strings, in double quotes.",
                start,
                end,
            )
        _, _, exponent = text.lower().partition("e")
        digits = exponent.lstrip("+-").lstrip("0")
        if len(text) > MAX_DIGITS or len(digits) > 4 or int(digits or "0") > MAX_DIGITS:
            self.fail(
                BAD_NUMBER,
                f"{show(text)} is out of range: a number may have at most {MAX_DIGITS} digits "
                "before and after its decimal point.",
                start,
                end,
            )
        return Decimal(text)


def show(text: str) -> str:
    """Return a token as a message shows it: quoted, shortened."""
    if text == '"':
        return "a double quote"
    if text.startswith('"'):
        return f"the string {text[:40]}" if len(text) <= 40 else f"the string {text[:37]}…"
    return f'"{text}"' if len(text) <= 40 else f'"{text[:37]}…"'


def describe(char: str) -> str:
    """Return a character as a message shows it, with its code where that helps."""
    if char.isascii() and char.isprintable():
        return f'The character "{char}"'
    name = unicodedata.name(char, "control character").lower()
    shown = f' "{char}"' if char.isprintable() else ""
    return f"The character{shown} (U+{ord(char):04X}, {name})"
