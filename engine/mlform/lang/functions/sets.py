"""Sets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

from mlform.lang.conversion import type_of
from mlform.lang.functions.collections import converted, elements, is_set, unified
from mlform.lang.marks import bare, identity_of, mark, unique
from mlform.lang.operations import OperationError, equal
from mlform.lang.registry import (
    Parameter,
    anything,
    as_sequence,
    as_set,
    check_size,
    function,
    whole,
)
from mlform.types import ANY, BOOL, Collection, TupleType, Type
from mlform.values import SetValue, Unknown, Value


@function("contains", anything("list"), anything("value"), result=BOOL, nested=True)
def contains(value: Any, wanted: Value) -> Value:
    """Tell whether an element equals a value."""
    as_sequence(value)
    plain, marked = bare([list(value), wanted])
    items, sought = plain
    found: Value = False
    if whole(plain):
        identity = identity_of(sought)
        found = any(identity_of(v) == identity and equal(v, sought) is True for v in items)
    else:
        answers = [equal(item, sought) for item in items]
        if True in answers:
            found = True
        elif any(isinstance(a, Unknown) for a in answers):
            found = Unknown(BOOL)
    return mark(found, marked=marked)


def _common_type(*sets: Any) -> Type:
    found = []
    for one in sets:
        type_ = type_of(one)
        assert isinstance(type_, Collection), "arguments are converted to sets"
        if type_.element != ANY or isinstance(one, Unknown) or one:
            found.append(type_.element)
    return Collection("set", unified(found, "the elements of all sets"))


@function("setunion", as_set("a"), rest=as_set("others"), result=_common_type, nested=True)
def setunion(type_: Type, *sets: Value) -> Value:
    """Return what is in any of the sets."""
    assert isinstance(type_, Collection), "the result is a set"
    return unique([v for one in _alike(type_, *sets) for v in one], type_.element)


def _alike(type_: Type, *sets: Value) -> list[Sequence[Value]]:
    """Return the sets as ones of a type. Raises ``OperationError`` if they still differ in type."""
    found = [elements(one, type_) for one in sets]
    if len(set(map(type_of, found))) > 1:
        raise OperationError("the elements of all sets must be of one type")
    return found


@function("setintersection", as_set("a"), rest=as_set("others"), result=_common_type)
def setintersection(type_: Type, first: Value, *others: Value) -> Value:
    """Return what is in all of the sets."""
    found, *rest = _alike(type_, first, *others)
    looked_up = [set(map(identity_of, other)) for other in rest]
    return [v for v in found if all(identity_of(v) in other for other in looked_up)]


@function("setsubtract", as_set("a"), as_set("b"), result=_common_type)
def setsubtract(type_: Type, left: Value, right: Value) -> Value:
    """Return what is in the first set and not in the second."""
    found, taken = _alike(type_, left, right)
    gone = set(map(identity_of, taken))
    return [v for v in found if identity_of(v) not in gone]


def _product_type(*sets: Any) -> Type:
    if len(sets) < 2:
        raise OperationError("at least two sets are required")
    found: list[Type] = []
    for one in sets:
        type_ = type_of(one)
        if isinstance(type_, TupleType):
            found.append(unified(type_.elements, "the elements of each set"))
        elif isinstance(type_, Collection):
            found.append(type_.element)
    name = "set" if any(is_set(type_of(one)) for one in sets) else "list"
    return Collection(name, TupleType(tuple(found)))


def _size(value: Any) -> int | None:
    """Return how many elements there are; ``None`` if that is still open."""
    if isinstance(value, Unknown):
        return len(value.type.elements) if isinstance(value.type, TupleType) else None
    return len(value)


@function(
    "setproduct",
    rest=Parameter("sets", unknown=True, check=as_sequence),
    result=_product_type,
    nested=True,
)
def setproduct(type_: Type, *sets: Any) -> Value:
    """Return all combinations of an element of each; a set if one is a set, a list otherwise."""
    assert isinstance(type_, Collection), "the result is a list or a set"
    assert isinstance(type_.element, TupleType), "of tuples"
    sizes = [size for size in map(_size, sets) if size is not None]
    if len(sizes) < len(sets):
        # Nothing is combined with what is empty, if it has an end.
        ends = all(not isinstance(s, Unknown) or s.bounds.most is not None for s in sets)
        return [] if ends and 0 in sizes else Unknown(type_)
    rows = prod(sizes)
    check_size(rows * len(sets))
    if any(isinstance(one, Unknown) for one in sets):
        secret = any(bare(one)[1] for one in sets) and is_set(type_)
        open_ = Unknown(type_) if rows > 1 else [Unknown(type_.element)] * rows
        return mark(open_, marked=secret)
    plain, marked = bare([list(one) for one in sets]) if is_set(type_) else (sets, False)
    # Elements of a set that are unknown may turn out to be the same.
    counted = zip(sets, plain, strict=True)
    if any(isinstance(s, SetValue) and len(p) > 1 and not whole(p) for s, p in counted):
        return mark(Unknown(type_), marked=marked)
    if not all(plain):
        return []
    alike = [
        [converted(v, element) for v in one]
        for one, element in zip(plain, type_.element.elements, strict=True)
    ]
    if any(len(set(map(type_of, one))) > 1 for one in alike):
        raise OperationError("the elements of each set must be of one type")
    return mark([list(row) for row in product(*alike)], marked=marked)
