"""``monitor "drift"``: what is asked of a model now, beside what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from pydantic import Field, model_validator

from mlform.sdk import (
    Alarm,
    Arguments,
    Artifact,
    Context,
    Decision,
    Fields,
    Handle,
    Metadata,
    MonitorResource,
    Stored,
    Volatile,
    counted,
)
from mlform_core.monitoring import (
    Rule,
    Watched,
    deployed,
    iso,
    log_folder,
    paged,
    progress,
    remembered,
    replayed,
)
from mlform_core.naming import PartOfData, TableHandle

if TYPE_CHECKING:
    from mlform_core.drift_windows import Cutter, Reference
    from mlform_core.drift_windows import Window as Seen

LEAST_ROWS: Final = 200
"""Fewer rows prove nothing: every measure of drift fires by chance."""


class Window(Fields):
    """How many rows are looked at together."""

    rows: int = Field(ge=LEAST_ROWS)


class Check(Fields):
    """A measure of drift and the value above which it matters."""

    method: Literal["psi", "js", "ks"] = "psi"
    alarm: float = Field(gt=0)
    columns: list[str] | None = None
    """All inputs but times, unless they are named."""


class Joint(Fields):
    """How well a classifier may tell what is asked from the reference (its AUC), at most."""

    method: Literal["classifier"] = "classifier"
    alarm: float = Field(default=0.6, gt=0.5, lt=1)


class Checks(Fields):
    """What is looked at."""

    inputs: Check | None = None
    predictions: Check | None = None
    multivariate: Joint | None = None
    """All inputs but times, together; it takes rows of the reference: ``data``."""

    @model_validator(mode="after")
    def _some(self) -> Checks:
        if self.inputs is None and self.predictions is None and self.multivariate is None:
            raise ValueError("nothing is checked: give inputs, predictions or multivariate")
        if self.predictions is not None and self.predictions.columns is not None:
            raise ValueError("predictions have no columns to choose from")
        return self


class DriftArguments(Arguments):
    """What to watch, and what matters.

    ``data`` and ``split``: rows as the model was trained on, of which some are kept when a model
    begins to serve; only ``multivariate`` takes them.
    """

    target: Handle
    data: TableHandle | None = None
    split: PartOfData = None
    window: Decision[Window]
    checks: Decision[Checks]
    alarm: Decision[Rule] = Rule()
    owner: Metadata[str] = ""
    description: Metadata[str] = ""

    @model_validator(mode="after")
    def _rows(self) -> DriftArguments:
        if self.checks.multivariate is not None and self.data is None:
            raise ValueError("multivariate compares rows: write data = feature_view.NAME")
        return self


class DriftAttributes(Watched):
    """What the monitor knows."""

    reference: str
    """The digest of the model whose training data are the reference."""
    watermark: Volatile[dict[str, Any] | None] = None
    """How far the request log has been looked at."""
    sample: Volatile[Artifact | None] = None
    """Rows of the reference, as they were when the model began to serve."""
    shapes: Volatile[list[dict[str, Any]]] = Field(default_factory=list)
    """The distribution of each column in the last window, beside the reference."""


StoredDrift: TypeAlias = Stored[DriftArguments, DriftAttributes]


class Drift(
    MonitorResource[DriftArguments, DriftAttributes],
    kind="monitor",
    type="drift",
    keeps_content=True,
):
    """Compares logged inputs and predictions with the reference of the model that serves.

    A window alarms where a column has moved by more than ``checks`` allow and chance explains,
    ``sustain`` windows in a row. Data that are broken rather than moved are an incident, at once.
    """

    preload = ("pandas",)
    imports = "its windows and alarms are those that it looked at itself"

    def apply(self, ctx: Context, new: DriftArguments, old: StoredDrift | None) -> DriftAttributes:
        """Take note of which model serves; judge what was seen of it by the rules of now."""
        from mlform_core import drift_windows

        serves = deployed(new.target)
        without = new.target.attributes.get("redacted") or ()
        known = drift_windows.reference(ctx, serves, without)
        list(drift_windows.chosen(known, new.checks))
        kept = None if old is None or old.attributes.reference != serves else old.attributes.sample
        if kept is None and new.data is not None:
            kept = drift_windows.kept(ctx, new.data, new.split, known)
        if old is None:
            return DriftAttributes(reference=serves, sample=kept)
        windows = [
            {**w, **_verdict(w["statistics"], new)} if w["model"] == serves else w
            for w in old.attributes.windows
        ]
        update = {"reference": serves, "windows": windows, "sample": kept}
        return _shown(ctx, old.attributes.model_copy(update=update), new)

    def run(self, ctx: Context, old: StoredDrift) -> tuple[DriftAttributes, Sequence[Alarm]]:
        """Look at every whole window since the last look."""
        from mlform_core import drift_windows
        from mlform_core.serving.log import forgotten

        rules, seen = old.arguments, old.attributes
        folder = log_folder(ctx, rules.target)
        if forgotten(folder, seen.watermark):
            ctx.log("part of the request log went before it was looked at: keep more of it")
        without = rules.target.attributes.get("redacted") or ()
        known = drift_windows.reference(ctx, seen.reference, without, seen.sample)
        cutter = drift_windows.Cutter(folder, seen.reference, rules.window.rows, seen.watermark)
        alarms: list[Alarm] = []
        done, last = 0, None
        for window in cutter.windows():
            seen, alarm = _look(seen, window, known, rules)
            alarms += [] if alarm is None else [alarm]
            last = window
            done += 1
            progress(ctx, done)
        _tell(ctx, cutter, done)
        update: dict[str, Any] = {"watermark": cutter.mark}
        if last is not None:
            update["shapes"] = drift_windows.shapes(last, known, rules.checks)
        return _shown(ctx, seen.model_copy(update=update), rules), alarms

    def tried(self, new: DriftArguments, old: StoredDrift) -> str:
        """Say what other limits would have made of the windows that are remembered."""
        windows = [w for w in old.attributes.windows if not w["incident"]]
        found = [bool(_verdict(w["statistics"], new)["drift"]) for w in windows]
        return replayed(windows, found, new.alarm) if windows else ""


def _verdict(statistics: Sequence[Mapping[str, Any]], rules: DriftArguments) -> dict[str, Any]:
    from mlform_core.drift_windows import judge

    findings = judge(statistics, rules.checks, rules.alarm.fdr)
    return {"findings": [f["column"] for f in findings], "drift": bool(findings)}


def _look(
    seen: DriftAttributes, window: Seen, known: Reference, rules: DriftArguments
) -> tuple[DriftAttributes, Alarm | None]:
    """Judge one window: what is remembered then, and the alarm if it comes to one."""
    from mlform_core import drift_windows

    statistics = drift_windows.measure(window, known, rules.checks)
    broken = drift_windows.incidents(window, known)
    span = {"first": iso(window.first), "last": iso(window.last)}
    entry = {
        **span,
        "model": seen.reference,
        "rows": window.rows,
        "refused": window.refused,
        "incident": bool(broken),
        "statistics": statistics,
        **_verdict(statistics, rules),
    }
    # Nothing but an incident before it may keep an incident quiet: it stops retraining.
    known_broken = bool(seen.windows) and seen.windows[-1]["incident"]
    if broken:
        entry["alarmed"] = not (known_broken and seen.quiet(rules.alarm, window.last))
    else:
        entry["alarmed"] = seen.due(entry, "drift", rules.alarm, window.last)
    if not entry["alarmed"]:
        return remembered(seen, entry, None, window.last), None
    moved = drift_windows.judge(statistics, rules.checks, rules.alarm.fdr)
    alarm = Alarm(
        name="incident" if broken else "drift",
        window={**span, "rows": window.rows, "refused": window.refused, "model": seen.reference},
        findings=[*broken, *moved],
        summary=drift_windows.describe(broken, moved),
        incident=bool(broken),
    )
    return remembered(seen, entry, alarm, window.last), alarm


def _shown(ctx: Context, seen: DriftAttributes, rules: DriftArguments) -> DriftAttributes:
    """Return it with its page."""
    from mlform_core.drift_windows import series
    from mlform_core.monitor_page import Shape

    drawn = series(seen.windows, rules.checks)
    shapes = [Shape(**shape) for shape in seen.shapes]
    return paged(ctx, seen, rules.target, "drift", drawn, shapes=shapes)


def _tell(ctx: Context, cutter: Cutter, done: int) -> None:
    if cutter.foreign:
        ctx.log(f"left out: {counted(cutter.foreign, 'request')} answered by other models")
    if cutter.damaged:
        ctx.log(f"left out: {counted(cutter.damaged, 'damaged line')} of the request log")
    if not done:
        have, refused = cutter.open.rows, cutter.open.refused
        more = f", {refused} refused" if refused else ""
        ctx.log(f"insufficient data: {have} of {cutter.rows} rows for a window{more}")
