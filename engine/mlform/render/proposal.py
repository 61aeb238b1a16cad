"""What a trigger proposes, as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlform.plan import Plan
from mlform.plan.pulled import Pulled
from mlform.render.markdown import cell, code
from mlform.render.markdown import plan as shown
from mlform.state.model import AlarmEvent

_MOST = 10


def report(plan: Plan, pull: Pulled, alarms: Sequence[AlarmEvent], file: Path) -> str:
    """Say what set the trigger off, what it would move, what follows, and how to have it done."""
    said = [f"## {code(pull.trigger)} proposes: {cell(pull.why)}"]
    if alarms:
        said.append(_alarms(alarms))
    if pull.pins:
        rows = [
            f"- {code(a)} → {code(p.version)}" + ("" if p.rows is None else f", {p.rows:,} rows")
            for a, p in sorted(pull.pins.items())
        ]
        said.append("**Datasets move to**\n\n" + "\n".join(rows))
    said.append(shown(plan).rstrip())
    ways = [f"`mlform apply {file}` does exactly this, as long as nothing else moves."]
    if pull.pins:
        ways.append(
            "Or commit the `.mlform.lock.hcl` that lies beside the plan: the next `mlform apply` "
            "does what follows from it."
        )
    return "\n\n".join([*said, *ways]) + "\n"


def _alarms(alarms: Sequence[AlarmEvent]) -> str:
    rows = ["| alarm | monitor | when | what was found |", "|---|---|---|---|"]
    for it in alarms[:_MOST]:
        what = cell(str(it.payload.get("summary", "")))
        rows.append(f"| {code(it.id)} | {code(it.monitor)} | {it.at:%Y-%m-%d %H:%M} | {what} |")
    if len(alarms) > _MOST:
        rows.append(f"| and {len(alarms) - _MOST} more | | | |")
    return "\n".join(rows)
