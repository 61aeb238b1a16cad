"""Sets, and what compares elements whole: marks anywhere inside reach the result."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import product
from math import prod
from typing import Any

from mlform.lang.conversion import same
from mlform.lang.marks import bare, identity_of, mark, unique
from mlform.lang.operations import OperationError, kind_of
from mlform.lang.registry import (
    anything,
    as_sequence,
    check_size,
    function,
    mapping,
    sequence,
    strings,
)
from mlform.values import UNKNOWN, SetValue, Value, is_known


@function("contains", sequence("list"), anything("value", null=False), nested=True)
def contains(value: list[Value], wanted: Value) -> Value:
    """Tell whether an element equals a value."""
    plain, marked = bare([value, wanted])
    elements, sought = plain
    found: Value = is_known(sought) and identity_of(sought) in map(identity_of, elements)
    if not found and not (is_known(sought) and is_known(elements)):
        found = UNKNOWN
    return mark(found, marked=marked)


def _alike(sets: tuple[list[Value], ...]) -> list[list[Value]]:
    if not sets:
        raise OperationError("at least one set is required")
    converted = iter(same([v for one in sets for v in one]))
    return [[next(converted) for _ in one] for one in sets]


@function("setunion", rest=sequence("sets"))
def setunion(*sets: list[Value]) -> Value:
    """Return what is in any of the sets."""
    return unique(v for one in _alike(sets) for v in one)


@function("setintersection", rest=sequence("sets"))
def setintersection(*sets: list[Value]) -> Value:
    """Return what is in all of the sets."""
    first, *others = _alike(sets)
    looked_up = [set(map(identity_of, other)) for other in others]
    return unique(v for v in first if all(identity_of(v) in other for other in looked_up))


@function("setsubtract", sequence("a"), sequence("b"))
def setsubtract(left: list[Value], right: list[Value]) -> Value:
    """Return what is in the first set and not in the second."""
    first, second = _alike((left, right))
    gone = set(map(identity_of, second))
    return unique(v for v in first if identity_of(v) not in gone)


@function("setproduct", rest=sequence("sets"))
def setproduct(*sets: list[Value]) -> Value:
    """Return all combinations of an element of each; a set if all are sets, a list otherwise."""
    if len(sets) < 2:
        raise OperationError("at least two sets are required")
    check_size(prod(map(len, sets)), "combinations")
    alike = [same(one) for one in sets]
    found: list[Any] = [list(row) for row in product(*alike)]
    return unique(found) if all(isinstance(s, SetValue) for s in sets) else found


@function("transpose", mapping("map"))
def transpose(value: Mapping[str, Value]) -> Value:
    """Swap the keys and the elements of a map of lists of strings."""
    found: dict[str, list[Value]] = {}
    for key in sorted(value):
        for item in as_sequence(value[key]):
            if not isinstance(item, str):
                raise OperationError(f"lists of strings are required, not of {kind_of(item)}", 0)
            found.setdefault(item, []).append(key)
    return {k: found[k] for k in sorted(found)}


@function("matchkeys", sequence("values"), sequence("keys"), sequence("searchset"))
def matchkeys(found: list[Value], names: list[Value], wanted: list[Value]) -> Value:
    """Return the values whose keys are in a set."""
    if len(found) != len(names):
        raise OperationError(f"there are {len(names)} keys and {len(found)} values")
    both = same([*names, *wanted])
    search = {identity_of(v) for v in both[len(names) :]}
    pairs = zip(same(found), both, strict=False)
    return [v for v, k in pairs if identity_of(k) in search]


@function("sort", strings("list"))
def sort(value: list[str]) -> Value:
    """Sort strings by their code points."""
    return sorted(value)


@function("distinct", sequence("list"))
def distinct(value: list[Value]) -> Value:
    """Return each element once, in the order of first appearance."""
    found: dict[Hashable, Value] = {}
    for item in same(value):
        found.setdefault(identity_of(item), item)
    return list(found.values())
