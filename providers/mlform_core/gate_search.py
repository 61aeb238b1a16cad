"""Slices that nobody named, and in which a model is weak: all are tried, and all count.

A search that looks at many slices finds a bad one by chance. Every slice that was tried is in the
correction (Holm), so that a search on a candidate no worse anywhere finds anything at most as
often as ``alpha`` says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlform_core.gate_conditions import Search
from mlform_core.gate_groups import Codes, grouped
from mlform_core.gate_rules import Check
from mlform_core.holm import holm
from mlform_core.metrics import Floats, Groups, Outcomes, losses_of

_MOST_CELLS: Final = 2_000_000
_ROUNDING: Final = 1e-9
"""Of a mean: far below any effect, above what rounding does to values that are all the same."""
_NOTHING: Final = 1e-300


@dataclass(frozen=True)
class Found:
    """One slice: its rows, and how its mean is above the bound."""

    columns: tuple[str, ...]
    cell: tuple[str, ...]
    rows: int
    mean: float
    z: float
    p: float

    @property
    def name(self) -> str:
        """What people call it."""
        return ", ".join(f"{c}={v}" for c, v in zip(self.columns, self.cell, strict=True))

    def within(self, other: Found) -> bool:
        """Tell whether all of it lies in another."""
        mine = dict(zip(self.columns, self.cell, strict=True))
        theirs = zip(other.columns, other.cell, strict=True)
        return self != other and all(mine.get(c) == v for c, v in theirs)


def losses(outcomes: Outcomes) -> Floats:
    """Return the loss of each row: log loss, or the squared error."""
    return losses_of("rmse" if outcomes.task == "regression" else "log_loss", outcomes)


def searched(
    values: Floats,
    columns: Mapping[str, pd.Series[Any]],
    rules: Search,
    bound: float,
    groups: Groups | None = None,
) -> list[Found]:
    """Return every slice tried, each with its p-value adjusted, the strongest evidence first.

    Rows of one of the ``groups`` are one piece of evidence (Liang & Zeger 1986).
    """
    codes = {name: grouped(column) for name, column in columns.items()}
    tried = list(_tried(values, codes, rules, bound, groups))
    adjusted = holm([it.p for it in tried])
    judged = [
        Found(it.columns, it.cell, it.rows, it.mean, it.z, p)
        for it, p in zip(tried, adjusted, strict=True)
    ]
    return sorted(judged, key=lambda it: (-it.z, it.name))


def _tried(
    values: Floats,
    codes: Mapping[str, tuple[Codes, list[str]]],
    rules: Search,
    bound: float,
    groups: Groups | None,
) -> Iterator[Found]:
    from scipy.special import stdtr

    for depth in range(1, min(rules.depth, len(codes)) + 1):
        for names in combinations(codes, depth):
            sizes = [len(codes[n][1]) for n in names]
            if math.prod(sizes) > _MOST_CELLS:
                continue
            cells: npt.NDArray[np.intp] = np.zeros(len(values), dtype=np.intp)
            for name, size in zip(names, sizes, strict=True):
                cells = cells * size + codes[name][0]
            count = np.bincount(cells, minlength=math.prod(sizes))
            means = np.bincount(cells, values, minlength=len(count)) / np.maximum(count, 1)
            units, squares = _spread(values - means[cells], cells, groups, len(count))
            for cell in np.flatnonzero((count >= rules.min_support) & (count < len(values))):
                rows, mean, free = int(count[cell]), float(means[cell]), int(units[cell]) - 1
                if free < 1:
                    continue
                error = math.sqrt(squares[cell] * (free + 1) / free) / rows
                z = (mean - bound) / max(error, _ROUNDING * max(abs(mean), abs(bound)), _NOTHING)
                said = tuple(
                    codes[n][1][i]
                    for n, i in zip(names, np.unravel_index(cell, sizes), strict=True)
                )
                yield Found(names, said, rows, mean, z, float(stdtr(free, -z)))


def _spread(
    off: Floats, cells: Codes, groups: Groups | None, size: int
) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return for each cell how many units are in it, and the sum of their squared deviations."""
    if groups is None:
        of, deviations = cells, off
    else:
        most = int(groups.max(initial=0)) + 1
        units, place = np.unique(cells * most + groups, return_inverse=True)
        of, deviations = units // most, np.asarray(np.bincount(place, off), dtype=np.float64)
    squares = np.asarray(np.bincount(of, deviations**2, size), dtype=np.float64)
    return np.bincount(of, minlength=size), squares


def search_checks(
    ours: Outcomes,
    theirs: Outcomes | None,
    columns: Mapping[str, pd.Series[Any]],
    rules: Search,
) -> tuple[list[Check], dict[str, Any]]:
    """Return a check for each slice found, one in all where there is none; and the record."""
    own = losses(ours)
    word = "squared error" if ours.task == "regression" else "log loss"
    overall = float(own.mean())
    weak = searched(own, columns, rules, overall, ours.groups)
    record: dict[str, Any] = {
        "loss": word,
        "overall": overall,
        "tried": len(weak),
        "weakest": [_told(it) for it in _strongest(weak, rules)],
    }
    if theirs is None:
        message = f"{len(weak)} slices searched: no baseline to compare with"
        return [_check(rules, word, "", len(own), "pass", message)], record
    lost = own - losses(theirs)
    found = _strongest(searched(lost, columns, rules, rules.max_regress, ours.groups), rules)
    record |= {"lost": [_told(it) for it in found]}
    if not found:
        message = f"{len(weak)} slices searched: none lost more than {rules.max_regress:g} {word}"
        return [_check(rules, word, "", len(own), "pass", message)], record
    return [
        _check(
            rules,
            word,
            it.name,
            it.rows,
            "fail",
            f"{it.name}: lost {it.mean:.4f} {word} > max_regress {rules.max_regress:g} "
            f"(p {it.p:.2g} among {len(weak)} slices)",
        ).model_copy(update={"gain": -it.mean, "p": it.p})
        for it in found
    ], record


def _strongest(found: Sequence[Found], rules: Search) -> list[Found]:
    """Return the slices that there is evidence against, the strongest of each nest."""
    kept: list[Found] = []
    for it in found:
        if it.p < rules.alpha and not any(it.within(k) or k.within(it) for k in kept):
            kept.append(it)
    return kept[: rules.most]


def _told(it: Found) -> dict[str, Any]:
    return {"slice": it.name, "rows": it.rows, "mean": it.mean, "p": it.p}


def _check(rules: Search, word: str, name: str, rows: int, outcome: Any, message: str) -> Check:
    return Check(
        check="search",
        metric=word.replace(" ", "_"),
        slice=name or None,
        threshold=rules.max_regress,
        support=rows,
        outcome=outcome,
        message=message,
    )
