"""Binary floats of any precision: rounding to one, and the shortest decimal that says which one."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

Float: TypeAlias = tuple[int, int]
"""A mantissa, of as many bits as the precision at most, and the power of two that it counts."""

_LOG: Final = math.log10(2)
_LARGEST: Final = 400_000
"""The largest exponent, of two: more than a hundred thousand decimal digits."""


class TooLargeError(ArithmeticError):
    """A number has more digits than are kept."""


def rounded(numerator: int, denominator: int, exponent: int, bits: int) -> Float:
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


def whole(number: Float) -> int | None:
    """Return a float as a whole number, ``None`` if it is none."""
    mantissa, exponent = number
    if exponent >= 0:
        return mantissa << exponent
    # Bits beyond those of the mantissa would be zeros.
    if -exponent <= mantissa.bit_length() and mantissa & ((1 << -exponent) - 1) == 0:
        return mantissa >> -exponent
    return None if mantissa else 0


def shortest(number: Float, bits: int) -> tuple[int, int]:
    """Return the digits, and the power of ten that they count, nearest to a float and shortest.

    As Go has it, for which the neighbour below a power of two is as far as the one above.
    """
    mantissa, exponent = number
    lost = bits - abs(mantissa).bit_length()
    # Of what is longer the last bits are zeros.
    size = abs(mantissa) << lost if lost >= 0 else abs(mantissa) >> -lost
    return _Between(size, exponent - lost - 1, bits).shortest()


class _Between:
    """The numbers that are nearer to a float than to its neighbours.

    They lie between two numbers that are odd and count half of what the float counts.
    """

    def __init__(self, size: int, scale: int, bits: int) -> None:
        self.below, self.middle, self.above = size * 2 - 1, size * 2, size * 2 + 1
        self.scale, self.bits = scale, bits
        self.closed = size % 2 == 0

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
        beyond = math.ceil((self.scale + self.bits + 4) * _LOG) + 1
        while beyond - sound > 1:
            power = (sound + beyond) // 2
            low, high = self._ends(power)
            sound, beyond = (power, beyond) if low <= high else (sound, power)
        low, high = self._ends(sound)
        over, under = self._parts(sound)
        nearest, rest = divmod(self.middle * over, under)
        # What is halfway goes to the even digit.
        nearest += 2 * rest > under or (2 * rest == under and nearest % 2 == 1)
        return min(high, max(low, nearest)), sound
