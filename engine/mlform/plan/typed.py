"""Values in a plan whose types plain data would lose: lists, sets, maps and typed nulls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlform.lang.unification import type_of
from mlform.lazy import dataclass
from mlform.types import Collection, ObjectType, Primitive, TupleType, Type
from mlform.values import ListValue, MapValue, Null, SetValue, Value, plain


@dataclass(frozen=True)
class Typed:
    """Plain data, and the type of the value that they stand for."""

    data: Any
    type: Type


def keep(value: Value) -> Any:
    """Return a known value as plain data, with its type where the data do not tell it."""
    return Typed(plain(value), type_of(value)) if _tells_less(value) else plain(value)


def _tells_less(value: Value) -> bool:
    match value:
        case ListValue() | SetValue() | MapValue() | Null():
            return True
        case Mapping():
            return any(map(_tells_less, value.values()))
        case list() | tuple():
            return any(map(_tells_less, value))
        case _:
            return False


def write_type(type_: Type) -> Any:
    """Return a type as JSON: a name, or a name and what is inside."""
    match type_:
        case Primitive(name=name):
            return name
        case Collection(name=name, element=element):
            return [name, write_type(element)]
        case TupleType(elements=elements):
            return ["tuple", [write_type(t) for t in elements]]
        case ObjectType(attributes=attributes):
            return ["object", {n: write_type(t) for n, t in attributes.items()}]


def read_type(data: Any) -> Type:
    """Return the type that ``write_type`` wrote. Raises ``ValueError`` where it is none."""
    match data:
        case str():
            return Primitive(data)
        case ["list" | "set" | "map" as name, element]:
            return Collection(name, read_type(element))
        case ["tuple", list() as elements]:
            return TupleType(tuple(map(read_type, elements)))
        case ["object", dict() as attributes]:
            return ObjectType({n: read_type(t) for n, t in attributes.items()})
        case _:
            raise ValueError(f"{data!r} is no type")
