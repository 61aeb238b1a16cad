"""``monitor "drift"``: what is asked of a model now, beside what it was trained on."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mlform.sdk import (
    Alarm,
    Arguments,
    Attributes,
    Context,
    Decision,
    Handle,
    Metadata,
    MonitorResource,
    ResourceError,
    Stored,
    Volatile,
)

if TYPE_CHECKING:
    import pandas as pd

    from mlform_core.drift import Shift

_LEAST_ROWS: Final = 200
"""Fewer rows prove nothing: every measure of drift fires by chance."""
_KEPT: Final = 50
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Window(BaseModel):
    """How many rows are looked at together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(ge=_LEAST_ROWS)


class Check(BaseModel):
    """A measure of drift and the value above which it matters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["psi", "js", "ks"] = "psi"
    alarm: float = Field(gt=0)
    columns: list[str] | None = None


class Checks(BaseModel):
    """What is looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: Check | None = None
    predictions: Check | None = None


class Rule(BaseModel):
    """When what was seen becomes an alarm."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sustain: int = Field(default=1, ge=1)
    """Windows in a row."""
    fdr: float = Field(default=0.05, gt=0, lt=1)
    """The chance of a false alarm in a window, all columns together (Holm)."""
    cooldown: str = "0s"
    """Quiet time after an alarm, by the clock of the requests."""

    @field_validator("cooldown")
    @classmethod
    def _length(cls, value: str) -> str:
        if not re.fullmatch(r"\d+[smhd]", value):
            raise ValueError('a length of time is a number and s, m, h or d: "90s", "1h"')
        return value

    @property
    def quiet(self) -> float:
        """The cooldown in seconds."""
        return float(int(self.cooldown[:-1]) * _UNITS[self.cooldown[-1]])


class DriftArguments(Arguments):
    """What to watch, and what matters."""

    target: Handle
    window: Decision[Window]
    checks: Decision[Checks]
    alarm: Decision[Rule] = Rule()
    owner: Metadata[str] = ""
    description: Metadata[str] = ""


class DriftAttributes(Attributes):
    """What the monitor knows."""

    reference: str
    """The digest of the model whose training data are the reference."""
    alarm: Volatile[str | None] = None
    watermark: Volatile[dict[str, Any] | None] = None
    windows: Volatile[list[dict[str, Any]]] = Field(default_factory=list)
    streak: Volatile[int] = 0
    last_alarm: Volatile[float | None] = None


StoredDrift: TypeAlias = Stored[DriftArguments, DriftAttributes]


class Drift(MonitorResource[DriftArguments, DriftAttributes], kind="monitor", type="drift"):
    """Compares logged inputs and predictions with the reference of the model that serves."""

    preload = ("pandas",)

    def apply(self, ctx: Context, new: DriftArguments, old: StoredDrift | None) -> DriftAttributes:
        """Take note of which model serves; what was seen of another counts no more."""
        serves = new.target.attributes.get("answers")
        if not isinstance(serves, str):
            detail = f"{new.target.address} is no deployment: write target = deployment.NAME."
            raise ResourceError("Not a deployment", detail, argument="target")
        _reference(ctx, serves)
        if old is None:
            return DriftAttributes(reference=serves)
        streak = old.attributes.streak if old.attributes.reference == serves else 0
        return old.attributes.model_copy(update={"reference": serves, "streak": streak})

    def run(self, ctx: Context, old: StoredDrift) -> tuple[DriftAttributes, Sequence[Alarm]]:
        """Look at every whole window since the last look."""
        rules, seen = old.arguments, old.attributes
        reference = _reference(ctx, seen.reference)
        folder = ctx.root / str(rules.target.attributes["log_dir"])
        alarms: list[Alarm] = []
        found = 0
        for frame, span, cursor in _windows(folder, seen, rules.window.rows, ctx):
            found += 1
            window = _judge(frame, span, reference, rules)
            streak = seen.streak + 1 if window["drift"] else 0
            quiet = seen.last_alarm is not None and span[1] - seen.last_alarm < rules.alarm.quiet
            update: dict[str, Any] = {
                "watermark": cursor,
                "windows": [*seen.windows, window][-_KEPT:],
                "streak": streak,
            }
            if window["incident"] or (streak >= rules.alarm.sustain and not quiet):
                alarm = _alarm(window)
                alarms.append(alarm)
                update |= {"alarm": alarm.summary, "last_alarm": span[1], "streak": 0}
            seen = seen.model_copy(update=update)
            ctx.progress(found, None, "windows")
        if not found:
            ctx.log(f"insufficient data: no whole window of {rules.window.rows} rows since then")
        return seen, alarms

    def destroy(self, ctx: Context, old: StoredDrift) -> str:
        """Stop looking; alarms stay in the journal."""
        return "the alarms it raised stay in the journal"


def _reference(ctx: Context, digest: str) -> dict[str, Any]:
    """Read the reference profile out of a model's bundle."""
    try:
        with zipfile.ZipFile(ctx.artifacts.path(digest)) as bundle:
            found: dict[str, Any] = json.loads(bundle.read("reference.json"))
    except KeyError:
        detail = f"The model {digest} that serves has no reference in the artifact store."
        raise ResourceError("No reference", detail, argument="target") from None
    return found


def _windows(
    folder: Any, seen: DriftAttributes, rows: int, ctx: Context
) -> Iterator[tuple[pd.DataFrame, tuple[float, float], dict[str, Any]]]:
    """Cut what was logged since the watermark into windows; a part of one waits."""
    from mlform_core.serving.log import entries

    waiting: list[dict[str, Any]] = []
    count = skipped = 0
    for entry, cursor in entries(folder, seen.watermark):
        if entry is None or entry.get("d") != seen.reference:
            skipped += 1
            continue
        waiting.append(entry)
        count += len(entry["p"])
        if count >= rows:
            yield _frame(waiting), (waiting[0]["t"], waiting[-1]["t"]), cursor
            waiting, count = [], 0
    if skipped:
        ctx.log(f"{skipped} request(s) answered by other models are left out")


def _frame(entries: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, list[Any]] = {}
    for entry in entries:
        for name, data in entry["i"].items():
            columns.setdefault(name, []).extend(data)
        columns.setdefault("prediction", []).extend(entry["p"])
    return pd.DataFrame({n: pd.Series(c, dtype=object) for n, c in columns.items()})


def _judge(
    frame: pd.DataFrame,
    span: tuple[float, float],
    reference: Mapping[str, Any],
    rules: DriftArguments,
) -> dict[str, Any]:
    from mlform_core.drift import holm, shift

    shifts: list[tuple[str, float, Shift]] = []
    for check, rule, names in _checked(reference, rules.checks):
        for name in names:
            found = shift(reference[name], name, frame[name], rule.method)
            shifts.append((check, rule.alarm, found))
    adjusted = holm([s.p for _, _, s in shifts])
    findings = [
        {"check": check, "threshold": threshold, "p_adjusted": p, **asdict(s), "column": s.column}
        for (check, threshold, s), p in zip(shifts, adjusted, strict=True)
        if s.value > threshold and p < rules.alarm.fdr
    ]
    findings.sort(key=lambda f: -f["value"] / f["threshold"])
    broken = [
        n
        for n, r in reference.items()
        if n in frame.columns and frame[n].isna().all() and r["missing"] < r["rows"] / 2
    ]
    return {
        "first": _iso(span[0]),
        "last": _iso(span[1]),
        "rows": len(frame),
        "values": {s.column: round(s.value, 6) for _, _, s in shifts},
        "findings": findings,
        "drift": bool(findings),
        "incident": broken,
    }


def _checked(
    reference: Mapping[str, Any], checks: Checks
) -> Iterator[tuple[str, Check, list[str]]]:
    if checks.inputs is not None:
        inputs = [n for n in reference if n != "prediction"]
        wanted = checks.inputs.columns or inputs
        if unknown := [n for n in wanted if n not in inputs]:
            detail = f"The model has no input {unknown[0]}; it has {', '.join(inputs)}."
            raise ResourceError("Unknown column", detail, argument="checks")
        yield "inputs", checks.inputs, wanted
    if checks.predictions is not None:
        yield "predictions", checks.predictions, ["prediction"]


def _alarm(window: Mapping[str, Any]) -> Alarm:
    findings = window["findings"]
    if window["incident"]:
        summary = f"no values at all in {', '.join(window['incident'])}"
    else:
        moved = ", ".join(f"{f['column']} ({f['method']} {f['value']:.2f})" for f in findings[:3])
        more = f" and {len(findings) - 3} more" if len(findings) > 3 else ""
        summary = f"drift in {moved}{more}"
    looked = {k: window[k] for k in ("first", "last", "rows")}
    return Alarm("drift", looked, findings, summary, incident=bool(window["incident"]))


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
