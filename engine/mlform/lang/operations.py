"""Conversions and operators of the language, on native values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Final

from mlform.values import UNKNOWN, Handle, Sensitive, Value

MATH: Final = Context(prec=60, Emin=-999999, Emax=999999)


class OperationError(Exception):
    """An operator or function cannot take these values; the message is for the user."""


def reveal(value: Value) -> tuple[Value, bool]:
    """Return a value without its mark, and whether it had one."""
    if isinstance(value, Sensitive):
        return reveal(value.value)[0], True
    return value, False


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
        case _ if value is UNKNOWN:
            return "unknown"
        case _:
            return "list"


def number(value: Value) -> int | Decimal:
    """Convert to a number as Terraform does. Raises ``OperationError``."""
    if isinstance(value, bool) or value is None:
        raise OperationError(f"a number is required, not {kind_of(value)}")
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return whole(Decimal(repr(value)))
    if isinstance(value, Decimal):
        return whole(value)
    if isinstance(value, str):
        try:
            return whole(MATH.create_decimal(value))
        except InvalidOperation:
            raise OperationError(f'"{value}" is no number') from None
    raise OperationError(f"a number is required, not {kind_of(value)}")


def whole(value: Decimal) -> int | Decimal:
    """Return an integral decimal as an int."""
    if not value.is_finite():
        raise OperationError("the number is too large")
    return int(value) if value == value.to_integral_value() and value.adjusted() < 400 else value


def boolean(value: Value) -> bool:
    """Convert to a bool. Raises ``OperationError``."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise OperationError(f"a bool is required, not {kind_of(value)}")


def text(value: Value) -> str:
    """Convert to a string. Raises ``OperationError``."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() | Decimal():
            found = number(value)
            return str(found) if isinstance(found, int) else f"{found.normalize():f}"
        case Handle(digest=str() as digest):
            return digest
        case None:
            raise OperationError("the value is null; a string cannot be made of it")
        case _:
            raise OperationError(f"a string is required, not {kind_of(value)}")


def equal(left: Value, right: Value) -> Value:
    """Compare two values; types are never converted."""
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if isinstance(left, Handle) and isinstance(right, Handle):
        if UNKNOWN in (left.digest, right.digest):
            return UNKNOWN
        return left.digest == right.digest
    if kind_of(left) != kind_of(right):
        return False
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        if left.keys() != right.keys():
            return False
        return _all(equal(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        if len(left) != len(right):
            return False
        return _all(equal(a, b) for a, b in zip(left, right, strict=True))
    if kind_of(left) == "number":
        return number(left) == number(right)
    return left == right


def _all(found: Any) -> Value:
    result: Value = True
    for one in found:
        value, _ = reveal(one)
        if value is False:
            return False
        if value is UNKNOWN:
            result = UNKNOWN
    return result


def _divide(a: Any, b: Any) -> Any:
    if b == 0:
        raise OperationError("division by zero")
    return whole(MATH.divide(Decimal(a), Decimal(b)))


def _modulo(a: Any, b: Any) -> Any:
    if b == 0:
        raise OperationError("division by zero")
    return whole(MATH.remainder(Decimal(a), Decimal(b)))


def _exact(operation: Callable[[Decimal, Decimal], Decimal]) -> Callable[[Any, Any], Any]:
    def run(a: Any, b: Any) -> Any:
        return whole(operation(Decimal(a), Decimal(b)))

    return run


ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": _exact(MATH.add),
    "-": _exact(MATH.subtract),
    "*": _exact(MATH.multiply),
    "/": _divide,
    "%": _modulo,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
