"""The verdict of a gate: its rules over what was measured. Nothing here runs a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mlform.sdk import ResourceError, did_you_mean
from mlform_core import compare
from mlform_core.compare import Gain, Pair
from mlform_core.gate_groups import Case, fairness_checks, number, slice_checks
from mlform_core.gate_rules import (
    Check,
    Outcome,
    Requirement,
    Rules,
    Waiver,
    facts_of,
    metrics_of,
)
from mlform_core.metrics import value

_TOLERANCE = 1e-9
"""Far below any effect, and above what rounding does to equal models."""


@dataclass
class Judgement:
    """The checks, and the numbers behind them for the record."""

    checks: list[Check] = field(default_factory=list)
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)
    slices: list[dict[str, Any]] = field(default_factory=list)
    fairness: dict[str, Any] | None = None

    @property
    def passed(self) -> bool:
        """Tell whether no check failed."""
        return all(check.outcome != "fail" for check in self.checks)


def judge(case: Case, rules: Rules, more: Callable[[], Iterable[Check]] = tuple) -> Judgement:
    """Apply ``rules``. Raises ``ResourceError`` where a rule makes no sense for the model.

    ``more`` gives the checks of what is judged elsewhere.
    """
    _check_metrics(case, rules)
    found = Judgement()
    for name in _shown(case, rules):
        found.metrics[name] = {"candidate": number(value(name, case.candidate, rules.threshold))}
        if case.baseline is not None:
            theirs = value(name, case.baseline, rules.threshold)
            found.metrics[name]["baseline"] = number(theirs)
    found.checks = _required(case, rules, found.metrics)
    if rules.slices is not None:
        checks, found.slices = slice_checks(case, rules.slices, rules.threshold)
        found.checks += checks
    if rules.fairness is not None:
        checks, found.fairness = fairness_checks(case, rules.fairness, rules.threshold)
        found.checks += checks
    found.checks += more()
    found.checks = [_waived(c, rules.waive) for c in found.checks]
    if rules.on_fail == "warn":
        found.checks = [
            c.model_copy(update={"outcome": "warn"}) if c.outcome == "fail" else c
            for c in found.checks
        ]
    return found


def _shown(case: Case, rules: Rules) -> list[str]:
    """Return the metrics to measure: those of the task, and those asked for that need more."""
    asked = [*rules.require, *([] if rules.slices is None else rules.slices.metrics())]
    return list(dict.fromkeys([*metrics_of(case.candidate.task), *asked]))


def _waived(check: Check, waivers: Sequence[Waiver]) -> Check:
    by = [w for w in waivers if w.covers(check)] if check.outcome == "fail" else []
    if not by:
        return check
    message = f"{check.message}; {by[0]}"
    return check.model_copy(update={"outcome": "waived", "message": message})


def _check_metrics(case: Case, rules: Rules) -> None:
    task = case.candidate.task
    known = metrics_of(task)
    asked = {"require": list(rules.require)}
    if rules.slices is not None:
        asked["slices"] = rules.slices.metrics()
    for argument, names in asked.items():
        problems = [
            f"{name} is not defined for a {task} model.{did_you_mean(name, known)} "
            f"Defined: {', '.join(known)}."
            for name in names
            if task not in facts_of(name).tasks
        ]
        problems += [text for name in names if (text := _lacks(case, name))]
        if problems:
            detail = "\n".join(problems)
            raise ResourceError("Metric not defined for the task", detail, argument=argument)
    if rules.fairness is not None and task != "binary":
        detail = f"Fairness is measured on yes/no decisions; this is a {task} model."
        raise ResourceError("Fairness not defined for the task", detail, argument="fairness")


def _lacks(case: Case, name: str) -> str:
    """Say what a metric needs that the gate does not say."""
    needs = facts_of(name).needs
    if needs == "group" and case.candidate.groups is None:
        return f"{name} ranks rows within groups: write group = the column that tells these apart."
    if needs == "forecast" and case.candidate.scale is None:
        return f"{name} needs to know how the series lie in the table: write forecast = {{ … }}."
    return ""


def _required(
    case: Case, rules: Rules, known: Mapping[str, Mapping[str, float | None]]
) -> list[Check]:
    checks = []
    gains = _gains(case, rules)
    for name, requirement in rules.require.items():
        estimate = known[name]["candidate"]
        if estimate is None:
            detail = (
                f"{name} is not defined on these {case.candidate.rows} rows: "
                "all labels are equal. Take more rows, or another split."
            )
            raise ResourceError("Metric not defined", detail, argument="require")
        checks += _bounded(name, requirement, estimate, case.candidate.rows)
        if requirement.min_gain is not None:
            gain = gains.get(name)
            baseline = known[name].get("baseline")
            rows = case.candidate.rows
            checks.append(_gained(name, requirement, estimate, baseline, gain, rows))
    return checks


def _bounded(name: str, requirement: Requirement, estimate: float, rows: int) -> list[Check]:
    low, high = requirement.min, requirement.max
    found: list[tuple[Literal["min", "max"], float, bool]] = []
    if low is not None:
        found.append(("min", low, estimate >= low))
    if high is not None:
        found.append(("max", high, estimate <= high))
    signs = {("min", True): "≥", ("min", False): "<", ("max", True): "≤", ("max", False): ">"}
    return [
        Check(
            check=bound,
            metric=name,
            estimate=estimate,
            threshold=limit,
            support=rows,
            outcome="pass" if good else "fail",
            message=f"{name} {estimate:.4f} {signs[bound, good]} {bound} {limit:g}",
        )
        for bound, limit, good in found
    ]


def _gains(case: Case, rules: Rules) -> dict[str, Gain]:
    """Return the gain of each metric that asks for one; nothing without a baseline."""
    if case.baseline is None:
        return {}
    found = {}
    by_alpha: dict[float, list[Pair]] = {}
    for name, requirement in rules.require.items():
        if requirement.min_gain is None:
            continue
        pair = Pair(name, case.candidate, case.baseline, rules.threshold)
        if requirement.test == "none":
            found[name] = Gain(pair.estimate, pair.estimate, pair.estimate, 0.0)
        elif requirement.test == "delong" and not pair.identical:
            found[name] = compare.delong(case.candidate, case.baseline, requirement.alpha)
        else:
            by_alpha.setdefault(requirement.alpha, []).append(pair)
    for alpha, pairs in by_alpha.items():
        gains = compare.paired_bootstrap(pairs, alpha, compare.seed_of(case.seed), case.checkpoint)
        found.update({p.metric: g for p, g in zip(pairs, gains, strict=True)})
    return found


def _gained(
    name: str,
    requirement: Requirement,
    estimate: float,
    baseline: float | None,
    gain: Gain | None,
    rows: int,
) -> Check:
    asked = requirement.min_gain
    assert asked is not None, "only called where a gain is asked for"
    outcome: Outcome = "pass"
    if gain is None:
        message = f"{name}: no baseline to compare with"
    elif math.isnan(gain.low):
        outcome = "fail"
        message = f"{name}: too few rows of one class among {rows} to compare with the baseline"
    else:
        good = gain.low >= asked - _TOLERANCE
        outcome = "pass" if good else "fail"
        bound = f"gain {gain.estimate:+.4f}"
        if requirement.test != "none":
            bound += f" (lower {1 - requirement.alpha:.3g} bound {gain.low:+.4f})"
        message = f"{name} {bound}: {'≥' if good else '<'} min_gain {asked:g}"
    return Check(
        check="min_gain",
        metric=name,
        estimate=estimate,
        baseline=baseline,
        gain=number(gain.estimate) if gain else None,
        low=number(gain.low) if gain else None,
        high=number(gain.high) if gain else None,
        threshold=asked,
        support=rows,
        outcome=outcome,
        message=message,
    )
