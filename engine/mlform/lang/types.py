"""Type constraints of variables, and Terraform's conversion rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.lang.operations import OperationError, boolean, kind_of, number, text
from mlform.syntax.tree import Call, Expr, Literal, Name, ObjectExpr, Source, TupleExpr
from mlform.values import UNKNOWN, Sensitive, Value


class ConversionError(Exception):
    """A value is not of a type, and cannot be made so; says where inside the value."""


@dataclass(frozen=True)
class Primitive:
    """``string``, ``number``, ``bool`` or ``any``."""

    name: str


@dataclass(frozen=True)
class Collection:
    """``list``, ``set`` or ``map`` of one type."""

    name: str
    element: Type


@dataclass(frozen=True)
class ObjectType:
    """``object({…})``: attributes by name; the optional ones have a default, null if not given."""

    attributes: Mapping[str, Type]
    optional: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class TupleType:
    """``tuple([…])``."""

    elements: tuple[Type, ...]


Type: TypeAlias = Primitive | Collection | ObjectType | TupleType

_PRIMITIVES: Final = ("string", "number", "bool", "any")
_COLLECTIONS: Final = ("list", "set", "map")
_WORDS: Final = (*_PRIMITIVES, *_COLLECTIONS, "object", "tuple")


def parse_type(expr: Expr, source: Source, diagnostics: Diagnostics) -> Type | None:
    """Return the type that an expression such as ``list(string)`` names, or note why it is none."""
    match expr:
        case Name(name=name) if name in _PRIMITIVES:
            return Primitive(name)
        case Call(name=name, arguments=(inner,)) if name in _COLLECTIONS:
            element = parse_type(inner, source, diagnostics)
            return None if element is None else Collection(name, element)
        case Call(name="tuple", arguments=(TupleExpr(items=items),)):
            found = [parse_type(i, source, diagnostics) for i in items]
            return None if None in found else TupleType(tuple(t for t in found if t is not None))
        case Call(name="object", arguments=(ObjectExpr() as inner,)):
            return _object(inner, source, diagnostics)
    name = getattr(expr, "name", "")
    detail = (
        f'"{source.text[expr.start : expr.end]}" is no type.{did_you_mean(name, _WORDS)} Types are '
        "string, number, bool, any, list(T), set(T), map(T), object({name = T}) and tuple([T])."
    )
    diagnostics.error("Invalid type", detail, at=source.span(expr.start, expr.end))
    return None


def _object(expr: ObjectExpr, source: Source, diagnostics: Diagnostics) -> Type | None:
    from mlform.lang.evaluate import evaluate  # noqa: PLC0415 - defaults are expressions

    attributes: dict[str, Type] = {}
    optional: dict[str, Value] = {}
    for key, value in expr.items:
        name = str(key.value) if isinstance(key, Literal) else ""
        inner = value
        if isinstance(value, Call) and value.name == "optional" and value.arguments:
            inner = value.arguments[0]
            given = value.arguments[1:]
            optional[name] = evaluate(given[0], {}, diagnostics, source) if given else None
        found = parse_type(inner, source, diagnostics)
        if found is None:
            return None
        attributes[name] = found
    return ObjectType(attributes, optional)


def convert(value: Value, type_: Type, path: str = "") -> Value:
    """Return ``value`` as a ``type_``. Raises ``ConversionError``."""
    if isinstance(value, Sensitive):
        return Sensitive(convert(value.value, type_, path))
    if value is None or value is UNKNOWN:
        return value
    match type_:
        case Primitive(name=name):
            return _primitive(value, name, path)
        case Collection(name="map", element=element):
            if not isinstance(value, Mapping):
                raise _wrong(value, "a map", path)
            return {k: convert(v, element, f"{path}.{k}") for k, v in value.items()}
        case Collection(name=name, element=element):
            if not isinstance(value, list | tuple):
                raise _wrong(value, f"a {name}", path)
            found = [convert(v, element, f"{path}[{i}]") for i, v in enumerate(value)]
            return _unique(found) if name == "set" else found
        case TupleType(elements=elements):
            if not isinstance(value, list | tuple) or len(value) != len(elements):
                raise _wrong(value, f"a tuple of {len(elements)}", path)
            pairs = zip(value, elements, strict=True)
            return [convert(v, t, f"{path}[{i}]") for i, (v, t) in enumerate(pairs)]
        case ObjectType(attributes=attributes, optional=optional):
            return _as_object(value, attributes, optional, path)


def _primitive(value: Value, name: str, path: str) -> Value:
    convert_to = {"string": text, "number": number, "bool": boolean}.get(name)
    if convert_to is None:
        return value
    try:
        return convert_to(value)
    except OperationError as error:
        raise ConversionError(f"{_where(path)}{error}") from None


def _as_object(
    value: Value, attributes: Mapping[str, Type], optional: Mapping[str, Value], path: str
) -> Value:
    if not isinstance(value, Mapping):
        raise _wrong(value, "an object", path)
    missing = [n for n in attributes if n not in value and n not in optional]
    if missing:
        raise ConversionError(f'{_where(path)}attribute "{missing[0]}" is required')
    found: dict[str, Value] = {}
    for name, type_ in attributes.items():
        given = value.get(name)
        chosen = optional.get(name) if given is None else given
        found[name] = convert(chosen, type_, f"{path}.{name}")
    return found


def _unique(values: list[Value]) -> list[Value]:
    found: list[Value] = []
    for value in values:
        if value not in found:
            found.append(value)
    return sorted(found, key=str)


def _wrong(value: Value, wanted: str, path: str) -> ConversionError:
    return ConversionError(f"{_where(path)}{wanted} is required, not {kind_of(value)}")


def _where(path: str) -> str:
    return f"{path.removeprefix('.')}: " if path else ""
