"""Arithmetic as HCL has it: on binary floats of 512 bits, shown by their shortest decimals.

A number of the language is an int or a ``Decimal``, and stands for the float next to it. What an
operation makes is rounded to such a float, and kept as the shortest decimal that says which one:
so a tenth is 0.1, and three times a third is 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Context, Decimal, InvalidOperation, Overflow
from typing import Final, TypeAlias

Number: TypeAlias = int | Decimal
_Float: TypeAlias = tuple[int, int]
"""A mantissa of at most 512 bits and the power of two that it counts."""

NEGATIVE_ZERO: Final = Decimal("-0")
"""What a float has beside zero: it equals that, and is shown otherwise."""

BITS: Final = 512
_DOUBLE_BITS: Final = 53
_DIGITS: Final = 154
"""Any decimal with fewer digits is the shortest of its float."""
_LOG: Final = math.log10(2)
_FAR: Final = 5000
_ROUGH: Final = Context(_DIGITS, Emin=-100_000, Emax=100_000, traps=[InvalidOperation, Overflow])
_LARGEST: Final = 400_000
"""The largest exponent, of two: more than a hundred thousand decimal digits."""


class Double(Decimal):
    """A number that a 64-bit float made: shown by the shortest decimal that says which float.

    It is more exact than it looks, and operations count with all of it.
    """

    ratio: tuple[int, int]

    @classmethod
    def of(cls, value: float) -> Double:
        """Return a finite float as a number."""
        mantissa, exponent = math.frexp(value)
        # The shortest decimal of a power of two is another to Go than to Python.
        shown = repr(value) if abs(mantissa) != 0.5 else _power_of_two(exponent)
        found = cls(shown if mantissa > 0 or abs(mantissa) != 0.5 else f"-{shown}")
        found.ratio = value.as_integer_ratio()
        return found

    def copy_negate(self) -> Double:
        """Return the number with the other sign."""
        found = Double(super().copy_negate())
        found.ratio = -self.ratio[0], self.ratio[1]
        return found


class TooLargeError(ArithmeticError):
    """A number has more digits than are kept."""


def _rounded(numerator: int, denominator: int = 1, exponent: int = 0, bits: int = BITS) -> _Float:
    """Return the float nearest to a fraction times a power of two, of two as near the even one."""
    if numerator == 0:
        return 0, 0
    size = abs(numerator)
    shift = bits + 2 - size.bit_length() + denominator.bit_length()
    if shift >= 0:
        mantissa, rest = divmod(size << shift, denominator)
    else:
        mantissa, rest = divmod(size, denominator << -shift)
    extra = mantissa.bit_length() - bits
    low, half = mantissa & ((1 << extra) - 1), 1 << (extra - 1)
    mantissa >>= extra
    if low > half or (low == half and (rest or mantissa & 1)):
        mantissa += 1
    if mantissa.bit_length() > bits:
        mantissa, extra = mantissa >> 1, extra + 1
    exponent += extra - shift
    if abs(exponent + bits) > _LARGEST:
        raise TooLargeError
    return (mantissa if numerator > 0 else -mantissa), exponent


def _float(value: Number) -> _Float:
    if isinstance(value, int):
        return (value, 0) if value.bit_length() <= BITS else _rounded(value)
    if isinstance(value, Double):
        return _rounded(*value.ratio)
    sign, digits, power = value.as_tuple()
    assert isinstance(power, int), "a number is finite"
    mantissa = int(Decimal((sign, digits, 0)))
    if power >= 0:
        return _rounded(mantissa * 10**power)
    return _rounded(mantissa, 10**-power)


def _shown(number: _Float) -> Number:
    """Return the shortest decimal between the neighbours of a float that is nearest to it."""
    mantissa, exponent = number
    if exponent >= 0 and mantissa.bit_length() + exponent <= BITS:
        return mantissa << exponent
    if -BITS * 2 <= exponent < 0 and mantissa % (1 << -exponent) == 0:
        return mantissa >> -exponent
    lost = BITS - abs(mantissa).bit_length()
    size, exponent = abs(mantissa) << lost, exponent - lost
    between = _around(size, exponent)
    digits, power = between.shortest()
    if 0 <= power <= BITS:
        whole = digits * int(10**power)
        return whole if mantissa > 0 else -whole
    return Decimal((mantissa < 0, tuple(map(int, str(digits))), power))


class _Between:
    """The numbers from ``below`` to ``above``, which count a power of two; ``closed`` with both."""

    def __init__(self, below: int, middle: int, above: int, scale: int, *, closed: bool) -> None:
        self.below, self.middle, self.above = below, middle, above
        self.scale, self.closed = scale, closed

    def _parts(self, power: int) -> tuple[int, int]:
        """Return what to multiply by, and to divide by, to count in a power of ten."""
        over = (10**-power if power < 0 else 1) << max(self.scale, 0)
        under = (10**power if power > 0 else 1) << max(-self.scale, 0)
        return over, under

    def _ends(self, power: int) -> tuple[int, int]:
        """Return the lowest and highest multiple of a power of ten, crossed if there is none."""
        over, under = self._parts(power)
        low, rest = divmod(self.below * over, under)
        low += rest > 0 or not self.closed
        high, rest = divmod(self.above * over, under)
        high -= rest == 0 and not self.closed
        return low, high

    def shortest(self) -> tuple[int, int]:
        """Return the digits, and the power of ten that they count, of the shortest decimal."""
        sound = math.floor(self.scale * _LOG) - 1
        beyond = math.ceil((self.scale + BITS + 4) * _LOG) + 1
        while beyond - sound > 1:
            power = (sound + beyond) // 2
            low, high = self._ends(power)
            sound, beyond = (power, beyond) if low <= high else (sound, power)
        low, high = self._ends(sound)
        over, under = self._parts(sound)
        nearest = (2 * self.middle * over + under) // (2 * under)
        return min(high, max(low, nearest)), sound


def _around(size: int, exponent: int) -> _Between:
    """Return what is nearer to a float than to its neighbours.

    As Go has it, for which the neighbour below a power of two is as far as the one above.
    """
    return _Between(size * 2 - 1, size * 2, size * 2 + 1, exponent - 1, closed=size % 2 == 0)


def _power_of_two(exponent: int) -> str:
    """Return the shortest decimal of the 64-bit float that is half of two to an exponent."""
    digits, power = _around(1 << 52, exponent - 53).shortest()
    return f"{digits}e{power}"


def canonical(value: Number) -> Number:
    """Return the number that stands for the float next to a value."""
    if isinstance(value, int):
        return value if value.bit_length() <= BITS else _shown(_rounded(value))
    exact = len(value.as_tuple().digits) < _DIGITS
    return value if exact else _shown(_float(value))


def _below(value: Number) -> bool:
    """Tell whether a number has a minus sign."""
    return value.is_signed() if isinstance(value, Decimal) else value < 0


def _signed(value: Number, left: Number, right: Number) -> Number:
    """Return a product or quotient of two numbers; one that is zero has a sign too."""
    return NEGATIVE_ZERO if value == 0 and _below(left) != _below(right) else value


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
    if left == right == 0:
        return NEGATIVE_ZERO if _below(left) and _below(right) else 0
    if isinstance(left, int) and isinstance(right, int):
        return canonical(left + right)
    if _far(left, right):
        return _roughly(_ROUGH.add, left, right)
    (a, i), (b, j) = _float(left), _float(right)
    least = min(i, j)
    return _shown(_rounded((a << (i - least)) + (b << (j - least)), 1, least))


def subtract(left: Number, right: Number) -> Number:
    """Return a difference."""
    return add(left, negative(right))


def multiply(left: Number, right: Number) -> Number:
    """Return a product."""
    if left == 0 or right == 0:
        return _signed(0, left, right)
    if isinstance(left, int) and isinstance(right, int):
        return canonical(left * right)
    if _far(left, right):
        return _roughly(_ROUGH.multiply, left, right)
    (a, i), (b, j) = _float(left), _float(right)
    return _shown(_rounded(a * b, 1, i + j))


def divide(left: Number, right: Number) -> Number:
    """Return a quotient. Raises ``ZeroDivisionError``."""
    if left == 0 and right != 0:
        return _signed(0, left, right)
    if right != 0 and _far(left, right):
        return _roughly(_ROUGH.divide, left, right)
    (a, i), (b, j) = _float(left), _float(right)
    if b == 0:
        raise ZeroDivisionError
    return _shown(_rounded(-a if b < 0 else a, abs(b), i - j))


def remainder(left: Number, right: Number) -> Number:
    """Return what a division leaves, of the sign of ``left``; all of it where ``right`` is zero."""
    if right == 0:
        return left
    if left == 0:
        return 0 if _below(right) else left
    if _far(left, right):
        if abs(Decimal(left).adjusted() - Decimal(right).adjusted()) > _DIGITS:
            return left if Decimal(left).copy_abs() < Decimal(right).copy_abs() else 0
        return _roughly(_ROUGH.remainder, left, right)
    (a, i), (b, j) = _float(left), _float(right)
    # As in Terraform, which counts with as many bits as the first number has.
    bits = _DOUBLE_BITS if isinstance(left, Double) else BITS
    size, exponent = _rounded(abs(a), abs(b), i - j, bits)
    times = size << exponent if exponent >= 0 else size >> -exponent
    taken, power = _rounded(times * abs(b), 1, j, bits)
    least = min(i, power)
    rest = (abs(a) << (i - least)) - (taken << (power - least))
    mantissa, power = _rounded(-rest if a < 0 else rest, 1, least, bits)
    if bits == BITS:
        return _shown((mantissa, power))
    found = math.ldexp(mantissa, power)
    exact = found.is_integer() and abs(found) < 2**_DOUBLE_BITS
    return int(found) if exact else Double.of(found)


def order(left: Number, right: Number) -> int:
    """Return how two numbers compare: below zero, zero or above, as ``left - right`` is."""
    if isinstance(left, Double) or isinstance(right, Double):
        # What is shown of a 64-bit float is not all there is of it.
        (a, i), (b, j) = _float(left), _float(right)
        least = min(i, j)
        a, b = a << (i - least), b << (j - least)
        return (a > b) - (a < b)
    return (left > right) - (left < right)


def alike(left: Number, right: Number) -> bool:
    """Tell whether two numbers are equal: by what is shown of them, unless they are whole."""
    if not (isinstance(left, Double) or isinstance(right, Double)):
        return left == right
    sizes = [_float(value) for value in (left, right)]
    whole = all(exponent >= 0 or size % (1 << -exponent) == 0 for size, exponent in sizes)
    return order(left, right) == 0 if whole else left == right


def double(value: Number) -> float:
    """Return the 64-bit float next to a number. Raises ``OverflowError``."""
    if isinstance(value, Double):
        numerator, denominator = value.ratio
        return numerator / denominator
    return float(value)


def negative(value: Number) -> Number:
    """Return a number with the other sign."""
    # Not -value: that would round to the digits of the default context.
    if value == 0:
        return 0 if _below(value) else NEGATIVE_ZERO
    return value.copy_negate() if isinstance(value, Decimal) else -value
