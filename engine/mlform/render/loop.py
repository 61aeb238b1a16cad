"""Alarms, triggers, monitors and pins, for people and machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mlform.apply.watch import Watched
from mlform.diagnostics import counted
from mlform.reconcile import Moved, Pull
from mlform.reconcile.rounds import PLAN, REPORT, Proposal, Round
from mlform.render.style import Styled
from mlform.render.values import seconds
from mlform.state.lease import Lease
from mlform.state.model import AlarmEvent
from mlform.values import short

_NAMED: Final = 5
"""Alarms that are told by name, of one trigger."""


def pulls(found: Sequence[Pull]) -> Styled:
    """Say what each trigger made of its alarms and its schedule."""
    if not found:
        return [("", "No alarm waits for a trigger, and no schedule has come to a tick.\n")]
    said: Styled = []
    for it in found:
        named = [a.id for a in it.alarms[:_NAMED]]
        more = len(it.alarms) - len(named)
        names = ", ".join([*named, *([f"{more} more"] if more else [])])
        style: Any = "green" if it.moves else "yellow"
        on = f" on {names}" if names else ""
        said += [("bold", f"{it.trigger}"), ("", f"{on}: "), (style, f"{it.why}.\n")]
    return said


def pull_data(it: Pull) -> dict[str, Any]:
    """Return what a trigger did as plain data."""
    return {
        "type": "trigger",
        "address": str(it.trigger),
        "alarms": [a.id for a in it.alarms],
        "advances": [str(a.dataset) for a in it.advances],
        "tick": it.tick,
        "why": it.why,
        "consumed": it.consume,
    }


def proposals(found: Sequence[Proposal]) -> Styled:
    """Say what is proposed, and how to have it done."""
    said: Styled = []
    for it in found:
        steps = len(it.plan.changes)
        count = counted(steps, "step")
        again = "" if it.fresh else " (as before)"
        said += [("bold", f"{it.trigger}"), ("", " proposes "), ("yellow", f"{count}{again}: ")]
        said += [("", f"mlform apply {it.folder / PLAN}\n")]
        said += [("dim", f"    for a pull request: {it.folder / REPORT}\n")]
    return said


def proposal_data(it: Proposal) -> dict[str, Any]:
    """Return a proposal as plain data."""
    return {
        "type": "proposal",
        "address": str(it.trigger),
        "plan": str(it.folder / PLAN),
        "report": str(it.folder / REPORT),
        "steps": {str(s.address): s.action.value for s in it.plan.changes},
        "fresh": it.fresh,
    }


def told_leader(leader: Lease | None) -> Styled:
    """Say who leads of all that watch a state: another, or (``None``) this process."""
    if leader is None:
        return [("", "leads\n")]
    since = f"{leader.since:%Y-%m-%d %H:%M:%S %Z}".strip()
    who = f"{leader.owner} (process {leader.pid}) has led since {since}, lease {leader.id}"
    return [("yellow", f"stands by: {who}\n")]


def leader_data(leader: Lease | None) -> dict[str, Any]:
    """Return who leads as plain data."""
    if leader is None:
        return {"type": "leader", "leading": True}
    named = {"id": leader.id, "owner": leader.owner, "pid": leader.pid}
    told = {**named, "since": leader.since.isoformat()}
    return {"type": "leader", "leading": False, "leader": told}


def told_round(it: Round) -> Styled:
    """Say what came of one round of ``watch``, in a line or a few."""
    said: Styled = [("dim", f"round {it.number}, {seconds(it.seconds)}: ")]
    if it.locked:
        return [*said, ("yellow", "left to another, who has the lock.\n")]
    if it.error:
        return [*said, ("red", f"{it.error}\n"), ("dim", f"  again in {seconds(it.wait)}\n")]
    said += [("red" if it.failed else "", f"{_in_short(it)}\n")]
    said += [("yellow", f"  {text}\n") for text in it.warnings]
    seen = [w for w in it.seen if w.alarms or w.error]
    said += watched(seen) if seen else []
    if it.pulls:
        said += [*pulls(it.pulls), *proposals(it.proposals)]
    return said


def _in_short(it: Round) -> str:
    alarms = sum(len(w.alarms) for w in it.seen)
    steps = 0 if it.outcome is None else len(it.outcome.done)
    failed = 0 if it.outcome is None else len(it.outcome.failures)
    found = [
        f"{counted(len(it.seen), 'monitor')} looked",
        counted(alarms, "alarm"),
        f"{counted(steps, 'step')} applied",
    ]
    return ", ".join([*found, *([f"{failed} failed"] if failed else [])])


def round_data(it: Round) -> dict[str, Any]:
    """Return one round as plain data."""
    done = {} if it.outcome is None else it.outcome.done
    return {
        "type": "round",
        "number": it.number,
        "seconds": round(it.seconds, 3),
        "wait": it.wait,
        "failed": it.failed,
        "locked": it.locked,
        "error": it.error,
        "warnings": list(it.warnings),
        "monitors": [watched_data(w) for w in it.seen],
        "triggers": [pull_data(p) for p in it.pulls],
        "proposals": [proposal_data(p) for p in it.proposals],
        "steps": {str(a): action.value for a, action in done.items()},
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
            said.append(("yellow", f"{counted(len(it.alarms), 'alarm')}\n"))
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
        how = f" ({finding['method']})" if finding.get("method") else ""
        value, threshold = (_number(finding.get(name)) for name in ("value", "threshold"))
        said.append(("", f"      {where}{how}: {value} {finding.get('sign', '>')} {threshold}\n"))
    return said


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else str(value)


def alarm_data(it: AlarmEvent) -> dict[str, Any]:
    """Return an alarm as plain data."""
    return {
        "id": it.id,
        "monitor": it.monitor,
        "at": it.at.isoformat(),
        "payload": dict(it.payload),
        "consumed_by": dict(it.consumed_by),
    }
