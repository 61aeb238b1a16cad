"""Alarms, triggers, monitors and pins, for people and machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlform.apply.watch import Watched
from mlform.reconcile import Moved, Pull
from mlform.render.style import Styled
from mlform.state.model import AlarmEvent
from mlform.values import short


def pulls(found: Sequence[Pull]) -> Styled:
    """Say what each trigger made of its alarms."""
    if not found:
        return [("", "No alarm waits for a trigger.\n")]
    said: Styled = []
    for it in found:
        names = ", ".join(a.id for a in it.alarms)
        style: Any = "green" if it.advances else "yellow"
        said += [("bold", f"{it.trigger}"), ("", f" on {names}: "), (style, f"{it.why}.\n")]
    return said


def pull_data(it: Pull) -> dict[str, Any]:
    """Return what a trigger did as plain data."""
    return {
        "type": "trigger",
        "address": str(it.trigger),
        "alarms": [a.id for a in it.alarms],
        "advances": [str(a.dataset) for a in it.advances],
        "why": it.why,
        "consumed": it.consume,
    }


def moved(found: Sequence[Moved]) -> Styled:
    """Say which pins moved."""
    if not found:
        return [("", "Nothing to move: every pinned dataset is at its source's version.\n")]
    said: Styled = []
    for it in found:
        before = "not pinned" if it.before is None else short(it.before)
        rows = "" if it.new_rows is None else f"  {it.new_rows:+,} rows"
        said += [("bold", f"{it.dataset}"), ("", f"  {before} → {short(it.after)}{rows}\n")]
    return said


def moved_data(it: Moved) -> dict[str, Any]:
    """Return a moved pin as plain data."""
    return {
        "dataset": str(it.dataset),
        "before": it.before,
        "after": it.after,
        "new_rows": it.new_rows,
    }


def watched(found: Sequence[Watched]) -> Styled:
    """Say what monitors saw."""
    said: Styled = []
    for it in found:
        said.append(("bold", f"{it.monitor}: "))
        if it.error:
            said.append(("red", f"{it.error}\n"))
        elif not it.alarms:
            said.append(("green", "no alarm.\n"))
        else:
            said.append(("yellow", f"{len(it.alarms)} alarm(s)\n"))
            for alarm in it.alarms:
                said += _alarm(alarm)
    return said


def watched_data(it: Watched) -> dict[str, Any]:
    """Return what a monitor saw as plain data."""
    return {
        "monitor": str(it.monitor),
        "attributes": dict(it.attributes),
        "alarms": [alarm_data(a) for a in it.alarms],
        "error": it.error,
    }


def alarms(found: Sequence[AlarmEvent]) -> Styled:
    """List alarms and what became of them."""
    said: Styled = []
    for alarm in found:
        said += _alarm(alarm)
        for trigger, outcome in alarm.consumed_by.items():
            said.append(("dim", f"    {trigger}: {outcome}\n"))
        if not alarm.consumed_by:
            said.append(("dim", "    open: no trigger has acted on it yet\n"))
    return said or [("", "There were no alarms.\n")]


def _alarm(alarm: AlarmEvent) -> Styled:
    payload = alarm.payload
    said: Styled = [
        ("yellow", f"  {alarm.id}"),
        ("", f"  {alarm.monitor}  {payload.get('summary', '')}"),
        ("dim", f"  {alarm.at:%Y-%m-%d %H:%M:%S}\n"),
    ]
    for finding in list(payload.get("findings", ()))[:5]:
        where = finding.get("column") or finding.get("check")
        value, threshold = finding.get("value"), finding.get("threshold")
        text = f"{value:.3g}" if isinstance(value, int | float) else str(value)
        said.append(("", f"      {where}: {text} > {threshold}\n"))
    return said


def alarm_data(it: AlarmEvent) -> dict[str, Any]:
    """Return an alarm as plain data."""
    return {
        "id": it.id,
        "monitor": it.monitor,
        "at": it.at.isoformat(),
        "payload": dict(it.payload),
        "consumed_by": dict(it.consumed_by),
    }
