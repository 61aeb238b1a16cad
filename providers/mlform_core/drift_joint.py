"""Drift of all inputs together: how well a classifier tells what is asked now from the reference.

Columns may each be as they were and yet go together as they never did. A classifier is trained to
tell rows of the window from rows of the reference, and asked about rows it was not trained on
(Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017): an area under the ROC
curve of 0.5 says that nothing can be told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlform.sdk import Artifact, Context, Handle
from mlform_core import profiles, tables
from mlform_core.compare import placements, seed_of
from mlform_core.drift import BLOCK, MOST_BLOCKS
from mlform_core.metrics import Floats, Outcomes

ROWS: Final = 5000
"""Of the reference that are kept, and of a window that are looked at."""
_LEAST: Final = 1000
_TIMES: Final = 2
_FOLDS: Final = 5
_TREES: Final = 60
_LEAF: Final = 5


@dataclass(frozen=True)
class Apart:
    """How well rows of a window are told from the reference.

    ``auc``: 0.5 where they are not, 1 where always; ``p``: the chance of as much if nothing moved;
    ``columns``: by which they are told, the most telling first.
    """

    auc: float
    p: float
    columns: Sequence[str]


def sample(ctx: Context, data: Handle, split: str | None, names: Sequence[str]) -> Artifact:
    """Keep some rows of a table: drawn by the digest of the table, so the same each time."""
    frame = tables.read_table(ctx, data, names, split)
    chance = np.random.default_rng(seed_of("sample", data.digest))
    drawn = frame.iloc[chance.permutation(len(frame))[:ROWS]]
    return tables.write_table(ctx, drawn.reset_index(drop=True))


def apart(
    reference: pd.DataFrame, window: pd.DataFrame, known: Mapping[str, profiles.Profile]
) -> Apart:
    """Compare rows of the same columns, those of the window in the order in which they came.

    Folds of the window are runs of rows, and its rows count by blocks: rows that came together may
    be alike, and a classifier that has seen one would know the others.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    window = window[:ROWS]
    # More would take longer and tell little: what is uncertain is the window.
    reference = reference[: max(_LEAST, _TIMES * len(window))]
    names = list(window.columns)
    before, now = (_coded(frame, known) for frame in (reference, window))
    chance = np.random.default_rng(seed_of("apart", str(len(window))))
    folds = chance.permutation(len(before)) % _FOLDS, np.arange(len(now)) * _FOLDS // len(now)
    ours = np.empty(len(now))
    theirs, weights = np.empty(len(before)), np.zeros(len(names))
    for fold in range(_FOLDS):
        out = [place == fold for place in folds]
        rows = np.concatenate([before[~out[0]], now[~out[1]]])
        labels = np.repeat([0, 1], [int((~out[0]).sum()), int((~out[1]).sum())])
        trees = ExtraTreesClassifier(
            _TREES, min_samples_leaf=_LEAF, class_weight="balanced", random_state=fold
        ).fit(rows, labels)
        weights += trees.feature_importances_
        said = [
            trees.predict_proba(side[mine])[:, 1]
            for side, mine in zip((before, now), out, strict=True)
        ]
        truth = np.repeat([0.0, 1.0], [len(s) for s in said])
        found = placements(Outcomes("binary", truth, np.concatenate(said)))
        ours[out[1]], theirs[out[0]] = found
    auc = float(ours.mean())
    se = math.hypot(_error(ours), float(theirs.std(ddof=1)) / math.sqrt(len(theirs)))
    p = NormalDist().cdf((0.5 - auc) / se) if se else float(auc <= 0.5)
    order = np.argsort(-weights, kind="stable")
    return Apart(auc, p, [names[i] for i in order[:3]])


def _error(values: Floats) -> float:
    """Return the standard error of a mean of rows that may be alike, by the means of blocks."""
    block = max(BLOCK, len(values) // MOST_BLOCKS)
    means = [part.mean() for part in np.array_split(values, max(len(values) // block, 2))]
    blocks = float(np.std(means, ddof=1)) / math.sqrt(len(means))
    return max(blocks, float(values.std(ddof=1)) / math.sqrt(len(values)))


def _coded(frame: pd.DataFrame, known: Mapping[str, profiles.Profile]) -> npt.NDArray[np.float64]:
    """Return rows as numbers: values of numeric columns, the rank of frequency of others."""
    columns = []
    for name in frame.columns:
        profile = known[name]
        if profile["kind"] == "numeric":
            edges = np.asarray(profile["edges"])
            numbers = profiles.numbers(frame[name], profile)
            codes = np.searchsorted(edges, numbers).astype(np.float64)
            columns.append(np.where(np.isnan(numbers), -1.0, codes))
            continue
        place = {value: float(at) for at, value in enumerate(profile["counts"])}
        texts = frame[name].astype(object)
        codes = np.array([place.get(str(v), float(len(place))) for v in texts])
        columns.append(np.where(texts.isna().to_numpy(), -1.0, codes))
    return np.column_stack(columns)
