"""The syntax tree: plain named tuples with character offsets; positions are worked out on demand.

Named tuples, because a file of 10,000 blocks has 600,000 nodes and they are the cheapest typed
thing Python has. Every expression node begins with ``start`` and ``end``: offsets into the text
of its ``Source``, end exclusive.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from typing import Final, NamedTuple, TypeAlias

from mlform.diagnostics import Span
from mlform.lazy import dataclass


@dataclass(frozen=True)
class Source:
    """One file: its name as shown to people, and its text."""

    file: str
    text: str
    verbatim: bool = True
    """Whether its expressions are what stands in the text; some are put together from several."""

    @cached_property
    def _lines(self) -> list[int]:
        starts = [0]
        find = self.text.find
        at = find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = find("\n", at + 1)
        return starts

    def span(self, start: int, end: int) -> Span:
        """Return where the characters from ``start`` to ``end`` stand."""
        line, end_line = bisect_right(self._lines, start), bisect_right(self._lines, end)
        return Span(
            self.file,
            line,
            start - self._lines[line - 1] + 1,
            end_line,
            end - self._lines[end_line - 1] + 1,
        )


make: Final = tuple.__new__
"""``make(Name, (start, end, name))`` is ``Name(start, end, name)`` at half the cost."""


class Literal(NamedTuple):
    """A number, a bool, null, or a string without interpolation."""

    start: int
    end: int
    value: None | bool | int | Decimal | str


class Template(NamedTuple):
    """A quoted string or heredoc with ``${}`` or ``%{}`` in it: its parts are joined as text."""

    start: int
    end: int
    parts: tuple[Expr, ...]


class TemplateWrap(NamedTuple):
    """``"${x}"`` and nothing else: the value of ``x`` itself, of whatever type."""

    start: int
    end: int
    inner: Expr


class TemplateIf(NamedTuple):
    """``%{ if c }…%{ else }…%{ endif }`` inside a template."""

    start: int
    end: int
    condition: Expr
    then: tuple[Expr, ...]
    otherwise: tuple[Expr, ...]


class TemplateFor(NamedTuple):
    """``%{ for k, v in c }…%{ endfor }`` inside a template."""

    start: int
    end: int
    key: str | None
    value: str
    collection: Expr
    parts: tuple[Expr, ...]


class Name(NamedTuple):
    """The root of a reference: ``var`` in ``var.x``."""

    start: int
    end: int
    name: str


class GetAttr(NamedTuple):
    """``target.name``."""

    start: int
    end: int
    target: Expr
    name: str


class Index(NamedTuple):
    """``target[key]``, and the legacy ``target.0``."""

    start: int
    end: int
    target: Expr
    key: Expr


class Splat(NamedTuple):
    """``source[*].a.b`` (full) or ``source.*.a.b``; ``each`` reads from ``SplatItem``."""

    start: int
    end: int
    source: Expr
    each: Expr
    full: bool


class SplatItem(NamedTuple):
    """The element a splat is at."""

    start: int
    end: int


class TupleExpr(NamedTuple):
    """``[a, b]``."""

    start: int
    end: int
    items: tuple[Expr, ...]


class ObjectExpr(NamedTuple):
    """``{ key = value }``; a bare name as key is a string ``Literal``."""

    start: int
    end: int
    items: tuple[tuple[Expr, Expr], ...]


class ForTuple(NamedTuple):
    """``[for k, v in c : result if condition]``."""

    start: int
    end: int
    key: str | None
    value: str
    collection: Expr
    result: Expr
    condition: Expr | None


class ForObject(NamedTuple):
    """``{for k, v in c : key_result => result... if condition}``."""

    start: int
    end: int
    key: str | None
    value: str
    collection: Expr
    key_result: Expr
    result: Expr
    group: bool
    condition: Expr | None


class Call(NamedTuple):
    """``name(arguments...)``; ``name`` may be ``provider::x::f``."""

    start: int
    end: int
    name: str
    arguments: tuple[Expr, ...]
    expand: bool


class Unary(NamedTuple):
    """``-x`` or ``!x``."""

    start: int
    end: int
    op: str
    operand: Expr


class Binary(NamedTuple):
    """``left op right``."""

    start: int
    end: int
    op: str
    left: Expr
    right: Expr


class Conditional(NamedTuple):
    """``condition ? then : otherwise``."""

    start: int
    end: int
    condition: Expr
    then: Expr
    otherwise: Expr


class Parens(NamedTuple):
    """``(inner)``: kept, because ``(a)`` as an object key is an expression and ``a`` is not."""

    start: int
    end: int
    inner: Expr


Expr: TypeAlias = (
    Literal
    | Template
    | TemplateWrap
    | TemplateIf
    | TemplateFor
    | Name
    | GetAttr
    | Index
    | Splat
    | SplatItem
    | TupleExpr
    | ObjectExpr
    | ForTuple
    | ForObject
    | Call
    | Unary
    | Binary
    | Conditional
    | Parens
)


class Attribute(NamedTuple):
    """``name = expression``. The name is at ``start``; the whole ends at ``end``."""

    start: int
    end: int
    name: str
    expr: Expr
    source: Source

    @property
    def span(self) -> Span:
        """The whole attribute."""
        return self.source.span(self.start, self.end)

    @property
    def name_span(self) -> Span:
        """The name alone."""
        return self.source.span(self.start, self.start + len(self.name))

    @property
    def value_span(self) -> Span:
        """The expression alone."""
        return self.source.span(self.expr.start, self.expr.end)

    @property
    def text(self) -> str:
        """The expression as it was written."""
        return self.source.text[self.expr.start : self.expr.end]


class Label(NamedTuple):
    """A block label, without its quotes."""

    start: int
    end: int
    text: str


class Block(NamedTuple):
    """``kind "label" "label" { … }``; the header ends at ``header_end``, before the brace."""

    start: int
    end: int
    header_end: int
    kind: str
    labels: tuple[Label, ...]
    body: Body
    source: Source

    @property
    def span(self) -> Span:
        """The whole block."""
        return self.source.span(self.start, self.end)

    @property
    def header_span(self) -> Span:
        """The kind and the labels."""
        return self.source.span(self.start, self.header_end)


class Body(NamedTuple):
    """What stands between braces, or in a whole file."""

    start: int
    end: int
    attributes: Mapping[str, Attribute]
    blocks: tuple[Block, ...]
    source: Source
