"""How well rows are ranked within groups: the documents of a query, the offers for a customer.

A label above 0 is relevant; as a number it says how much (``ndcg``). Each metric is one number a
group, and the mean over groups; a group without anything relevant has none, and is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mlform_core.metrics import Floats, Groups, Score

Ranked: TypeAlias = Callable[[Floats, Floats, Groups, int | None], Floats]
"""Labels, predictions, groups, how many of the first count → the metric of each group, or NaN."""


def mean_of(each: Floats, groups: Groups) -> Score:
    """Return the mean over groups as a function of row weights, equal within each group."""
    known = np.isfinite(each)
    first = np.unique(groups, return_index=True)[1]
    filled = np.where(known, each, 0.0)

    def score(weights: Floats) -> Floats:
        drawn = weights[:, first] * known
        total = drawn.sum(axis=1)
        out = np.full(len(weights), np.nan)
        np.divide(drawn @ filled, total, out=out, where=total > 0)
        return out

    return score


def _ndcg(y: Floats, p: Floats, groups: Groups, most: int | None) -> Floats:
    """Return the normalised discounted cumulative gain: labels over log2(1 + rank).

    Rows of equal predictions share the mean of their discounts (McSherry and Najork, 2008), as in
    scikit-learn's ``ndcg_score``.
    """
    order = np.lexsort((-p, groups))
    discounts = _discounts(groups[order], most)
    ranked, of = p[order], groups[order]
    starts = np.concatenate([[True], (ranked[1:] != ranked[:-1]) | (of[1:] != of[:-1])])
    runs = np.cumsum(starts) - 1
    shared = np.bincount(runs, discounts) / np.bincount(runs)
    count = int(groups.max(initial=-1)) + 1
    found = np.bincount(of, y[order] * shared[runs], minlength=count)
    best = np.lexsort((-y, groups))
    ideal = np.bincount(groups[best], y[best] * discounts, minlength=count)
    return _ratio(found, ideal)


def _average_precision(y: Floats, p: Floats, groups: Groups, most: int | None) -> Floats:
    """Take the mean precision at relevant rows; of equal predictions these come last.

    With ``most``, over the relevant rows among the first so many, by how many could be there.
    """
    relevant, of, rank = _pessimistic(y, p, groups)
    hits = _within(relevant.astype(np.float64), of)
    counted = relevant if most is None else relevant & (rank <= most)
    count = int(groups.max(initial=-1)) + 1
    found = np.bincount(of, np.where(counted, hits / rank, 0.0), minlength=count)
    total = np.bincount(of, relevant, minlength=count)
    return _ratio(found, total if most is None else np.minimum(total, most))


def _reciprocal_rank(y: Floats, p: Floats, groups: Groups, most: int | None) -> Floats:
    """Return one by the rank of the first relevant row; 0 where it comes too late."""
    relevant, of, rank = _pessimistic(y, p, groups)
    count = int(groups.max(initial=-1)) + 1
    first = np.full(count, np.inf)
    np.minimum.at(first, of[relevant], rank[relevant])
    found = np.where(first <= (np.inf if most is None else most), 1 / first, 0.0)
    return np.where(np.isfinite(first), found, np.nan)


def _pessimistic(
    y: Floats, p: Floats, groups: Groups
) -> tuple[npt.NDArray[np.bool_], Groups, Floats]:
    """Return relevance, group and rank of the rows, ranked within groups."""
    relevant = y > 0
    order = np.lexsort((relevant, -p, groups))
    of = groups[order]
    return relevant[order], of, _within(np.ones(len(of)), of)


def _within(values: Floats, of: Groups) -> Floats:
    """Return the running sum within each group; rows of a group lie together."""
    total = np.cumsum(values)
    starts = np.flatnonzero(np.concatenate([[True], of[1:] != of[:-1]])) if len(of) else of
    before = np.concatenate([[0.0], total])[starts]
    lengths = np.diff(np.append(starts, len(of)))
    return np.asarray(total - np.repeat(before, lengths))


def _discounts(of: Groups, most: int | None) -> Floats:
    rank = _within(np.ones(len(of)), of)
    found = 1 / np.log2(rank + 1)
    return found if most is None else np.where(rank <= most, found, 0.0)


def _ratio(above: npt.NDArray[Any], below: npt.NDArray[Any]) -> Floats:
    out = np.full(len(above), np.nan)
    np.divide(above, below, out=out, where=below > 0)
    return out


METRICS: Final[Mapping[str, Ranked]] = {
    "ndcg": _ndcg,
    "map": _average_precision,
    "mrr": _reciprocal_rank,
}
