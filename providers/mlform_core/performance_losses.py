"""Performance of regressions without labels: how large errors are where the inputs lie now.

Direct loss estimation, which NannyML made known: a second model learns the loss of each row that
the gate held out, from its inputs and from what was predicted, and is asked of rows whose labels
nobody knows. It sees that inputs have moved to where errors are larger, and is blind to a change
of what inputs mean (concept drift) and to what lies beyond all that it learned from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mlform.sdk import ResourceError
from mlform_core import skops_files
from mlform_core.columns import conform
from mlform_core.compare import seed_of
from mlform_core.metrics import Floats, Outcomes, relative_errors
from mlform_core.performance import LOSSES
from mlform_core.performance_figures import figure

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.ensemble import RandomForestRegressor

LEAST_ROWS: Final = 1000
"""Of the gate, to learn from."""
MOST_ROWS: Final = 20_000
"""Of the gate that are learned from: from there on a window is less sure than what was learned."""
FOLDS: Final = 10
SIGNED: Final = "signed"
_TREES: Final = 10
"""Of a fold: with half as many folds differ by chance, and a third of the alarms is lost."""
_LEAF: Final = 20
_LEAVES: Final = 400
"""Rows of a leaf, at least, and how many leaves there are at most."""
_BINS: Final = 10
_TEXTS: Final = 1000
"""Values of a column that are told apart; all rarer ones count as missing."""
_LARGEST: Final = float(np.finfo(np.float32).max)
"""What trees take."""
_REACH: Final = NormalDist().inv_cdf(0.95)


@dataclass(frozen=True)
class Learned:
    """The losses of a model, learned from rows that it was not trained on.

    ``folds``: forests that say how large ``losses`` are, in ``units``, each from the rows of all
    folds but one. Of the rows learned from: ``labels``, ``predictions``, and ``expected``, what
    the forest says that has not seen the row (losses × rows). ``skill``: by the name of a loss
    the share of its deviance that this explains.
    """

    features: Sequence[Mapping[str, str]]
    texts: Mapping[str, Sequence[str]]
    """By the name of a column of texts its values, the most frequent first."""
    losses: Sequence[str]
    units: Floats
    folds: Sequence[RandomForestRegressor]
    labels: Floats
    predictions: Floats
    expected: Floats
    skill: Mapping[str, float]

    def of(self, frame: pd.DataFrame, predictions: Floats) -> Expected:
        """Say of rows how large their losses should be."""
        rows = _matrix(frame, predictions, self.features, self.texts)
        said = np.stack([_said(forest, rows, self.units) for forest in self.folds], axis=1)
        return Expected(self, predictions, dict(zip(self.losses, said, strict=True)))

    def dumps(self) -> bytes:
        """Return it as bytes that ``loads`` takes."""
        return skops_files.dumps(dict(vars(self)))


def loads(data: bytes) -> Learned:
    """Return what ``Learned.dumps`` wrote. Raises ``BundleError``."""
    return Learned(**skops_files.loads(data))


@dataclass(frozen=True)
class Expected:
    """Rows with what was predicted, and how large their losses should be (folds × rows)."""

    learned: Learned
    predictions: Floats
    losses: Mapping[str, Floats]

    def where(self, rows: npt.NDArray[np.intp]) -> Expected:
        """Return some of the rows."""
        found = {name: each[:, rows] for name, each in self.losses.items()}
        return Expected(self.learned, self.predictions[rows], found)


def learn(
    frame: pd.DataFrame,
    features: Sequence[Mapping[str, str]],
    outcomes: Outcomes,
    metrics: Sequence[str],
) -> Learned:
    """Learn what ``metrics`` rest on. Raises ``ResourceError`` where nothing can be learned.

    ``frame``: raw columns of the rows of ``outcomes``.
    """
    if outcomes.rows < LEAST_ROWS:
        raise _unknowable(
            f"The gate held out {outcomes.rows:,} rows; learning from them how large errors are "
            f"takes {LEAST_ROWS:,}."
        )
    chance = np.random.default_rng(seed_of("losses"))
    drawn = np.sort(chance.permutation(outcomes.rows)[:MOST_ROWS])
    some, kept = frame.iloc[drawn], outcomes.where(drawn)
    texts = {f["name"]: _frequent(some, f) for f in features if f["type"] == "string"}
    rows = _matrix(some, kept.predictions, features, texts)
    places = chance.permutation(len(drawn)) % FOLDS
    names = list(dict.fromkeys(loss for metric in metrics for loss in LOSSES[metric]))
    real = np.array([_losses(kept.labels, kept.predictions)[name] for name in names])
    units = np.abs(real).mean(axis=1)
    if not (units > 0).all():
        raise _unknowable("The model makes no error on the rows of the gate to learn from.")
    folds, expected = [], np.empty_like(real)
    for fold in range(FOLDS):
        known = places != fold
        folds.append(_forest(rows[known], real[:, known].T / units, len(rows)))
        expected[:, ~known] = _said(folds[-1], rows[~known], units)
    skill = {
        name: _skill(name, losses / unit, found / unit)
        for name, losses, found, unit in zip(names, real, expected, units, strict=True)
        if name != SIGNED
    }
    labels, predictions = kept.labels, kept.predictions
    return Learned(features, texts, names, units, folds, labels, predictions, expected, skill)


def _forest(rows: Floats, losses: Floats, all_rows: int) -> RandomForestRegressor:
    """Return trees that say of a row the mean loss of rows like it.

    Each sees all rows, so that their mean is that of the rows, and half of the columns at a time.
    """
    from sklearn.ensemble import RandomForestRegressor

    leaf = max(_LEAF, all_rows // _LEAVES)
    forest = RandomForestRegressor(
        _TREES, min_samples_leaf=leaf, max_features=0.5, bootstrap=False, random_state=0
    )
    return forest.fit(rows, losses if losses.shape[1] > 1 else losses[:, 0])


def _said(forest: RandomForestRegressor, rows: Floats, units: Floats) -> Floats:
    """Return the losses of rows to be expected (losses × rows)."""
    return np.asarray(forest.predict(rows).reshape(len(rows), -1).T * units[:, None])


def _skill(name: str, losses: Floats, expected: Floats) -> float:
    """Return the share of the deviance of a loss that inputs explain. ``ResourceError`` if none."""
    from sklearn.metrics import d2_tweedie_score

    skill = float(d2_tweedie_score(losses, np.maximum(expected, 1e-9), power=1))
    if skill <= 0:
        raise _unknowable(
            f"Nothing in the inputs tells how large the {name} error of a row is (of its deviance "
            f"on rows left out {skill:.1%} are explained): an estimate would say of every window "
            "what the gate said."
        )
    return round(skill, 4)


def _unknowable(why: str) -> ResourceError:
    return ResourceError("Performance cannot be estimated", why, argument="release")


def _frequent(frame: pd.DataFrame, feature: Mapping[str, str]) -> list[str]:
    """Return the values of a column of texts, the most frequent first."""
    column = conform(frame, [feature])[feature["name"]]
    return [str(value) for value in column.value_counts().index[:_TEXTS]]


def _matrix(
    frame: pd.DataFrame,
    predictions: Floats,
    features: Sequence[Mapping[str, str]],
    texts: Mapping[str, Sequence[str]],
) -> Floats:
    """Return rows as numbers, texts by their rank, with what was predicted as the last column."""
    columns = []
    for name, column in conform(frame, features).items():
        if name in texts:
            place = {value: float(at) for at, value in enumerate(texts[str(name)])}
            columns.append(column.map(place).to_numpy(dtype=np.float64))
        else:
            columns.append(column.to_numpy(dtype=np.float64))
    rows = np.column_stack([*columns, predictions])
    rows[~(np.abs(rows) <= _LARGEST)] = np.nan
    return rows


def _losses(labels: Floats, predictions: Floats) -> dict[str, Floats]:
    """Return each loss of rows by its name."""
    errors = labels - predictions
    return {
        "absolute": np.abs(errors),
        "squared": errors**2,
        "relative": relative_errors(labels, predictions),
        SIGNED: errors,
    }


def estimate(metric: str, expected: Expected) -> dict[str, Any]:
    """Return a metric as it would be expected, with a standard error and 90 % bounds.

    The error is that of what is expected: rows vary, and what was learned would be another
    without a tenth of the rows it was learned from (a grouped jackknife). The bounds are those of
    the metric that labels would give: the loss of each row varies, too, about what is expected
    of it, as it did where it was learned.
    """
    learned, rows = expected.learned, len(expected.predictions)
    centre = float(learned.labels.mean())
    terms = _terms(metric, expected.predictions - centre, expected.losses)
    value, slopes = _of_means(metric, terms.mean(axis=(1, 2)))
    folds = np.array([_of_means(metric, fold)[0] for fold in terms.mean(axis=2).T])
    each = terms.mean(axis=1)
    variance = float((slopes @ each).var()) / rows
    variance += (FOLDS - 1) / FOLDS * float(((folds - folds.mean()) ** 2).sum())
    noise = _noise(metric, learned, slopes, each[0], centre)
    reach = _REACH * math.sqrt(variance + float(noise.mean()) / rows)
    return figure(value, math.sqrt(variance), (value - reach, value + reach), rows)


def _terms(metric: str, predictions: Floats, losses: Mapping[str, Floats]) -> Floats:
    """Return what a metric is made of means of (terms × … × rows): its loss before all else.

    R² takes labels and their squares, too: what was predicted and the error.
    """
    first = losses[LOSSES[metric][0]]
    if metric != "r2":
        return first[None]
    labels = predictions + losses[SIGNED]
    squares = predictions * (predictions + 2 * losses[SIGNED]) + first
    return np.stack([first, labels, squares])


def _of_means(metric: str, means: Floats) -> tuple[float, Floats]:
    """Return a metric from the means of its terms, and its slope along each."""
    first = float(means[0])
    if metric == "rmse":
        root = math.sqrt(first)
        return root, np.array([0.5 / root if root else 0.0])
    if metric != "r2":
        return first, np.ones(1)
    spread = float(means[2] - means[1] ** 2)
    if spread <= 0:
        return float("nan"), np.full(3, np.nan)
    slopes = np.array([-1 / spread, -2 * first * means[1] / spread**2, first / spread**2])
    return 1 - first / spread, slopes


def _noise(metric: str, learned: Learned, slopes: Floats, sizes: Floats, centre: float) -> Floats:
    """Return the variance of each row about what is expected of it.

    Where as large a loss was expected (a tenth of the rows learned from), in its proportion.
    """
    p = learned.predictions - centre
    real = _terms(metric, p, _losses(learned.labels, learned.predictions))
    said = _terms(metric, p, dict(zip(learned.losses, learned.expected, strict=True)))
    beside = (slopes @ (real - said)) ** 2
    edges = np.quantile(said[0], np.arange(1, _BINS) / _BINS)
    places = np.searchsorted(edges, said[0])
    above = np.bincount(places, beside, _BINS)
    below = np.bincount(places, said[0] ** 2, _BINS)
    share = np.divide(above, below, out=np.zeros(_BINS), where=below > 0)
    return np.asarray(share[np.searchsorted(edges, sizes)] * sizes**2)
