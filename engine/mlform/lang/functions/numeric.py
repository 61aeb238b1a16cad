"""Numbers."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, DecimalException
from typing import Any, Final

from mlform.lang.operations import DIGITS, MATH, OperationError, kind_of, rounded, text, whole
from mlform.lang.registry import Parameter, function, num, whole_number
from mlform.values import Value

_Number = int | Decimal


@function("abs", num("num"))
def abs_(value: _Number) -> Value:
    """Return the distance from zero."""
    return -value if value < 0 else value


@function("ceil", num("num"))
def ceil(value: _Number) -> Value:
    """Return the next whole number that is not smaller."""
    return whole(Decimal(value).to_integral_value(ROUND_CEILING))


@function("floor", num("num"))
def floor(value: _Number) -> Value:
    """Return the next whole number that is not larger."""
    return whole(Decimal(value).to_integral_value(ROUND_FLOOR))


@function("max", rest=num("numbers"))
def max_(*numbers: _Number) -> Value:
    """Return the largest."""
    found: Value = max(_some(numbers))
    return found


@function("min", rest=num("numbers"))
def min_(*numbers: _Number) -> Value:
    """Return the smallest."""
    found: Value = min(_some(numbers))
    return found


def _some(numbers: tuple[_Number, ...]) -> tuple[_Number, ...]:
    if not numbers:
        raise OperationError("at least one number is required")
    return numbers


@function("pow", num("num"), num("power"))
def pow_(base: _Number, exponent: _Number) -> Value:
    """Return a power, of 64-bit floats as in Terraform."""
    try:
        return _float(math.pow(float(base), float(exponent)))
    except OverflowError:
        raise OperationError("the result is too large") from None
    except ValueError:
        raise OperationError(
            f"{text(base)} to the power of {text(exponent)} is no number"
        ) from None


@function("log", num("num"), num("base"))
def log(value: _Number, base: _Number) -> Value:
    """Return the logarithm, of 64-bit floats as in Terraform."""
    try:
        found, scale = float(value), float(base)
        if scale == 0 and found > 0:
            return 0
        return _float(math.log(found) / math.log(scale))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise OperationError(f"{text(value)} has no logarithm to base {text(base)}") from None


def _float(value: float) -> Value:
    if math.isinf(value) or math.isnan(value):
        raise OperationError("the result is no finite number")
    return whole(Decimal(repr(value)))


@function("signum", whole_number("number"))
def signum(value: int) -> Value:
    """Return -1, 0 or 1."""
    return (value > 0) - (value < 0)


def _written(value: Value) -> str:
    if isinstance(value, str):
        return value
    raise OperationError(f"a string is required, not {kind_of(value)}")


_DIGITS: Final = {
    c: i for i, c in enumerate("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
}


@function("parseint", Parameter("number", _written), whole_number("base"))
def parseint(written: str, base: int) -> Value:
    """Return the whole number written in a base from 2 to 62."""
    if not 2 <= base <= 62:
        raise OperationError(f"the base is from 2 to 62, not {base}", 1)
    digits = written.removeprefix("-") if written.startswith("-") else written.removeprefix("+")
    digits = digits if base > 36 else digits.lower()
    problem = f'"{written}" is no whole number in base {base}'
    if not digits or len(digits) > DIGITS * 4:
        raise OperationError(problem, 0)
    found = 0
    for digit in digits:
        value = _DIGITS.get(digit, base)
        if value >= base:
            raise OperationError(problem, 0)
        found = found * base + value
    return rounded(Decimal(-found if written.startswith("-") else found))


def total(numbers: list[Any]) -> Value:
    """Return the exact sum of numbers."""
    if all(isinstance(n, int) for n in numbers):
        return rounded(Decimal(sum(numbers)))
    found = Decimal()
    try:
        for value in numbers:
            found = MATH.add(found, Decimal(value))
    except DecimalException:
        raise OperationError("the sum is too large") from None
    return whole(found)
