"""Numbers."""

from __future__ import annotations

import math
from decimal import Decimal
from functools import cmp_to_key, reduce
from typing import Any, Final

from mlform.lang.numbers import (
    COUNT_BITS,
    DOUBLE_BITS,
    PreciseInt,
    counted,
    double,
    from_float,
    near,
    negative,
    order,
    zero,
)
from mlform.lang.operations import ARITHMETIC, DIGITS, OperationError, kind_of, text
from mlform.lang.registry import Parameter, function, num, open_type, whole_number
from mlform.types import ANY, NUMBER, STRING
from mlform.values import Value

_Number = int | Decimal
_ORDER: Final = cmp_to_key(order)


@function("abs", num("num"), result=NUMBER)
def abs_(value: _Number) -> Value:
    """Return the distance from zero."""
    # Not abs(): that would round to the digits of the default context.
    return negative(value) if str(value).startswith("-") else value


@function("ceil", num("num"), result=NUMBER)
def ceil(value: _Number) -> Value:
    """Return the next whole number that is not smaller."""
    return near(value, up=True)


@function("floor", num("num"), result=NUMBER)
def floor(value: _Number) -> Value:
    """Return the next whole number that is not larger."""
    return near(value, up=False)


@function("max", rest=num("numbers"), result=NUMBER)
def max_(*numbers: _Number) -> Value:
    """Return the largest."""
    found: Value = max(_some(numbers), key=_ORDER)
    return found


@function("min", rest=num("numbers"), result=NUMBER)
def min_(*numbers: _Number) -> Value:
    """Return the smallest."""
    found: Value = min(_some(numbers), key=_ORDER)
    return found


def _some(numbers: tuple[_Number, ...]) -> tuple[_Number, ...]:
    if not numbers:
        raise OperationError("at least one number is required")
    return numbers


@function("pow", num("num"), num("power"), result=NUMBER)
def pow_(base: _Number, exponent: _Number) -> Value:
    """Return a power, of 64-bit floats as in Terraform."""
    try:
        return _float(_power(double(base), double(exponent)))
    except OverflowError:
        raise OperationError("the result is too large") from None
    except ValueError:
        raise OperationError(
            f"{text(base)} to the power of {text(exponent)} is no number"
        ) from None


def _power(base: float, exponent: float) -> float:
    """Return a power by repeated squaring, whose rounding is that of Go."""
    if abs(exponent) == 0.5 and base > 0:
        return math.sqrt(base) if exponent > 0 else 1 / math.sqrt(base)
    special = base in {0, 1} or exponent == 0 or abs(exponent) >= 2.0**31
    if special or not (math.isfinite(base) and math.isfinite(exponent)):
        return math.pow(base, exponent)
    part, whole_ = math.modf(abs(exponent))
    if part and base < 0:
        raise ValueError("no real number")
    times = int(whole_)
    if part > 0.5:
        part, times = part - 1, times + 1
    found, scale = (_exponential(part * _logarithm(base)) if part else 1.0), 0
    square, shift = math.frexp(base)
    while times and abs(shift) <= 2**12:
        if times & 1:
            found, scale = found * square, scale + shift
        square, shift = square * square, shift * 2
        if square < 0.5:
            square, shift = square * 2, shift - 1
        times >>= 1
    scale += shift if times else 0
    return math.ldexp(1 / found, -scale) if exponent < 0 else math.ldexp(found, scale)


@function("log", num("num"), num("base"), result=NUMBER)
def log(value: _Number, base: _Number) -> Value:
    """Return the logarithm, of 64-bit floats as in Terraform."""
    try:
        found, scale = double(value), double(base)
        if scale == 0 and found > 0:
            # The logarithm of zero is below all numbers, and what is divided by it nothing.
            return zero(DOUBLE_BITS, below=found >= 1)
        return _float(_logarithm(found) / _logarithm(scale))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise OperationError(f"{text(value)} has no logarithm to base {text(base)}") from None


# The coefficients of fdlibm's e_log.c, by which Go takes logarithms.
_LN2: Final = (6.93147180369123816490e-01, 1.90821492927058770002e-10)
_EVEN: Final = (3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01)
_ODD: Final = (
    6.666666666666735130e-01,
    2.857142874366239149e-01,
    1.818357216161805012e-01,
    1.479819860511658591e-01,
)


def _logarithm(value: float) -> float:
    """Return the natural logarithm by fdlibm's method, so that its last digit is Terraform's."""
    if value <= 0:
        raise ValueError("no logarithm")
    fraction, exponent = math.frexp(value)
    if fraction < math.sqrt(0.5):
        fraction, exponent = fraction * 2, exponent - 1
    f = fraction - 1
    s = f / (2 + f)
    s2 = s * s
    s4 = s2 * s2
    odd = s2 * (_ODD[0] + s4 * (_ODD[1] + s4 * (_ODD[2] + s4 * _ODD[3])))
    even = s4 * (_EVEN[0] + s4 * (_EVEN[1] + s4 * _EVEN[2]))
    half = 0.5 * f * f
    rest = half - (s * (half + (odd + even)) + exponent * _LN2[1])
    return exponent * _LN2[0] - (rest - f)


# Half of the bits of the logarithm of two, and the rest of it.
_HALVES: Final = (0.69314718055966295651160180568695068359375, 0.2823529056303157712258844817e-12)


def _exponential(value: float) -> float:
    """Return e to a power of less than 700, by Taylor's series of a sixteenth of it.

    After N. Shibata, "Efficient evaluation methods of elementary functions suitable for SIMD
    computation" (2010), as Go has it on processors that multiply and add in one step.
    """
    times = round(value * (1 / math.log(2)))
    rest = _fused(-times, _HALVES[1], _fused(-times, _HALVES[0], value)) / 16
    found = 1 / math.factorial(8)
    for n in range(7, 0, -1):
        found = _fused(found, rest, 1 / math.factorial(n))
    found *= rest
    # Of what is above one the square is taken four times.
    for _ in range(3):
        found *= found + 2
    return math.ldexp(_fused(found + 2, found, 1), times)


def _fused(left: float, right: float, added: float) -> float:
    """Return a product and a sum that are rounded once."""
    (a, b), (c, d), (e, f) = (v.as_integer_ratio() for v in (left, right, added))
    return (a * c * f + e * b * d) / (b * d * f)


def _float(value: float) -> Value:
    if math.isinf(value) or math.isnan(value):
        raise OperationError("the result is no finite number")
    return from_float(value)


@function("signum", whole_number("number"), result=NUMBER)
def signum(value: int) -> Value:
    """Return -1, 0 or 1."""
    return counted((value > 0) - (value < 0))


def _written(value: Value) -> Value:
    if isinstance(value, str) or open_type(value) in {ANY, STRING}:
        return value
    raise OperationError(f"a string is required, not {kind_of(value)}")


_DIGITS: Final = {
    c: i for i, c in enumerate("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
}


@function("parseint", Parameter("number", check=_written), whole_number("base"), result=NUMBER)
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
    found = -found if written.startswith("-") else found
    return PreciseInt.of(found, max(COUNT_BITS, found.bit_length()))


def total(numbers: list[Any]) -> Value:
    """Return the exact sum of numbers."""
    result: Value = reduce(ARITHMETIC["+"], numbers)
    return result
