"""One value out of a list or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlform.lang.bounds import no_null
from mlform.lang.conversion import type_of
from mlform.lang.functions.collections import converted, is_list, ordered, unified
from mlform.lang.functions.numeric import total
from mlform.lang.marks import bare, mark
from mlform.lang.numbers import counted, order
from mlform.lang.operations import ARITHMETIC, OperationError, equal, kind_of, number
from mlform.lang.registry import (
    Parameter,
    absent,
    anything,
    as_list,
    as_sequence,
    function,
    num,
    sequence,
    whole,
)
from mlform.types import ANY, BOOL, NUMBER, Collection, TupleType, Type
from mlform.values import Null, SetValue, Unknown, Value

_NUMBERS = Collection("list", NUMBER)


def _one_type(value: Any) -> Type:
    type_ = type_of(value)
    if isinstance(type_, TupleType):
        if len(type_.elements) > 1:
            raise _several(len(type_.elements))
        return type_.elements[0] if type_.elements else ANY
    return type_.element if isinstance(type_, Collection) else ANY


def _several(count: int) -> OperationError:
    return OperationError(f"at most one element is allowed, and there are {count}", 0)


@function("one", sequence("list"), result=_one_type, nested=True, marked=False)
def one(type_: Type, value: Any) -> Value:
    """Return the element of a list that has one, and null for an empty list."""
    if len(value) > 1:
        if isinstance(value, SetValue) and not whole(bare(value)[0]):
            return Unknown(type_)
        raise _several(len(value))
    return value[0] if value else None


def _coalesce_type(*given: Any) -> Type:
    if not given:
        raise OperationError("at least one value is required")
    return unified(map(type_of, given), "all values")


@function(
    "coalesce",
    rest=anything("values", null=True, unknown=True, dynamic=True),
    result=_coalesce_type,
    nested=True,
    marked=False,
)
def coalesce(type_: Type, *given: Value) -> Value:
    """Return the first value that is neither null nor an empty string."""
    for value in given:
        try:
            found = converted(value, type_)
        except OperationError:
            # What does not become the common type is passed over, as in Terraform.
            continue
        # What is unknown may be null, so it decides only what comes after it.
        if isinstance(found, Unknown):
            return no_null(type_)
        if not absent(found) and found != "":
            return found
    raise OperationError("all values are null or empty strings")


def _coalescelist_type(*lists: Any) -> Type:
    if not lists:
        raise OperationError("a list is required")
    for position, value in enumerate(lists):
        if isinstance(value, Unknown):
            return ANY
        type_ = value.type if isinstance(value, Null) else type_of(value)
        if not (is_list(type_) or isinstance(type_, TupleType)):
            raise OperationError(f"lists are required, not {kind_of(value)}", position)
    types = {type_of(v) for v in lists}
    return types.pop() if len(types) == 1 else ANY


@function(
    "coalescelist",
    rest=anything("lists", null=True, unknown=True, dynamic=True),
    result=_coalescelist_type,
    nested=True,
    marked=False,
)
def coalescelist(type_: Type, *lists: Any) -> Value:
    """Return the first list that is not empty."""
    for value in lists:
        if isinstance(value, Unknown):
            return Unknown(type_)
        if not absent(value) and value:
            found: Value = value
            return found
    raise OperationError("all lists are null or empty")


@function(
    "index",
    Parameter("list", check=ordered, late=True),
    anything("value"),
    result=NUMBER,
    nested=True,
)
def index(value: Sequence[Value], wanted: Value) -> Value:
    """Return the position of the first element that equals a value."""
    plain, marked = bare([*value, wanted])
    *elements, sought = plain
    if not elements:
        raise OperationError("an empty list has no elements", 0)
    for at, item in enumerate(elements):
        found = equal(item, sought)
        if isinstance(found, Unknown):
            return mark(Unknown(NUMBER), marked=marked)
        if found is True:
            return mark(counted(at), marked=marked)
    raise OperationError("the list has no such element", 1)


@function("range", rest=num("limits"), result=_NUMBERS)
def range_(*limits: Any) -> Value:
    """Return numbers from the first limit, by the third, up to and without the second."""
    if not 1 <= len(limits) <= 3:
        raise OperationError("one, two or three numbers are required: start, limit, step")
    start, limit = (counted(0), limits[0]) if len(limits) == 1 else limits[:2]
    step = limits[2] if len(limits) == 3 else counted(1 if start <= limit else -1)
    if start == limit:
        return []
    if step == 0:
        raise OperationError("the step must not be zero", 2)
    if (limit < start) != (step < 0) and limit != start:
        verb = "below" if limit < start else "above"
        raise OperationError(f"the limit is {verb} the start, and the step leads away from it", 2)
    if abs(limit - start) / abs(step) > 1024:
        raise OperationError("the result would have more than 1,024 numbers")
    if len(limits) == 1 and isinstance(limit, int):
        return [counted(i) for i in range(0, limit, step)]
    found: list[Value] = []
    value, sign = start, 1 if step > 0 else -1
    while order(value, limit) * sign < 0:
        found.append(value)
        value = ARITHMETIC["+"](value, step)
    return found


@function("sum", anything("list"), result=NUMBER, nested=True, marked=False)
def sum_(value: Any) -> Value:
    """Add up numbers."""
    as_sequence(value)
    if not whole(value):
        return Unknown(NUMBER)
    if not value:
        raise OperationError("an empty list has no sum", 0)
    try:
        return total([number(v) for v in value])
    except OperationError as error:
        raise OperationError(f"of each element {error}", 0) from None


@function("alltrue", as_list("list", BOOL), result=BOOL, nested=True)
def alltrue(value: Sequence[Value]) -> Value:
    """Tell whether all elements are true."""
    return _decided(value, decisive=False)


@function("anytrue", as_list("list", BOOL), result=BOOL, nested=True)
def anytrue(value: Sequence[Value]) -> Value:
    """Tell whether an element is true."""
    return _decided(value, decisive=True)


def _decided(value: Sequence[Value], *, decisive: bool) -> Value:
    plain, marked = bare(value)
    found: Value = not decisive
    for item in plain:
        if isinstance(item, Unknown):
            found = Unknown(BOOL)
            if not decisive:
                break
        elif (item is True) is decisive:
            return mark(decisive, marked=marked)
    return mark(found, marked=marked)
