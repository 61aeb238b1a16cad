"""The tokens of a text that is known to parse: what its layout is made from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlform.syntax.patterns import BLANKS, BLOCK_COMMENT, NUMBER


class Token:
    """One token, how many spaces stand before it on its line, and whether a heredoc holds it."""

    __slots__ = ("before", "inside", "kind", "text")

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        self.text = text
        self.before = 0
        self.inside = False


_CODE: Final = re.compile(
    r"[ \t]*+(?:(?P<newline>\r?\n)"
    rf"|(?P<remark>(?:\#|//)[^\n]*+)"
    rf"|(?P<comment>{BLOCK_COMMENT})"
    rf"|(?P<number>{NUMBER})"
    r"|(?P<name>(?:[^\W\d]|[^\x00-\x7f])[\w\x80-\U0010ffff-]*+)"
    r"|(?P<heredoc><<-?(?P<marker>(?:[^\W\d]|[^\x00-\x7f])[\w\x80-\U0010ffff-]*+)\r?\n)"
    r'|(?P<quote>")'
    r"|(?P<open>[(\[{])"
    r"|(?P<end>~\})"
    r"|(?P<close>[)\]}])"
    r"|(?P<op>\.\.\.|=>|==|!=|<=|>=|&&|\|\||::|[\s\S])|(?P<nothing>))"
).match
_QUOTED: Final = re.compile(
    r'(?>(?:[^"\\$%]++|\\[\s\S]|\$\$++\{|%%++\{|\$++(?!\{)|%++(?!\{))*)'
).match
_LINE: Final = re.compile(r"(?>(?:[^$%\n]++|\$\$++\{|%%++\{|\$++(?!\{)|%++(?!\{))*)\n?").match
_OPENER: Final = re.compile(r"[$%]\{~?").match


def tokens(text: str) -> Iterator[Token]:
    """Yield every token but the blanks. Templates come as quote, literal, opener and end.

    Modes nest: ``None`` for code in brackets, ``'"'`` for a quoted string, any other text for
    a heredoc with that marker. A closing brace that meets a template below it ends a sequence.
    """
    modes: list[str | None] = []
    nested: list[int] = []
    at = heredocs = 0
    while at < len(text):
        mode = modes[-1] if modes else None
        if mode is None:
            token, at = _code(text, at, modes, nested)
        elif mode == '"':
            token, at = _quoted(text, at, modes, nested)
        else:
            token, at = _heredoc(text, at, mode, modes, nested)
        if token:
            heredocs -= token.kind == "unheredoc"
            token.inside = heredocs > 0
            heredocs += token.kind == "heredoc"
            yield token


def _code(
    text: str, at: int, modes: list[str | None], nested: list[int]
) -> tuple[Token | None, int]:
    found = _CODE(text, at)
    assert found, "the pattern takes any character"
    kind, end = str(found.lastgroup), found.end()
    written = found[kind]
    match kind:
        case "nothing":
            return None, end
        case "quote":
            modes.append('"')
        case "heredoc":
            modes.append(found["marker"])
        case "open":
            if nested:
                nested[-1] += 1
        case "end":
            _leave(modes, nested)
        case "close":
            if nested and nested[-1] == 0:
                _leave(modes, nested)
                kind = "end"
            elif nested:
                nested[-1] -= 1
        case _:
            pass
    return Token(kind, written), end


def _leave(modes: list[str | None], nested: list[int]) -> None:
    modes.pop()
    nested.pop()


def _enter(
    text: str, at: int, modes: list[str | None], nested: list[int]
) -> tuple[Token | None, int]:
    found = _OPENER(text, at)
    assert found, "a literal stops only before an opener or its end"
    modes.append(None)
    nested.append(0)
    return Token("begin", found[0]), found.end()


def _quoted(
    text: str, at: int, modes: list[str | None], nested: list[int]
) -> tuple[Token | None, int]:
    if text[at] == '"':
        modes.pop()
        return Token("unquote", '"'), at + 1
    found = _QUOTED(text, at)
    if found and found.end() > at:
        return Token("literal", found[0]), found.end()
    return _enter(text, at, modes, nested)


def _heredoc(
    text: str, at: int, marker: str, modes: list[str | None], nested: list[int]
) -> tuple[Token | None, int]:
    if text[at - 1] == "\n":
        stop = text.find("\n", at)
        line = text[at : stop if stop >= 0 else len(text)].removesuffix("\r")
        if line.strip(BLANKS) == marker:
            modes.pop()
            return Token("unheredoc", line), at + len(line)
    found = _LINE(text, at)
    if found and found.end() > at:
        return Token("literal", found[0]), found.end()
    return _enter(text, at, modes, nested)
