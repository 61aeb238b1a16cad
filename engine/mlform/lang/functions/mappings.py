"""Maps and objects: what keeps marks and unknowns inside them where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlform.diagnostics import did_you_mean
from mlform.lang.conversion import convert, type_of
from mlform.lang.functions.collections import converted, ordered
from mlform.lang.marks import bare, mark, reveal
from mlform.lang.operations import OperationError, kind_of
from mlform.lang.registry import (
    STRINGS,
    Parameter,
    absent,
    as_list,
    check_size,
    function,
    is_mapping,
    mapping,
    string,
    whole,
)
from mlform.types import ANY, STRING, Collection, ObjectType, TupleType, Type
from mlform.values import Null, Unknown, Value

_SWAPPED = Collection("map", STRINGS)


def _keys_type(value: Any) -> Type:
    type_ = type_of(value)
    if isinstance(type_, ObjectType):
        return TupleType((STRING,) * len(type_.attributes))
    return STRINGS


@function(
    "keys",
    Parameter("map", unknown=True, check=mapping("map").check),
    result=_keys_type,
    nested=True,
)
def keys(type_: Type, value: Any) -> Value:
    """Return the keys, sorted."""
    if isinstance(value, Unknown):
        if not isinstance(value.type, ObjectType):
            return Unknown(type_)
        return sorted(value.type.attributes)
    return sorted(value)


def _values_type(value: Any) -> Type:
    type_ = type_of(value)
    if isinstance(type_, ObjectType):
        return TupleType(tuple(type_.attributes[k] for k in sorted(type_.attributes)))
    return Collection("list", type_.element) if isinstance(type_, Collection) else ANY


@function("values", mapping("map"), result=_values_type, nested=True)
def values(_type: Type, value: Mapping[str, Value]) -> Value:
    """Return the values in the order of their keys."""
    return [value[k] for k in sorted(value)]


def _lookup_type(value: Any, key: Any, *default: Any) -> Type:
    if len(default) > 1:
        raise OperationError("a map, a key and at most one default are taken")
    type_ = type_of(value)
    if isinstance(type_, Collection):
        if default:
            converted(default[0], type_.element, 2)
        return type_.element
    if not isinstance(type_, ObjectType) or isinstance(key, Unknown):
        return ANY
    if key in type_.attributes:
        return type_.attributes[key]
    if not default:
        raise _nothing_at(key, type_.attributes)
    return type_of(default[0])


def _nothing_at(key: str, present: Mapping[str, Any]) -> OperationError:
    hint = did_you_mean(key, present).rstrip("?").rstrip()
    return OperationError(f'there is no "{key}" in the map, and no default is given{hint}', 1)


@function(
    "lookup",
    mapping("map"),
    string("key"),
    rest=Parameter("default", null=True, unknown=True, dynamic=True, marked=True),
    result=_lookup_type,
    nested=True,
)
def lookup(type_: Type, value: Mapping[str, Value], key: str, *default: Value) -> Value:
    """Return the value at a key, or the default."""
    if key in value:
        return value[key]
    if not default:
        raise _nothing_at(key, value)
    return converted(default[0], type_, 2)


def _merge_type(*given: Any) -> Type:
    maps = [reveal(m)[0] for m in given]
    types = [m.type if isinstance(m, Null) else type_of(m) for m in maps]
    for position, (one, type_) in enumerate(zip(maps, types, strict=True)):
        if type_ == ANY:
            return ANY
        if not is_mapping(type_):
            raise OperationError(f"maps and objects are required, not {kind_of(one)}", position)
    if len(set(types)) == 1:
        return types[0]
    attributes: dict[str, Type] = {}
    for one, type_ in zip(maps, types, strict=True):
        if isinstance(type_, Collection) and isinstance(one, Unknown):
            return ANY
        if isinstance(type_, Collection) and not absent(one):
            attributes |= dict.fromkeys(one, type_.element)
        elif isinstance(type_, ObjectType) and not absent(one):
            attributes |= type_.attributes
    return ObjectType(attributes)


@function(
    "merge",
    rest=Parameter("maps", null=True, unknown=True, dynamic=True, marked=True),
    result=_merge_type,
    nested=True,
)
def merge(type_: Type, *maps: Any) -> Value:
    """Join maps; of equal keys the last counts. Null is an empty map."""
    found: dict[str, Value] = {}
    revealed = [reveal(one) for one in maps]
    # Of a null the mark does not count either.
    marked = any(m and not absent(one) for one, m in revealed)
    for position, (one, _) in enumerate(revealed):
        if absent(one):
            continue
        if isinstance(one, Unknown):
            return mark(Unknown(type_), marked=marked)
        if not isinstance(one, Mapping):
            raise OperationError(f"maps and objects are required, not {kind_of(one)}", position)
        found.update(one)
        check_size(len(found))
    return mark(found, marked=marked)


def _zipmap_type(names: Any, found: Any) -> Type:
    type_ = type_of(found)
    if isinstance(type_, Collection):
        return Collection("map", type_.element)
    plain = bare(names)[0]
    if not isinstance(type_, TupleType) or not whole(plain):
        return ANY
    _check_lengths(plain, type_.elements)
    if any(map(absent, plain)):
        return ANY
    return ObjectType(dict(zip(plain, type_.elements, strict=True)))


def _check_lengths(names: Sequence[Any], found: Sequence[Any]) -> None:
    if len(names) != len(found):
        raise OperationError(
            f"there are not as many keys as values, but {len(names)} and {len(found)}"
        )


@function(
    "zipmap",
    as_list("keys", STRING),
    Parameter("values", check=ordered),
    result=_zipmap_type,
    nested=True,
)
def zipmap(type_: Type, names: Sequence[Value], found: Sequence[Value]) -> Value:
    """Make a map of a list of keys and a list of values."""
    plain, marked = bare(names)
    if not whole(plain):
        return mark(Unknown(type_), marked=marked)
    _check_lengths(names, found)
    if any(map(absent, plain)):
        raise OperationError("a key is null", 0)
    return mark(dict(zip(plain, found, strict=True)), marked=marked)


@function("transpose", Parameter("map", _SWAPPED), result=_SWAPPED)
def transpose(value: Mapping[str, Any]) -> Value:
    """Swap the keys and the elements of a map of lists of strings."""
    found: dict[str, list[Value]] = {}
    for key in sorted(value):
        if absent(value[key]):
            raise OperationError(f'the list at "{key}" is null', 0)
        for item in value[key]:
            if absent(item):
                raise OperationError(f'a string in the list at "{key}" is null', 0)
            found.setdefault(item, []).append(key)
    return {k: convert(found[k], STRINGS) for k in sorted(found)}
