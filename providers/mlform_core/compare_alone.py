"""Bounds of a metric of one model by formula: average precision, shares, means of losses.

They are one-sided at 1 - alpha. Rows of one group count as one piece of evidence.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from mlform_core import compare_tails, shares
from mlform_core.metrics import Floats, Outcomes

_NO_SKEWNESS: Final = 1 / 3
"""From this shape of their tail on, losses have no skewness that could be allowed for."""
_NO_VARIANCE: Final = 1 / 2
"""From this on not even a variance."""
_STRAIGHT: Final = 1e-6
"""Less skewness than this bends nothing."""


def average_precision(it: Outcomes, alpha: float) -> tuple[float, float, float]:
    """Return bounds of the average precision, and its standard error.

    A 1 that counts itself makes its own precision too high. By the other rows (groups) alone it
    is unbiased: the mean of these is the centre. Its error is that of the rows' influences (the
    infinitesimal jackknife of Jaeckel 1972; of each 1 with two rows fewer, as the jackknife
    proper has it), and its bounds are those of its log odds (Boyd, Eng & Page, "Area under the
    Precision-Recall Curve: Point Estimates and Confidence Intervals", 2013), by Student's t with
    as many degrees of freedom as there are 1s, less one.
    """
    from scipy.special import expit, logit, stdtrit

    y, own = it.labels, it.units
    place = np.unique(-it.predictions, return_inverse=True)[1]
    ones, rows = np.count_nonzero(y), np.ones(it.rows)
    backed = len(np.unique(own[y == 1]))
    if backed < 2 or ones == it.rows:
        return float("nan"), float("nan"), float("nan")
    hits, chosen = (_up_to(place, values) for values in (y, rows))
    inside = _up_to(place, rows, own)
    others, apart = hits - _up_to(place, y, own), chosen - inside
    precision = np.where(apart > 0, others / np.maximum(apart, 1), hits / chosen)
    centre = float(precision @ y) / ones
    fewer = apart - inside
    shares = np.where(fewer > 0, y / np.maximum(fewer, 1), 0.0)
    below = [
        _up_to(-place, values) - _up_to(-place, values, own)
        for values in (shares, shares * precision)
    ]
    influence = (y * (precision - centre + below[0]) - below[1]) / ones
    each = np.bincount(own, influence)
    error = math.sqrt(len(each) * each.var(ddof=1))
    if not 0 < centre < 1:  # apart, or nothing in front: rows do not say how sure that is
        return centre, centre, error
    reach = float(stdtrit(backed - 1, 1 - alpha)) * error / (centre * (1 - centre))
    odds = logit(centre)
    return float(expit(odds - reach)), float(expit(odds + reach)), error


def _up_to(
    place: npt.NDArray[np.intp], values: Floats, units: npt.NDArray[np.intp] | None = None
) -> Floats:
    """Return for each row the sum over those at its place or before, of its unit where told."""
    first = place - place.min()
    size = int(first.max()) + 1
    keys = first if units is None else units * size + first
    cells, at = np.unique(keys, return_inverse=True)
    sums = np.concatenate([[0.0], np.bincount(at, values).cumsum()])
    before = sums[np.searchsorted(cells, cells - cells % size)]
    return np.asarray((sums[1:] - before)[at])


def share(
    hit: Floats, counted: Floats, it: Outcomes, alpha: float
) -> tuple[float, float, float, float]:
    """Return bounds of a share of the rows that count, its standard error, and of how many it is.

    Rows of groups are worth as many independent ones as would vary as much (the design effect of
    Kish 1965), no more than there are.
    """
    own, rows = it.units, float(counted.sum())
    if not rows:
        return float("nan"), float("nan"), float("nan"), 0.0
    part = float(hit @ counted) / rows
    off = np.bincount(own, counted * (hit - part))
    units = len(np.unique(own[counted > 0]))
    varies = float(off @ off) * units / max(units - 1, 1)
    worth = float(units)
    if units < rows and varies > 0:
        worth = min(rows, max(part * (1 - part) * rows**2 / varies, 1.0))
    return *shares.bounds(part, worth, alpha), shares.error(part, worth), worth


def mean(
    losses: Floats, it: Outcomes, alpha: float, *, squares: bool = False
) -> tuple[float, float, float, float]:
    """Return bounds of the mean of losses, its standard error, and the shape of too heavy a tail.

    Hall, "On the Removal of Skewness by Transformation" (1992): a cubic of the t-statistic that
    inverts in closed form. A few large losses make the mean skew, and quantiles of resamples have
    that skewness on the wrong side. Where the tail is so heavy that there is no such skewness in
    the long run, rows seldom have the largest losses at all, and the upper bound holds less often
    than it says. That of ``squares`` of errors is at least what the errors' tail leaves open, and
    holds where squares have a variance. A tail that bounds allow for is told as 0.
    """
    from scipy.special import stdtrit

    known = np.isfinite(losses)
    own = np.unique(it.units[known], return_inverse=True)[1]
    sums = np.asarray(np.bincount(own, losses[known]), dtype=np.float64)
    sizes, units, rows = np.bincount(own), len(sums), max(int(known.sum()), 1)
    middle = float(sums.sum()) / rows
    off = (sums - middle * sizes) * units / rows
    if units < 2:
        return float("nan"), float("nan"), float("nan"), 0.0
    spread = float(off.std())
    if spread == 0:
        return middle, middle, 0.0, 0.0
    skew, root = float((off**3).mean()) / spread**3, math.sqrt(units)
    step = float(stdtrit(units - 1, 1 - alpha)) / root

    def moved(t: float) -> float:
        if abs(skew) < _STRAIGHT:
            return t
        return 3 / skew * (float(np.cbrt(1 + skew * (t - skew / (6 * units)))) - 1)

    error = spread * root / math.sqrt(units - 1)
    low, high = max(middle - error * moved(step), 0.0), middle - error * moved(-step)
    tail, most = compare_tails.shape(sums)
    if squares:
        worth = _worth(losses[known], error / root)
        high = max(high, middle * compare_tails.missing(losses[known], most, worth, alpha))
    heavy = tail > (_NO_VARIANCE if squares else _NO_SKEWNESS)
    return low, high, error / root, tail if heavy else 0.0


def _worth(losses: Floats, error: float) -> float:
    """Return of how many independent rows the mean would have that error, of all at most."""
    return float(min(len(losses), losses.var() / error**2 + 1))
