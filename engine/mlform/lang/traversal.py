"""Names, attributes, indexes and splats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlform.diagnostics import did_you_mean
from mlform.lang.evaluator import ITEM, UNKNOWN_REFERENCE, Bound, Evaluator
from mlform.lang.marks import mark, reveal
from mlform.lang.operations import OperationError, integer, kind_of, text
from mlform.syntax import tree
from mlform.syntax.tree import Expr
from mlform.values import UNKNOWN, Handle, SetValue, Value

_NO_ATTRIBUTE = "Unknown attribute"
_BAD_INDEX = "Invalid index"


def name(ev: Evaluator, expr: tree.Name, bound: Bound) -> Value:
    """``x``."""
    if expr.name in bound:
        return bound[expr.name]
    if expr.name in ev.scope:
        return ev.scope[expr.name]
    hint = did_you_mean(expr.name, [*bound.keys() - {ITEM}, *ev.scope])
    return ev.fault(UNKNOWN_REFERENCE, f'There is no "{expr.name}" here.{hint}', expr)


def get_attr(ev: Evaluator, expr: tree.GetAttr, bound: Bound) -> Value:
    """``x.name``."""
    target, marked = reveal(ev.value(expr.target, bound))
    return mark(_member(ev, target, expr.name, expr, marked=marked), marked=marked)


def index(ev: Evaluator, expr: tree.Index, bound: Bound) -> Value:
    """``x[key]``."""
    target, target_marked = reveal(ev.value(expr.target, bound))
    key: Value
    key, key_marked = reveal(ev.value(expr.key, bound))
    marked = target_marked or key_marked
    if target is UNKNOWN or key is UNKNOWN:
        return mark(UNKNOWN, marked=marked)
    if isinstance(target, list | tuple):
        return mark(_item(ev, target, key, expr, marked=marked), marked=marked)
    try:
        step = text(key)
    except OperationError as error:
        found = ev.error(_BAD_INDEX, f"As a key, {error}.", expr.key, marked=marked)
    else:
        found = _member(ev, target, step, expr, marked=marked)
    return mark(found, marked=marked)


def _item(ev: Evaluator, target: Any, key: Value, expr: tree.Index, *, marked: bool) -> Value:
    if isinstance(target, SetValue):
        detail = "The elements of a set have no order to count by; make it a list with tolist."
        return ev.fault(_BAD_INDEX, detail, expr)
    try:
        at = integer(key)
    except OperationError as error:
        return ev.error(_BAD_INDEX, f"To index a list, {error}.", expr.key, marked=marked)
    if 0 <= at < len(target):
        element: Value = target[at]
        return element
    elements = "element" if len(target) == 1 else "elements"
    detail = f"The list has {len(target)} {elements}, counted from 0; there is none at {at}."
    return ev.error(_BAD_INDEX, detail, expr.key, marked=marked)


def _member(ev: Evaluator, target: Value, step: str, expr: Expr, *, marked: bool) -> Value:
    if target is UNKNOWN:
        return UNKNOWN
    if isinstance(target, Handle):
        return _attribute(ev, target, step, expr)
    if isinstance(target, Mapping):
        if step in target:
            return target[step]
        detail = f'There is no "{step}" in this object.{did_you_mean(step, target)}'
        return ev.error(_NO_ATTRIBUTE, detail, expr, marked=marked)
    if target is None:
        detail = f'The value is null, so it has no "{step}".'
        return ev.error("Value is null", detail, expr, marked=marked)
    detail = f'A {kind_of(target)} has no attributes, so no "{step}".'
    if isinstance(target, list | tuple):
        detail += f" For that of one element write [0].{step}, for that of all [*].{step}."
    return ev.error(_NO_ATTRIBUTE, detail, expr, marked=marked)


def _attribute(ev: Evaluator, handle: Handle, step: str, expr: Expr) -> Value:
    if step in handle.attributes:
        return handle.attributes[step]
    if handle.digest is UNKNOWN and handle.attribute is not None:
        return UNKNOWN
    detail = f'{handle.address} gives no "{step}".{did_you_mean(step, handle.attributes)}'
    if handle.attributes:
        detail += f" It gives {', '.join(handle.attributes)}."
    return ev.fault(_NO_ATTRIBUTE, detail, expr)


def splat(ev: Evaluator, expr: tree.Splat, bound: Bound) -> Value:
    """``x[*].a`` and ``x.*.a``: null has no elements, what is no list is its own one element."""
    found, marked = reveal(ev.value(expr.source, bound))
    if found is UNKNOWN:
        return mark(UNKNOWN, marked=marked)
    if found is None:
        return mark([], marked=marked)
    items = found if isinstance(found, list | tuple) else [found]
    with ev.hushed(marked=marked):
        return mark([ev.value(expr.each, {**bound, ITEM: i}) for i in items], marked=marked)


def splat_item(_ev: Evaluator, _expr: tree.SplatItem, bound: Bound) -> Value:
    """Return the element that the splat around is at."""
    return bound[ITEM]
