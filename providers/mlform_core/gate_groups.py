"""Judging a model group by group: slices with Holm's correction, and fairness."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlform_core import compare, fairness
from mlform_core.compare import Gain, Pair
from mlform_core.gate_rules import Check, FairnessRules, Slices
from mlform_core.holm import holm
from mlform_core.metrics import Outcomes, value

Codes: TypeAlias = npt.NDArray[np.intp]

_BINS = 4
_MANY_VALUES = 20
_LISTED = 20
_MISSING = "(missing)"


@dataclass(frozen=True)
class Case:
    """What is judged: rows with labels, as both models see them, and the columns that group them.

    ``columns`` has those rows in the same order. ``seed`` fixes the resampling.
    """

    candidate: Outcomes
    baseline: Outcomes | None
    columns: pd.DataFrame
    seed: str
    checkpoint: Callable[[], None]
    labelled: npt.NDArray[np.bool_] | None = None
    """Which of all rows of the part these are."""


@dataclass(frozen=True)
class _Suspicion:
    """One bound on one slice: how sure it is that the bound is broken."""

    bound: str
    limit: float
    pair: Pair
    gain: Gain
    p: float


def number(found: float) -> float | None:
    """Return ``found`` as JSON can hold it."""
    return found if math.isfinite(found) else None


def grouped(column: pd.Series[Any]) -> tuple[Codes, list[str]]:
    """Return each row's group, and the groups' names in a fixed order."""
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > _MANY_VALUES:
        return _quartiles(column.to_numpy(dtype=np.float64, na_value=np.nan))
    codes, values = pd.factorize(column, sort=True)
    names = [str(v) for v in values]
    if (codes < 0).any():
        codes = np.where(codes < 0, len(names), codes)
        names.append(_MISSING)
    return codes.astype(np.intp), names


def _quartiles(values: npt.NDArray[np.float64]) -> tuple[Codes, list[str]]:
    known = np.isfinite(values)
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, _BINS + 1)))
    codes = np.searchsorted(edges[1:-1], values, side="right")
    names = [f"[{a:g}, {b:g})" for a, b in pairwise(edges.tolist())]
    names[-1] = names[-1].removesuffix(")") + "]"
    if not known.all():
        codes = np.where(known, codes, len(names))
        names.append(_MISSING)
    return codes.astype(np.intp), names


def slices(columns: pd.DataFrame, by: Sequence[str | list[str]]) -> Iterator[tuple[str, Codes]]:
    """Yield each slice's name and its rows; every row is in one slice of each entry of ``by``."""
    for entry in by:
        names = [""]
        codes = np.zeros(len(columns), dtype=np.intp)
        for column in [entry] if isinstance(entry, str) else entry:
            more, values = grouped(columns[column])
            crossed = codes * len(values) + more
            present, codes = np.unique(crossed, return_inverse=True)
            names = [
                f"{names[c // len(values)]}, {column}={values[c % len(values)]}".lstrip(", ")
                for c in present
            ]
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(names)))
        for name, rows in zip(names, np.split(order, ends[:-1]), strict=True):
            yield name, np.sort(rows)


def slice_checks(
    case: Case, rules: Slices, threshold: float
) -> tuple[list[Check], list[dict[str, Any]]]:
    """Return the checks of all slices, and their numbers for the record."""
    checks: list[Check] = []
    small: list[tuple[str, int]] = []
    record: list[dict[str, Any]] = []
    suspicions: list[tuple[str, _Suspicion]] = []
    for name, rows in slices(case.columns, rules.by):
        if len(rows) < rules.min_support:
            small.append((name, len(rows)))
            continue
        ours = case.candidate.where(rows)
        theirs = case.baseline.where(rows) if case.baseline is not None else None
        record.append({"slice": name, "rows": len(rows), "metrics": {}})
        seed = compare.seed_of(case.seed, name)
        pairs = {m: Pair(m, ours, theirs, threshold) for m in rules.metrics()}
        for metric in rules.metrics():
            numbers = {"candidate": number(value(metric, ours, threshold))}
            if theirs is not None:
                numbers["baseline"] = number(value(metric, theirs, threshold))
            record[-1]["metrics"][metric] = numbers
            if numbers["candidate"] is None:
                pairs.pop(metric)
                checks.append(_undefined(metric, name, len(rows)))
        found = _suspicions(list(pairs.values()), rules, seed, case.checkpoint)
        suspicions += [(name, s) for s in found]
        if theirs is None:
            checks += [
                _no_baseline(m, name, len(rows), rules) for m in rules.max_regress if m in pairs
            ]
    adjusted = holm([s.p for _, s in suspicions])
    judged = zip(suspicions, adjusted, strict=True)
    checks = [*(_judged(name, s, p, rules.alpha) for (name, s), p in judged), *checks]
    return [*checks, *_small(small, rules)], record


def _suspicions(
    pairs: Sequence[Pair], rules: Slices, seed: int, checkpoint: Callable[[], None]
) -> list[_Suspicion]:
    """Test every bound on one slice."""
    asked: list[tuple[str, float, float, Pair]] = []
    for pair in pairs:
        alone = Pair(pair.metric, pair.candidate, None, pair.threshold)
        if pair.metric in rules.max_regress and pair.baseline is not None:
            limit = rules.max_regress[pair.metric]
            asked.append(("max_regress", limit, -limit, pair))
        for bound, limits in (("min", rules.min), ("max", rules.max)):
            if (limit_or := limits.get(pair.metric)) is not None:
                asked.append((bound, limit_or, pair.sign * limit_or, alone))
    resampled = [p for _, _, _, p in asked if not _by_formula(p)]
    gains = iter(compare.paired_bootstrap(resampled, rules.alpha, seed, checkpoint))
    found = []
    for bound, limit, signed, pair in asked:
        gain = (
            compare.delong(pair.candidate, pair.baseline, rules.alpha)
            if _by_formula(pair)
            else next(gains)
        )
        found.append(_Suspicion(bound, limit, pair, gain, compare.p_below(gain, signed)))
    return found


def _by_formula(pair: Pair) -> bool:
    """Tell whether rows that are independent are compared by area."""
    return pair.metric == "roc_auc" and pair.candidate.groups is None


def _judged(name: str, found: _Suspicion, p: float, alpha: float) -> Check:
    pair, gain = found.pair, found.gain
    bad = p < alpha
    metric = pair.metric
    estimate = value(metric, pair.candidate, pair.threshold)
    compared = pair.baseline is not None
    what = f"gain {pair.estimate:+.4f}" if compared else f"{estimate:.4f}"
    tested = math.isfinite(gain.se)
    verdict = "breaks" if bad else "keeps"
    message = f"{metric} {what} {verdict} {found.bound} {found.limit:g} (p {p:.2g})"
    if gain.doubt:
        message += f"; {gain.doubt}"
    if not tested:
        message = f"{metric}: too few rows of one class to test {found.bound} {found.limit:g}"
    return Check(
        check="slice",
        metric=metric,
        slice=name,
        estimate=number(estimate),
        baseline=number(value(metric, pair.baseline, pair.threshold)) if pair.baseline else None,
        gain=number(pair.estimate) if compared else None,
        low=number(gain.low if pair.sign > 0 or compared else -gain.high),
        high=number(gain.high if pair.sign > 0 or compared else -gain.low),
        p=p,
        threshold=found.limit,
        support=pair.candidate.rows,
        outcome="skipped" if not tested else "fail" if bad else "pass",
        message=f"{name}: {message}",
    )


def _undefined(metric: str, name: str, rows: int) -> Check:
    return Check(
        check="slice",
        metric=metric,
        slice=name,
        support=rows,
        outcome="skipped",
        message=f"{name}: {metric} is not defined, all {rows} labels are equal",
    )


def _no_baseline(metric: str, name: str, rows: int, rules: Slices) -> Check:
    return Check(
        check="slice",
        metric=metric,
        slice=name,
        threshold=rules.max_regress[metric],
        support=rows,
        outcome="pass",
        message=f"{name}: {metric}: no baseline to compare with",
    )


def _small(small: Sequence[tuple[str, int]], rules: Slices) -> list[Check]:
    """Report slices with too few rows; many of them in one line."""
    metrics = ", ".join(rules.metrics())
    if len(small) > _LISTED:
        rows = sum(n for _, n in small)
        message = f"{len(small)} slices have fewer than {rules.min_support} rows: not enough rows"
        small = [(f"{len(small)} slices", rows)]
        messages = [message]
    else:
        messages = [
            f"{name}: not enough rows ({rows} < min_support {rules.min_support})"
            for name, rows in small
        ]
    return [
        Check(
            check="slice",
            metric=metrics,
            slice=name,
            support=rows,
            outcome="skipped",
            message=message,
        )
        for (name, rows), message in zip(small, messages, strict=True)
    ]


def fairness_checks(
    case: Case, rules: FairnessRules, threshold: float
) -> tuple[list[Check], dict[str, Any]]:
    """Return the checks of the bounded fairness measures, and all of them for the record."""
    cut = threshold if rules.threshold is None else rules.threshold
    codes, names = grouped(case.columns[rules.attribute])
    decided = case.candidate.predictions >= cut
    everyone = fairness.groups(codes, names, case.candidate.labels, decided)
    counted = {n: g for n, g in everyone.items() if g.rows >= rules.min_support}
    rates = {
        name: {k: number(v) for k, v in asdict(g).items()} | {"counted": name in counted}
        for name, g in everyone.items()
    }
    record: dict[str, Any] = {"attribute": rules.attribute, "threshold": cut, "groups": rates}
    if len(counted) < 2:
        message = (
            f"{rules.attribute}: not enough rows (fewer than two groups "
            f"have min_support {rules.min_support})"
        )
        skipped = [
            Check(
                check="fairness",
                metric=name,
                slice=rules.attribute,
                support=case.candidate.rows,
                outcome="skipped",
                message=f"{name} by {message}",
            )
            for name in rules.limits()
        ]
        return skipped, record
    found = fairness.measures(counted)
    support = sum(g.rows for g in counted.values())
    checks = [
        check for name in rules.limits() for check in _limited(name, rules, found[name], support)
    ]
    return checks, record | {"measures": found}


def _limited(name: str, rules: FairnessRules, found: float, support: int) -> list[Check]:
    limit = rules.limits()[name]
    bounds = [("min", limit.min, "<"), ("max", limit.max, ">")]
    checks = []
    for bound, at, sign in bounds:
        if at is None:
            continue
        good = found >= at if bound == "min" else found <= at
        shown = ("≥" if bound == "min" else "≤") if good else sign
        checks.append(
            Check(
                check="fairness",
                metric=name,
                slice=rules.attribute,
                estimate=found,
                threshold=at,
                support=support,
                outcome="pass" if good else "fail",
                message=f"{name} by {rules.attribute} {found:.4f} {shown} {bound} {at:g}",
            )
        )
    return checks
