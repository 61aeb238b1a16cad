"""Lists, tuples and sets: what keeps marks and unknowns inside them where they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlform.lang.bounds import counted
from mlform.lang.conversion import ConversionError, convert, type_of, unify
from mlform.lang.graphemes import clusters
from mlform.lang.marks import bare, identity_of, mark, reveal
from mlform.lang.numbers import counted as count
from mlform.lang.operations import OperationError, integer, kind_of
from mlform.lang.registry import (
    ANY_LIST,
    STRINGS,
    Parameter,
    absent,
    anything,
    as_list,
    as_sequence,
    check_size,
    function,
    is_mapping,
    is_sequence,
    num,
    sequence,
    whole,
    whole_number,
)
from mlform.lang.unification import is_open
from mlform.types import ANY, NUMBER, STRING, Collection, ObjectType, TupleType, Type
from mlform.values import SetValue, Unknown, Value


def unified(types: Iterable[Type], what: str) -> Type:
    """Return the type that all of some types convert to. Raises ``OperationError``."""
    found = unify(types)
    if found is None:
        raise OperationError(f"{what} must be of one type")
    return found


def converted(value: Value, type_: Type, argument: int | None = None) -> Value:
    """Return a value as a type. Raises ``OperationError`` about an argument."""
    try:
        return convert(value, type_)
    except ConversionError as error:
        raise OperationError(str(error), argument) from None


def elements(value: Value, type_: Type) -> Sequence[Value]:
    """Return the elements of a list or set converted to a type. Raises ``OperationError``."""
    found = converted(value, type_)
    assert isinstance(found, list), "the types have been unified"
    return found


def is_list(type_: Type) -> bool:
    """Tell whether a type is a list type."""
    return isinstance(type_, Collection) and type_.name == "list"


def is_set(type_: Type) -> bool:
    """Tell whether a type is a set type."""
    return isinstance(type_, Collection) and type_.name == "set"


def ordered(value: Any) -> Any:
    """Return a list or tuple as it is. Raises ``OperationError``."""
    if isinstance(value, Unknown):
        if value.type == ANY or is_list(value.type) or isinstance(value.type, TupleType):
            return value
    elif isinstance(value, list | tuple) and not isinstance(value, SetValue):
        return value
    raise OperationError(f"a list is required, not {kind_of(value)}")


def ordered_list(name: str) -> Parameter:
    """Return a parameter that takes a list or tuple as it is."""
    return Parameter(name, check=ordered)


@function("length", anything("value", unknown=True, dynamic=True), result=NUMBER, nested=True)
def length(value: Any) -> Value:
    """Count elements, or the characters of a text as people see them."""
    match value:
        case str():
            return count(len(clusters(value)))
        case SetValue() if len(value) > 1 and not whole(bare(value)[0]):
            return counted(value)
        case Unknown(type=TupleType(elements=elements)):
            return count(len(elements))
        case Unknown(type=ObjectType(attributes=attributes)):
            return count(len(attributes))
        case Unknown(type=type_) if is_sequence(type_) or is_mapping(type_) or type_ == STRING:
            return counted(value)
        case list() | tuple() | dict():
            return count(len(value))
        case _:
            kind = kind_of(value)
            raise OperationError(f"a list, a map or a string is required, not {kind}", 0)


def _element_type(value: Any, index: Any) -> Type:
    type_ = type_of(value)
    if isinstance(type_, Collection):
        return type_.element
    if not isinstance(type_, TupleType) or isinstance(index, Unknown):
        return ANY
    if not type_.elements:
        raise OperationError("an empty list has no elements", 0)
    at = _position(index)
    found = at % len(type_.elements)
    if at < 0 and found:
        raise OperationError("a tuple does not count back from its start; tolist(…) does", 1)
    return type_.elements[found]


def _position(index: Any) -> int:
    at = integer(index)
    if not -(2**63) <= at < 2**63:
        raise OperationError("the index is too large", 1)
    return at


@function("element", ordered_list("list"), num("index"), result=_element_type, nested=True)
def element(_type: Type, value: Any, index: Any) -> Value:
    """Return one element, going round: after the last comes the first, before it the last."""
    if not value:
        raise OperationError("an empty list has no elements", 0)
    found: Value = value[_position(index) % len(value)]
    return found


def _concat_type(*lists: Any) -> Type:
    if not lists:
        raise OperationError("at least one list is required")
    types = [type_of(v) for v in lists]
    if all(map(is_list, types)):
        # An empty list of no known type fits any other.
        filled = [isinstance(v, Unknown) or bool(v) for v in lists]
        told = [t for t, f in zip(types, filled, strict=True) if f or t != ANY_LIST]
        common = unify(told if any(filled) else types)
        if common is not None:
            return common
    elements: list[Type] = []
    for position, (value, type_) in enumerate(zip(lists, types, strict=True)):
        if isinstance(type_, TupleType):
            elements += type_.elements
        elif not is_list(type_):
            raise OperationError(f"a list is required, not {kind_of(value)}", position)
        elif isinstance(value, Unknown):
            return ANY
        elif isinstance(type_, Collection):
            elements += [type_.element] * len(value)
    return TupleType(tuple(elements))


@function("concat", rest=anything("lists"), result=_concat_type, nested=True)
def concat(type_: Type, *lists: Sequence[Value]) -> Value:
    """Join lists end to end."""
    check_size(sum(map(len, lists)))
    if is_list(type_):
        found = [v for one in lists for v in elements(one, type_)]
        told = {type_of(v) for v in found} - {ANY} if is_open(type_) else set()
        if len(told) > 1:
            raise OperationError("the elements of all lists must be of one type")
        return convert(found, Collection("list", told.pop())) if told else found
    return [v for one in lists for v in one]


def _uncounted(value: Any) -> bool:
    """Tell whether this is a set whose elements may turn out to be the same."""
    return isinstance(value, SetValue) and len(value) > 1 and not whole(bare(value)[0])


@function("flatten", anything("list"), result=ANY, nested=True)
def flatten(value: Any) -> Value:
    """Replace lists inside a list by their elements, all the way down."""
    if isinstance(value, Mapping) and not whole(bare(value)[0]):
        # As in Terraform, which looks at the type only when all is known.
        value = [value[key] for key in sorted(value)]
    as_sequence(value)
    if _uncounted(value):
        return Unknown()
    found: list[Value] = []
    secret = False
    waiting: list[Any] = list(reversed(value))
    while waiting:
        item, marked = reveal(waiting.pop())
        if isinstance(item, Unknown) and is_sequence(item.type):
            # It may be of any length.
            secret |= marked or any(bare(w)[1] for w in waiting)
            return mark(Unknown(), marked=secret)
        if isinstance(item, list | tuple):
            secret |= marked
            if _uncounted(item):
                secret |= any(bare(w)[1] for w in waiting)
                return mark(Unknown(), marked=secret)
            waiting.extend(reversed(item))
        else:
            found.append(mark(item, marked=marked))
    return mark(found, marked=secret)


def _reverse_type(value: Any) -> Type:
    type_ = type_of(value)
    if isinstance(type_, TupleType):
        return TupleType(tuple(reversed(type_.elements)))
    return Collection("list", type_.element) if isinstance(type_, Collection) else ANY


@function("reverse", sequence("list"), result=_reverse_type, nested=True)
def reverse(_type: Type, value: Any) -> Value:
    """Return the elements in the opposite order."""
    return list(reversed(value))


def _slice_type(value: Any, start: Any, end: Any) -> Type:
    type_ = type_of(value)
    elements = type_.elements if isinstance(type_, TupleType) else value
    _check_range(None if isinstance(elements, Unknown) else len(elements), start, end)
    if not isinstance(type_, TupleType):
        return type_
    if isinstance(start, Unknown) or isinstance(end, Unknown):
        return ANY
    return TupleType(type_.elements[start:end])


def _check_range(size: int | None, start: int | Unknown, end: int | Unknown) -> None:
    most = f" to {size}" if size is not None else " on"
    least = 0
    if not isinstance(start, Unknown):
        if start < 0 or (size is not None and start > size):
            raise OperationError(f"the start is from 0{most}, not {start}", 1)
        least = start
    if not isinstance(end, Unknown) and (end < least or (size is not None and end > size)):
        raise OperationError(f"the end is from {least}{most}, not {end}", 2)


@function(
    "slice",
    ordered_list("list"),
    whole_number("start", late=False),
    whole_number("end", late=False),
    result=_slice_type,
    nested=True,
)
def slice_(_type: Type, value: Any, start: int, end: int) -> Value:
    """Return the elements from ``start`` up to and without ``end``."""
    return list(value[start:end])


@function(
    "chunklist",
    as_list("list"),
    whole_number("size"),
    result=lambda value, _size: Collection("list", type_of(value)),
    nested=True,
)
def chunklist(_type: Type, value: Sequence[Value], size: int) -> Value:
    """Cut a list into lists of a size; 0 is one list."""
    if size < 0:
        raise OperationError(f"the size is 0 or more, not {size}", 1)
    step = size or len(value) or 1
    return [list(value[i : i + step]) for i in range(0, len(value), step)]


@function("compact", as_list("list", STRING), result=STRINGS)
def compact(value: Sequence[Value]) -> Value:
    """Return a list of strings without the empty and null ones."""
    return [v for v in value if not absent(v) and v != ""]


@function("distinct", as_list("list"), result=type_of)
def distinct(_type: Type, value: Sequence[Value]) -> Value:
    """Return each element once, in the order of first appearance."""
    return once(value)


def once(values: Iterable[Value]) -> list[Value]:
    """Return values without repetitions, in the order of first appearance."""
    found: dict[Any, Value] = {}
    for item in values:
        found.setdefault(identity_of(item), item)
    return list(found.values())


def _matchkeys_type(found: Any, names: Any, wanted: Any) -> Type:
    unified((type_of(names), type_of(wanted)), "the keys and what is searched for")
    return type_of(found)


@function(
    "matchkeys",
    as_list("values"),
    as_list("keys"),
    as_list("searchset"),
    result=_matchkeys_type,
    nested=True,
    marked=False,
)
def matchkeys(
    type_: Type, found: Sequence[Value], names: Sequence[Value], wanted: Sequence[Value]
) -> Value:
    """Return the values whose keys are in a set."""
    if len(found) != len(names):
        raise OperationError(
            f"there are not as many keys as values, but {len(names)} and {len(found)}"
        )
    if not wanted:
        return []
    if not (whole(found) and whole(names)):
        return Unknown(type_)
    common = unified((type_of(names), type_of(wanted)), "the keys and what is searched for")
    searched = elements(wanted, common)
    sought = {identity_of(v) for v in searched if whole(v)}
    pairs = zip(found, elements(names, common), strict=True)
    chosen = [v for v, k in pairs if identity_of(k) in sought]
    # What is not known yet may be any of the other keys. Terraform says that there are none.
    open_ = len(chosen) < len(found) and not whole(searched)
    return Unknown(type_) if open_ else chosen


@function("sort", Parameter("list", STRINGS, unknown=True), result=STRINGS, nested=True)
def sort(value: Sequence[Value] | Unknown) -> Value:
    """Sort strings by their code points."""
    if isinstance(value, Unknown):
        return [] if value.bounds.most == 0 else Unknown(STRINGS)
    plain, marked = bare(value)
    if not whole(plain):
        return mark([Unknown(STRING)] * len(plain), marked=marked)
    if any(map(absent, plain)):
        raise OperationError("a list without null elements is required", 0)
    return mark(sorted(plain), marked=marked)
