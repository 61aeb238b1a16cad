"""Numbers, bools and text of the language: conversion, arithmetic, comparison."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
)
from typing import Any, Final

from mlform.lang.marks import reveal
from mlform.values import UNKNOWN, Handle, Sensitive, SetValue, Value

DIGITS: Final = 154
"""Significant digits of a number: what the 512-bit floats of HCL can tell apart."""

_TRAPS: Final = [InvalidOperation, DivisionByZero, Overflow]
MATH: Final = Context(DIGITS, ROUND_HALF_EVEN, Emin=-100_000, Emax=100_000, traps=_TRAPS)
# A quotient keeps guard digits, so that a third, three times, is one.
_GUARDED: Final = Context(DIGITS + 46, ROUND_HALF_EVEN, Emin=-100_000, Emax=100_000, traps=_TRAPS)

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
        case None:
            return "null"
        case bool():
            return "bool"
        case int() | float() | Decimal():
            return "number"
        case str():
            return "string"
        case Handle():
            return "resource" if value.attribute is None else "artifact"
        case Mapping():
            return "object"
        case Sensitive(value=inner):
            return kind_of(inner)
        case SetValue():
            return "set"
        case _ if value is UNKNOWN:
            return "unknown"
        case _:
            return "list"


def number(value: Value) -> int | Decimal:
    """Convert to a number as Terraform does. Raises ``OperationError``."""
    if isinstance(value, bool):
        raise OperationError("a number is required, not bool")
    if isinstance(value, int):
        return value if -_LARGEST_INT < value < _LARGEST_INT else rounded(Decimal(value))
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
        return whole(MATH.plus(value))
    except (Overflow, InvalidOperation):
        raise OperationError("the number is too large") from None


def whole(value: Decimal) -> int | Decimal:
    """Return an integral decimal as an int. Raises ``OperationError`` if it is not finite."""
    if not value.is_finite():
        raise OperationError("the number is too large")
    size = value.adjusted()
    if size < 0 and value:
        return value
    if size < DIGITS * 2 and value == value.to_integral_value():
        return int(value)
    return value


def integer(value: Value) -> int:
    """Convert to a whole number. Raises ``OperationError``."""
    found = number(value)
    if isinstance(found, int):
        return found
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
        hint = ""
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
        return str(found) if isinstance(found, int) else f"{MATH.normalize(found):f}"
    if value is None:
        raise OperationError("a string is required, and the value is null")
    if isinstance(value, Handle):
        raise OperationError(
            f"a string is required, not the {kind_of(value)} {value.address}; name one of its "
            "attributes"
        )
    raise OperationError(f"a string is required, not {kind_of(value)}")


def shorten(value: str) -> str:
    """Return a string as messages show it: at most 60 characters."""
    return value if len(value) <= 60 else value[:59] + "…"


def equal(left: Value, right: Value) -> Value:
    """Compare two values, marked or not; types are never converted."""
    left, right = reveal(left)[0], reveal(right)[0]
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if isinstance(left, Handle) and isinstance(right, Handle):
        if left.digest is UNKNOWN or right.digest is UNKNOWN:
            return UNKNOWN
        return left.digest == right.digest
    kind = kind_of(left)
    if kind != kind_of(right):
        return False
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        if left.keys() != right.keys():
            return False
        return _all(equal(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        if len(left) != len(right):
            return False
        return _all(equal(a, b) for a, b in zip(left, right, strict=True))
    if kind == "number":
        return rounded(Decimal(number(left))) == rounded(Decimal(number(right)))
    return left == right


def _all(found: Any) -> Value:
    result: Value = True
    for one in found:
        if one is False:
            return False
        if one is UNKNOWN:
            result = UNKNOWN
    return result


def _exact(name: str, context: Context = MATH) -> Callable[[Any, Any], Any]:
    operation = getattr(context, name)

    def run(a: int | Decimal, b: int | Decimal) -> Any:
        try:
            return whole(operation(Decimal(a), Decimal(b)))
        except (DivisionByZero, InvalidOperation):
            raise OperationError("the second number is zero, and nothing divides by it") from None
        except Overflow:
            raise OperationError("the result is too large") from None

    return run


ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": _exact("add"),
    "-": _exact("subtract"),
    "*": _exact("multiply"),
    "/": _exact("divide", _GUARDED),
    "%": _exact("remainder", _GUARDED),
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
"""What each operator does with two numbers; raises ``OperationError``."""
