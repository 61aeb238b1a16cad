"""Numbers, bools and text of the language: conversion, arithmetic, comparison."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
)
from typing import Any, Final

from mlform.lang import numbers
from mlform.lang.bounds import OPEN_BOOL, excludes
from mlform.lang.floats import TooLargeError
from mlform.lang.marks import identity_of, reveal
from mlform.lang.unification import is_open, type_of
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
from mlform.values import (
    NO_NULL,
    Handle,
    MapValue,
    Null,
    Sensitive,
    SetValue,
    Unknown,
    Value,
    is_known,
)

DIGITS: Final = 154
"""Significant digits of a number: what the 512-bit floats of HCL can tell apart."""

_TRAPS: Final = [InvalidOperation, DivisionByZero, Overflow]
# One digit more than the shortest decimal of a float can have.
MATH: Final = Context(DIGITS + 3, ROUND_HALF_EVEN, Emin=-100_000, Emax=100_000, traps=_TRAPS)

_LARGEST_INT: Final = 10**400
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class OperationError(Exception):
    """An operation does not apply to the values it was given; says why, as part of a sentence.

    ``argument`` counts from 0 and names the argument at fault, if it is one alone.
    """

    def __init__(self, message: str, argument: int | None = None) -> None:
        super().__init__(message)
        self.argument = argument


def kind_of(value: Value) -> str:
    """Return the name of a value's type, as messages say it."""
    match value:
        case None | Null():
            return "null"
        case bool():
            return "bool"
        case int() | float() | Decimal():
            return "number"
        case str():
            return "string"
        case Handle():
            return "resource" if value.attribute is None else "artifact"
        case MapValue():
            return "map"
        case Mapping():
            return "object"
        case Sensitive(value=inner):
            return kind_of(inner)
        case SetValue():
            return "set"
        case Unknown(type=type_):
            return "unknown" if type_ == ANY else str(type_)
        case _:
            return "list"


def number(value: Value) -> int | Decimal:
    """Convert to a number as Terraform does. Raises ``OperationError``."""
    if isinstance(value, bool):
        raise OperationError("a number is required, not bool")
    if isinstance(value, int):
        if -_LARGEST_INT < value < _LARGEST_INT or isinstance(value, numbers.PreciseInt):
            return value
        return rounded(Decimal(value))
    if isinstance(value, float):
        return whole(Decimal(repr(value)))
    if isinstance(value, Decimal):
        return whole(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return rounded(Decimal(value))
    if isinstance(value, str):
        raise OperationError(f'a number is required, and "{shorten(value)}" is none')
    raise OperationError(f"a number is required, not {kind_of(value)}")


def rounded(value: Decimal) -> int | Decimal:
    """Return a decimal with as many digits as a number has. Raises ``OperationError``."""
    try:
        MATH.plus(value)
        return whole(Decimal(numbers.canonical(value)))
    except (Overflow, InvalidOperation, TooLargeError):
        raise OperationError("the number is too large") from None


def whole(value: Decimal) -> int | Decimal:
    """Return an integral decimal as an int. Raises ``OperationError`` if it is not finite."""
    if isinstance(value, numbers.PreciseDecimal):
        return value
    if not value.is_finite():
        raise OperationError("the number is too large")
    if not value:
        return numbers.NEGATIVE_ZERO if value.is_signed() else 0
    size = value.adjusted()
    if size < 0:
        return value
    if size < DIGITS * 2 and value == value.to_integral_value():
        return int(value)
    return value


def integer(value: Value) -> int:
    """Convert to a whole number. Raises ``OperationError``."""
    found = number(value)
    if isinstance(found, int) or found == found.to_integral_value():
        return int(numbers.shared(found))
    raise OperationError(f"a whole number is required, not {shorten(text(found))}")


def boolean(value: Value) -> bool:
    """Convert to a bool as Terraform does. Raises ``OperationError``."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if value in {"true", "1"}:
            return True
        if value in {"false", "0"}:
            return False
        hint = '; it is "true" or "false"'
        if value.lower() in {"true", "false"}:
            hint = f'; write "{value.lower()}" in lowercase'
        raise OperationError(f'a bool is required, and "{shorten(value)}" is none{hint}')
    raise OperationError(f"a bool is required, not {kind_of(value)}")


def text(value: Value) -> str:
    """Convert to a string as Terraform does. Raises ``OperationError``."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        found = number(value)
        if isinstance(found, int):
            return str(found)
        # What has a precision of its own is in its shortest form, of more digits perhaps.
        precise = isinstance(found, numbers.PreciseDecimal)
        return f"{found if precise else MATH.normalize(found):f}"
    if value is None or isinstance(value, Null):
        raise OperationError("a string is required, and the value is null")
    if isinstance(value, Handle):
        raise OperationError(
            f"a string is required, not the {kind_of(value)} {value.address}; name one of its "
            "attributes"
        )
    raise OperationError(f"a string is required, not {kind_of(value)}")


def scalar(value: Value, type_: Primitive) -> Any:
    """Return a value as a number, bool or text, an unknown one as unknown of that type.

    Raises ``OperationError``, on null as well.
    """
    if isinstance(value, Unknown):
        if value.type in {ANY, type_, STRING} or (type_ == STRING and value.type in {NUMBER, BOOL}):
            if value.type == type_:
                return value
            return Unknown(type_) if value.bounds.null else Unknown(type_, NO_NULL)
        raise OperationError(f"a {type_} is required, not {value.type}")
    if value is None or isinstance(value, Null):
        raise OperationError("a value is required, not null")
    return _SCALARS[type_](value)


def number_of(count: int, thing: str) -> str:
    """Return how many of a thing there are, as messages say it."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def shorten(value: str) -> str:
    """Return a string as messages show it: at most 60 characters."""
    return value if len(value) <= 60 else value[:59] + "…"


_SCALARS: Final[Mapping[Primitive, Callable[[Value], Any]]] = {
    STRING: text,
    NUMBER: number,
    BOOL: boolean,
}


def equal(left: Value, right: Value, *, alike: bool = False) -> Value:
    """Compare two values, marked or not, perhaps ``alike`` in type; none is converted."""
    left, right = reveal(left)[0], reveal(right)[0]
    if isinstance(left, Handle) and isinstance(right, Handle):
        if isinstance(left.digest, Unknown) or isinstance(right.digest, Unknown):
            return OPEN_BOOL
        return left.digest == right.digest
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return False if _unlike(left, right) else OPEN_BOOL
    if _absent(left) or _absent(right):
        return _absent(left) and _absent(right)
    if isinstance(left, str | bool) or isinstance(right, str | bool):
        return type(left) is type(right) and left == right
    if isinstance(left, list | tuple | Mapping):
        return _same_parts(left, right, alike=alike)
    if isinstance(left, int | float | Decimal) and isinstance(right, int | float | Decimal):
        return numbers.alike(_canonical(left), _canonical(right))
    return False


def _canonical(value: Value) -> int | Decimal:
    found = number(value)
    precise = isinstance(found, numbers.PreciseInt | numbers.PreciseDecimal)
    return found if precise else rounded(Decimal(found))


def _same_parts(left: Any, right: Any, *, alike: bool) -> Value:
    """Compare a list, set, map, tuple or object with a known value."""
    if not alike:
        one, other = type_of(left), type_of(right)
        if _untyped(left) or _untyped(right):
            fits = _conforms(one, other) or _conforms(other, one)
            return OPEN_BOOL if fits else False
        if one != other:
            return False
    if isinstance(left, SetValue):
        return _same_sets(left, right)
    if len(left) != len(right):
        return False
    if isinstance(left, Mapping):
        if left.keys() != right.keys():
            return False
        found = [equal(left[k], right[k], alike=True) for k in left]
        return False if False in found else _first_open(found)
    return _first_open(equal(a, b, alike=True) for a, b in zip(left, right, strict=True))


def _same_sets(left: SetValue, right: SetValue) -> Value:
    """Compare sets as cty does: no element that is known in part only is like another."""
    both = [reveal(v)[0] for v in (*left, *right)]
    if any(isinstance(v, Unknown) for v in both):
        return OPEN_BOOL
    return all(map(is_known, both)) and identity_of(left) == identity_of(right)


def _first_open(found: Iterable[Value]) -> Value:
    """Return the first that is not true, as cty compares: from left to right."""
    return next((one for one in found if one is not True), True)


def _untyped(value: Value) -> bool:
    """Tell whether there is an unknown value inside whose type is not all known."""
    match value:
        case Sensitive(value=inner):
            return _untyped(inner)
        case Unknown(type=type_):
            return is_open(type_)
        case Mapping():
            return any(map(_untyped, value.values()))
        case list() | tuple():
            return any(map(_untyped, value))
        case _:
            return False


def _conforms(given: Type, wanted: Type) -> bool:
    """Tell whether a type is another, or may be where that is still open."""
    match wanted, given:
        case Primitive(), _:
            return wanted in {ANY, given}
        case Collection(name=name, element=element), Collection():
            return name == given.name and _conforms(given.element, element)
        case ObjectType(attributes=attributes), ObjectType():
            return attributes.keys() == given.attributes.keys() and all(
                _conforms(given.attributes[k], t) for k, t in attributes.items()
            )
        case TupleType(elements=elements), TupleType():
            return len(elements) == len(given.elements) and all(
                map(_conforms, given.elements, elements)
            )
        case _:
            return False


def _unlike(left: Value, right: Value) -> bool:
    """Tell whether an unknown value cannot equal another, whatever it turns out to be."""
    unknown, known = (left, right) if isinstance(left, Unknown) else (right, left)
    if isinstance(known, Unknown | Handle) or not isinstance(unknown, Unknown):
        return False
    fits = _absent(known) or _conforms(type_of(known), unknown.type)
    return not fits or excludes(unknown, known)


def _absent(value: Value) -> bool:
    return value is None or isinstance(value, Null)


def _exact(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def run(a: int | Decimal, b: int | Decimal) -> Any:
        try:
            return operation(a, b)
        except ZeroDivisionError:
            raise OperationError("the second number is zero, and nothing divides by it") from None
        except TooLargeError:
            raise OperationError("the result is too large") from None

    return run


ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": _exact(numbers.add),
    "-": _exact(numbers.subtract),
    "*": _exact(numbers.multiply),
    "/": _exact(numbers.divide),
    "%": _exact(numbers.remainder),
    "<": lambda a, b: numbers.order(a, b) < 0,
    "<=": lambda a, b: numbers.order(a, b) <= 0,
    ">": lambda a, b: numbers.order(a, b) > 0,
    ">=": lambda a, b: numbers.order(a, b) >= 0,
}
"""What each operator does with two numbers; raises ``OperationError``."""
