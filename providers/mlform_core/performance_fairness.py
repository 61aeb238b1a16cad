"""Fairness of a window: each bound tested over every pair of groups, and shown over windows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import TYPE_CHECKING, Any, Final

from mlform_core import fairness, shares

if TYPE_CHECKING:
    from mlform_core.gate_rules import FairnessRules
    from mlform_core.monitor_page import Series
    from mlform_core.performance import PerformanceArguments

_RATES: Final = {
    "demographic_parity_ratio": ("selection",),
    "demographic_parity_difference": ("selection",),
    "equalized_odds_ratio": ("hits", "alarms"),
    "equalized_odds_difference": ("hits", "alarms"),
    "equal_opportunity_difference": ("hits",),
}


def unfair(window: Mapping[str, Any], rules: PerformanceArguments) -> list[dict[str, Any]]:
    """Test each bound on fairness over every pair of groups, at once (Bonferroni).

    "The smallest rate is under r times the largest" holds if it does of some pair, so each pair
    is a test of the difference of two shares; the measures are fairlearn's, as in gates.
    """
    rule = rules.fairness
    if rule is None:
        return []
    groups, said = _measures(window, rule)
    if not groups:
        return []
    found = []
    for measure, bound in _bounds(rule):
        ratio = measure.endswith("ratio")
        ps = [
            _pair(groups[one], groups[two], rate, bound, ratio=ratio)
            for one, two in permutations(groups, 2)
            for rate in _RATES[measure]
        ]
        found.append(
            {
                "check": f"{measure} by {rule.attribute}",
                "column": f"{measure} by {rule.attribute}",
                "value": said[measure],
                "threshold": bound,
                "sign": "<" if ratio else ">",
                "p": min(1.0, min(ps) * len(ps)),
            }
        )
    return found


def _pair(one: Sequence[int], two: Sequence[int], rate: str, bound: float, *, ratio: bool) -> float:
    """Return the chance of what was seen if the bound holds of a pair of groups."""
    (a, m), (b, n) = _share(one, rate), _share(two, rate)
    if not m or not n:
        return 1.0
    by = bound if ratio else 1.0
    beyond = a - by * b if ratio else bound - (a - b)
    return shares.tail(beyond, math.hypot(shares.error(a, m), by * shares.error(b, n)))


def _share(counts: Sequence[int], rate: str) -> tuple[float, int]:
    """Return a rate of counts (no/no, no/yes, yes/no, yes/yes), and of how many rows."""
    passed, alarms, missed, hits = counts
    over, of = {
        "selection": (alarms + hits, sum(counts)),
        "hits": (hits, missed + hits),
        "alarms": (alarms, passed + alarms),
    }[rate]
    return (over / of if of else 0.0), of


def series(windows: Sequence[Mapping[str, Any]], rules: PerformanceArguments) -> list[Series]:
    """Return each measure that has a bound over the windows."""
    from mlform_core.monitor_page import Series

    rule = rules.fairness
    if rule is None:
        return []
    said = [_measures(window, rule)[1] for window in windows]
    return [
        Series(f"{measure} by {rule.attribute}", [it.get(measure) for it in said], [bound])
        for measure, bound in _bounds(rule)
    ]


def _bounds(rule: FairnessRules) -> Iterator[tuple[str, float]]:
    """Yield what is bounded: a ratio from below, a difference from above."""
    for measure, limit in rule.limits().items():
        bound = limit.min if measure.endswith("ratio") else limit.max
        if bound is not None:
            yield measure, bound


def _measures(
    window: Mapping[str, Any], rule: FairnessRules
) -> tuple[dict[str, Sequence[int]], Mapping[str, float]]:
    """Return the groups of enough rows, and the measures of them; none of fewer than two."""
    groups = {n: c for n, c in window["groups"].items() if sum(c) >= rule.min_support}
    if len(groups) < 2:
        return {}, {}
    return groups, fairness.measures({n: fairness.group(c) for n, c in groups.items()})
