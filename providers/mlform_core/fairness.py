"""How differently a binary decision treats groups, from one count of group × label × decision.

The measures are fairlearn's: a difference is the largest minus the smallest rate over groups, a
ratio the smallest over the largest; equalized odds takes the worse of true and false positives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlform_core.metrics import Floats


@dataclass(frozen=True)
class Group:
    """Counts of one group, and its rates; a rate over no rows is NaN."""

    rows: int
    selection_rate: float
    true_positive_rate: float
    false_positive_rate: float


def groups(
    codes: npt.NDArray[np.intp], names: list[str], labels: Floats, decided: npt.NDArray[np.bool_]
) -> dict[str, Group]:
    """Return each group's rates. ``codes`` are indices into ``names``; a label is 0 or 1."""
    cells = codes * 4 + (labels == 1) * 2 + decided
    counts = np.bincount(cells, minlength=4 * len(names)).reshape(-1, 2, 2)
    return {name: _rates(counts[i]) for i, name in enumerate(names)}


def group(count: Sequence[int]) -> Group:
    """Return the rates of a group of which these are counted: label (no, yes) × decision."""
    return _rates(np.asarray(count, dtype=np.intp).reshape(2, 2))


def _rates(count: npt.NDArray[np.intp]) -> Group:
    rows, chosen = int(count.sum()), int(count[:, 1].sum())
    negatives, positives = (int(n) for n in count.sum(axis=1))
    return Group(
        rows,
        chosen / rows if rows else float("nan"),
        int(count[1, 1]) / positives if positives else float("nan"),
        int(count[0, 1]) / negatives if negatives else float("nan"),
    )


def measures(found: Mapping[str, Group]) -> dict[str, float]:
    """Return the fairness measures over at least two groups.

    A group without a row of some label has no say on the rate over those rows (fairlearn counts
    that rate as 0). If nobody at all is selected the ratio is 1: the groups are treated alike.
    """
    selection = [g.selection_rate for g in found.values()]
    hits = [g.true_positive_rate for g in found.values()]
    alarms = [g.false_positive_rate for g in found.values()]
    return {
        "demographic_parity_ratio": _ratio(selection),
        "demographic_parity_difference": _difference(selection),
        "equalized_odds_ratio": min(_ratio(hits), _ratio(alarms)),
        "equalized_odds_difference": max(_difference(hits), _difference(alarms)),
        "equal_opportunity_difference": _difference(hits),
    }


def _defined(rates: list[float]) -> list[float]:
    return [rate for rate in rates if not math.isnan(rate)]


def _difference(rates: list[float]) -> float:
    known = _defined(rates)
    return max(known) - min(known) if known else 0.0


def _ratio(rates: list[float]) -> float:
    known = _defined(rates)
    return min(known) / max(known) if known and max(known) > 0 else 1.0
