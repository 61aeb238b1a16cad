"""The one layout of native syntax: indentation, spaces, and columns of equals signs and comments.

It works on tokens, so comments and blank lines stay as they are, and what is written stays what
it means. The result is what ``terraform fmt`` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from mlform.diagnostics import Diagnostics
from mlform.syntax.columns import columns
from mlform.syntax.limits import uncollected
from mlform.syntax.parse import parse
from mlform.syntax.tokens import Token, tokens
from mlform.syntax.tree import Body, TemplateWrap

_OPEN: Final = frozenset({"open", "begin"})
_CLOSE: Final = frozenset({"close", "end"})
_TEMPLATE_LEFT: Final = frozenset({"literal", "quote", "heredoc"})
_TEMPLATE_RIGHT: Final = frozenset({"literal", "unquote", "unheredoc"})
_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_INDEXED: Final = frozenset({"name", "number", "close"})
_BEFORE_SIGN: Final = frozenset(
    "( [ { = : , ? + - * / % == != < > <= >= && || !".split()  # noqa: SIM905 - one line
)


def layout(text: str, file: str, diagnostics: Diagnostics) -> str:
    """Return ``text`` as it should be laid out.

    A text with syntax errors is returned unchanged and the errors are noted. Laying out twice
    changes nothing more.
    """
    found = Diagnostics()
    body = parse(text, file, found)
    diagnostics.extend(found)
    if found.errors:
        return text
    with uncollected(len(text)):
        return _laid_out(_idiomatic(body))


def _laid_out(text: str) -> str:
    lines = [_Line(line) for line in _split(text)]
    _indent(lines)
    for line in lines:
        line.space()
    _align(lines)
    laid_out = "".join(line.text() for line in lines)
    return laid_out if not laid_out or laid_out.endswith("\n") else laid_out + "\n"


def _idiomatic(body: Body) -> str:
    """Return the text with labels as they are written best, and no ``"${ }"`` around arguments."""
    text = body.source.text
    edits = sorted(_edits(body, text))
    parts, at = [], 0
    for start, end, new in edits:
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


def _edits(body: Body, text: str) -> Iterator[tuple[int, int, str]]:
    waiting = [body]
    while waiting:
        inner = waiting.pop()
        for attribute in inner.attributes.values():
            expr = attribute.expr
            if isinstance(expr, TemplateWrap):
                yield expr.start, expr.end, _unwrapped(expr, text)
        for block in inner.blocks:
            waiting.append(block.body)
            for label in block.labels:
                if "${" not in label.text and "%{" not in label.text:
                    yield label.start, label.end, _label(label.text)


def _label(text: str) -> str:
    """Return a label in quotes, escaped where it must be or cannot be seen."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 2**16 else f"\\U{ord(char):08x}"


def _unwrapped(expr: TemplateWrap, text: str) -> str:
    """Return what stands in ``"${ }"``; in parentheses where line breaks in it need them."""
    outer: TemplateWrap = expr
    while isinstance(outer.inner, TemplateWrap):
        outer = outer.inner
    value = text[outer.start + 3 : outer.end - 2].removeprefix("~").removesuffix("~")
    value = value.strip(" \t\r\n")
    if "\n" not in value and "#" not in value and "//" not in value:
        return value
    found = list(tokens(value))
    if any(token.inside and token.kind == "begin" for token in found):
        return text[expr.start : expr.end]
    if found[-1].kind in ("remark", "unheredoc"):
        return f"({value}\n)"
    return f"({value})" if _needs_parentheses(found) else value


def _needs_parentheses(found: Sequence[Token]) -> bool:
    """Tell whether an expression of several lines stands only in parentheses.

    As ``terraform fmt`` does, all get them whose lines do not end in comments only; but not those
    that begin and end with one, unless it is not one pair.
    """
    depth, several = 0, False
    before: Token | None = None
    for token in found:
        depth += (token.kind in _OPEN) - (token.kind in _CLOSE)
        if token.kind == "newline":
            if depth == 0:
                return True
            several = several or before is None or before.kind != "remark"
        before = token
    return several and not (found[0].text == "(" and found[-1].text == ")")


def _split(text: str) -> Iterator[list[Token]]:
    """Yield the tokens of each line, the line break as the last of them."""
    line: list[Token] = []
    for token in tokens(text):
        line.append(token)
        if token.kind == "newline":
            yield line
            line = []
    if line:
        yield line


class _Line:
    """One line in its cells: what leads, the assignment, the comment."""

    def __init__(self, line: list[Token]) -> None:
        self.newline = line.pop().text if line[-1].kind == "newline" else ""
        self.comment = line.pop() if len(line) > 1 and line[-1].kind == "remark" else None
        self.lead = line
        self.assign: list[Token] = []
        for at, token in enumerate(line):
            if at and token.kind == "op" and token.text == "=":
                if _net(line[at:]) == 0:
                    self.lead, self.assign = line[:at], line[at:]
                break

    @property
    def tokens(self) -> list[Token]:
        """All but the comment and the line break."""
        return self.lead + self.assign

    def space(self) -> None:
        """Set the spaces between the tokens; the first keeps its indentation."""
        line = [*self.tokens, self.comment] if self.comment else self.tokens
        before: Token | None = None
        for at in range(1, len(line)):
            left, right = line[at - 1], line[at]
            right.before = int(_spaced(before, left, right) or _two_numbers(line, at))
            before = left

    def text(self) -> str:
        """Return the line as it is written."""
        line = [*self.tokens, self.comment] if self.comment else self.tokens
        return "".join(" " * token.before + token.text for token in line) + self.newline


def _net(line: Sequence[Token]) -> int:
    """Count the brackets a line leaves open."""
    return sum((token.kind in _OPEN) - (token.kind in _CLOSE) for token in line)


def _before_heredoc(line: Sequence[Token]) -> Sequence[Token]:
    """Return the tokens that count for the indentation of the lines that follow."""
    kinds = [token.kind for token in line]
    return line[: kinds.index("heredoc")] if "heredoc" in kinds else line


def _indent(lines: Sequence[_Line]) -> None:
    """Indent by the lines that opened brackets: each counts once, however many it opened."""
    opened: list[int] = []
    for line in lines:
        net = _net(_before_heredoc(line.lead)) + _net(_before_heredoc(line.assign))
        for_this = len(opened)
        if net > 0:
            opened.append(net)
        else:
            closed = -net
            while closed and opened:
                taken = min(closed, opened[-1])
                closed -= taken
                opened[-1] -= taken
                if not opened[-1]:
                    opened.pop()
            for_this = len(opened)
        if line.lead:
            line.lead[0].before = 2 * for_this


def _spaced(before: Token | None, left: Token, right: Token) -> bool:
    """Tell whether a space stands between two tokens of a line."""
    if left.kind in _TEMPLATE_LEFT or right.kind in _TEMPLATE_RIGHT:
        return False
    if right.text in (",", "...", ".") or left.text == ".":
        return False
    if left.kind == "end" and right.kind == "begin":
        return False
    if "::" in (left.text, right.text):
        return False
    if left.text == ",":
        return True
    if left.kind == "name" and right.text == "(":
        return False
    if left.text == "in" and left.kind == "name" and before and before.kind == "name":
        return True
    if right.text == "[" and left.kind in _INDEXED:
        return False
    if left.text == "!":
        return False
    if left.text == "-" and left.kind == "op":
        return before is not None and not _before_sign(before)
    if left.text == "{" or (right.text == "}" and right.kind == "close"):
        return not (left.text == "{" and right.text == "}")
    if left.kind == "begin":
        return right.text == "{"
    if right.kind == "end":
        return left.text == "}" and left.kind == "close"
    return not (left.kind in _OPEN or right.kind in _CLOSE)


def _before_sign(token: Token) -> bool:
    """Tell whether a minus after this token is the sign of what follows."""
    return token.kind in ("op", "open") and token.text in _BEFORE_SIGN


def _two_numbers(line: Sequence[Token], at: int) -> bool:
    """Tell whether the dot at ``at`` stands between numbers: ``a.0 .1`` is not ``a.0.1``."""
    around = line[at - 1 : at + 2]
    return line[at].text == "." and [t.kind for t in around] == ["number", "op", "number"]


def _align(lines: Sequence[_Line]) -> None:
    """Put the equals signs of lines that follow each other in one column; then the comments."""
    for chain in _chains(lines, lambda line: bool(line.assign)):
        width = max(_width(line.lead) for line in chain)
        for line in chain:
            line.assign[0].before = width - _width(line.lead) + 1
    for chain in _chains(lines, lambda line: line.comment is not None):
        width = max(_width(line.tokens) for line in chain)
        for line in chain:
            assert line.comment is not None, "chained for having a comment"
            line.comment.before = width - _width(line.tokens) + 1


def _chains(lines: Sequence[_Line], wanted: Callable[[_Line], bool]) -> Iterator[list[_Line]]:
    """Yield the runs of lines that are wanted."""
    chain: list[_Line] = []
    for line in lines:
        if wanted(line):
            chain.append(line)
        elif chain:
            yield chain
            chain = []
    if chain:
        yield chain


def _width(line: Sequence[Token]) -> int:
    return sum(token.before + columns(token.text) for token in line)
