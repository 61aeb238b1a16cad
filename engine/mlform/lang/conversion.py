"""Terraform's conversion of values to types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mlform.lang.bounds import no_null
from mlform.lang.marks import reveal, unique
from mlform.lang.operations import OperationError, boolean, kind_of, number, text
from mlform.lang.unification import (
    became,
    convertible,
    is_open,
    plain_type,
    type_of,
    unify,
)
from mlform.types import ANY, Collection, ObjectType, Primitive, TupleType, Type
from mlform.values import (
    Bounds,
    ListValue,
    MapValue,
    Null,
    Sensitive,
    SetValue,
    Unknown,
    Value,
    is_known,
)

_SCALARS: Final[Mapping[str, Callable[[Value], Value]]] = {
    "string": text,
    "number": number,
    "bool": boolean,
}

__all__ = ["ConversionError", "convert", "type_of", "unify"]


class ConversionError(Exception):
    """A value is not of a type, and cannot be made so.

    ``path`` says where inside the value, as in ``.a[0]`` (empty: the value itself), ``message``
    why.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path.removeprefix('.')}: {message}" if path else message)
        self.path, self.message = path, message


def convert(value: Value, type_: Type, path: str = "") -> Value:
    """Return ``value`` as a ``type_``: null and unknown become so of that type, marks stay.

    Defaults of optional attributes are filled in. Raises ``ConversionError``.
    """
    if isinstance(value, Sensitive):
        return Sensitive(convert(value.value, type_, path))
    if value is None:
        return None if type_ == ANY else Null(plain_type(type_))
    if isinstance(value, Null | Unknown):
        if not convertible(value.type, type_):
            raise ConversionError(path, f"{type_} is required, not {value.type}")
        found = became(value.type, type_)
        if isinstance(value, Null):
            return Null(found)
        if value.bounds.null and isinstance(type_, Collection) and type_.element == ANY:
            # To a list of any type cty gives what may be null no length.
            return value if found == value.type else Unknown(found)
        return _counted(value, found)
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


def _counted(value: Unknown, found: Type) -> Value:
    """Return what an unknown value becomes: what has a length keeps it."""
    if found == value.type:
        return value
    match found, value.type:
        case Collection(name="map", element=element), ObjectType(attributes=attributes):
            if not attributes:
                return MapValue({}, element)
        case Collection(name=name, element=element), TupleType(elements=elements):
            if not elements and value.bounds.null:
                return Unknown(found, Bounds(null=True, least=0, most=0))
            # A set of several unknown elements may turn out to have fewer.
            if name == "list":
                return ListValue([Unknown(element) for _ in elements], element)
            if len(elements) <= 1:
                return SetValue([Unknown(element) for _ in elements], element)
        case _:
            pass
    return Unknown(found) if value.bounds.null else no_null(found)


def _scalar(value: Value, name: str, path: str) -> Value:
    make = _SCALARS.get(name)
    if make is None:
        return value
    try:
        return make(value)
    except OperationError as error:
        raise ConversionError(path, str(error)) from None


def _alike(
    values: Sequence[Value],
    element: Type,
    path: str,
    *,
    at_once: bool = False,
    keyed: bool = False,
) -> tuple[Sequence[Value], Type]:
    """Return values that are of one type, and the type; of a set they must be so ``at_once``.

    So must tuples of what is ``keyed``, at which cty takes no second look either.
    """
    if not is_open(element):
        return values, plain_type(element)
    types = [type_of(v) for v in values]
    if not types:
        return values, plain_type(element)
    found = unify(types)
    if found is None:
        raise _unlike(path)
    if any(t != found for t in types):
        values = [convert(v, found, path) for v in values]
        if is_open(found) or any(type_of(v) != found for v in values):
            # The values have said more of what was open, or a set of unknown size has become a
            # list of what it had. If they differ still, as a tuple and an untyped null do, that
            # is all there is to say.
            types = [type_of(v) for v in values]
            again = unify(types)
            last = at_once or again is None or (again == found and is_open(found))
            last = last or (keyed and isinstance(found, TupleType))
            if len(set(types)) > 1 and last:
                raise _unlike(path)
            return _alike(values, ANY, path, keyed=keyed)
    return values, found


def _unlike(path: str) -> ConversionError:
    return ConversionError(path, "all elements must have the same type")


def _map(value: Value, element: Type, path: str) -> Value:
    if not isinstance(value, Mapping):
        raise _wrong(value, "a map", path)
    _check_empty(value, element, path)
    if isinstance(value, MapValue) and element in {ANY, value.element}:
        return value
    converted = {k: convert(v, element, f"{path}{_step(k)}") for k, v in value.items()}
    # In a map, unlike in a list, what is of no type yet takes that of the others.
    typed = [v for v in converted.values() if type_of(v) != ANY]
    several = len(typed) < len(converted) and len(set(map(type_of, typed))) > 1
    if element == ANY and several:
        # What several types become is open while one is not known, but for a collection.
        wanted = unify(map(type_of, converted.values()))
        if wanted is None or wanted == ANY:
            raise _unlike(path)
        typed = [convert(v, wanted, path) for v in typed]
    found, common = _alike(typed or list(converted.values()), element, path, keyed=True)
    given = iter(found)
    settled = {
        k: next(given) if not typed or type_of(v) != ANY else convert(v, common)
        for k, v in converted.items()
    }
    return MapValue(settled, common)


def _sequence(value: Value, name: str, element: Type, path: str) -> Value:
    if not isinstance(value, list | tuple):
        raise _wrong(value, f"a {name}", path)
    _check_empty(value, element, path)
    if name == "list" and isinstance(value, SetValue) and len(value) > 1 and not is_known(value):
        if not convertible(value.element, element):
            raise ConversionError(path, f"elements of {element} are required, not {value.element}")
        # Which of its elements are the same is still open, so how many there are is too.
        return Unknown(Collection("list", value.element))
    if isinstance(value, ListValue | SetValue) and element in {ANY, value.element}:
        converted: Sequence[Value] = value
        found, common = converted, value.element
        if isinstance(value, ListValue if name == "list" else SetValue):
            return value
    else:
        converted = [convert(v, element, f"{path}[{i}]") for i, v in enumerate(value)]
        plain = not isinstance(value, ListValue | SetValue)
        if name == "set" and element != ANY and len(set(map(type_of, converted))) > 1:
            # Elements of a set become one type by themselves, or not at all.
            raise _unlike(path)
        found, common = _alike(converted, element, path, at_once=name == "set" and plain)
    if name == "set":
        # As in Terraform, the mark of a null is gone.
        return unique([_unmarked_null(v) for v in found], common)
    return ListValue(found, common)


def _check_empty(value: Value, element: Type, path: str) -> None:
    """Raise ``ConversionError`` if no element of an empty collection could be of a type."""
    if isinstance(value, ListValue | SetValue | MapValue) and not value:
        given = value.element
        if not convertible(given, element):
            raise ConversionError(path, f"elements of {element} are required, not of {given}")


def _unmarked_null(value: Value) -> Value:
    plain = reveal(value)[0]
    return plain if plain is None or isinstance(plain, Null) else value


def _tuple(value: Value, elements: tuple[Type, ...], path: str) -> Value:
    if not isinstance(value, list | tuple) or isinstance(value, ListValue | SetValue):
        raise _wrong(value, "a tuple", path)
    if len(value) != len(elements):
        needed = "1 element is" if len(elements) == 1 else f"{len(elements)} elements are"
        raise ConversionError(path, f"{needed} required, not {len(value)}")
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
        absent = given is None or isinstance(given, Null)
        chosen = type_.optional.get(name) if absent and name in type_.optional else given
        found[name] = convert(chosen, inner, f"{path}{_step(name)}")
    if any(_unmarked_null(v) is not v for v in found.values()) and type_of(value) != type_:
        return {k: _unmarked_null(v) for k, v in found.items()}
    return found


def _step(key: str) -> str:
    return f".{key}" if key.isidentifier() else f'["{key}"]'


def _wrong(value: Value, wanted: str, path: str) -> ConversionError:
    return ConversionError(path, f"{wanted} is required, not {kind_of(value)}")
