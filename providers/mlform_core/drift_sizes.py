"""How large a shift is: effect sizes less what chance gives, each with a lower bound.

That something moved, and that what was seen is large, do not make it a large shift: in a small
window a harmless one is often seen large. So each size says what it is at least, by the noncentral
distribution that the statistic has where the true size is not zero (Steiger and Fouladi 1997); a
limit is broken when that is beyond it (a minimum-effect test, Murphy and Myors 1999).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, NamedTuple

from mlform_core.drift_tails import chi_squared_tail

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Counts = npt.NDArray[np.float64]

CONFIDENCE: Final = 0.9
"""Of a lower bound."""
DEVIATIONS: Final = NormalDist().inv_cdf(CONFIDENCE)
"""The same in standard errors."""
_KS_CHANCE: Final = math.sqrt(math.pi / 2) * math.log(2)
"""The mean of the Kolmogorov distribution."""


@dataclass(frozen=True)
class Likeness:
    """How much less rows tell than as many that have nothing to do with each other.

    ``effect``: the variance of a share is so many times that of independent rows (the design
    effect), as estimated from so many ``blocks``.
    """

    effect: float
    blocks: int


ALONE: Final = Likeness(1.0, 0)


class Size(NamedTuple):
    """An effect size less what chance alone gives, and what it is at least (``CONFIDENCE``)."""

    value: float
    low: float


def psi(before: Counts, now: Counts, like: Likeness = ALONE) -> Size:
    """Return the population stability index Σ (q-p) ln(q/p), less its mean under no change.

    Half a row is added to each bin so that empty ones stay finite. Never below 0.
    """
    import numpy as np

    p, q = _shares(before, now)
    return _less_chance(float(np.sum((q - p) * np.log(q / p))), before, now, like)


def jensen_shannon(before: Counts, now: Counts, like: Likeness = ALONE) -> Size:
    """Return the Jensen–Shannon distance in base 2 (0 to 1), corrected as ``psi`` is."""
    import numpy as np

    p, q = _shares(before, now)
    middle = (p + q) / 2
    divergence = float(np.sum(p * np.log(p / middle)) + np.sum(q * np.log(q / middle))) / 2
    # To second order it is an eighth of Σ (q-p)²/p, which the psi is.
    size = _less_chance(8 * divergence, before, now, like)
    value, low = (math.sqrt(one / (8 * math.log(2))) for one in size)
    return Size(value, low)


def largest(before: Counts, now: Counts, like: Likeness) -> Size:
    """Return the largest difference of a share, less the mean deviation of that share."""
    import numpy as np

    n, m = before.sum(), now.sum()
    p, q = before / n, now / m
    at = int(np.argmax(np.abs(p - q)))
    difference = float(abs(p[at] - q[at]))
    both = (before[at] + now[at]) / (n + m)
    chance = math.sqrt(2 / math.pi * both * (1 - both) / _weight(n, m, like))
    error = math.sqrt(p[at] * (1 - p[at]) / n + q[at] * (1 - q[at]) / m * like.effect)
    value = max(difference - chance, 0.0)
    return Size(value, min(max(difference - DEVIATIONS * error, 0.0), value))


def supremum(difference: float, before: int, now: int, like: Likeness) -> tuple[Size, float]:
    """Return the largest difference of distribution functions of so many rows, and as Kolmogorov's.

    Less the mean of what chance gives it is 1.7 standard errors below what was seen, or more: the
    lower bound already.
    """
    scale = math.sqrt(_weight(before, now, like))
    value = max(difference - _KS_CHANCE / scale, 0.0)
    return Size(value, value), difference * scale


def _shares(before: Counts, now: Counts) -> tuple[Counts, Counts]:
    k = len(before)
    return (before + 0.5) / (before.sum() + 0.5 * k), (now + 0.5) / (now.sum() + 0.5 * k)


def _weight(before: float, now: float, like: Likeness) -> float:
    """Return how many rows a comparison is worth: the variance of a share is p (1-p) by it."""
    return float(1 / (1 / before + like.effect / now))


def _less_chance(seen: float, before: Counts, now: Counts, like: Likeness) -> Size:
    """Correct what is Σ (q-p)²/p to second order: times the weight it is noncentral chi-squared."""
    freedom, weight = len(before) - 1, _weight(before.sum(), now.sum(), like)
    statistic = seen * weight
    value = max(seen - freedom / weight, 0.0)
    if not freedom or chi_squared_tail(statistic, freedom) >= 1 - CONFIDENCE:
        return Size(value, 0.0)
    from scipy.special import chndtrinc

    return Size(value, min(float(chndtrinc(statistic, freedom, CONFIDENCE)) / weight, value))
