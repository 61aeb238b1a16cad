"""``monitor "performance"``: how good a model is now, by labels that come late or estimated."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pydantic import Field, ValidationInfo, field_validator, model_validator

from mlform.sdk import (
    Alarm,
    Arguments,
    Artifact,
    Context,
    Decision,
    Fields,
    Handle,
    Length,
    Metadata,
    MonitorResource,
    Stored,
    Volatile,
    counted,
    seconds,
)
from mlform_core.gate_rules import FairnessRules, Slices, facts_of, known_metrics
from mlform_core.monitoring import (
    KEPT,
    Apart,
    Rule,
    Watched,
    deployed,
    iso,
    paged,
    progress,
    remembered,
    replayed,
)
from mlform_core.naming import PartOfData, TableHandle, absent, refuse

if TYPE_CHECKING:
    from mlform_core.performance_windows import Span

LOSSES: Final[Mapping[str, tuple[str, ...]]] = {
    "mae": ("absolute",),
    "rmse": ("squared",),
    "smape": ("relative",),
    "r2": ("squared", "signed"),
}
"""Which losses of a row a metric of regressions is made of."""
LEAST_LABELS: Final = 100
"""Rows of a window that a figure of one model rests on, at least."""


class LabelWindow(Fields):
    """Which requests are looked at together, and when: by rows or by time.

    A window is over when so many rows were answered, or when the time is (``every``, counted
    from 1970 in UTC). It is judged as soon as ``enough`` of its rows have labels, and at the
    latest when its last answer is ``wait`` ago: what has no label then is left out. Windows are
    judged in their order.
    """

    rows: int | None = Field(default=None, ge=LEAST_LABELS)
    every: Length | None = None
    enough: float = Field(default=0.9, gt=0, le=1)
    wait: Length = "30d"

    @model_validator(mode="after")
    def _one(self) -> LabelWindow:
        if (self.rows is None) == (self.every is None):
            raise ValueError("a window is of rows or of time: write one of rows and every")
        if self.every is not None and seconds(self.every) == 0:
            raise ValueError("every: no request is in a window of no length")
        return self


class Bound(Fields):
    """What a metric must keep, beyond chance.

    ``max_regress``: it is not worse than at release by more than this. ``min``, ``max``: of the
    metric itself.
    """

    max_regress: float | None = Field(default=None, ge=0)
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _some(self) -> Bound:
        if self.max_regress is None and self.min is None and self.max is None:
            raise ValueError("nothing is required: write max_regress, min or max")
        return self


class PerformanceArguments(Arguments):
    """What is measured, by which labels, and what matters.

    ``labels`` is a table with a label for each ``key``; without it, performance is estimated: of
    two classes from what the model itself says (``performance_estimate``), of numbers from how
    large its errors were where the inputs lie now (``performance_losses``), by ``data`` and
    ``split``, the rows that the gate held out. A column of ``key`` is a key of the log
    (``log = { keys = [...] }`` of the deployment), an input of the model, or ``id``, that of
    requests of one row each. ``label``: the column with what came; the model's target.
    ``release``: the gate that measured the model before it served.
    """

    target: Handle
    labels: TableHandle | None = None
    key: list[str] = Field(default_factory=lambda: ["id"], min_length=1, validate_default=True)
    label: str | None = None
    release: Handle | None = None
    data: TableHandle | None = None
    split: PartOfData = Field(default="holdout", validate_default=True)
    estimate: bool = False
    """With ``labels``, too: what would have been estimated without stands beside what they say."""
    window: LabelWindow
    require: Decision[dict[str, Bound]] = Field(default_factory=dict)
    slices: Decision[Slices | None] = None
    fairness: Decision[FairnessRules | None] = None
    threshold: float = Field(default=0.5, ge=0, le=1)
    """A probability of at least this counts as a yes."""
    alarm: Decision[Rule] = Rule()
    owner: Metadata[str] = ""
    description: Metadata[str] = ""

    @field_validator("key", "label")
    @classmethod
    def _there(cls, value: list[str] | str | None, info: ValidationInfo) -> list[str] | str | None:
        if info.data.get("labels") is not None:
            refuse(absent(info.data["labels"], [value] if isinstance(value, str) else value or ()))
        return value

    @field_validator("release")
    @classmethod
    def _gate(cls, value: Handle | None) -> Handle | None:
        if value is not None and (value.kind != "gate" or value.attribute is not None):
            raise ValueError(f"{value.address} is no gate; write release = gate.NAME")
        return value

    @field_validator("require")
    @classmethod
    def _metrics(cls, value: dict[str, Bound]) -> dict[str, Bound]:
        known_metrics(value)
        return value

    @model_validator(mode="after")
    def _complete(self) -> PerformanceArguments:
        if not self.require and self.slices is None and self.fairness is None:
            raise ValueError("nothing is checked: write require, slices or fairness")
        if self.release is None and any(b.max_regress is not None for b in self.require.values()):
            raise ValueError("max_regress compares with the gate: write release = gate.NAME")
        if self.slices is not None and self.slices.max_regress:
            raise ValueError("slices have no max_regress here: write min or max")
        if self.estimates:
            self._estimable()
        return self

    def _estimable(self) -> None:
        if self.labels is None and self.fairness is not None:
            raise ValueError("fairness takes labels: write labels = dataset.NAME")
        if self.release is None:
            raise ValueError(
                "an estimate rests on the rows that the gate held out: write release = gate.NAME"
            )
        wrong = [n for n in self.estimated() if not estimable(n)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} cannot be estimated without labels")

    @property
    def estimates(self) -> bool:
        """Whether anything is estimated."""
        return self.labels is None or self.estimate

    def estimated(self) -> list[str]:
        """Return every metric that is estimated."""
        of_slices = self.slices.metrics() if self.slices else []
        return list(dict.fromkeys([*self.require, *of_slices]))

    def metrics(self) -> list[str]:
        """Return every metric that is measured on all rows."""
        return list(self.require)

    def columns(self) -> list[str]:
        """Return the columns that slices and groups take."""
        named = [] if self.slices is None else self.slices.columns()
        more = [] if self.fairness is None else [self.fairness.attribute]
        return list(dict.fromkeys([*named, *more]))


def estimable(metric: str) -> bool:
    """Tell whether a metric can be estimated without labels, of the models it is defined for."""
    facts = facts_of(metric)
    binary = "binary" in facts.tasks and facts.needs is None and metric != "ece"
    return binary or metric in LOSSES


class PerformanceAttributes(Watched):
    """What the monitor knows."""

    serves: str
    """The digest of the model that serves."""
    released: Volatile[dict[str, dict[str, Any]]] = Field(default_factory=dict)
    """By the digest of each model: its figures at release, and what estimates rest on."""
    watermark: Volatile[dict[str, Any] | None] = None
    """How far windows of the request log have been judged."""
    used: Volatile[Artifact | None] = None
    """Hashes of the rows whose labels were used: none is used twice."""
    judged: Volatile[int] = 0
    """How many windows those are."""
    ahead: Volatile[list[dict[str, Any]]] = Field(default_factory=list)
    """Windows beyond that were judged before an earlier one had its labels: number, begin, end."""
    missing: Volatile[int] = 0
    """Rows of windows that are over and not judged yet that have no label."""


StoredPerformance: TypeAlias = Stored[PerformanceArguments, PerformanceAttributes]


class Performance(
    MonitorResource[PerformanceArguments, PerformanceAttributes],
    kind="monitor",
    type="performance",
    weighs_gates=True,
    keeps_content=True,
):
    """Holds what was predicted against what came, window by window, each model by itself.

    A window alarms where a bound is broken beyond chance, ``sustain`` windows in a row of the
    model that serves.
    """

    preload = ("pandas", "pyarrow.parquet")
    imports = "its windows and alarms are those that it looked at itself"

    def apply(
        self, ctx: Context, new: PerformanceArguments, old: StoredPerformance | None
    ) -> PerformanceAttributes:
        """Take note of which model serves and how good it was; judge by the rules of now."""
        from mlform_core import performance_basis, performance_windows

        serves = deployed(new.target)
        performance_windows.check(ctx, new, serves)
        before = PerformanceAttributes(serves=serves) if old is None else old.attributes
        released = dict(before.released)
        known = released.pop(serves, None)
        found = performance_basis.at_release(ctx, new, serves, known)
        released = dict([*released.items(), (serves, found)][-KEPT:])
        windows = [{**w, **_verdict(w, new, released)} for w in before.windows]
        update = {"serves": serves, "released": released, "windows": windows}
        return _shown(ctx, before.model_copy(update=update), new)

    def run(
        self, ctx: Context, old: StoredPerformance
    ) -> tuple[PerformanceAttributes, Sequence[Alarm]]:
        """Judge every window that has come to its labels since the last look."""
        from mlform_core import performance_windows

        rules, seen = old.arguments, old.attributes
        reader = performance_windows.Reader(ctx, rules, seen, time.time())
        alarms: list[Alarm] = []
        for number, span in enumerate(reader.spans()):
            for model in sorted(span.parts):
                seen, alarm = _look(ctx, seen, span, model, rules, reader.apart)
                alarms += [] if alarm is None else [alarm]
            progress(ctx, number + 1)
        reader.tell(ctx)
        far = {"watermark": reader.mark, "judged": reader.judged, "ahead": reader.ahead}
        update = {**far, "used": reader.kept(), "missing": reader.missing}
        return _shown(ctx, seen.model_copy(update=update), rules), alarms

    def tried(self, new: PerformanceArguments, old: StoredPerformance) -> str:
        """Say what other limits would have made of the windows that are remembered."""
        windows, released = old.attributes.windows, old.attributes.released
        found = [bool(_verdict(w, new, released)["worse"]) for w in windows]
        return replayed(windows, found, new.alarm) if windows else ""


def _verdict(
    window: Mapping[str, Any],
    rules: PerformanceArguments,
    released: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    from mlform_core.performance_figures import judge

    findings = judge(window, rules, released.get(window["model"], {}))
    return {"findings": [f["check"] for f in findings], "worse": bool(findings)}


def _look(
    ctx: Context,
    seen: PerformanceAttributes,
    span: Span,
    model: str,
    rules: PerformanceArguments,
    apart: Apart,
) -> tuple[PerformanceAttributes, Alarm | None]:
    """Judge what one model answered in a window."""
    from mlform_core import performance_figures

    entry: dict[str, Any] = {
        "first": iso(span.first),
        "last": iso(span.last),
        "number": span.number,
        **({"late": True} if span.late else {}),
        "model": model,
        "estimated": rules.labels is None,
        **performance_figures.measured(ctx, span, model, rules, seen.released.get(model, {})),
    }
    entry |= _verdict(entry, rules, seen.released)
    row = seen.row(entry, "worse", rules.alarm, apart)
    due = row is not None and not seen.quiet(rules.alarm, span.last)
    entry["alarmed"] = due and model == seen.serves
    if not entry["alarmed"]:
        return remembered(seen, entry, None, span.last), None
    findings = performance_figures.judge(entry, rules, seen.released.get(model, {}))
    alarm = Alarm(
        name="estimated performance" if rules.labels is None else "performance",
        window={n: entry[n] for n in ("first", "last", "rows", "labelled", "model")},
        findings=findings,
        summary=performance_figures.describe(findings, estimated=rules.labels is None),
    )
    return remembered(seen, entry, alarm, span.last, row or ()), alarm


def _shown(
    ctx: Context, seen: PerformanceAttributes, rules: PerformanceArguments
) -> PerformanceAttributes:
    """Return it with its page."""
    from mlform_core.performance_figures import borne_out, doubted, series

    how = (
        "estimated, without labels" if rules.labels is None else f"{seen.missing:,} labels missing"
    )
    drawn = series(seen.windows, rules, seen.released.get(seen.serves, {}))
    late = [
        f"the window from {w['first'][:19]} to {w['last'][:19]} was judged late: later ones had "
        "their labels before"
        for w in seen.windows
        if w.get("late")
    ]
    ahead = counted(len(seen.ahead), "window")
    waits = f"{ahead} judged before an earlier one that waits for labels"
    said = [how, borne_out(seen.windows), doubted(seen.windows), waits if seen.ahead else ""]
    notes = [*filter(None, said), *late]
    return paged(ctx, seen, rules.target, "worse", drawn, notes=notes)
