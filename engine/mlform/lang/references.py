"""What an expression refers to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

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
        if type(node) is Literal:
            continue
        if isinstance(node, Name | GetAttr | Index):
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
        else:
            waiting.extend((part, bound) for part in reversed(_children(node)))


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


def _children(expr: Expr) -> list[Expr]:
    found: list[Expr] = []
    for field in expr[2:]:
        if isinstance(field, tuple):
            _collect(field, found)
    return found


def _collect(field: tuple[object, ...], found: list[Expr]) -> None:
    if type(field) is Literal:
        return
    if hasattr(field, "_fields"):
        found.append(field)  # type: ignore[arg-type]  # a named tuple in a tree is a node
        return
    for item in field:
        if isinstance(item, tuple):
            _collect(item, found)
