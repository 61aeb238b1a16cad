"""What an expression refers to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mlform.syntax.tree import (
    Expr,
    ForObject,
    ForTuple,
    GetAttr,
    Index,
    Literal,
    Name,
    Parens,
    TemplateFor,
)


class Reference(NamedTuple):
    """A traversal from a free name: the constant steps it begins with, and where it stands."""

    root: str
    steps: tuple[str | int, ...]
    start: int
    end: int


def references(expr: Expr) -> Iterator[Reference]:
    """Yield every reference in ``expr``, in the order written; names bound by ``for`` are none."""
    yield from _walk(expr, frozenset())


def _walk(expr: Expr, bound: frozenset[str]) -> Iterator[Reference]:
    if isinstance(expr, Name | GetAttr | Index):
        yield from _traversal(expr, bound)
        return
    if isinstance(expr, ForTuple | ForObject | TemplateFor):
        yield from _walk(expr.collection, bound)
        bound |= {n for n in (expr.key, expr.value) if n}
    for child in children(expr):
        if isinstance(expr, ForTuple | ForObject | TemplateFor) and child is expr.collection:
            continue
        yield from _walk(child, bound)


def _traversal(expr: Expr, bound: frozenset[str]) -> Iterator[Reference]:
    chain: list[Expr] = []
    inner: Expr = expr
    while isinstance(inner, GetAttr | Index):
        chain.append(inner)
        inner = inner.target
    if not isinstance(inner, Name):
        yield from _walk(inner, bound)
        for step in chain:
            if isinstance(step, Index):
                yield from _walk(step.key, bound)
        return
    steps: list[str | int] = []
    end, constant = inner.end, True
    rest: list[Expr] = []
    for step in reversed(chain):
        part = _step(step)
        if constant and part is not None:
            steps.append(part)
            end = step.end
        else:
            constant = False
        if isinstance(step, Index) and part is None:
            rest.append(step.key)
    if inner.name not in bound:
        yield Reference(inner.name, tuple(steps), inner.start, end)
    for key in rest:
        yield from _walk(key, bound)


def _step(step: Expr) -> str | int | None:
    if isinstance(step, GetAttr):
        return step.name
    assert isinstance(step, Index)
    key = step.key.inner if isinstance(step.key, Parens) else step.key
    if isinstance(key, Literal) and isinstance(key.value, str | int):
        return key.value
    return None


def children(expr: Expr) -> Iterator[Expr]:
    """Yield the expressions directly inside one."""
    for field in expr[2:]:
        if isinstance(field, tuple):
            yield from _inside(field)


def _inside(field: tuple[object, ...]) -> Iterator[Expr]:
    if hasattr(field, "_fields"):
        yield field  # type: ignore[misc]
        return
    for item in field:
        if isinstance(item, tuple):
            yield from _inside(item)
