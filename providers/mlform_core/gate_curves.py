"""What a verdict looks like: curves of a few points, made of labels and predictions."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mlform_core.metrics import Floats, Outcomes

_POINTS: Final = 120
"""Points of a curve: more than a picture shows."""
_BINS: Final = 10
_BARS: Final = 20
_CLASSES: Final = 12
"""So many classes have a matrix that can be read."""


def curves(outcomes: Outcomes) -> dict[str, Any]:
    """Return the curves of a task as plain data; what is not defined on these rows is missing."""
    if outcomes.task == "binary":
        return _binary(outcomes)
    if outcomes.task == "multiclass":
        return _confusion(outcomes)
    return _regression(outcomes)


def _binary(it: Outcomes) -> dict[str, Any]:
    y, p = it.labels, it.predictions
    found: dict[str, Any] = {"calibration": _calibration(y, p), "scores": _scores(y, p)}
    if 0 < y.sum() < len(y):
        found |= _ranked(y, p)
    return found


def _ranked(y: Floats, p: Floats) -> dict[str, Any]:
    """Return the ROC curve and precision over recall, a point for each different score."""
    order = np.argsort(-p, kind="stable")
    scores, labels = p[order], y[order]
    last = np.flatnonzero(np.append(np.diff(scores) != 0, [True]))
    hits = np.cumsum(labels)[last]
    alarms = (last + 1) - hits
    recall, false = hits / hits[-1], alarms / alarms[-1]
    precision = hits / (last + 1)
    roc = np.column_stack([np.append([0], false), np.append([0], recall)])
    return {
        "roc": _thinned(roc),
        "precision_recall": _thinned(np.column_stack([recall, precision])),
    }


def _thinned(points: Floats) -> list[list[float]]:
    """Return at most so many points, the ends among them."""
    if len(points) > _POINTS:
        points = points[np.linspace(0, len(points) - 1, _POINTS).round().astype(np.intp)]
    return [[round(float(x), 5), round(float(y), 5)] for x, y in points]


def _calibration(y: Floats, p: Floats) -> list[dict[str, float]]:
    """Return, for bins of equally many rows, the mean prediction, and the rate with its bounds.

    The bounds are Wilson's (1927) at 95 %.
    """
    edges = np.unique(np.quantile(p, np.linspace(0, 1, _BINS + 1)))
    bins = np.searchsorted(edges[1:-1], p, side="right")
    found = []
    for number in range(max(1, len(edges) - 1)):
        inside = bins == number
        rows = int(inside.sum())
        if rows:
            rate = float(y[inside].mean())
            low, high = wilson(rate, rows)
            mean = float(p[inside].mean())
            found.append({"mean": mean, "rate": rate, "low": low, "high": high, "rows": rows})
    return found


def wilson(rate: float, rows: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the bounds of a share that was ``rate`` among so many rows."""
    centre = rate + z * z / (2 * rows)
    reach = z * float(np.sqrt(rate * (1 - rate) / rows + z * z / (4 * rows * rows)))
    below = 1 + z * z / rows
    return max(0.0, (centre - reach) / below), min(1.0, (centre + reach) / below)


def _scores(y: Floats, p: Floats) -> dict[str, list[int]]:
    edges = np.linspace(0, 1, _BARS + 1)
    return {
        name: np.histogram(p[y == label], edges)[0].tolist()
        for name, label in (("no", 0), ("yes", 1))
    }


def _confusion(it: Outcomes) -> dict[str, Any]:
    """Return how often each class was taken for each, rows being what is true."""
    classes = it.predictions.shape[1]
    if classes > _CLASSES:
        return {}
    decided = it.predictions.argmax(axis=1)
    cells = it.labels.astype(np.intp) * classes + decided
    counts = np.bincount(cells, minlength=classes * classes)
    return {"confusion": counts.reshape(classes, classes).tolist()}


def _regression(it: Outcomes) -> dict[str, Any]:
    y, p = it.labels, it.predictions
    edges = np.unique(np.quantile(p, np.linspace(0, 1, _BARS + 1)))
    bins = np.searchsorted(edges[1:-1], p, side="right")
    found = []
    for number in range(max(1, len(edges) - 1)):
        inside = bins == number
        if inside.any():
            low, high = np.quantile(y[inside], [0.1, 0.9])
            mean, actual = float(p[inside].mean()), float(y[inside].mean())
            row = {"mean": mean, "rate": actual, "low": float(low), "high": float(high)}
            found.append({**row, "rows": int(inside.sum())})
    residuals = y - p
    low, high = np.quantile(residuals, [0.005, 0.995])
    counts, at = np.histogram(residuals, np.linspace(low, high if high > low else low + 1, 31))
    return {"predicted": found, "residuals": {"edges": at.tolist(), "counts": counts.tolist()}}
