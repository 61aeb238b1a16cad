"""What a plan says beside its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlform.address import Address
from mlform.plan.decide import Decision
from mlform.plan.model import Action, Note
from mlform.refresh import Observation
from mlform.refresh.world import Wanted, held_by, stored
from mlform.sdk import AnyResource, MonitorResource
from mlform.state.model import Record


def waiting(address: Address, seen: Observation) -> list[Note]:
    """Say what lies at a source behind a pin, if anything does."""
    arrived = [Note("data arrived", str(address), text) for text in seen.arrived]
    if not seen.behind:
        return arrived
    parts, pinned = seen.parts or {}, seen.pinned or {}
    new = sorted(parts.keys() - pinned.keys())
    gone = sorted(pinned.keys() - parts.keys())
    changed = sorted(n for n in parts.keys() & pinned.keys() if parts[n] != pinned[n])
    there = ((changed, "changed"), (gone, "gone"), (new, "new"))
    moved = ", ".join(f"{_listed(names)} {how}" for names, how in there if names)
    rows = ""
    if seen.rows is not None and seen.pinned_rows is not None:
        rows = f", {seen.rows - seen.pinned_rows:+,} rows"
    text = f"{moved} at the source{rows}; pinned in .mlform.lock.hcl (`mlform update` moves it)"
    return [Note("data waiting", str(address), text), *arrived]


def approval(address: Address, lacking: object) -> Note:
    """Say that a step waits to be approved, and how it is."""
    text = (
        f"takes {lacking} more: save this plan with -out, have it approved with `mlform "
        f"approve FILE -for {address}`, and apply it"
    )
    return Note("approval", str(address), text)


def foreseen(address: Address, resource: AnyResource, known: Mapping[str, Any]) -> list[Note]:
    """Say what a step will leave undone, where that is certain already."""
    told = {n: v for n, v in known.items() if isinstance(v, list | tuple)}
    return [Note("will be held", str(address), text) for text in held_by(resource, told)]


def tried(
    resource: AnyResource, arguments: Wanted, decision: Decision, record: Record | None
) -> list[Note]:
    """Say what a monitor's new limits would have made of what it has seen."""
    if not isinstance(resource, MonitorResource) or decision.action is not Action.DECIDE:
        return []
    if record is None or arguments.model is None:
        return []
    text = resource.tried(arguments.model, stored(resource, record))
    return [Note("backtest", str(record.address), text)] if text else []


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
