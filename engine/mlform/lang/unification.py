"""The types of values, which converts to which, and the one type that several become.

The rules are those of cty, on which HCL stands: what a person may take for one list is a tuple, and
becomes a list where one is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final

from mlform.types import (
    ANY,
    BOOL,
    NUMBER,
    RESOURCE,
    STRING,
    Collection,
    ObjectType,
    Primitive,
    TupleType,
    Type,
)
from mlform.values import Handle, ListValue, MapValue, Null, Sensitive, SetValue, Unknown, Value

_TEXTUAL: Final = frozenset({(NUMBER, STRING), (BOOL, STRING), (STRING, NUMBER), (STRING, BOOL)})
_SIMPLE: Final[Mapping[type, Type]] = {
    bool: BOOL,
    int: NUMBER,
    float: NUMBER,
    Decimal: NUMBER,
    str: STRING,
    Handle: RESOURCE,
    type(None): ANY,
}


def type_of(value: Value) -> Type:
    """Return the type of a value; ``any`` for the null and the unknown value of no known type."""
    found = _SIMPLE.get(type(value))
    if found is not None:
        return found
    match value:
        case Sensitive(value=inner):
            return type_of(inner)
        case Unknown(type=type_) | Null(type=type_):
            return type_
        case ListValue(element=element):
            return Collection("list", element)
        case SetValue(element=element):
            return Collection("set", element)
        case MapValue(element=element):
            return Collection("map", element)
        case Mapping():
            return _object(tuple([(k, type_of(v)) for k, v in value.items()]))
        case list() | tuple():
            return TupleType(tuple(map(type_of, value)))
        case int() | float() | Decimal():
            return NUMBER
        case str():
            return STRING
        case _:
            return ANY


@lru_cache(maxsize=4096)
def _object(attributes: tuple[tuple[str, Type], ...]) -> ObjectType:
    # Many objects are alike; that they share a type makes their types quick to compare.
    return ObjectType(dict(attributes))


def is_a(type_: Type, name: str) -> bool:
    """Tell whether a type is of collections of a name."""
    return isinstance(type_, Collection) and type_.name == name


def is_open(type_: Type) -> bool:
    """Tell whether a type has ``any`` in it."""
    match type_:
        case Collection(element=element):
            return is_open(element)
        case ObjectType(attributes=attributes):
            return any(map(is_open, attributes.values()))
        case TupleType(elements=elements):
            return any(map(is_open, elements))
        case _:
            return type_ == ANY


def plain_type(type_: Type) -> Type:
    """Return the type that values of a constraint have: without optional attributes."""
    match type_:
        case Collection(name=name, element=element):
            return Collection(name, plain_type(element))
        case ObjectType(attributes=attributes):
            return ObjectType({k: plain_type(t) for k, t in attributes.items()})
        case TupleType(elements=elements):
            return TupleType(tuple(map(plain_type, elements)))
        case _:
            return type_


def convertible(given: Type, wanted: Type) -> bool:
    """Tell whether values of one type may convert to another; a text may still say no number."""
    if given == wanted or ANY in {given, wanted}:
        return True
    match wanted, given:
        case Primitive(), Primitive():
            return (given, wanted) in _TEXTUAL
        case Collection(name="map", element=element), Collection(name="map", element=inner):
            return convertible(inner, element)
        case Collection(name="map", element=element), ObjectType(attributes=attributes):
            return _all_convertible(attributes.values(), element)
        case Collection(name="list" | "set", element=element), TupleType(elements=elements):
            open_ = element == ANY and unify(elements) == ANY and _told(elements)
            return not open_ and _all_convertible(elements, element)
        case Collection(name="list" | "set", element=element), Collection(name="list" | "set"):
            return convertible(given.element, element)
        case TupleType(elements=wants), TupleType(elements=elements):
            return len(wants) == len(elements) and all(map(convertible, elements, wants))
        case ObjectType(), ObjectType(attributes=attributes):
            return all(
                convertible(attributes[name], type_)
                if name in attributes
                else name in wanted.optional
                for name, type_ in wanted.attributes.items()
            )
        case ObjectType(attributes=attributes), Collection(name="map", element=inner):
            return all(n in wanted.optional or convertible(inner, t) for n, t in attributes.items())
        case _:
            return False


def _all_convertible(types: Iterable[Type], element: Type) -> bool:
    given = list(types)
    if element == ANY:
        return unify(given) is not None
    return all(convertible(t, element) for t in given)


def became(given: Type, wanted: Type) -> Type:
    """Return the type that a null or unknown value has after its conversion."""
    if ANY in {given, wanted}:
        return plain_type(given if wanted == ANY else wanted)
    match wanted, given:
        case Collection(name=name, element=element), Collection(element=inner):
            return Collection(name, became(inner, element))
        case Collection(name=name, element=element), TupleType(elements=types) if element == ANY:
            return Collection(name, unify(types) or ANY)
        case Collection(name=name, element=element), ObjectType() if element == ANY:
            return Collection(name, unify(given.attributes.values()) or ANY)
        case TupleType(elements=wants), TupleType(elements=types):
            return TupleType(tuple(map(became, types, wants)))
        case ObjectType(attributes=wants), ObjectType(attributes=types):
            return ObjectType({k: became(types.get(k, t), t) for k, t in wants.items()})
        case ObjectType(attributes=wants), Collection(element=inner):
            return ObjectType({k: became(inner, t) for k, t in wants.items()})
        case _:
            return plain_type(wanted)


def unify(types: Iterable[Type]) -> Type | None:
    """Return the one type that values of all these types convert to, or ``None``.

    ``any``, the type of null and of what is not known yet, goes with every primitive type. With
    others it leaves open what they become.
    """
    given = list(types)
    found = list(dict.fromkeys(given))
    if len(found) <= 1:
        return found[0] if found else ANY
    known = [t for t in found if t != ANY]
    if {ObjectType, TupleType} <= set(map(type, known)):
        return None
    if all(isinstance(t, ObjectType | Collection | TupleType) for t in known):
        made = _structural(known, open_=len(known) < len(found))
        if made is not None:
            return made
        if not all(isinstance(t, Collection) for t in known) and not _mixed(known):
            return None
    return _preferred(found)


def apart(one: Type, other: Type, path: str = "") -> str:
    """Return which part makes two types have no type in common, as a sentence, or nothing."""
    match one, other:
        case ObjectType(attributes=ours), ObjectType(attributes=theirs):
            for here, there, which in ((ours, theirs, "first"), (theirs, ours, "second")):
                for name in sorted(here.keys() - there.keys()):
                    return f"Only the {which} has {f'{path}.{name}'.removeprefix('.')}."
            names = [n for n in ours if unify([ours[n], theirs[n]]) is None]
            if names:
                return apart(ours[names[0]], theirs[names[0]], f"{path}.{names[0]}")
        case TupleType(elements=items), TupleType(elements=others):
            pairs = enumerate(zip(items, others, strict=False))
            for at, (a, b) in pairs:
                if unify([a, b]) is None:
                    return apart(a, b, f"{path}[{at}]")
        case Collection(element=a), Collection(element=b) if one.name == other.name:
            return apart(a, b, f"{path}[*]")
        case _:
            pass
    if not path:
        return ""
    return f"In the first {path.removeprefix('.')} is {one}, in the second {other}."


def _mixed(types: Sequence[Type]) -> bool:
    """Tell whether one is a collection: then that is what the others may become."""
    return any(isinstance(t, Collection) for t in types)


def _structural(types: Sequence[Type], *, open_: bool) -> Type | None:
    for name in ("map", "list", "set"):
        if all(is_a(t, name) for t in types):
            return ANY if open_ else _collected(name, [t.element for t in types])  # type: ignore[union-attr]
    if all(isinstance(t, ObjectType) or is_a(t, "map") for t in types):
        if open_:
            return None if _mixed(types) else ANY
        return _keyed(types)
    if all(isinstance(t, TupleType) or is_a(t, "list") for t in types):
        if open_:
            return None if _mixed(types) else ANY
        return _ordered(types)
    return None


def _common(parts: Iterable[Type]) -> Type | None:
    """Return what parts become at once, not by way of what some of them become first."""
    given = list(parts)
    found = unify(given)
    return found if found is not None and all(convertible(t, found) for t in given) else None


def _collected(name: str, elements: Iterable[Type]) -> Type | None:
    element = _common(elements)
    return None if element is None else Collection(name, element)


def _together(name: str, types: Sequence[Type], parts: Sequence[Type]) -> Type | None:
    """Return the collection of what parts of tuples or objects are, and elements of others."""
    inner = [t.element for t in types if isinstance(t, Collection)]
    # The parts must be of one type among themselves: an open element type does not help them. And
    # where there are none, the collections say what the others become.
    common = unify(parts) if parts else None
    if common is None:
        return None
    # They become that collection first, and that what all become: what is open on the way takes
    # anything, but not from a tuple or object whose own parts are apart.
    first = Collection(name, common)
    if not all(convertible(t, first) for t in types if not isinstance(t, Collection)):
        return None
    return _collected(name, [*inner, common])


def _told(types: Iterable[Type]) -> bool:
    """Tell whether the type of one at least is known."""
    return any(t != ANY for t in types)


def _keyed(types: Sequence[Type]) -> Type | None:
    objects = [t for t in types if isinstance(t, ObjectType)]
    if len(objects) == len(types):
        names = objects[0].attributes.keys()
        if all(o.attributes.keys() == names for o in objects):
            found = {n: _common(o.attributes[n] for o in objects) for n in names}
            sound = {n: t for n, t in found.items() if t is not None}
            return ObjectType(sound) if len(sound) == len(found) else None
    return _together("map", types, [a for o in objects for a in o.attributes.values()])


def _ordered(types: Sequence[Type]) -> Type | None:
    tuples = [t for t in types if isinstance(t, TupleType)]
    if len(tuples) == len(types) and len({len(t.elements) for t in tuples}) == 1:
        found = [_common(column) for column in zip(*(t.elements for t in tuples), strict=True)]
        sound = [t for t in found if t is not None]
        return TupleType(tuple(sound)) if len(sound) == len(found) else None
    return _together("list", types, [e for t in tuples for e in t.elements])


def _rank(type_: Type) -> tuple[int, ...]:
    """Order types by which of them is taken first for all; collections also by their elements."""
    if type_ == ANY:
        return (9,)
    match type_:
        case Collection(name=name, element=element):
            return (1 if name == "list" else 2, *_rank(element))
        case ObjectType() | TupleType():
            return (3,)
        case _:
            return (0,) if type_ == STRING else (4,)


def _preferred(types: Sequence[Type]) -> Type | None:
    for wanted in sorted(types, key=_rank):
        if all(convertible(t, wanted) for t in types):
            return wanted
    return None
