"""Metrics as functions of row weights, so that one definition gives estimate and bootstrap.

A metric is *prepared* once for the labels and predictions (sorted, where it needs ranks) and
then evaluated for any number of weight vectors at once. Weights of one give the estimate; the
counts of a bootstrap sample give its replicate, without sorting again. Values agree with
scikit-learn's functions with ``sample_weight``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mlform_core.gate_rules import METRICS, Task, named

Floats: TypeAlias = npt.NDArray[np.float64]
Groups: TypeAlias = npt.NDArray[np.intp]
Score: TypeAlias = Callable[[Floats], Floats]
"""Weights (replicates × rows) → the metric for each replicate; NaN where it is not defined."""

ECE_BINS = 15


@dataclass(frozen=True)
class Outcomes:
    """Labels and predictions, row by row.

    ``labels``: 0 or 1 (binary), the class's index (multiclass), the value (regression).
    ``predictions``: the probability of class 1, of each class (rows × classes), the value.
    """

    task: Task
    labels: Floats
    predictions: Floats
    groups: Groups | None = None
    """Which rows belong together: 0, 1, …, without a gap."""
    scale: Floats | None = None
    """The mean absolute error of a naive forecast of each row's series; NaN where it has none."""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.labels)

    @property
    def units(self) -> Groups:
        """Which rows count as one piece of evidence: those of a group, or each by itself."""
        return np.arange(self.rows) if self.groups is None else self.groups

    def where(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Outcomes:
        """Return some of the rows."""
        groups = None if self.groups is None else np.unique(self.groups[rows], return_inverse=True)
        return Outcomes(
            self.task,
            self.labels[rows],
            self.predictions[rows],
            None if groups is None else groups[1].astype(np.intp),
            None if self.scale is None else self.scale[rows],
        )


def prepare(metric: str, outcomes: Outcomes, threshold: float = 0.5) -> Score:
    """Return ``metric`` over these rows as a function of weights.

    ``threshold``: a probability of at least this is decided for class 1 (binary accuracy,
    precision, recall, f1). Raises ``ValueError`` if the metric is not defined for the task.
    """
    name, number = named(metric)
    if name not in METRICS or outcomes.task not in METRICS[name].tasks:
        raise ValueError(f"{metric} is not defined for {outcomes.task}")
    y, p = outcomes.labels, outcomes.predictions
    if name in LOSSES:
        losses = losses_of(metric, outcomes)
        mean = _known_mean(losses) if name == "mase" else _mean(losses)
        return (lambda weights: np.sqrt(mean(weights))) if name == "rmse" else mean
    if METRICS[name].needs is not None:
        return _prepared(name, number, outcomes)
    if metric in _RANKED:
        return _RANKED[metric](y, p)
    if outcomes.task == "regression":
        return _r2(y, p)
    if outcomes.task == "multiclass":
        return _MULTICLASS[metric](y, p)
    if metric == "ece":
        return _ece(y, p)
    return _decided(metric, y, (p >= threshold).astype(np.float64))


def _prepared(name: str, number: float | None, outcomes: Outcomes) -> Score:
    """Return a metric that needs more than labels and predictions. Raises ``ValueError``."""
    from mlform_core import metrics_ranking

    y, p = outcomes.labels, outcomes.predictions
    if name in metrics_ranking.METRICS:
        if outcomes.groups is None:
            raise ValueError(f"{name} ranks within groups, and there are none")
        most = None if number is None else int(number)
        each = metrics_ranking.METRICS[name](y, p, outcomes.groups, most)
        return metrics_ranking.mean_of(each, outcomes.groups)
    return _mean((y <= p).astype(np.float64))


LOSSES: Final = frozenset({"log_loss", "brier", "rmse", "mae", "smape", "mase", "pinball"})
"""Metrics that are a mean over rows, of ``rmse`` the root of it."""


def losses_of(metric: str, it: Outcomes) -> Floats:
    """Return the loss of each row by one of ``LOSSES``; NaN where it is not known.

    Raises ``ValueError`` where the metric needs what the rows do not have.
    """
    (name, number), y, p = named(metric), it.labels, it.predictions
    if name == "log_loss":
        # scikit-learn clips at the same distance from 0 and 1.
        eps = float(np.finfo(np.float64).eps)
        clipped = np.clip(p, eps, 1 - eps)
        if it.task == "multiclass":
            return np.asarray(-np.log(clipped[np.arange(len(y)), y.astype(np.intp)]))
        return -np.where(y == 1, np.log(clipped), np.log1p(-clipped))
    if name in {"brier", "rmse"}:
        return np.asarray((y - p) ** 2)
    if name == "smape":
        return relative_errors(y, p)
    if name == "pinball":
        assert number is not None, "a quantile is named"
        return np.maximum(number * (y - p), (number - 1) * (y - p))
    if name == "mase" and it.scale is None:
        raise ValueError("mase needs to know how the series lie in the table")
    return np.abs(y - p) / (1.0 if it.scale is None or name == "mae" else it.scale)


SHARES: Final = frozenset({"accuracy", "precision", "recall", "coverage", "f1"})
"""Metrics that are a share of some of the rows; of ``f1`` the share j by which it is 2 j / (1 + j).

That is Jaccard's: of the rows that are 1s or decided for, those that are both.
"""


def share_of(metric: str, it: Outcomes, threshold: float) -> tuple[Floats, Floats]:
    """Return which rows are hit, and which count, of one of ``SHARES``."""
    y, p, all_of = it.labels, it.predictions, np.ones(it.rows)
    if it.task == "regression":
        return (y <= p).astype(np.float64), all_of
    if it.task == "multiclass":
        return _right(y, p), all_of
    decided = (p >= threshold).astype(np.float64)
    if metric == "accuracy":
        return (y == decided).astype(np.float64), all_of
    if metric == "f1":
        return y * decided, np.maximum(y, decided)
    return (y, decided) if metric == "precision" else (decided, y)


def _known_mean(losses: Floats) -> Score:
    """Return the mean over the rows whose loss is known."""
    known = np.isfinite(losses)
    filled, counted = np.where(known, losses, 0.0), known.astype(np.float64)
    return _sums([filled, counted], lambda s: _divide(s[:, 1], s[:, 2]))


def value(metric: str, outcomes: Outcomes, threshold: float = 0.5) -> float:
    """Return ``metric`` over these rows; NaN where it is not defined (one class only)."""
    if outcomes.rows == 0:
        return float("nan")
    return float(prepare(metric, outcomes, threshold)(np.ones((1, outcomes.rows)))[0])


def _divide(above: Floats, below: Floats, empty: float = np.nan) -> Floats:
    out = np.full(above.shape, empty)
    np.divide(above, below, out=out, where=below > 0)
    return out


def _sums(columns: Sequence[Floats], finish: Callable[[Floats], Floats]) -> Score:
    """Return a metric that depends on weighted sums of ``columns`` alone."""
    stacked = np.column_stack([np.ones(len(columns[0])), *columns])
    return lambda weights: finish(weights @ stacked)


def _mean(losses: Floats) -> Score:
    return _sums([losses], lambda s: _divide(s[:, 1], s[:, 0]))


def _ece(y: Floats, p: Floats) -> Score:
    """Return the expected calibration error: 15 equally wide bins over P(class 1).

    Guo et al. (2017), "On Calibration of Modern Neural Networks", in its binary form.
    """
    bins = _ece_bins(p)
    gaps = np.zeros((len(y), ECE_BINS))
    gaps[np.arange(len(y)), bins] = y - p
    columns = [gaps[:, i] for i in range(ECE_BINS)]
    return _sums(columns, lambda s: _divide(np.abs(s[:, 1:]).sum(axis=1), s[:, 0]))


def _ece_bins(p: Floats) -> Groups:
    return np.minimum((p * ECE_BINS).astype(np.intp), ECE_BINS - 1)


def ece_by_chance(outcomes: Outcomes) -> float:
    """Return how large the ECE of these rows would be if the probabilities were right.

    It sums what bins are off by, which of few rows is never nothing: of each the mean of a normal
    error's size. Bröcker & Smith (2007), "Increasing the Reliability of Reliability Diagrams",
    draw labels for this.
    """
    bins, error = _ece_bins(outcomes.predictions), outcomes.labels - outcomes.predictions
    cells, place = np.unique(bins + ECE_BINS * outcomes.units, return_inverse=True)
    sums = np.bincount(place, error)
    spread = np.bincount(cells % ECE_BINS, sums**2, ECE_BINS)
    return float(np.sqrt(2 / np.pi * spread).sum() / max(outcomes.rows, 1))


def _decided(metric: str, y: Floats, decided: Floats) -> Score:
    if metric == "accuracy":
        return _mean((y == decided).astype(np.float64))

    def finish(s: Floats) -> Floats:
        hits, chosen, positive = s[:, 1], s[:, 2], s[:, 3]
        below = {"precision": chosen, "recall": positive, "f1": (chosen + positive) / 2}
        return _divide(hits, below[metric], empty=0.0)

    return _sums([y * decided, decided, y], finish)


def _accuracy(y: Floats, p: Floats) -> Score:
    return _mean(_right(y, p))


def _right(y: Floats, p: Floats) -> Floats:
    return np.asarray(p.argmax(axis=1) == y, dtype=np.float64)


def _macro_f1(y: Floats, p: Floats) -> Score:
    """Mean F1 over the classes that occur among labels or decisions."""
    classes = p.shape[1]
    truth = np.eye(classes)[y.astype(np.intp)]
    decided = np.eye(classes)[p.argmax(axis=1)]

    def score(weights: Floats) -> Floats:
        seen = weights @ truth + weights @ decided
        f1 = _divide(2 * (weights @ (truth * decided)), seen, empty=0.0)
        return _divide(f1.sum(axis=1), (seen > 0).sum(axis=1).astype(np.float64))

    return score


def relative_errors(y: Floats, p: Floats) -> Floats:
    """Return 2 |y - p| / (|y| + |p|) of each row, 0 where both are: between 0 and 2."""
    return _divide(2 * np.abs(y - p), np.abs(y) + np.abs(p), empty=0.0)


def _r2(y: Floats, p: Floats) -> Score:
    # Centred first: the difference of raw sums of squares would cancel.
    centred = y - y.mean()

    def finish(s: Floats) -> Floats:
        spread = s[:, 3] - _divide(s[:, 2] ** 2, s[:, 0])
        return 1 - _divide(s[:, 1], spread)

    return _sums([(y - p) ** 2, centred, centred**2], finish)


@dataclass(frozen=True)
class _Ranking:
    """Rows in the order of their predictions; ``ends`` are the last rows of runs of equals."""

    order: npt.NDArray[np.intp]
    ends: npt.NDArray[np.intp] | None
    ones: Floats

    @classmethod
    def of(cls, y: Floats, p: Floats) -> _Ranking:
        """Rank ``p``, the largest first."""
        order = np.argsort(-p, kind="stable")
        ranked = p[order]
        ends = np.flatnonzero(np.concatenate([ranked[1:] != ranked[:-1], [True]]))
        return cls(order, None if len(ends) == len(p) else ends, y[order])

    def counts(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Return at each threshold: 1s at it, 1s up to it, rows up to it."""
        ranked = weights.take(self.order, axis=1)
        chosen = ranked.cumsum(axis=1)
        ranked *= self.ones
        if self.ends is None:
            return ranked, ranked.cumsum(axis=1), chosen
        hits = ranked.cumsum(axis=1).take(self.ends, axis=1)
        return np.diff(hits, axis=1, prepend=0.0), hits, chosen.take(self.ends, axis=1)


def _roc_auc(y: Floats, p: Floats) -> Score:
    """Return the area under the ROC curve: P(score of a 1 > score of a 0), half for ties."""
    ranking = _Ranking.of(y, p)

    def score(weights: Floats) -> Floats:
        positive, hits, chosen = ranking.counts(weights)
        ones = hits[:, -1].copy()
        zeros = chosen[:, -1] - ones
        alarms = np.subtract(chosen, hits, out=chosen)
        # Each 1 beats the 0s ranked after it, and ties with those at its own threshold.
        lost = np.einsum("ij,ij->i", positive, alarms)
        if ranking.ends is not None:
            lost += np.einsum("ij,ij->i", positive[:, 1:], alarms[:, :-1])
            lost /= 2
        return _divide(ones * zeros - lost, ones * zeros)

    return score


def _average_precision(y: Floats, p: Floats) -> Score:
    """Return the sum over thresholds of precision × the rise in recall."""
    ranking = _Ranking.of(y, p)

    def score(weights: Floats) -> Floats:
        positive, hits, chosen = ranking.counts(weights)
        precision = np.divide(hits, chosen, out=hits, where=chosen > 0)
        total = np.einsum("ij,ij->i", positive, precision)
        return _divide(total, positive.sum(axis=1))

    return score


_Prepare: TypeAlias = Callable[[Floats, Floats], Score]
_RANKED: dict[str, _Prepare] = {"roc_auc": _roc_auc, "average_precision": _average_precision}
_MULTICLASS: dict[str, _Prepare] = {"accuracy": _accuracy, "macro_f1": _macro_f1}
