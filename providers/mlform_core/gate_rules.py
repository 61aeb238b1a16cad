"""What a gate can require: the blocks a user writes, and the checks that come out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from mlform.sdk import Arguments, Fields, did_you_mean

Task: TypeAlias = Literal["binary", "multiclass", "regression"]
Test: TypeAlias = Literal["paired_bootstrap", "delong", "none"]
CheckKind: TypeAlias = Literal[
    "min", "max", "min_gain", "slice", "fairness", "search", "robustness", "cost", "held_out"
]
Need: TypeAlias = Literal["group", "forecast", "level"]
Outcome: TypeAlias = Literal["pass", "fail", "warn", "waived", "skipped"]


@dataclass(frozen=True)
class MetricFacts:
    """For which tasks a metric is defined, and whether a larger value is a better model."""

    tasks: frozenset[str]
    larger_is_better: bool = True
    needs: Need | None = None
    """What it needs beside labels and predictions: a ``group``, a ``forecast``, a ``level``."""


def _of(*tasks: Task, larger: bool = True, needs: Need | None = None) -> MetricFacts:
    return MetricFacts(frozenset(tasks), larger, needs)


METRICS: Final[Mapping[str, MetricFacts]] = {
    "roc_auc": _of("binary"),
    "average_precision": _of("binary"),
    "log_loss": _of("binary", "multiclass", larger=False),
    "brier": _of("binary", larger=False),
    "ece": _of("binary", larger=False),
    "accuracy": _of("binary", "multiclass"),
    "precision": _of("binary"),
    "recall": _of("binary"),
    "f1": _of("binary"),
    "macro_f1": _of("multiclass"),
    "rmse": _of("regression", larger=False),
    "mae": _of("regression", larger=False),
    "r2": _of("regression"),
    "smape": _of("regression", larger=False),
    "mase": _of("regression", larger=False, needs="forecast"),
    "pinball": _of("regression", larger=False, needs="level"),
    "coverage": _of("regression", needs="level"),
    "ndcg": _of("binary", "regression", needs="group"),
    "map": _of("binary", "regression", needs="group"),
    "mrr": _of("binary", "regression", needs="group"),
}
"""A name may carry a number: ``ndcg@10`` of the first ten, ``pinball@0.9`` of a quantile."""


def named(metric: str) -> tuple[str, float | None]:
    """Return the name of a metric and the number that it carries, if any."""
    name, at, number = metric.partition("@")
    return name, float(number) if at else None


def facts_of(metric: str) -> MetricFacts:
    """Return what is known of a metric that may carry a number. Raises ``KeyError``."""
    return METRICS[metric.partition("@")[0]]


def metrics_of(task: str) -> list[str]:
    """Return the metrics defined for ``task`` that need nothing but labels and predictions."""
    return [n for n, facts in METRICS.items() if task in facts.tasks and facts.needs is None]


def known_metrics(names: Iterable[str]) -> None:
    """Raise ``ValueError`` where a name is none of a metric, or carries a wrong number."""
    problems = [text for name in names if (text := _problem(name))]
    if problems:
        raise ValueError("\n".join(problems))


def _problem(metric: str) -> str:
    name, at, number = metric.partition("@")
    if name not in METRICS:
        return f'"{name}" is no metric.{did_you_mean(name, METRICS)} Known: {", ".join(METRICS)}.'
    needs = METRICS[name].needs
    if needs == "group" and at and not (number.isdecimal() and int(number) > 0):
        return f'"{metric}": write how many of the first count, as in "{name}@10"'
    if needs == "level" and not (_LEVEL.fullmatch(number) and 0 < float(number) < 1):
        return f'"{metric}": write of which quantile, as in "{name}@0.9"'
    if at and needs not in {"group", "level"}:
        return f'"{metric}": {name} takes no number'
    return ""


_LEVEL: Final = re.compile(r"0?\.\d+")


class Requirement(Arguments):
    """What one metric must reach on all rows.

    ``min`` and ``max`` bound the point estimate. ``min_gain`` bounds the gain over the baseline,
    counted in the direction of "better" (for ``log_loss`` a fall is a gain): the gate passes if
    the lower one-sided ``1 - alpha`` confidence bound of the gain is at least ``min_gain``.

    So ``min_gain = 0`` demands evidence that the candidate is better, and an equally good
    retrained model mostly fails it; a negative ``min_gain`` is a non-inferiority margin ("not worse
    by more than this"), the usual choice for retraining; identical predictions gain exactly 0
    and pass at ``min_gain <= 0``. The bound, and not the estimate, is compared because "the
    estimate is higher" promotes a model that is really 0.006 of AUC worse 44 % of the time on
    1,000 rows and 15 % on 20,000; the bound does so in 4.7 % and 0.3 %. ``test = "none"``
    compares the estimate all the same. With several requirements all must hold, so no correction
    for multiplicity is needed (an intersection-union test).
    """

    min: float | None = None
    max: float | None = None
    min_gain: float | None = None
    test: Test = "paired_bootstrap"
    alpha: float = Field(default=0.05, gt=0, lt=0.5)

    @model_validator(mode="after")
    def _ordered(self) -> Requirement:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min:g}) is above max ({self.max:g}): nothing can pass")
        return self


class Slices(Arguments):
    """What must hold on parts of the rows.

    ``by`` names columns, each sliced on its own; a list among them crosses its columns. A number
    with more than 20 different values is cut at its quartiles. A slice fails when there is
    *evidence* against it: the one-sided p-value of "it lost no more than ``max_regress`` against
    the baseline" (or "it is at least ``min``", "at most ``max``"), adjusted by Holm over all
    slice checks of the gate, is under ``alpha``. A demand of proof the other way would fail every
    small slice, and a comparison of estimates some slice nearly always. Slices with fewer than
    ``min_support`` rows are reported and never fail.
    """

    by: list[str | list[str]] = Field(min_length=1)
    max_regress: dict[str, float] = Field(default_factory=dict)
    min: dict[str, float] = Field(default_factory=dict)
    max: dict[str, float] = Field(default_factory=dict)
    min_support: int = Field(default=100, ge=1)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)

    @field_validator("max_regress", "min", "max")
    @classmethod
    def _metrics(cls, value: dict[str, float]) -> dict[str, float]:
        known_metrics(value)
        return value

    @field_validator("max_regress")
    @classmethod
    def _not_negative(cls, value: dict[str, float]) -> dict[str, float]:
        for name, bound in value.items():
            if bound < 0:
                raise ValueError(f"{name}: {bound:g} is negative; write how much may be lost")
        return value

    @model_validator(mode="after")
    def _bounds_face_the_better(self) -> Slices:
        for bound, larger in (("min", True), ("max", False)):
            for name in getattr(self, bound):
                if facts_of(name).larger_is_better != larger:
                    other = "max" if larger else "min"
                    raise ValueError(f"{bound}: bound {name} of a slice with {other}")
        return self

    def metrics(self) -> list[str]:
        """Return every metric named, once."""
        return list(dict.fromkeys([*self.max_regress, *self.min, *self.max]))

    def columns(self) -> list[str]:
        """Return every column named, once."""
        nested = [[b] if isinstance(b, str) else b for b in self.by]
        return list(dict.fromkeys(name for names in nested for name in names))


class Limit(Arguments):
    """A bound on a fairness measure."""

    min: float | None = None
    max: float | None = None


class FairnessRules(Arguments):
    """How far the groups of one attribute may differ, as fairlearn defines the measures.

    ``threshold`` turns probabilities into decisions (the gate's own by default). Groups with
    fewer than ``min_support`` rows are reported and left out.
    """

    attribute: str
    demographic_parity_ratio: Limit | None = None
    demographic_parity_difference: Limit | None = None
    equalized_odds_ratio: Limit | None = None
    equalized_odds_difference: Limit | None = None
    equal_opportunity_difference: Limit | None = None
    threshold: float | None = Field(default=None, ge=0, le=1)
    min_support: int = Field(default=50, ge=1)

    def limits(self) -> dict[str, Limit]:
        """Return the bounded measures."""
        names = (n for n in type(self).model_fields if n.endswith(("_ratio", "_difference")))
        return {n: bound for n in names if (bound := getattr(self, n)) is not None}


class Waiver(Arguments):
    """Lets a candidate pass although some checks fail: which, who says so, why, until when.

    Without ``slice`` and ``check`` every check of the metric is meant. From the day ``until`` on
    (in UTC) it counts no more, and the gate decides anew.
    """

    metric: str
    slice: str | None = None
    check: CheckKind | None = None
    by: str = Field(min_length=1)
    why: str = Field(min_length=1)
    until: date

    def active(self, today: date) -> bool:
        """Tell whether it counts on a day."""
        return today < self.until

    def covers(self, check: Check) -> bool:
        """Tell whether it is about a check."""
        same = self.metric == check.metric and self.check in {None, check.check}
        return same and self.slice in {None, check.slice}

    def __str__(self) -> str:
        """Return it in a few words."""
        return f"waiver of {self.metric} by {self.by} until {self.until}: {self.why}"


class Check(Fields):
    """One thing a gate looked at, and what came of it.

    ``gain`` is candidate against baseline in the direction of "better"; ``low`` and ``high`` are
    its one-sided confidence bounds; ``support`` is the number of rows.
    """

    check: CheckKind
    metric: str
    slice: str | None = None
    estimate: float | None = None
    baseline: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    """Adjusted by Holm over the slice checks."""
    threshold: float | None = None
    support: int
    outcome: Outcome
    message: str


class Rules(Arguments):
    """Everything that decides a verdict over a measurement, and measures nothing."""

    require: dict[str, Requirement]
    slices: Slices | None
    fairness: FairnessRules | None
    threshold: float
    on_fail: Literal["block", "warn"]
    waive: tuple[Waiver, ...] = ()
    """Those that count."""


def check_requirements(require: Mapping[str, Requirement]) -> None:
    """Raise ``ValueError`` if a metric is unknown, or its test is not made for it."""
    known_metrics(require)
    for name, requirement in require.items():
        if requirement.min_gain is not None and named(name)[0] == "coverage":
            raise ValueError(f"{name}: there is no better or worse, only near: write min and max")
        if requirement.test == "delong" and name != "roc_auc":
            raise ValueError(f'{name}: test "delong" is for roc_auc; use "paired_bootstrap"')
