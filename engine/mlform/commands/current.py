"""Saved plans: refused, with the difference, where what they were made from has moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mlform.address import Address
from mlform.commands.claiming import between, touching
from mlform.commands.sensitive import marks, secrets_of
from mlform.commands.session import Session
from mlform.diagnostics import stop
from mlform.values import short

if TYPE_CHECKING:
    from mlform.apply.current import Moved
    from mlform.plan import Plan
    from mlform.state.lease import Extent
    from mlform.state.model import Entry, Snapshot

_MOST: Final = 12


def check_current(
    session: Session, plan: Plan, snapshot: Snapshot, extent: Extent | None = None
) -> None:
    """Refuse a plan made from another state, from records or from inputs that moved since.

    What was recorded since of what it neither writes nor rests on is no matter. Raises
    ``DiagnosedError``; nothing was done.
    """
    if plan.lineage and plan.lineage != snapshot.lineage:
        detail = (
            f"The plan was made from state {plan.lineage}; this is {snapshot.lineage}. It belongs "
            "to another folder or workspace."
        )
        raise stop("Plan is for another state", detail)
    entries = between(session, plan.serial, snapshot)
    # A plan that there is nothing to do is about everything.
    moved = touching(None if plan.empty else extent, entries)
    if moved or snapshot.serial < plan.serial:
        detail = (
            f"The plan was made from serial {plan.serial}; the state is at {snapshot.serial} now."
            f"{_between(moved)} Nothing was done: plan again."
        )
        raise stop("Plan is out of date", detail)
    if lines := _outputs(plan, snapshot):
        moved_ = ", ".join(lines)
        detail = f"What it was made from has moved: {moved_}. Nothing was done: plan again."
        raise stop("Plan is out of date", detail)
    if lines := [*_secrets(session, plan), *_moved(session, plan, snapshot)]:
        shown = "".join(f"\n  {line}" for line in lines[:_MOST])
        more = f"\n  and {len(lines) - _MOST} more" if len(lines) > _MOST else ""
        detail = f"What it was made from has moved:{shown}{more}\nNothing was done: plan again."
        raise stop("Plan is out of date", detail)


def _outputs(plan: Plan, snapshot: Snapshot) -> list[str]:
    """Return the outputs that it would change and that another has changed."""
    return [
        f"output.{name}"
        for name, change in plan.output_changes.items()
        if (name in snapshot.outputs) != (change.action != "add")
    ]


def _secrets(session: Session, plan: Plan) -> list[str]:
    """Return the sensitive variables that are given otherwise now."""
    if not session.marks:
        return []
    now = marks(session, plan)
    others = [n for n, mark in session.marks.items() if now.get(n, mark) != mark]
    return [f"var.{n}: (sensitive value) → (sensitive value)" for n in others]


def _between(entries: Sequence[Entry]) -> str:
    """Say what was done to the state meanwhile."""
    done = [
        f"{e.address or e.operation} {e.detail.get('action') or e.operation} in {e.run}"
        for e in entries
    ]
    more = f" and {len(done) - _MOST} more" if len(done) > _MOST else ""
    return f" In between: {', '.join(done[:_MOST])}{more}." if done else ""


def _moved(session: Session, plan: Plan, snapshot: Snapshot) -> list[str]:
    from mlform.apply.current import moved_since
    from mlform.apply.settle import Settler
    from mlform.plan.pulled import after, pins_after
    from mlform.refresh.moves import moved_pins, relocated
    from mlform.refresh.pins import lock_digest, read_pins
    from mlform.refresh.recorded import Recorded
    from mlform.refresh.results import Results

    moves = {Address.parse(a): Address.parse(b) for a, b in plan.moves.items()}
    pins = pins_after(moved_pins(read_pins(session.root), moves), plan.pulls)
    records = after(relocated(snapshot, moves), plan.pulls, session.registry).records
    offered = session.registry.find
    recorded = Recorded(
        {a: r for a, r in records.items() if offered(a.kind, r.type)}, session.registry
    )
    # Where a pin is yet to be moved to is looked at: the source may have gone on since.
    pulled = {a for it in plan.pulls for a in it.pins}
    held = {a: pin for a, pin in pins.items() if a not in pulled}
    results = Results(session.store, session.looker)
    settler = Settler(recorded, secrets_of(session, plan))
    found = moved_since(plan, settler, session.registry, session.looker, held, results)
    lines = [_said(it) for it in found]
    if lock_digest(pins) != plan.lock and not any(it.what == "pin" for it in found):
        lines.append(f".mlform.lock.hcl: {short(plan.lock)} → {short(lock_digest(pins))}")
    return lines


def _said(it: Moved) -> str:
    if it.before is None and it.after is None:
        return f"{it.address}: {it.what} changed: {it.name}"
    before = "none" if it.before is None else short(it.before)
    after = "none" if it.after is None else short(it.after)
    return f"{it.address}: {it.what} {it.name}: {before} → {after}"
