"""Terraform's conversion and unification rules, over plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from mlform.lang.marks import unique
from mlform.lang.operations import OperationError, boolean, kind_of, number, text
from mlform.types import (
    ANY,
    BOOL,
    NUMBER,
    STRING,
    Collection,
    ObjectType,
    Primitive,
    TupleType,
    Type,
)
from mlform.values import UNKNOWN, Handle, Sensitive, SetValue, Value

_RESOURCE: Final = Primitive("resource")
_SCALARS: Final[Mapping[str, Callable[[Value], Value]]] = {
    "string": text,
    "number": number,
    "bool": boolean,
}


class ConversionError(Exception):
    """A value is not of a type, and cannot be made so.

    ``path`` says where inside the value, as in ``.a[0]`` (empty: the value itself), ``message``
    why.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path.removeprefix('.')}: {message}" if path else message)
        self.path, self.message = path, message


def type_of(value: Value) -> Type:
    """Return the type of a value as literals have it: tuples and objects; ``any`` if unknown."""
    match value:
        case Sensitive(value=inner):
            return type_of(inner)
        case bool():
            return BOOL
        case int() | float() | Decimal():
            return NUMBER
        case str():
            return STRING
        case Handle():
            return _RESOURCE
        case Mapping():
            return ObjectType({k: type_of(v) for k, v in value.items()})
        case SetValue():
            return Collection("set", unify(map(type_of, value)) or ANY)
        case list() | tuple():
            return TupleType(tuple(map(type_of, value)))
        case _:
            return ANY


def unify(types: Iterable[Type]) -> Type | None:
    """Return the one type that values of all these types convert to, or ``None``.

    ``any``, the type of null and of what is not known yet, goes with every other.
    """
    found = list({str(t): t for t in types if t != ANY}.values())
    if len(found) <= 1:
        return found[0] if found else ANY
    if all(isinstance(t, Primitive) for t in found):
        return STRING if STRING in found and _RESOURCE not in found else None
    if all(isinstance(t, ObjectType) or _is(t, "map") for t in found):
        return _unify_keyed(found)
    if all(isinstance(t, TupleType) or _is(t, "list") or _is(t, "set") for t in found):
        return _unify_ordered(found)
    return None


def _is(type_: Type, name: str) -> bool:
    return isinstance(type_, Collection) and type_.name == name


def _unify_keyed(types: Sequence[Type]) -> Type | None:
    objects = [t for t in types if isinstance(t, ObjectType)]
    if len(objects) == len(types):
        names = objects[0].attributes.keys()
        if all(o.attributes.keys() == names for o in objects):
            found = {n: unify(o.attributes[n] for o in objects) for n in names}
            sound = {n: t for n, t in found.items() if t is not None}
            return ObjectType(sound) if len(sound) == len(found) else None
    inner = [t.element for t in types if isinstance(t, Collection)]
    inner += [a for o in objects for a in o.attributes.values()]
    element = unify(inner)
    return None if element is None else Collection("map", element)


def _unify_ordered(types: Sequence[Type]) -> Type | None:
    tuples = [t for t in types if isinstance(t, TupleType)]
    if len(tuples) == len(types) and len({len(t.elements) for t in tuples}) == 1:
        found = [unify(column) for column in zip(*(t.elements for t in tuples), strict=True)]
        sound = [t for t in found if t is not None]
        return TupleType(tuple(sound)) if len(sound) == len(found) else None
    inner = [t.element for t in types if isinstance(t, Collection)]
    inner += [e for t in tuples for e in t.elements]
    element = unify(inner)
    if element is None:
        return None
    return Collection("set" if any(_is(t, "set") for t in types) else "list", element)


def convert(value: Value, type_: Type, path: str = "") -> Value:
    """Return ``value`` as a ``type_``: null and unknown are of every type, marks stay.

    Defaults of optional attributes are filled in. Raises ``ConversionError``.
    """
    if isinstance(value, Sensitive):
        return Sensitive(convert(value.value, type_, path))
    if value is None or value is UNKNOWN:
        return value
    match type_:
        case Primitive(name=name):
            return _scalar(value, name, path)
        case Collection(name="map", element=element):
            return _map(value, element, path)
        case Collection(name=name, element=element):
            return _sequence(value, name, element, path)
        case TupleType(elements=elements):
            return _tuple(value, elements, path)
        case ObjectType():
            return _object(value, type_, path)


def _scalar(value: Value, name: str, path: str) -> Value:
    make = _SCALARS.get(name)
    if make is None:
        return value
    try:
        return make(value)
    except OperationError as error:
        raise ConversionError(path, str(error)) from None


def _element(values: Iterable[Value], element: Type, path: str) -> Type:
    if element != ANY:
        return element
    found = unify(map(type_of, values))
    if found is None:
        raise ConversionError(path, "all elements must have the same type")
    return found


def _map(value: Value, element: Type, path: str) -> Value:
    if not isinstance(value, Mapping):
        raise _wrong(value, "a map", path)
    element = _element(value.values(), element, path)
    return {k: convert(v, element, f"{path}{_step(k)}") for k, v in value.items()}


def _sequence(value: Value, name: str, element: Type, path: str) -> Value:
    if not isinstance(value, list | tuple):
        raise _wrong(value, f"a {name}", path)
    element = _element(value, element, path)
    found = [convert(v, element, f"{path}[{i}]") for i, v in enumerate(value)]
    return unique(found) if name == "set" else found


def _tuple(value: Value, elements: tuple[Type, ...], path: str) -> Value:
    if not isinstance(value, list | tuple) or isinstance(value, SetValue):
        raise _wrong(value, "a tuple", path)
    if len(value) != len(elements):
        raise ConversionError(path, f"{len(elements)} elements are required, not {len(value)}")
    pairs = enumerate(zip(value, elements, strict=True))
    return [convert(v, t, f"{path}[{i}]") for i, (v, t) in pairs]


def _object(value: Value, type_: ObjectType, path: str) -> Value:
    if not isinstance(value, Mapping):
        raise _wrong(value, "an object", path)
    missing = [n for n in type_.attributes if n not in value and n not in type_.optional]
    if missing:
        names = " and ".join(f'"{n}"' for n in missing)
        verb = "attribute" if len(missing) == 1 else "attributes"
        raise ConversionError(path, f"{verb} {names} required")
    found: dict[str, Value] = {}
    for name, inner in type_.attributes.items():
        given = value.get(name)
        chosen = type_.optional.get(name) if given is None else given
        found[name] = convert(chosen, inner, f"{path}{_step(name)}")
    return found


def _step(key: str) -> str:
    return f".{key}" if key.isidentifier() else f'["{key}"]'


def _wrong(value: Value, wanted: str, path: str) -> ConversionError:
    return ConversionError(path, f"{wanted} is required, not {kind_of(value)}")


def same(values: Sequence[Value]) -> list[Value]:
    """Return values as one type, as the elements of a list. Raises ``OperationError``."""
    found = unify(map(type_of, values))
    if found is None:
        raise OperationError("all elements must have the same type")
    return [convert(v, found) for v in values]
