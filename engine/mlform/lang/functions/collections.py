"""Lists, maps and objects: what keeps marks and unknowns inside them where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlform.diagnostics import did_you_mean
from mlform.lang.conversion import ConversionError, convert, same, type_of
from mlform.lang.functions.numeric import total
from mlform.lang.graphemes import clusters
from mlform.lang.marks import bare, mark, reveal
from mlform.lang.operations import OperationError, boolean, equal, integer, kind_of, number, text
from mlform.lang.registry import (
    anything,
    function,
    mapping,
    num,
    sequence,
    string,
    strings,
    whole_number,
)
from mlform.values import UNKNOWN, SetValue, Value, is_known


@function("length", anything("value", null=False), nested=True)
def length(value: Any) -> Value:
    """Count elements, or the characters of a text as people see them."""
    if isinstance(value, str):
        return len(clusters(value))
    if isinstance(value, list | tuple | Mapping):
        return len(value)
    raise OperationError(f"a list, a map or a string is required, not {kind_of(value)}", 0)


@function("keys", mapping("map"), nested=True)
def keys(value: Mapping[str, Value]) -> Value:
    """Return the keys, sorted."""
    return sorted(value)


@function("values", mapping("map"), nested=True)
def values(value: Mapping[str, Value]) -> Value:
    """Return the values in the order of their keys."""
    return [value[k] for k in sorted(value)]


@function("lookup", mapping("map"), string("key"), rest=anything("default"), nested=True)
def lookup(value: Mapping[str, Value], key: str, *default: Value) -> Value:
    """Return the value at a key, or the default."""
    if len(default) > 1:
        raise OperationError("a map, a key and at most one default are taken")
    if key in value:
        return value[key]
    if not default:
        hint = did_you_mean(key, value).rstrip("?").rstrip()
        raise OperationError(f'there is no "{key}" in the map, and no default is given{hint}', 1)
    elements = [type_of(v) for v in value.values()]
    if elements and all(t == elements[0] for t in elements):
        try:
            return convert(default[0], elements[0])
        except ConversionError:
            # Objects may have values of several types; a default of another type is one more.
            return default[0]
    return default[0]


@function("element", anything("list", null=False), num("index"), nested=True)
def element(value: Any, index: Any) -> Value:
    """Return one element, going round: after the last comes the first, before it the last."""
    if isinstance(value, SetValue) or not isinstance(value, list | tuple):
        raise OperationError(f"a list is required, not {kind_of(value)}", 0)
    at = integer(index)
    if not -(2**63) <= at < 2**63:
        raise OperationError("the index is too large", 1)
    if not value:
        raise OperationError("an empty list has no elements", 0)
    found: Value = value[at % len(value)]
    return found


@function("concat", rest=sequence("lists"), nested=True)
def concat(*lists: list[Value]) -> Value:
    """Join lists end to end."""
    if not lists:
        raise OperationError("at least one list is required")
    return [v for one in lists for v in one]


@function("merge", rest=anything("maps"), nested=True)
def merge(*maps: Any) -> Value:
    """Join maps; of equal keys the last counts. Null is an empty map."""
    found: dict[str, Value] = {}
    for position, one in enumerate(maps):
        if one is not None and not isinstance(one, Mapping):
            raise OperationError(f"maps and objects are required, not {kind_of(one)}", position)
        found.update(one or {})
    return found


@function("flatten", anything("list", null=False), nested=True)
def flatten(value: Any) -> Value:
    """Replace lists inside a list by their elements, all the way down."""
    if not isinstance(value, list | tuple):
        raise OperationError(f"a list is required, not {kind_of(value)}", 0)
    found: list[Value] = []
    secret = False
    waiting: list[Any] = list(reversed(value))
    while waiting:
        item, marked = reveal(waiting.pop())
        if item is UNKNOWN:
            # It may turn out to be a list, of any length.
            return mark(UNKNOWN, marked=marked or secret or any(bare(w)[1] for w in waiting))
        if isinstance(item, list | tuple):
            secret |= marked
            waiting.extend(reversed(item))
        else:
            found.append(mark(item, marked=marked))
    return mark(found, marked=secret)


@function("reverse", anything("list", null=False), nested=True)
def reverse(value: Any) -> Value:
    """Return the elements in the opposite order."""
    if not isinstance(value, list | tuple):
        raise OperationError(f"a list is required, not {kind_of(value)}", 0)
    return list(reversed(value))


@function(
    "slice", anything("list", null=False), whole_number("start"), whole_number("end"), nested=True
)
def slice_(value: Any, start: int, end: int) -> Value:
    """Return the elements from ``start`` up to and without ``end``."""
    if isinstance(value, SetValue) or not isinstance(value, list | tuple):
        raise OperationError(f"a list is required, not {kind_of(value)}", 0)
    if not 0 <= start <= len(value):
        raise OperationError(f"the start is from 0 to {len(value)}, not {start}", 1)
    if not start <= end <= len(value):
        raise OperationError(f"the end is from {start} to {len(value)}, not {end}", 2)
    return list(value[start:end])


@function("chunklist", sequence("list"), whole_number("size"), nested=True)
def chunklist(value: list[Value], size: int) -> Value:
    """Cut a list into lists of a size; 0 is one list."""
    if size < 0:
        raise OperationError(f"the size is 0 or more, not {size}", 1)
    if not value:
        return []
    step = size or len(value)
    value = same(value)
    return [value[i : i + step] for i in range(0, len(value), step)]


@function("zipmap", sequence("keys"), sequence("values"), nested=True)
def zipmap(names: list[Value], found: list[Value]) -> Value:
    """Make a map of a list of keys and a list of values."""
    if len(names) != len(found):
        raise OperationError(f"there are {len(names)} keys and {len(found)} values")
    plain: list[Any]
    plain, marked = bare(names)
    if not all(map(is_known, plain)):
        return mark(UNKNOWN, marked=marked)
    return mark({text(k): v for k, v in zip(plain, found, strict=True)}, marked=marked)


@function("one", anything("list", null=False), nested=True)
def one(value: Any) -> Value:
    """Return the element of a list that has one, and null for an empty list."""
    if not isinstance(value, list | tuple):
        raise OperationError(f"a list is required, not {kind_of(value)}", 0)
    if len(value) > 1:
        raise OperationError(f"at most one element is allowed, and there are {len(value)}", 0)
    return value[0] if value else None


@function("coalesce", rest=anything("values"), nested=True, lazy=True)
def coalesce(*given: Value) -> Value:
    """Return the first value that is neither null nor an empty string."""
    # What is unknown may be null, so it decides only what comes after it.
    for value in same([v for v in given if v is not None]):
        if value != "":
            return value
    raise OperationError("all values are null or empty strings")


@function("coalescelist", rest=anything("lists"), nested=True)
def coalescelist(*lists: Any) -> Value:
    """Return the first list that is not empty."""
    for position, value in enumerate(lists):
        if value is not None and not isinstance(value, list | tuple):
            raise OperationError(f"lists are required, not {kind_of(value)}", position)
        if value:
            found: Value = value
            return found
    raise OperationError("all lists are null or empty" if lists else "a list is required")


@function("compact", strings("list", null=True))
def compact(value: list[Value]) -> Value:
    """Return a list of strings without the empty and null ones."""
    return [v for v in value if v not in {None, ""}]


@function("index", sequence("list"), anything("value"))
def index(value: list[Value], wanted: Value) -> Value:
    """Return the position of the first element that equals a value."""
    if isinstance(value, SetValue):
        raise OperationError("a list is required, not set", 0)
    if not value:
        raise OperationError("an empty list has no elements", 0)
    for at, item in enumerate(value):
        if equal(item, wanted) is True:
            return at
    raise OperationError("the list has no such element", 1)


@function("range", rest=num("limits"))
def range_(*limits: Any) -> Value:
    """Return numbers from the first limit, by the third, up to and without the second."""
    if not 1 <= len(limits) <= 3:
        raise OperationError("one, two or three numbers are required: start, limit, step")
    start, limit = (0, limits[0]) if len(limits) == 1 else limits[:2]
    step = limits[2] if len(limits) == 3 else 1 if start <= limit else -1
    if step == 0:
        raise OperationError("the step must not be zero", 2)
    if (limit < start) != (step < 0) and limit != start:
        verb = "below" if limit < start else "above"
        raise OperationError(f"the limit is {verb} the start, and the step leads away from it", 2)
    if abs(limit - start) / abs(step) > 1024:
        raise OperationError("the result would have more than 1,024 numbers")
    found: list[Value] = []
    value = start
    while (value < limit) if step > 0 else (value > limit):
        found.append(number(value))
        value += step
    return found


@function("sum", sequence("list"))
def sum_(value: list[Value]) -> Value:
    """Add up numbers."""
    if not value:
        raise OperationError("an empty list has no sum", 0)
    try:
        return total([number(v) for v in value])
    except OperationError as error:
        raise OperationError(f"of each element {error}", 0) from None


@function("alltrue", sequence("list"), nested=True)
def alltrue(value: list[Value]) -> Value:
    """Tell whether all elements are true."""
    return _decided(value, decisive=False)


@function("anytrue", sequence("list"), nested=True)
def anytrue(value: list[Value]) -> Value:
    """Tell whether an element is true."""
    return _decided(value, decisive=True)


def _decided(value: Sequence[Value], *, decisive: bool) -> Value:
    plain, marked = bare(value)
    still_open = False
    for item in plain:
        still_open |= item is UNKNOWN
        found = False if item is None else item is not UNKNOWN and boolean(item)
        if item is not UNKNOWN and found is decisive:
            return mark(decisive, marked=marked)
    return mark(UNKNOWN if still_open else not decisive, marked=marked)
