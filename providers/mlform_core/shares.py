"""How sure a share is: of so many rows, so many."""

from __future__ import annotations

import math
from statistics import NormalDist


def bounds(share: float, of: float, alpha: float) -> tuple[float, float]:
    """Return one-sided 1 - alpha bounds of a share of ``of`` rows.

    Jeffreys' interval, exact binomial where all or none are hit (Brown, Cai & DasGupta, "Interval
    Estimation for a Binomial Proportion", 2001): resamples of 3 of 3 would all be 3 of 3.
    """
    from scipy.special import betaincinv

    a, b = _shape(share, of)
    low = 0.0 if share <= 0 else float(betaincinv(a, b, alpha))
    return low, 1.0 if share >= 1 else float(betaincinv(a, b, 1 - alpha))


def p_below(share: float, of: float, bound: float) -> float:
    """Return the one-sided p-value of "the true share is at least ``bound``", by these bounds."""
    from scipy.special import betaincc

    if share >= 1 or bound <= 0:
        return 1.0
    return float(betaincc(*_shape(share, of), min(bound, 1.0)))


def _shape(share: float, of: float) -> tuple[float, float]:
    if share <= 0:
        return 1.0, of
    return (of, 1.0) if share >= 1 else (share * of + 0.5, (1 - share) * of + 0.5)


def error(share: float, of: float) -> float:
    """Return the standard error of a share, as if a row of each kind came on top.

    So that shares of 0 and 1 have an error, too.
    """
    spread = (share * of + 1) / (of + 2)
    return math.sqrt(spread * (1 - spread) / of)


def tail(beyond: float, se: float) -> float:
    """Return the chance of being so far beyond a bound that holds (normal)."""
    if se == 0:
        return 0.0 if beyond < 0 else 1.0
    return NormalDist().cdf(beyond / se)
