"""How far current data have moved from a reference profile: effect sizes, and evidence.

An effect alone cries wolf in small windows, a p-value alone in large ones (PSI > 0.2 fires in every
drift-free check of 200 rows; p < 0.05 in over a third at any size). An alarm wants both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from mlform_core import profiles
from mlform_core.drift_sizes import ALONE, Likeness, Size, jensen_shannon, largest, psi, supremum
from mlform_core.drift_tails import chi_squared_tail, kolmogorov_tail

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Counts = npt.NDArray[np.float64]

Method: TypeAlias = Literal["psi", "js", "ks"]

LEAST_EXPECTED: Final = 10.0
"""Values that the window should hold fewer of share one bin: so a window has ten rows a bin."""
BLOCK: Final = 10
"""Rows that come together and may be alike: a household, a batch."""
MOST_BLOCKS: Final = 50
_MOST_NEW: Final = 5


@dataclass(frozen=True)
class Shift:
    """One column, then and now.

    ``value`` is the effect size of the method, less what chance alone gives, and ``low`` what it
    is at least (90 %); ``p`` the chance of what was seen if nothing moved. Missing values are
    shares of the rows, with a p of their own. ``new`` counts values the reference does not know,
    the most frequent first.
    """

    column: str
    method: Method
    value: float
    low: float
    p: float
    rows: int
    missing_before: float
    missing: float
    missing_p: float
    new: Mapping[str, int]


def shift(reference: profiles.Profile, name: str, values: pd.Series[Any], method: Method) -> Shift:
    """Compare a column, its rows in the order in which they came, with its reference profile."""
    current = profiles.column(values, reference)
    return compare(reference, name, current, method, likeness(reference, current, values))


def compare(
    reference: profiles.Profile,
    name: str,
    current: profiles.Profile,
    method: Method,
    like: Likeness = ALONE,
) -> Shift:
    """Compare two profiles of a column; the bins are the reference's.

    psi: population stability index over its deciles; js: Jensen–Shannon distance (base 2) over
    the same; both with missing values as a bin of their own, and chi-squared as evidence. ks:
    largest difference of the distribution functions on the reference's grid, missing values
    above all others, with Kolmogorov's limit as evidence; of a categorical column the largest
    difference of a value's share, with chi-squared. Raises ``ValueError`` if one side is numeric
    and the other is not. ``like``: how alike current rows are that come together, which tell less
    than as many that have nothing to do with each other.
    """
    if reference["kind"] != current["kind"]:
        raise ValueError(f'"{name}" was {reference["kind"]} and is {current["kind"]}')
    before, now = bins(reference, current)
    if not reference["rows"] or not current["rows"]:
        size, p = Size(0.0, 0.0), 1.0
    elif method == "ks" and reference["kind"] == "numeric":
        size, p = _ks(reference, current, like)
    else:
        size = {"psi": psi, "js": jensen_shannon, "ks": largest}[method](before, now, like)
        p = chi_squared_p(before, now, like)
    rows, missing = current["rows"], current["missing"]
    return Shift(
        column=name,
        method=method,
        value=size.value,
        low=size.low,
        p=p,
        rows=rows,
        missing_before=_share(reference["missing"], reference["rows"]),
        missing=_share(missing, rows),
        missing_p=missing_p(reference, current),
        new=_new(reference, current),
    )


def bin_names(reference: profiles.Profile, current: profiles.Profile) -> list[str]:
    """Return what each bin of ``bins`` holds."""
    if reference["kind"] == "numeric":
        edges = [reference["edges"][at] for at in _cuts(reference)] if reference["edges"] else []
        names = [*(f"≤ {edge:.4g}" for edge in edges), "above" if edges else "any"]
    else:
        names = [*_named(reference, current), "others"]
    before, now = _all_bins(reference, current)
    pairs = zip([*names, "missing"], (before + now) > 0, strict=True)
    return [name for name, used in pairs if used]


def likeness(
    reference: profiles.Profile, current: profiles.Profile, values: pd.Series[Any]
) -> Likeness:
    """Return how alike rows are that came together, by how much blocks of them differ.

    Blocks of ``BLOCK`` rows, or a ``MOST_BLOCKS``-th of all, are the clusters of Rao and Scott
    (1981): the mean design effect over the bins, at least 1.
    """
    import numpy as np

    rows = len(values)
    block = max(BLOCK, rows // MOST_BLOCKS)
    if rows < 2 * block:
        return ALONE
    codes = _codes(reference, current, values)
    number = np.arange(rows) // block
    blocks, kinds = int(number[-1]) + 1, int(codes.max()) + 1
    counts = np.bincount(number * kinds + codes, minlength=blocks * kinds).reshape(blocks, kinds)
    share = counts.sum(axis=0) / rows
    used = (share > 0) & (share < 1)
    if used.sum() < 2:
        return ALONE
    apart = counts - counts.sum(axis=1, keepdims=True) * share
    seen = blocks / (blocks - 1) * (apart**2).sum(axis=0)[used] / rows**2
    alone = (share * (1 - share))[used] / rows
    effect = float(((1 - share[used]) * seen / alone).sum() / (used.sum() - 1))
    return Likeness(max(effect, 1.0), blocks)


def _codes(
    reference: profiles.Profile, current: profiles.Profile, values: pd.Series[Any]
) -> npt.NDArray[np.intp]:
    """Return the bin of each value, as ``bins`` has them; the last is for missing ones."""
    import numpy as np

    if reference["kind"] == "numeric":
        edges = np.asarray(reference["edges"])[_cuts(reference)]
        numbers = profiles.numbers(values, reference)
        codes = np.searchsorted(edges, numbers)
        return np.where(np.isnan(numbers), len(edges) + 1, codes)
    place = {value: at for at, value in enumerate(_named(reference, current))}
    texts = values.astype(object)
    codes = np.array([place.get(str(v), len(place)) for v in texts], dtype=np.intp)
    return np.where(texts.isna().to_numpy(), len(place) + 1, codes)


def _cuts(reference: profiles.Profile) -> npt.NDArray[np.intp]:
    """Return which edges of the reference are its deciles."""
    import numpy as np

    total = sum(reference["counts"])
    below = np.cumsum(reference["counts"])[:-1]
    at = np.unique(np.searchsorted(below, np.arange(1, 10) * total / 10))
    return at[at < len(below)]


def _named(reference: profiles.Profile, current: profiles.Profile) -> list[str]:
    """Return the values that have a bin of their own.

    Rare values share a bin with unknown ones: else a column of identifiers, where every value is
    new each time, would always have moved.
    """
    ratio = current["rows"] / max(reference["rows"], 1)
    return [v for v, n in reference["counts"].items() if n * ratio >= LEAST_EXPECTED]


def bins(reference: profiles.Profile, current: profiles.Profile) -> tuple[Counts, Counts]:
    """Return the counts of both sides over the same bins, the last being missing values.

    Numeric: between the reference's deciles. Categorical: a bin for each value that the current
    rows should hold at least ``LEAST_EXPECTED`` of, and one for all the rest.
    """
    before, now = _all_bins(reference, current)
    used = (before + now) > 0
    return before[used], now[used]


def _all_bins(reference: profiles.Profile, current: profiles.Profile) -> tuple[Counts, Counts]:
    import numpy as np

    if reference["kind"] == "numeric":
        before, now = _deciles(reference, current)
    else:
        before, now = _values(reference, current)
    before = np.append(before, reference["missing"]).astype(np.float64)
    return before, np.append(now, current["missing"]).astype(np.float64)


def _deciles(reference: profiles.Profile, current: profiles.Profile) -> tuple[Counts, Counts]:
    import numpy as np

    total, have = sum(reference["counts"]), sum(current["counts"])
    if not reference["edges"]:
        return np.array([0.0]), np.array([float(have)])
    below = np.cumsum(reference["counts"])[:-1]
    at = _cuts(reference)
    before = np.diff(below[at].astype(np.float64), prepend=0.0, append=total)
    now = np.diff(_ranks(reference, current)[at], prepend=0.0, append=have)
    return before, now


def _ranks(reference: profiles.Profile, current: profiles.Profile) -> Counts:
    """Return how many current values lie at or below each edge of the reference."""
    import numpy as np

    if current["edges"] == reference["edges"]:
        return np.cumsum(current["counts"])[:-1].astype(np.float64)
    return profiles.ranks(current, np.asarray(reference["edges"], dtype=np.float64))


def _values(reference: profiles.Profile, current: profiles.Profile) -> tuple[Counts, Counts]:
    import numpy as np

    named = _named(reference, current)
    before = [reference["counts"][v] for v in named]
    now = [current["counts"].get(v, 0) for v in named]
    before.append(reference["rows"] - reference["missing"] - sum(before))
    now.append(current["rows"] - current["missing"] - sum(now))
    return np.asarray(before, dtype=np.float64), np.asarray(now, dtype=np.float64)


def _ks(
    reference: profiles.Profile, current: profiles.Profile, like: Likeness
) -> tuple[Size, float]:
    import numpy as np

    n, m = reference["rows"], current["rows"]
    below = np.cumsum(reference["counts"]).astype(np.float64)
    now = np.append(_ranks(reference, current), sum(current["counts"]))
    difference = float(np.max(np.abs(below / n - now / m)))
    size, statistic = supremum(difference, n, m, like)
    return size, kolmogorov_tail(statistic)


def chi_squared_p(before: Counts, now: Counts, like: Likeness = ALONE) -> float:
    """Return the p-value of the two-sample chi-squared test of homogeneity.

    Where rows are alike the statistic is less by their design effect, and F-distributed, as that
    is an estimate itself (Rao and Scott 1984; Thomas and Rao 1987).
    """
    import numpy as np

    n, m = before.sum(), now.sum()
    both = before + now
    expected = both * (m / (n + m))
    others = both * (n / (n + m))
    statistic = float(np.sum((now - expected) ** 2 / expected + (before - others) ** 2 / others))
    freedom = len(before) - 1
    if like.effect == 1 or not freedom:
        return chi_squared_tail(statistic, freedom)
    from scipy.special import fdtrc

    less = (like.effect / m + 1 / n) / (1 / m + 1 / n)
    ratio = statistic / less / freedom
    return float(fdtrc(freedom, freedom * (like.blocks - 1), ratio))


def missing_p(reference: profiles.Profile, current: profiles.Profile) -> float:
    """Return the p-value of the test that both sides miss the same share of values."""
    import numpy as np

    sides = [(p["missing"], p["rows"] - p["missing"]) for p in (reference, current)]
    before, now = (np.asarray(side, dtype=np.float64) for side in sides)
    if not before.sum() or not now.sum() or ((before + now) == 0).any():
        return 1.0
    return chi_squared_p(before, now)


def _new(reference: profiles.Profile, current: profiles.Profile) -> dict[str, int]:
    if reference["kind"] == "numeric" or reference["other"]:
        return {}
    found = [(v, n) for v, n in current["counts"].items() if v not in reference["counts"]]
    return dict(found[:_MOST_NEW])


def _share(part: int, rows: int) -> float:
    return part / rows if rows else 0.0
