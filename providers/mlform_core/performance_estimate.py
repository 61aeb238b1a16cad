"""Performance without labels: what the metrics are worth if the probabilities are right.

Confidence-based performance estimation: Białek, Kuberski, Perrakis and Bifet, "We don't need no
labels" (2024, arXiv:2401.08348), in the simple form that NannyML made known. A row
whose calibrated probability is c counts c as a yes and 1 - c as a no. It sees that inputs have
moved to where the model is less sure, and is blind to a change of what inputs mean (concept
drift).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlform.sdk import ResourceError
from mlform_core.compare import seed_of
from mlform_core.metrics import Floats, Outcomes, prepare, value
from mlform_core.performance_figures import figure, uncalibrated

LEAST_ROWS: Final = 1000
"""Of the gate, to calibrate on."""
MOST_ERROR: Final = 0.05
"""The expected calibration error, beyond which probabilities say nothing."""
_RESAMPLES: Final = 400
_CHUNK: Final = 1_000_000
"""Weights held at once."""


@dataclass(frozen=True)
class Believed:
    """What a model said of rows, and how probable a yes is by that."""

    predictions: Floats
    chances: Floats

    @classmethod
    def of(cls, predictions: Floats, calibration: Mapping[str, Any]) -> Believed:
        """Calibrate what a model said."""
        return cls(predictions, np.interp(predictions, calibration["x"], calibration["y"]))

    def where(self, rows: npt.NDArray[np.intp]) -> Believed:
        """Return some of the rows."""
        return Believed(self.predictions[rows], self.chances[rows])


def calibration(outcomes: Outcomes) -> dict[str, Any]:
    """Return how to calibrate: a line through ``x`` and ``y``, by isotonic regression.

    ``error`` is the expected calibration error of rows by a line through the others (two folds).
    Raises ``ResourceError`` where the rows are too few or the error too large.
    """
    y, p = outcomes.labels, outcomes.predictions
    if len(y) < LEAST_ROWS or len(np.unique(y)) < 2:
        detail = (
            f"The gate held out {len(y):,} rows; calibrating takes {LEAST_ROWS:,}, of both classes."
        )
        raise ResourceError("Performance cannot be estimated", detail, argument="release")
    fold = np.random.default_rng(0).permutation(len(y)) % 2
    apart = np.empty(len(y))
    for one in (0, 1):
        knots = _isotonic(p[fold != one], y[fold != one])
        apart[fold == one] = np.interp(p[fold == one], *knots)
    error = value("ece", Outcomes("binary", y, apart))
    if error > MOST_ERROR:
        raise uncalibrated(error, MOST_ERROR)
    x, fitted = _isotonic(p, y)
    return {"x": x.round(7).tolist(), "y": fitted.round(7).tolist(), "error": round(error, 5)}


def _isotonic(p: Floats, y: Floats) -> tuple[Floats, Floats]:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, y)
    return fitted.X_thresholds_, fitted.y_thresholds_


def estimate(metric: str, believed: Believed, threshold: float, seed: str) -> dict[str, Any]:
    """Return a metric as it would be expected, with a standard error and 90 % bounds.

    The bounds are those of the metric that labels would give: rows are drawn anew, and a label
    for each.
    """
    p, chances = believed.predictions, believed.chances
    rows = len(p)
    both = Outcomes("binary", np.repeat([1.0, 0.0], rows), np.concatenate([p, p]))
    score = prepare(metric, both, threshold)
    expected = float(score(np.concatenate([chances, 1 - chances])[None, :])[0])
    random = np.random.default_rng(seed_of(seed, metric))
    size = max(1, min(_RESAMPLES, _CHUNK // (2 * rows)))
    found = []
    for start in range(0, _RESAMPLES, size):
        count = min(size, _RESAMPLES - start)
        drawn = np.array(
            [np.bincount(random.integers(0, rows, rows), minlength=rows) for _ in range(count)]
        )
        ones = random.binomial(drawn, chances)
        found.append(score(np.concatenate([ones, drawn - ones], axis=1).astype(np.float64)))
    replicates = np.concatenate(found)
    defined = replicates[np.isfinite(replicates)]
    if len(defined) < _RESAMPLES / 2:
        return figure(expected, float("nan"), (float("nan"), float("nan")), rows)
    low, high = (float(end) for end in np.quantile(defined, [0.05, 0.95]))
    return figure(expected, float(defined.std(ddof=1)), (low, high), rows)
