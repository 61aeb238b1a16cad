"""What the tail of losses leaves open of their mean, though a sample has no large ones.

A sample that happens to lack large losses has too low a mean, too small an error and too little
skewness, all at once. How its many small losses are spread tells of the large ones.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from mlform_core.metrics import Floats

_SURE: Final = 1.645
"""Standard errors to the one-sided 95 % limit of a shape."""
_HEAVIEST: Final = 1 / 3
"""Inverse degrees of freedom that are reckoned with at most: at 1/2 there is no mean."""
_LIGHTEST: Final = 1e-3
"""Fewer are normal, as far as rows can tell."""
_LEAST: Final = 10
"""Of fewer values no shape can be told."""


def shape(values: Floats) -> tuple[float, float]:
    """Return the shape of the generalised Pareto distribution of the largest, and a 95 % limit.

    By probability-weighted moments (Hosking & Wallis 1987), of the three times √n largest, a
    fifth at most (Vehtari and others, "Pareto Smoothed Importance Sampling", 2024); the error is
    that of the most likely shape (Smith 1987). What has moments up to the m-th has a shape under
    1/m; 0 and less are light tails. Of too few values: 0, and no limit.
    """
    count = int(min(0.2 * len(values), 3 * math.sqrt(len(values))))
    if count < _LEAST:
        return 0.0, math.inf
    largest = np.sort(values)[-count - 1 :]
    above = largest[1:] - largest[0]
    weights = 1 - (np.arange(1, count + 1) - 0.35) / count
    mean, weighted = float(above.mean()), float((above * weights).mean())
    found = 2 - mean / (mean - 2 * weighted) if mean > 2 * weighted else 0.0
    return found, found + _SURE * (1 + max(found, 0.0)) / math.sqrt(count)


def missing(squares: Floats, most: float, rows: float, alpha: float) -> float:
    """Return how many times the mean of squared errors the long-run mean may be, by their tail.

    1 - alpha: that share of samples of so many ``rows`` has no lower a mean, where errors are
    Student's t. How heavy its tail is is not known: of all degrees of freedom that the squares
    leave open the fewest are taken (the most over a confidence set, as Berger & Boos 1994 do with
    p-values), by the most likely ones, and by ``most``, what the tail's shape is at most. 1 where
    the most likely errors are within a standard error of normal ones.
    """
    real = squares[squares > 0]  # a row without an error has no share in any tail
    rows *= len(real) / max(len(squares), 1)
    if len(real) < _LEAST or rows < 2:
        return 1.0
    tail = _inverse_freedom(real)
    if tail < _error(_LIGHTEST, rows):
        return 1.0
    tail = min(tail + _SURE * _error(tail, rows), most / 2, _HEAVIEST)
    return _ratio(tail, rows, alpha) if tail > 0 else 1.0


def _inverse_freedom(squares: Floats) -> float:
    """Return the most likely inverse degrees of freedom of Student's t whose squares these are.

    0 is a normal distribution, ``_HEAVIEST`` the most. For each the most likely scale is that at
    which ``share`` has the mean 1 / (freedom + 1); the derivative of its likelihood is then what
    is compared below. It rises from 0 only where the kurtosis is above 3.
    """
    from scipy.special import digamma

    scaled = squares / squares.mean()
    if float((scaled**2).mean()) <= 3:
        return 0.0
    low, high, scale = _LIGHTEST, _HEAVIEST, 1.0
    for _ in range(14):
        middle = (low + high) / 2
        freedom = 1 / middle
        for _ in range(50):
            share = scaled / (freedom * scale + scaled)
            surplus = (freedom + 1) * float(share.mean()) - 1
            slope = (freedom + 1) * float((share * (1 - share)).mean())
            step = min(max(surplus / slope, -1.0), 1.0)
            scale *= math.exp(step)
            if abs(step) < 1e-6:
                break
        spread = float(np.log1p(scaled / (freedom * scale)).mean())
        if spread > digamma((freedom + 1) / 2) - digamma(freedom / 2):
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _error(tail: float, rows: float) -> float:
    """Return its standard error, by the expected information (Lange, Little & Taylor 1989)."""
    from scipy.special import polygamma

    of = 1 / tail
    own = (polygamma(1, of / 2) - polygamma(1, (of + 1) / 2)) / 4
    own -= (of + 5) / (2 * of * (of + 1) * (of + 3))
    return float(tail**2 / np.sqrt(rows * (own - 2 / (of * (of + 1) ** 2 * (of + 3)))))


def _ratio(tail: float, rows: float, alpha: float) -> float:
    """Return the mean of squares of Student's t over the lower quantile of that of ``rows``.

    By a saddlepoint (Daniels 1987, in the form of Barndorff-Nielsen): below the mean it needs the
    Laplace transform alone, which exists whatever moments do not.
    """
    from scipy.special import ndtr

    of, at = 1 / tail, np.linspace(-9, 9, 1201)
    value = np.exp(at - np.exp(-at))  # the double exponential rule from 0 to infinity
    weights = value * (1 + np.exp(-at)) * np.exp(-(of + 1) / 2 * np.log1p(value**2 / of))
    weights /= weights.sum()
    squares = value**2 * (of - 2) / of
    low, high, mean = -14.0, 4.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        lever = math.exp(middle)
        tilted = weights * np.exp(-lever * squares)
        whole = float(tilted.sum())
        mean = float(tilted @ squares) / whole
        varies = float(tilted @ squares**2) / whole - mean**2
        root = -math.sqrt(max(-2 * rows * (lever * mean + math.log(whole)), 1e-12))
        moved = -lever * math.sqrt(rows * varies)
        if ndtr(root + math.log(moved / root) / root) > alpha:
            low = middle
        else:
            high = middle
    return 1 / mean
