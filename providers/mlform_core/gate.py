"""``gate "evaluation"``: whether a model may replace the one before it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field, ValidationInfo, field_validator, model_validator

from mlform.sdk import (
    Arguments,
    Artifact,
    Attributes,
    Baseline,
    Carrier,
    Context,
    Decision,
    Handle,
    Inputs,
    Looking,
    Metadata,
    Operational,
    Resource,
    ResourceError,
    Stored,
    Volatile,
)
from mlform_core.gate_conditions import Costs, Forecast, Robustness, Search
from mlform_core.gate_rules import (
    Check,
    FairnessRules,
    Requirement,
    Rules,
    Slices,
    Waiver,
    check_requirements,
)
from mlform_core.gate_verdicts import (
    EVIDENCE,
    NO_IMPORT,
    OnFail,
    forgotten,
)
from mlform_core.held_out import HeldOut
from mlform_core.naming import PartOfData, TableHandle, absent, refuse
from mlform_core.tables import SPLIT

if TYPE_CHECKING:
    from mlform_core.gate_groups import Case
    from mlform_core.gate_judge import Judgement
    from mlform_core.gate_measure import Measured, Rows

_MANY_LOOKS = 5
_TELLING: Final[Mapping[str, str]] = {
    "slices": "slices.by",
    "fairness": "fairness.attribute",
    "group": "group",
    "forecast": "forecast",
    "search": "search.columns",
}
"""The arguments that name columns beside those that models need, and where in them."""


def _columns_of(value: Any) -> list[str]:
    """Return the columns that one of these arguments names."""
    match value:
        case str():
            return [value]
        case FairnessRules():
            return [value.attribute]
        case Slices() | Forecast():
            return value.columns()
        case Search():
            return value.columns or []
        case _:
            return value or []


class EvaluationArguments(Arguments):
    """``candidate``, ``data`` and ``split`` say what is measured; the rest judges it.

    ``baseline`` is the model to compare with, the prior champion as a rule; null: checks against
    a baseline pass. ``threshold``: a probability of at least this counts as a yes.
    ``on_fail = "warn"`` reports what would have failed and passes.
    """

    candidate: Handle
    data: TableHandle
    split: PartOfData = Field(default="holdout", validate_default=True)
    baseline: Baseline[Handle | None] = None
    require: Decision[dict[str, Requirement]] = Field(default_factory=dict)
    slices: Decision[Slices | None] = None
    fairness: Decision[FairnessRules | None] = None
    group: Decision[str | list[str] | None] = None
    """Rows of one group are drawn together, and ranked among themselves."""
    forecast: Decision[Forecast | None] = None
    search: Decision[Search | None] = None
    robustness: Decision[Robustness | None] = None
    costs: Decision[Costs | None] = None
    held_out: Decision[HeldOut | None] = None
    threshold: Decision[float] = Field(default=0.5, ge=0, le=1)
    on_fail: Decision[OnFail] = "block"
    waive: Decision[list[Waiver]] = Field(default_factory=list)
    allow_pickle: Operational[bool] = False
    """Whether a model stored as a pickle, whose loading runs code from it, may be loaded."""
    owner: Metadata[str] = ""
    description: Metadata[str] = ""

    @field_validator(*_TELLING)
    @classmethod
    def _there(cls, value: Any, info: ValidationInfo) -> Any:
        data, name = info.data.get("data"), str(info.field_name)
        why = f"which {_TELLING[name]} names"
        if data is not None:
            refuse(absent(data, _columns_of(value), why))
        return value

    @field_validator("require")
    @classmethod
    def _metrics(cls, value: dict[str, Requirement]) -> dict[str, Requirement]:
        check_requirements(value)
        return value

    @model_validator(mode="after")
    def _requires_something(self) -> EvaluationArguments:
        others = (self.slices, self.fairness, self.search, self.robustness, self.costs)
        if not self.require and all(it is None for it in others):
            raise ValueError(
                "the gate requires nothing: write require, slices, search, fairness, robustness "
                "or costs"
            )
        gains = {n: r for n, r in self.require.items() if r.min_gain is not None}
        wrong = [n for n, r in gains.items() if r.test == "delong"]
        if self.grouped and wrong:
            raise ValueError(
                f'require.{wrong[0]}: test "delong" takes rows for independent, and group says '
                'that they are not: use "paired_bootstrap"'
            )
        return self

    @property
    def grouped(self) -> list[str]:
        """The columns that tell groups apart."""
        return _columns_of(self.group)

    def grouping(self) -> dict[str, list[str]]:
        """Return the columns that each argument takes, beside what models need."""
        return {name: _columns_of(getattr(self, name)) for name in _TELLING}

    def waivers(self) -> tuple[Waiver, ...]:
        """Return the waivers that count today."""
        today = datetime.now(UTC).date()
        return tuple(w for w in self.waive if w.active(today))

    def rules(self) -> Rules:
        """Return what decides, apart from what is measured."""
        return Rules(
            waive=self.waivers(),
            require=self.require,
            slices=self.slices,
            fairness=self.fairness,
            threshold=self.threshold,
            on_fail=self.on_fail,
        )


class EvaluationAttributes(Attributes):
    """The verdict on one candidate. Consumers act on ``passed`` and ``candidate`` alone."""

    passed: bool
    candidate: str
    """The digest of the model that was judged."""
    summary: Volatile[str]
    checks: Volatile[tuple[Check, ...]]
    evidence: Volatile[Artifact]
    """All numbers, as a JSON document."""
    measured: Carrier[Artifact | None] = None
    """Labels and predictions of the candidate, row by row: the figures at release of monitors."""
    page: Volatile[Artifact | None] = None
    """The same to look at, as a web page: ``mlform report`` writes it out."""
    rows: Volatile[int]
    """How many labelled rows the verdict rests on."""
    costs: dict[str, float] = Field(default_factory=dict)
    """What the model costs, of what is bounded: ``size_mb``, ``p50_ms``, ``p99_ms``, …"""
    looks: Volatile[int] = 1
    """How many candidates in a row this gate has judged on these very rows."""
    uses: Volatile[int] = 1
    """How many candidates all gates together have judged on these very rows."""


class Evaluation(
    Resource[EvaluationArguments, EvaluationAttributes],
    kind="gate",
    type="evaluation",
    reusable=True,
):
    """Measures a model on held-out rows, and decides by thresholds, baseline, slices, fairness."""

    preload = ("numpy", "pandas", "pyarrow.parquet")
    imports = NO_IMPORT

    def inputs(self, ctx: Looking, new: EvaluationArguments) -> Inputs:
        """Name the waivers that are over: on the day that one ends, the gate judges anew."""
        active = new.waivers()
        return Inputs({str(w): "over" for w in new.waive if w not in active})

    def uses(self, new: EvaluationArguments) -> Mapping[str, Collection[str]]:
        """Take the columns that the candidate needs, its target, and the part of each row."""
        needs = needed(new.candidate)
        against = () if new.baseline is None else needed(new.baseline)
        if needs is None or against is None:
            return {}
        return {new.data.address: needs if new.split is None else needs | {SPLIT}}

    def judges(self, new: EvaluationArguments) -> Mapping[str, Collection[str]]:
        """Take what tells rows apart, slices and groups, and what only the baseline needs."""
        columns = {name for names in new.grouping().values() for name in names}
        if new.baseline is not None:
            columns |= needed(new.baseline) or set()
        return {new.data.address: columns}

    def distributions(self, new: EvaluationArguments) -> tuple[str, ...]:
        """Name what reads tables and models, and what predicts."""
        return ("numpy", "pandas", "pyarrow", "scikit-learn", "skops")

    def apply(
        self,
        ctx: Context,
        new: EvaluationArguments,
        old: Stored[EvaluationArguments, EvaluationAttributes] | None,
    ) -> EvaluationAttributes:
        """Judge. A failing candidate is a result; only what cannot be judged is an error."""
        from mlform_core.gate_beyond import Beyond
        from mlform_core.gate_judge import judge
        from mlform_core.gate_measure import Rows, align, measure
        from mlform_core.gate_page import gate_page

        rows = Rows(new.data, new.split)
        rows.check()
        candidate = model_of(new.candidate, "candidate")
        baseline = None if new.baseline is None else model_of(new.baseline, "baseline")
        ours = measure(ctx, candidate, rows, "candidate", allow_pickle=new.allow_pickle)
        theirs: Measured | None = None
        if baseline is not None and baseline.digest == candidate.digest:
            theirs = ours
        elif baseline is not None:
            theirs = measure(ctx, baseline, rows, "baseline", allow_pickle=new.allow_pickle)
            ours, theirs = align(ours, theirs)
        case = _case(ctx, new, rows, ours, theirs)
        beyond = Beyond(ctx, new, rows, candidate, case)
        verdict = judge(case, new.rules(), beyond.checks)
        looks = _looks(new, old, candidate.digest)
        _warn_of_looks(ctx, new, looks)
        evidence = _evidence(new, ours, theirs, verdict) | beyond.record
        data = json.dumps(evidence, sort_keys=True, indent=1, allow_nan=False).encode()
        return EvaluationAttributes(
            passed=verdict.passed,
            candidate=candidate.digest,
            summary=_summary(verdict),
            checks=tuple(verdict.checks),
            evidence=ctx.artifacts.put_bytes(data, EVIDENCE),
            page=ctx.artifacts.put_bytes(gate_page(ctx.address, evidence).encode(), "text/html"),
            measured=ours.stored,
            rows=ours.outcomes.rows,
            costs=beyond.costs,
            looks=looks,
            uses=beyond.uses,
        )

    def destroy(self, ctx: Context, old: Stored[EvaluationArguments, EvaluationAttributes]) -> str:
        return forgotten(ctx)


def model_of(handle: Handle, argument: str) -> Artifact:
    """Return the model a handle means: the artifact it names, or its resource's ``model``."""
    if handle.artifact is not None:
        return handle.artifact
    try:
        return handle.artifact_at("model")
    except (KeyError, ValueError):
        kind = handle.kind
        detail = f"{handle.address} has no model. Write e.g. training_job.NAME.model, not a {kind}."
        raise ResourceError("Not a model", detail, argument=argument) from None


def needed(handle: Handle) -> set[str] | None:
    """Return the columns that a model says it needs; ``None`` where it says nothing."""
    from mlform_core.models import columns_of

    try:
        return columns_of(model_of(handle, "candidate"))
    except ResourceError:
        return None


def _case(
    ctx: Context, new: EvaluationArguments, rows: Rows, ours: Measured, theirs: Measured | None
) -> Case:
    import pandas as pd

    from mlform_core.gate_beyond import lying
    from mlform_core.gate_groups import Case

    columns = list(dict.fromkeys(name for names in new.grouping().values() for name in names))
    frame = rows.read(ctx, columns) if columns else pd.DataFrame(index=range(len(ours.labelled)))
    if ours.outcomes.rows == 0:
        detail = f'No row of {new.data.address} has a value of the target "{ours.target}".'
        raise ResourceError("No labels", detail, argument="data")
    against = "" if new.baseline is None else model_of(new.baseline, "baseline").digest
    kept = frame.loc[ours.labelled].reset_index(drop=True)
    placed = lying(ctx, new, rows, kept, ours.target)
    return Case(
        candidate=placed(ours.outcomes),
        baseline=None if theirs is None else placed(theirs.outcomes),
        columns=kept,
        labelled=ours.labelled,
        seed=f"{model_of(new.candidate, 'candidate').digest} {against} {new.data.digest}",
        checkpoint=ctx.checkpoint,
    )


def _looks(
    new: EvaluationArguments,
    old: Stored[EvaluationArguments, EvaluationAttributes] | None,
    candidate: str,
) -> int:
    """Count the looks at the same rows: each gives chance another try, so people should know."""
    if old is None:
        return 1
    before = old.arguments
    if (before.data.digest, before.split) != (new.data.digest, new.split):
        return 1
    return old.attributes.looks + (old.attributes.candidate != candidate)


def _warn_of_looks(ctx: Context, new: EvaluationArguments, looks: int) -> None:
    alphas = [r.alpha for r in new.require.values() if r.min_gain is not None]
    if alphas and looks >= _MANY_LOOKS:
        chance = 1 - (1 - max(alphas)) ** looks
        ctx.log(
            f"{looks} candidates have been judged on the same rows: by now one that is no better "
            f"passes by chance with a probability of up to {chance:.0%}. Hold out new rows."
        )


def _evidence(
    new: EvaluationArguments, ours: Measured, theirs: Measured | None, verdict: Judgement
) -> dict[str, Any]:
    from mlform_core.compare import RESAMPLES
    from mlform_core.gate_curves import curves

    return {
        "format": 1,
        "passed": verdict.passed,
        "candidate": model_of(new.candidate, "candidate").digest,
        "baseline": None if new.baseline is None else model_of(new.baseline, "baseline").digest,
        "data": {"address": new.data.address, "digest": new.data.digest, "split": new.split},
        "rows": ours.outcomes.rows,
        "unlabelled": int(len(ours.labelled) - ours.outcomes.rows),
        "target": ours.target,
        "task": ours.outcomes.task,
        "classes": list(ours.classes),
        "resamples": RESAMPLES,
        "rules": new.rules().model_dump(mode="json"),
        "metrics": verdict.metrics,
        "slices": verdict.slices,
        "fairness": verdict.fairness,
        "checks": [check.model_dump(mode="json") for check in verdict.checks],
        "curves": {
            "candidate": curves(ours.outcomes),
            "baseline": None if theirs is None else curves(theirs.outcomes),
        },
    }


def _summary(verdict: Judgement) -> str:
    failed = [c.message for c in verdict.checks if c.outcome == "fail"]
    warned = [c.message for c in verdict.checks if c.outcome in {"warn", "waived"}]
    counted = [c for c in verdict.checks if c.outcome != "skipped"]
    if failed:
        return "failed: " + "; ".join(failed)
    if warned:
        return "passed with warnings: " + "; ".join(warned)
    return f"passed {len(counted)} check{'' if len(counted) == 1 else 's'}"
