"""What an expression refers to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from mlform.syntax import tree
from mlform.syntax.tree import (
    Expr,
    ForObject,
    ForTuple,
    GetAttr,
    Index,
    Literal,
    Name,
    Parens,
    Splat,
    TemplateFor,
)

_BINDING: Final = frozenset({Name, GetAttr, Index, ForTuple, ForObject, TemplateFor, Splat})
_Waiting: TypeAlias = "list[tuple[Expr, frozenset[str]]]"


class Reference(NamedTuple):
    """A traversal from a free name: the constant steps it begins with, and where it stands."""

    root: str
    steps: tuple[str | int, ...]
    start: int
    end: int


def references(expr: Expr) -> Iterator[Reference]:
    """Yield every reference in ``expr``, in the order written; names bound by ``for`` are none.

    A reference ends where its steps are no longer constant: at a splat, or at an index that is
    worked out, whose own references follow.
    """
    waiting: _Waiting = [(expr, frozenset())]
    while waiting:
        node, bound = waiting.pop()
        kind = type(node)
        if kind is Literal:
            continue
        if kind not in _BINDING:
            waiting.extend([(part, bound) for part in reversed(_INSIDE[kind](node))])
        elif isinstance(node, Name | GetAttr | Index):
            found, inside = _traversal(node)
            if found is not None and found.root not in bound:
                yield found
            waiting.extend((part, bound) for part in reversed(inside))
        elif isinstance(node, ForTuple | ForObject | TemplateFor):
            inner = bound | {n for n in (node.key, node.value) if n is not None}
            parts = [c for c in _children(node) if c is not node.collection]
            waiting.extend((part, inner) for part in reversed(parts))
            waiting.append((node.collection, bound))
        elif isinstance(node, Splat):
            waiting += [(node.each, bound), (node.source, bound)]


def traversals(expr: Expr) -> Iterator[Name | GetAttr | Index]:
    """Yield the outermost names with all their steps, in the order written; none in an index."""
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Name | GetAttr | Index):
            yield node
        else:
            waiting.extend(reversed(_children(node)))


def _traversal(expr: Name | GetAttr | Index) -> tuple[Reference | None, list[Expr]]:
    chain: list[GetAttr | Index] = []
    inner: Expr = expr
    while isinstance(inner, GetAttr | Index):
        chain.append(inner)
        inner = inner.target
    chain.reverse()
    keys = [step.key for step in chain if isinstance(step, Index) and _constant(step) is None]
    if not isinstance(inner, Name):
        return None, [inner, *keys]
    steps: list[str | int] = []
    end = inner.end
    for step in chain:
        part = _constant(step)
        if part is None:
            break
        steps.append(part)
        end = step.end
    return Reference(inner.name, tuple(steps), inner.start, end), keys


def _constant(step: GetAttr | Index) -> str | int | None:
    if isinstance(step, GetAttr):
        return step.name
    key = step.key
    while isinstance(key, Parens):
        key = key.inner
    if isinstance(key, Literal) and isinstance(key.value, str | int) and key.value is not True:
        return None if key.value is False else key.value
    return None


def _children(expr: Expr) -> Sequence[Expr]:
    return _INSIDE[type(expr)](expr)


def nested(expr: Expr) -> Iterator[Expr]:
    """Yield an expression and all that stand inside of it."""
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += _children(node)


def _optional(first: Sequence[Expr], last: Expr | None) -> Sequence[Expr]:
    return first if last is None else (*first, last)


_INSIDE: Final[Mapping[type, Callable[[Any], Sequence[Expr]]]] = {
    tree.Literal: lambda _: (),
    tree.SplatItem: lambda _: (),
    tree.Template: lambda e: e.parts,
    tree.TemplateWrap: lambda e: (e.inner,),
    tree.TemplateIf: lambda e: (e.condition, *e.then, *e.otherwise),
    tree.TemplateFor: lambda e: (e.collection, *e.parts),
    tree.Name: lambda _: (),
    tree.GetAttr: lambda e: (e.target,),
    tree.Index: lambda e: (e.target, e.key),
    tree.Splat: lambda e: (e.source, e.each),
    tree.TupleExpr: lambda e: e.items,
    tree.ObjectExpr: lambda e: [part for item in e.items for part in item],
    tree.ForTuple: lambda e: _optional((e.collection, e.result), e.condition),
    tree.ForObject: lambda e: _optional((e.collection, e.key_result, e.result), e.condition),
    tree.Call: lambda e: e.arguments,
    tree.Unary: lambda e: (e.operand,),
    tree.Binary: lambda e: (e.left, e.right),
    tree.Conditional: lambda e: (e.condition, e.then, e.otherwise),
    tree.Parens: lambda e: (e.inner,),
}
"""What stands inside an expression, in the order written."""
