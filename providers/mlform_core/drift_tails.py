"""Tail probabilities of the distributions that tests of drift need, in plain Python."""

from __future__ import annotations

import math

_TINY = 1e-300


def chi_squared_tail(statistic: float, freedom: int) -> float:
    """Return P(X > statistic) for a chi-squared variable: the regularised upper gamma function.

    By its series or its continued fraction (Numerical Recipes, 3rd edition, §6.2).
    """
    if freedom <= 0 or statistic <= 0:
        return 1.0
    a, x = freedom / 2, statistic / 2
    scale = math.exp(-x + a * math.log(x) - math.lgamma(a))
    if x < a + 1:
        return max(1 - _series(a, x) * scale, 0.0)
    return min(scale * _fraction(a, x), 1.0)


def _series(a: float, x: float) -> float:
    term = total = 1 / a
    step = a
    while abs(term) > abs(total) * 1e-16:
        step += 1
        term *= x / step
        total += term
    return total


def _fraction(a: float, x: float) -> float:
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    fraction = d
    for i in range(1, 10_000):
        factor = -i * (i - a)
        b += 2
        d = factor * d + b
        d = 1 / (d if abs(d) > _TINY else _TINY)
        c = b + factor / c
        c = c if abs(c) > _TINY else _TINY
        fraction *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return fraction


def kolmogorov_tail(x: float) -> float:
    """Return P(K > x) for Kolmogorov's limit of sqrt(nm/(n+m)) · D."""
    if x < 0.2:
        return 1.0  # short of 1 by less than 1e-12, where the series below no longer converges
    terms = ((-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101))
    return min(max(2 * math.fsum(terms), 0.0), 1.0)
