"""From the flat pieces of a template to its tree: strip markers, indentation, directives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn, TypeAlias

from mlform.syntax.patterns import SPACES
from mlform.syntax.problems import BAD_DIRECTIVE, SyntaxProblem
from mlform.syntax.tree import Expr, Literal, TemplateFor, TemplateIf


@dataclass(slots=True)
class Text:
    """A stretch of literal text; in a heredoc at most one line, with its line break."""

    start: int
    end: int
    value: str


class Interpolation(NamedTuple):
    """``${ expr }``."""

    start: int
    end: int
    expr: Expr


class Directive(NamedTuple):
    """``%{ keyword … }``: ``if`` has an ``expr``; ``for`` has names and an ``expr``."""

    start: int
    end: int
    keyword: str
    expr: Expr | None = None
    key: str | None = None
    value: str = ""


Piece: TypeAlias = Text | Interpolation | Directive


def strip_end(pieces: Sequence[Piece]) -> None:
    """Take the white space off the end of the last piece, if that is text."""
    if pieces and isinstance(last := pieces[-1], Text):
        last.value = last.value.rstrip(SPACES)


def dedent(pieces: Sequence[Piece]) -> None:
    """Take from every line the indentation that all lines share.

    Lines of nothing but white space neither count nor change; a line that begins with a sequence
    has no indentation. A line break that a strip marker removed begins no new line.
    """
    margin: int | None = None
    lines: list[Text] = []
    at_start = True
    for piece in pieces:
        if at_start:
            if not isinstance(piece, Text):
                margin = 0
            elif piece.value.strip(SPACES) or not piece.value.endswith("\n"):
                indent = len(piece.value) - len(piece.value.lstrip(SPACES))
                margin = indent if margin is None else min(margin, indent)
                lines.append(piece)
        at_start = isinstance(piece, Text) and piece.value.endswith("\n")
    for line in lines if margin else ():
        line.value = line.value[margin:]


class _Frame:
    """An open directive and what it has gathered."""

    def __init__(self, opener: Directive | None) -> None:
        self.opener = opener
        self.otherwise: Directive | None = None
        self.then: list[Expr] = []
        self.parts: list[Expr] = []


def assemble(pieces: Sequence[Piece], max_depth: int) -> tuple[Expr, ...]:
    """Return the parts of a template of these pieces: texts joined, directives nested."""
    if not any(isinstance(piece, Directive) for piece in pieces):
        return _joined(pieces)
    frames = [_Frame(None)]
    text: list[Text] = []
    for piece in pieces:
        if isinstance(piece, Text):
            text.append(piece)
            continue
        _flush(text, frames[-1].parts)
        if isinstance(piece, Interpolation):
            frames[-1].parts.append(piece.expr)
        elif piece.keyword in ("if", "for"):
            if len(frames) > max_depth:
                _fail(piece, f"Directives may be nested at most {max_depth} levels deep.")
            frames.append(_Frame(piece))
        else:
            _close(piece, frames)
    _flush(text, frames[-1].parts)
    if opener := frames[-1].opener:
        _fail(
            opener,
            f"This %{{ {opener.keyword} }} is never closed. Write %{{ end{opener.keyword} }} "
            "where it ends, before the template does.",
        )
    return tuple(frames[0].parts)


def _joined(pieces: Sequence[Piece]) -> tuple[Expr, ...]:
    """Return the parts of a template without directives."""
    parts: list[Expr] = []
    text: list[Text] = []
    for piece in pieces:
        if isinstance(piece, Text):
            text.append(piece)
        else:
            _flush(text, parts)
            assert piece.expr is not None, "an interpolation has an expression"
            parts.append(piece.expr)
    _flush(text, parts)
    return tuple(parts)


def _flush(text: list[Text], parts: list[Expr]) -> None:
    if not text:
        return
    if value := text[0].value if len(text) == 1 else "".join(piece.value for piece in text):
        parts.append(Literal(text[0].start, text[-1].end, value))
    text.clear()


def _close(piece: Directive, frames: list[_Frame]) -> None:
    frame = frames[-1]
    opener, keyword = frame.opener, piece.keyword
    if opener is None:
        wanted = "if" if keyword in ("else", "endif") else "for"
        _fail(
            piece, f"There is no open %{{ {wanted} }} that this %{{ {keyword} }} could belong to."
        )
    if keyword == "else" and opener.keyword == "if":
        if frame.otherwise:
            _fail(piece, "This %{ if } has an %{ else } already; it can have one.")
        frame.otherwise, frame.then, frame.parts = piece, frame.parts, []
        return
    if keyword != f"end{opener.keyword}":
        _fail(
            piece,
            f"The innermost open directive is %{{ {opener.keyword} }}, closed by "
            f"%{{ end{opener.keyword} }}; found %{{ {keyword} }}.",
        )
    frames.pop()
    frames[-1].parts.append(_node(opener, piece.end, frame))


def _node(opener: Directive, end: int, frame: _Frame) -> Expr:
    assert opener.expr is not None, "if and for have an expression"
    parts = tuple(frame.parts)
    if opener.keyword == "for":
        return TemplateFor(opener.start, end, opener.key, opener.value, opener.expr, parts)
    if frame.otherwise:
        return TemplateIf(opener.start, end, opener.expr, tuple(frame.then), parts)
    return TemplateIf(opener.start, end, opener.expr, parts, ())


def _fail(piece: Directive, detail: str) -> NoReturn:
    raise SyntaxProblem(BAD_DIRECTIVE, detail, piece.start, piece.end)
