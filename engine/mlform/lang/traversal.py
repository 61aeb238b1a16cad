"""Names, attributes, indexes and splats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlform.diagnostics import did_you_mean
from mlform.lang.bounds import may_be_null, no_null
from mlform.lang.evaluator import ITEM, UNKNOWN_REFERENCE, Bound, Evaluator
from mlform.lang.marks import mark, reveal
from mlform.lang.operations import OperationError, integer, kind_of, number_of, scalar
from mlform.lang.unification import type_of
from mlform.syntax import tree
from mlform.syntax.tree import Expr
from mlform.types import ANY, BOOL, NUMBER, STRING, Collection, ObjectType, TupleType, Type
from mlform.values import UNKNOWN, Handle, ListValue, Null, SetValue, Unknown, Value

_NO_ATTRIBUTE = "Unknown attribute"
_SHOWN = 10
"""How many names an error lists."""
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
    root = isinstance(expr.target, tree.Name) and expr.target.name not in bound
    return mark(_member(ev, target, expr.name, expr, marked=marked, root=root), marked=marked)


def index(ev: Evaluator, expr: tree.Index, bound: Bound) -> Value:
    """``x[key]``."""
    target, target_marked = reveal(ev.value(expr.target, bound))
    key: Value
    key, key_marked = reveal(ev.value(expr.key, bound))
    marked = target_marked or key_marked
    return mark(_indexed(ev, target, key, expr, marked=marked), marked=marked)


def _indexed(ev: Evaluator, target: Any, key: Value, expr: tree.Index, *, marked: bool) -> Value:
    type_ = type_of(target) if isinstance(target, Unknown) or isinstance(key, Unknown) else None
    if type_ is not None and _bars_all(target, type_, key):
        detail = f"It is {kind_of(target)}, and has nothing inside to be had by an index."
        return ev.fault(_BAD_INDEX, detail, expr)
    if type_ == ANY:
        return UNKNOWN
    if isinstance(target, list | tuple) or isinstance(type_, TupleType) or _listed(type_):
        return _item(ev, target, key, expr, type_, marked=marked)
    try:
        step = scalar(key, STRING)
    except OperationError as error:
        return ev.error(_BAD_INDEX, f"As a key, {error}.", expr.key, marked=marked)
    if isinstance(step, Unknown) or isinstance(target, Unknown):
        if isinstance(type_, Collection) and type_of(key) != ANY:
            return Unknown(type_.element)
        # Of an object that is unknown HCL tells nothing for an index, but for an attribute.
        return UNKNOWN
    return _member(ev, target, step, expr, marked=marked)


def _bars_all(target: Value, type_: Type, key: Value) -> bool:
    """Tell whether no index is one of a value, whatever turns out to be the index."""
    if target is None or isinstance(target, Null):
        return True
    return type_ in {STRING, NUMBER, BOOL} and type_of(key) != ANY


def _listed(type_: Type | None) -> bool:
    return isinstance(type_, Collection) and type_.name != "map"


def _item(
    ev: Evaluator, target: Any, key: Value, expr: tree.Index, type_: Type | None, *, marked: bool
) -> Value:
    if isinstance(target, SetValue) or (isinstance(type_, Collection) and type_.name == "set"):
        detail = "The elements of a set have no order to count by; make it a list with tolist."
        return ev.fault(_BAD_INDEX, detail, expr)
    try:
        found = scalar(key, NUMBER)
        if isinstance(type_, Collection):
            return Unknown(type_.element) if type_of(key) != ANY else UNKNOWN
        if isinstance(found, Unknown):
            return UNKNOWN
        at = integer(found)
    except OperationError as error:
        return ev.error(_BAD_INDEX, f"To index a list, {error}.", expr.key, marked=marked)
    size = len(type_.elements if isinstance(type_, TupleType) else target)
    if 0 <= at < size:
        element: Value = Unknown(type_.elements[at]) if isinstance(type_, TupleType) else target[at]
        return element
    detail = f"The list has {number_of(size, 'element')}, counted from 0; there is none at {at}."
    return ev.error(_BAD_INDEX, detail, expr.key, marked=marked)


def _member(
    ev: Evaluator, target: Value, step: str, expr: Expr, *, marked: bool, root: bool = False
) -> Value:
    if isinstance(target, Unknown) and _of_member(target.type, step) is not None:
        return Unknown(_of_member(target.type, step) or ANY)
    if isinstance(target, Handle):
        return _attribute(ev, target, step, expr)
    if isinstance(target, Mapping):
        if step in target:
            return target[step]
        names = [f'"{name}"' for name in list(target)[:_SHOWN]]
        more = f" and {len(target) - _SHOWN:,} more" if len(target) > _SHOWN else ""
        has = f" It has {', '.join(names)}{more}." if names else " It is empty."
        detail = f'There is no "{step}" in this object.{did_you_mean(step, target)}{has}'
        return ev.error(_NO_ATTRIBUTE, detail, expr, marked=marked, missing=root)
    if target is None or isinstance(target, Null):
        detail = f'The value is null, so it has no "{step}".'
        return ev.error("Value is null", detail, expr, marked=marked)
    detail = f'A {kind_of(target)} has no attributes, so no "{step}".'
    if isinstance(target, list | tuple):
        detail += f" For that of one element write [0].{step}, for that of all [*].{step}."
    return ev.error(_NO_ATTRIBUTE, detail, expr, marked=marked)


def _of_member(type_: Type, step: str) -> Type | None:
    """Return the type of a member of values of a type, ``None`` if they have none such."""
    if isinstance(type_, ObjectType):
        return type_.attributes.get(step)
    if isinstance(type_, Collection) and type_.name == "map":
        return type_.element
    return ANY if type_ == ANY else None


def _attribute(ev: Evaluator, handle: Handle, step: str, expr: Expr) -> Value:
    if step in handle.attributes:
        return handle.attributes[step]
    if isinstance(handle.digest, Unknown) and handle.attribute is not None:
        return UNKNOWN
    detail = f'{handle.address} gives no "{step}".{did_you_mean(step, handle.attributes)}'
    if handle.attributes:
        detail += f" It gives {', '.join(handle.attributes)}."
    return ev.fault(_NO_ATTRIBUTE, detail, expr)


def splat(ev: Evaluator, expr: tree.Splat, bound: Bound) -> Value:
    """``x[*].a`` and ``x.*.a``: null has no elements, what is no list is its own one element."""
    before = ev.faults
    found, marked = reveal(ev.value(expr.source, bound))
    if ev.faults > before:
        return UNKNOWN
    if found is None or (isinstance(found, Null) and not _several(found.type)):
        return mark([], marked=marked)
    if isinstance(found, Null):
        detail = "The list is null, so it has no elements."
        return mark(ev.fault("Value is null", detail, expr.source), marked=marked)

    def each(item: Value) -> Value:
        return ev.value(expr.each, {**bound, ITEM: item})

    with ev.hushed(marked=marked):
        if isinstance(found, Unknown):
            return mark(_unknown_splat(found, each), marked=marked)
        items = found if isinstance(found, list | tuple) else [found]
        values = [each(i) for i in items]
        if ev.faults > before:
            type_ = type_of(found)
            made = _splat_type(type_ if _several(type_) else TupleType((type_,)), each)
            return mark(Unknown(made), marked=marked)
        if not isinstance(found, ListValue | SetValue):
            return mark(values, marked=marked)
        types = {type_of(v) for v in values or [each(Unknown(found.element))]}
        if len(types) == 1:
            return mark(ListValue(values, types.pop()), marked=marked)
        shown = " and ".join(sorted(map(str, types)))
        detail = f"What it makes of a list must be of one type; it is {shown}."
        return mark(ev.fault("Inconsistent element types", detail, expr), marked=marked)


def _several(type_: Type) -> bool:
    return isinstance(type_, TupleType) or _listed(type_)


def _splat_type(type_: Type, each: Callable[[Value], Value]) -> Type:
    """Return the type of what a splat makes of a list, set or tuple of a type."""
    if isinstance(type_, TupleType):
        return TupleType(tuple(type_of(each(Unknown(t))) for t in type_.elements))
    assert isinstance(type_, Collection), "a list or a set"
    return Collection("list", type_of(each(Unknown(type_.element))))


def _unknown_splat(found: Unknown, each: Callable[[Value], Value]) -> Value:
    type_ = found.type
    if _several(type_):
        return no_null(_splat_type(type_, each))
    item = each(found)
    if type_ != ANY and not may_be_null(found):
        return [item]
    # Whether there is one element or none is open; what is wrong with it is not.
    return UNKNOWN


def splat_item(_ev: Evaluator, _expr: tree.SplatItem, bound: Bound) -> Value:
    """Return the element that the splat around is at."""
    return bound[ITEM]
