"""Arithmetic as HCL has it: on binary floats, shown by their shortest decimals.

A number of the language is an int or a ``Decimal``, and stands for the float next to it. What is
written has a precision of 512 bits. What is counted has 64, and what comes from a 64-bit float 53;
those carry their precision, as ``PreciseInt`` and ``PreciseDecimal``. What an operation makes has
the larger precision of its operands, and is kept as the shortest decimal that says which float it
is: so a tenth is 0.1, and three times a third is 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation, Overflow
from typing import Any, Final, TypeAlias

from mlform.lang.floats import Float, TooLargeError, rounded, shortest, whole

Number: TypeAlias = int | Decimal

NEGATIVE_ZERO: Final = Decimal("-0")
"""What a float has beside zero: it equals that, and is shown otherwise."""

BITS: Final = 512
"""The precision of a number that is written."""
COUNT_BITS: Final = 64
DOUBLE_BITS: Final = 53
_DIGITS: Final = 154
"""Any decimal with fewer digits is the shortest of its float."""
_FAR: Final = 5000
_ROUGH: Final = Context(_DIGITS, Emin=-100_000, Emax=100_000, traps=[InvalidOperation, Overflow])
_EXACT: Final = Context(MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX)


class PreciseInt(int):
    """A whole number of a precision of its own: of 64 bits if something was counted."""

    bits: int = COUNT_BITS

    @classmethod
    def of(cls, value: int, bits: int) -> PreciseInt:
        """Return a whole number of a precision, which it fits in."""
        found = cls(value)
        found.bits = bits
        return found


class PreciseDecimal(Decimal):
    """A number of a precision of its own: shown by the shortest decimal that says which float.

    It is more exact than it looks, and operations count with all of it.
    """

    bits: int
    float: Float

    @classmethod
    def of(cls, value: Float, bits: int) -> PreciseDecimal:
        """Return a float of a precision as a number."""
        digits, power = shortest(value, bits)
        found = cls(_decimal(-digits if value[0] < 0 else digits, power))
        found.float, found.bits = value, bits
        return found

    def copy_negate(self) -> PreciseDecimal:
        """Return the number with the other sign."""
        found = PreciseDecimal(super().copy_negate())
        found.float, found.bits = (-self.float[0], self.float[1]), self.bits
        return found

    def __reduce__(self) -> Any:
        return _signed_zero if self == 0 else make, (self.float, self.bits)


def _decimal(digits: int, power: int) -> Decimal:
    return _EXACT.scaleb(Decimal(digits), power)


def _signed_zero(_float: Float, bits: int) -> Number:
    return zero(bits, below=True)


_COUNTS: Final = tuple(map(PreciseInt, range(1025)))


def counted(value: int) -> int:
    """Return a whole number as one that was counted: of 64 bits."""
    return _COUNTS[value] if 0 <= value < len(_COUNTS) else PreciseInt(value)


def zero(bits: int, *, below: bool = False) -> Number:
    """Return zero of a precision, perhaps with a minus sign."""
    if bits == BITS:
        return NEGATIVE_ZERO if below else 0
    if not below:
        return PreciseInt.of(0, bits)
    found = PreciseDecimal("-0")
    found.float, found.bits = (0, 0), bits
    return found


def precision(value: Number) -> int:
    """Return the precision of a number, in bits."""
    return value.bits if isinstance(value, PreciseInt | PreciseDecimal) else BITS


def _larger(left: Number, right: Number) -> int:
    """Return the larger precision of two numbers."""
    first, second = precision(left), precision(right)
    return max(second, first)


def _whole(value: int, bits: int) -> int:
    """Return a whole number of a precision, which it fits in."""
    if bits == BITS:
        return value
    return counted(value) if bits == COUNT_BITS else PreciseInt.of(value, bits)


def from_float(value: float) -> Number:
    """Return a finite 64-bit float as a number."""
    numerator, denominator = value.as_integer_ratio()
    if numerator == 0:
        return zero(DOUBLE_BITS, below=math.copysign(1, value) < 0)
    return make((numerator, 1 - denominator.bit_length()), DOUBLE_BITS)


def binary(value: Number) -> Float:
    """Return the float that a number stands for."""
    if isinstance(value, int):
        written = value.bit_length() > BITS and type(value) is int
        return rounded(value, 1, 0, BITS) if written else (int(value), 0)
    if isinstance(value, PreciseDecimal):
        return value.float
    sign, digits, power = value.as_tuple()
    assert isinstance(power, int), "a number is finite"
    mantissa = int(Decimal((sign, digits, 0)))
    if power >= 0:
        return rounded(mantissa * 10**power, 1, 0, BITS)
    return rounded(mantissa, 10**-power, 0, BITS)


def expansion(value: Number) -> Decimal:
    """Return all digits of the float that a number stands for."""
    mantissa, exponent = binary(value)
    if mantissa == 0:
        return Decimal(value)
    if exponent >= 0:
        return Decimal(mantissa << exponent)
    return _decimal(mantissa * 5**-exponent, exponent)


def make(number: Float, bits: int) -> Number:
    """Return a float of a precision as a number."""
    found = whole(number)
    if bits != BITS:
        fits = found is not None and found.bit_length() <= bits
        return PreciseInt.of(found or 0, bits) if fits else PreciseDecimal.of(number, bits)
    if found is not None and found.bit_length() <= BITS:
        return found
    digits, power = shortest(number, BITS)
    digits = -digits if number[0] < 0 else digits
    return digits * int(10**power) if 0 <= power <= BITS else _decimal(digits, power)


def canonical(value: Number) -> Number:
    """Return the number that stands for the float next to a value."""
    if isinstance(value, int):
        small = value.bit_length() <= BITS
        return value if small else make(rounded(value, 1, 0, BITS), BITS)
    exact = len(value.as_tuple().digits) < _DIGITS
    return value if exact else make(binary(value), BITS)


def _below(value: Number) -> bool:
    """Tell whether a number has a minus sign."""
    return value.is_signed() if isinstance(value, Decimal) else value < 0


def _far(*values: Number) -> bool:
    """Tell whether a number has so many digits that only the first are worth the work."""
    return any(isinstance(v, Decimal) and abs(v.adjusted()) > _FAR for v in values)


def _roughly(operation: Callable[[Decimal, Decimal], Decimal], a: Number, b: Number) -> Number:
    try:
        return operation(Decimal(a), Decimal(b))
    except (Overflow, InvalidOperation):
        raise TooLargeError from None


def add(left: Number, right: Number) -> Number:
    """Return a sum."""
    if type(left) is int and type(right) is int:
        return canonical(left + right)
    bits = _larger(left, right)
    if isinstance(left, int) and isinstance(right, int):
        found = left + right
        if found.bit_length() <= bits:
            return _whole(found, bits)
    if left == right == 0:
        return zero(bits, below=_below(left) and _below(right))
    if _far(left, right):
        return _roughly(_ROUGH.add, left, right)
    (a, i), (b, j) = binary(left), binary(right)
    least = min(i, j)
    return make(rounded((a << (i - least)) + (b << (j - least)), 1, least, bits), bits)


def subtract(left: Number, right: Number) -> Number:
    """Return a difference."""
    return add(left, negative(right))


def multiply(left: Number, right: Number) -> Number:
    """Return a product: of 512 bits, or as many as its operands or it itself need."""
    if type(left) is int and type(right) is int and left and right:
        return canonical(left * right)
    bits = _larger(left, right)
    if left == 0 or right == 0:
        return zero(bits, below=_below(left) != _below(right))
    if isinstance(left, int) and isinstance(right, int):
        found = left * right
        if found.bit_length() <= bits:
            return _whole(found, bits)
    if _far(left, right):
        return _roughly(_ROUGH.multiply, left, right)
    (a, i), (b, j) = binary(left), binary(right)
    product, exponent = rounded(a * b, 1, i + j, BITS)
    zeros = (product & -product).bit_length() - 1
    return make((product, exponent), max(bits, product.bit_length() - zeros))


def divide(left: Number, right: Number) -> Number:
    """Return a quotient. Raises ``ZeroDivisionError``."""
    if right == 0:
        raise ZeroDivisionError
    bits = _larger(left, right)
    if left == 0:
        return zero(bits, below=_below(left) != _below(right))
    if _far(left, right):
        return _roughly(_ROUGH.divide, left, right)
    (a, i), (b, j) = binary(left), binary(right)
    return make(rounded(-a if b < 0 else a, abs(b), i - j, bits), bits)


def remainder(left: Number, right: Number) -> Number:
    """Return what a division leaves, of the sign of ``left``; all of it where ``right`` is zero."""
    # As in Terraform, which counts with as many bits as the first number has.
    bits = precision(left)
    if right == 0:
        return left
    if left == 0:
        return zero(bits) if _below(right) else left
    if _far(left, right):
        if abs(Decimal(left).adjusted() - Decimal(right).adjusted()) > _DIGITS:
            return left if Decimal(left).copy_abs() < Decimal(right).copy_abs() else 0
        return _roughly(_ROUGH.remainder, left, right)
    (a, i), (b, j) = binary(left), binary(right)
    size, exponent = rounded(abs(a), abs(b), i - j, _larger(left, right))
    times = size << exponent if exponent >= 0 else size >> -exponent
    times, count = rounded(times, 1, 0, bits)
    taken, power = rounded(times * abs(b), 1, j + count, bits)
    least = min(i, power)
    rest = (abs(a) << (i - least)) - (taken << (power - least))
    return make(rounded(-rest if a < 0 else rest, 1, least, bits), bits)


def order(left: Number, right: Number) -> int:
    """Return how two numbers compare: below zero, zero or above, as ``left - right`` is."""
    if isinstance(left, PreciseDecimal) or isinstance(right, PreciseDecimal):
        # What is shown is not all there is.
        (a, i), (b, j) = binary(left), binary(right)
        least = min(i, j)
        a, b = a << (i - least), b << (j - least)
        return (a > b) - (a < b)
    return (left > right) - (left < right)


def alike(left: Number, right: Number) -> bool:
    """Tell whether two numbers are equal: by what is shown of them, unless they are whole."""
    return shared(left) == shared(right)


def shared(value: Number) -> Number:
    """Return what equal numbers share, of one that is ``canonical``."""
    if not isinstance(value, PreciseDecimal):
        return value
    found = whole(value.float)
    return value if found is None else found


def double(value: Number) -> float:
    """Return the 64-bit float next to a number. Raises ``OverflowError``."""
    if isinstance(value, PreciseDecimal):
        mantissa, exponent = value.float
        return (mantissa << max(exponent, 0)) / (1 << max(-exponent, 0)) if mantissa else -0.0
    return float(value)


def negative(value: Number) -> Number:
    """Return a number with the other sign."""
    # Not -value: that would round to the digits of the default context.
    if value == 0:
        return zero(precision(value), below=not _below(value))
    if isinstance(value, PreciseInt):
        return PreciseInt.of(-value, value.bits)
    return value.copy_negate() if isinstance(value, Decimal) else -value


def near(value: Number, *, up: bool) -> Number:
    """Return the next whole number that is not smaller, or not larger."""
    if isinstance(value, int):
        return value
    bits = precision(value)
    mantissa, exponent = binary(value)
    if exponent >= 0:
        return value if mantissa else zero(bits)
    found = -(-mantissa >> -exponent) if up else mantissa >> -exponent
    return make(rounded(found, 1, 0, bits), bits)
