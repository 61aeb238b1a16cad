"""``reapply``, ``monitor run`` and ``update``: how the loop closes."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlform.commands.applying import Applied, apply
from mlform.commands.looking import look
from mlform.commands.options import PlanOptions
from mlform.commands.provenance import new_run, provenance
from mlform.commands.session import Session
from mlform.commands.working import at_work, workers
from mlform.diagnostics import DiagnosedError, did_you_mean, stop
from mlform.lazy import dataclass, replace

if TYPE_CHECKING:
    from mlform.address import Address
    from mlform.apply import Reporter, World
    from mlform.apply.watch import Watched
    from mlform.plan import Plan
    from mlform.plan.pulled import Pulled
    from mlform.reconcile import Moved, Pull
    from mlform.reconcile.rounds import Proposal
    from mlform.registry import Offer
    from mlform.state.model import Record, Snapshot


@dataclass(frozen=True)
class Reapplied:
    """What the triggers made of the alarms, what was applied for it, and what is proposed."""

    pulls: Sequence[Pull]
    applied: Applied
    proposals: Sequence[Proposal] = ()


def reapply(
    session: Session,
    report: Reporter,
    *,
    parallelism: int = 2,
    out: Path | None = None,
    as_of: str | None = None,
) -> Reapplied:
    """Let every trigger act on its alarms and ticks, then plan and apply what follows, unasked.

    What a trigger only proposes, or what would take longer than its budget allows, is written to
    ``out`` (by default within the folder for local data) and not applied. ``as_of`` is taken for
    now, by schedules and by what rests. Webhooks are told what came of it, errors too.
    """
    from mlform.commands.notifying import failed, notify, reapplied

    now = datetime.now(UTC)
    if as_of is not None:
        session.date(as_of)
        now = datetime.fromisoformat(as_of)
    try:
        done = _reapply(session, report, parallelism, out, now)
    except DiagnosedError as error:
        notify(session, [failed(error)])
        raise
    notify(session, list(reapplied(done)))
    return done


def _reapply(
    session: Session, report: Reporter, parallelism: int, out: Path | None, now: datetime
) -> Reapplied:
    from mlform.commands.proposing import drop, propose

    with session.lock("reapply") as lease:
        pulls, last = _pulls(session, now)
        run = new_run()
        for it in pulls:
            for alarm in it.alarms if it.consume and not it.moves else ():
                session.store.consume(lease, run, alarm.id, str(it.trigger), it.why)
        last = max((e.sequence for e in session.store.reactions(last)), default=last)
    moving = {it.trigger: _pulled(session, it) for it in pulls if it.moves}
    unasked = [it for it in pulls if it.moves and not it.propose]
    applied = _apply(session, report, parallelism, unasked, moving, last)
    if not applied.approved and not _acted(session, last):
        # Those that have all the time there is go on without the others.
        unasked = [it for it in unasked if it.limit is None]
        applied = _apply(session, report, parallelism, unasked, moving, last)
    if not applied.approved:  # another acted before this one had the lock
        return _reapply(session, report, parallelism, out, now)
    acted = {it.trigger for it in unasked}
    later = [it.trigger for it in pulls if it.moves and it.trigger not in acted]
    interrupted = applied.outcome is not None and applied.outcome.interrupted
    proposals = [] if interrupted else propose(session, [moving[a] for a in later], out)
    drop(session, later)
    return Reapplied(pulls, applied, proposals)


def _apply(
    session: Session,
    report: Reporter,
    parallelism: int,
    pulls: Sequence[Pull],
    moving: Mapping[Address, Pulled],
    last: int,
) -> Applied:
    """Apply what follows from what triggers move, unless it may take longer than any allows.

    Nor is it applied where another acted after the ``last`` entry of the journal they went by.
    """

    def unasked(plan: Plan) -> bool:
        current = not plan.pulls or not _acted(session, last)
        return current and _within(plan, limit, parallelism)

    limit = min((it.limit for it in pulls if it.limit is not None), default=None)
    chosen = PlanOptions(pulls=tuple(moving[it.trigger] for it in pulls))
    return apply(session, unasked, report, chosen, parallelism=parallelism, operation="reapply")


def dismiss(session: Session, name: str) -> int:
    """Let go of what waits for a trigger: its alarms, and a tick. Returns how many those are.

    Raises ``DiagnosedError`` where there is no such trigger.
    """
    from mlform.commands.proposing import drop

    with session.lock("reapply") as lease:
        pulls = [it for it in _pulls(session, datetime.now(UTC))[0] if str(it.trigger) == name]
        records = {str(a): r for a, r in session.store.snapshot().records.items()}
        known = [a for a in records if records[a].address.kind == "trigger"]
        if name not in known:
            detail = f"There is no {name} in the state.{did_you_mean(name, known)}"
            raise stop("Unknown trigger", detail)
        if not pulls:
            return 0
        run, by = new_run(), provenance(session.root)["by"]
        waiting = [alarm for it in pulls for alarm in it.alarms]
        for alarm in waiting:
            session.store.consume(lease, run, alarm.id, name, f"let go by {by}")
        tick = next((it.tick for it in pulls if it.tick is not None), None)
        if tick is not None:
            record = records[name]
            seen = replace(record, attributes={**record.attributes, "dismissed": tick})
            session.store.put(lease, run, seen, {"action": "watch"})
    drop(session, {records[a].address for a in known if a != name})
    return len(waiting) + (tick is not None)


def _within(plan: Plan, limit: float | None, parallelism: int) -> bool:
    """Tell whether a plan is short enough to be carried out unasked."""
    from mlform.plan.times import times

    if limit is None:
        return True
    if plan.deferred:  # nobody knows how much there is to do
        return False
    expected = times(plan, parallelism)
    return expected is None or (not expected.unknown and expected.worst.clock <= limit)


def _pulls(session: Session, now: datetime) -> tuple[Sequence[Pull], int]:
    """Return what triggers do, and the number of the last entry of the journal they go by."""
    from mlform.reconcile import Known, past, pull
    from mlform.refresh import none
    from mlform.refresh.pins import read_pins

    snapshot, alarms = session.store.snapshot(), session.store.alarms()
    records = snapshot.records.items()
    triggers = {a: r.arguments for a, r in records if a.kind == "trigger"}
    seen = look(session, snapshot, read_pins(session.root), read=none)
    entries = session.store.reactions() if triggers else ()
    last = max((e.sequence for e in entries), default=0)
    return pull(triggers, alarms, Known(seen, snapshot, past(entries, alarms), now)), last


def _acted(session: Session, last: int) -> bool:
    """Tell whether a trigger acted, or was made to, after an entry of the journal."""
    return any(e.operation in {"consume", "pull"} for e in session.store.reactions(last))


def _pulled(session: Session, it: Pull) -> Pulled:
    """Return what a trigger moves as a plan has it."""
    from mlform.plan.pulled import Pulled
    from mlform.refresh.pins import Pin, read_pins

    pins = read_pins(session.root)
    moved = {
        a.dataset: Pin(pins[a.dataset].source, a.parts, a.rows) for a in it.advances if a.pinned
    }
    return Pulled(
        it.trigger,
        tuple(a.id for a in it.alarms),
        it.why,
        tuple(a.dataset for a in it.advances),
        moved,
        it.tick,
    )


def update(session: Session, wanted: Sequence[str]) -> list[Moved]:
    """Move the pins of the datasets named, or of all, to what lies at their sources."""
    from mlform.address import Address
    from mlform.files import alone
    from mlform.reconcile import Moved
    from mlform.refresh import none
    from mlform.refresh.pins import Pin, read_pins, source_of, version_mode, write_pins
    from mlform.refresh.scope import Scope
    from mlform.refresh.world import wanted as normalised
    from mlform.values import UNKNOWN

    project, _ = session.configured
    snapshot = session.store.snapshot()
    targets = set(session.targets(wanted, snapshot)) if wanted else set(project.resources)
    pins = read_pins(session.root)
    seen = look(session, snapshot, pins, read=none)
    scope = Scope(project, snapshot, session.diagnostics)
    for address in project.resources:
        # What is not a pinned dataset may take others; a source takes none.
        scope.put(address, UNKNOWN)
    moved, fresh, told = [], dict[Address, Pin](), provenance(session.root)
    for address in sorted(targets & set(project.resources)):
        resource, parts = project.resources[address], seen[address].parts
        if not parts:
            continue
        arguments = normalised(resource.offer.resource, scope.arguments(resource)).data
        if version_mode(arguments)[0] != "pin":
            continue
        source = source_of(resource.offer.resource, arguments)
        who = {n: str(told[n]) for n in ("by", "at")}
        pin, old = Pin(source, dict(parts), seen[address].rows, **who), pins.get(address)
        if old != pin:
            fresh[address] = pin
            rows = None if old is None or None in (old.rows, pin.rows) else _less(pin, old)
            moved.append(Moved(address, old.version if old else None, pin.version, rows))
    if moved:
        with alone(session.local / "pins.lock"):  # an apply may have pinned others meanwhile
            write_pins(session.root, read_pins(session.root) | fresh)
    return moved


def _less(new: Any, old: Any) -> int:
    return int(new.rows) - int(old.rows)


def run_monitors(session: Session, wanted: Sequence[str], report: Reporter) -> list[Watched]:
    """Let the monitors named, or all, look at what came since they last looked.

    Webhooks are told of what was seen. Raises ``KeyboardInterrupt`` where it was stopped.
    """
    from mlform.commands.notifying import looked, notify
    from mlform.sdk import CancelledError
    from mlform.state.lease import Extent

    known = _monitors(session, wanted, session.store.snapshot())
    targets = [a for record, _ in known for a in record.needs]
    extent = Extent.of([record.address for record, _ in known], targets)
    seen: list[Watched] = []
    stopped = False
    with session.lock("monitor run", extent) as lease:
        snapshot = session.store.snapshot()
        there = _monitors(session, wanted, snapshot)
        chosen = [(r, o) for r, o in there if lease.covers(str(r.address))]
        with (
            workers([o for _, o in chosen]) as local,
            at_work(session, lease, local) as (world, stopping),
        ):
            try:
                for record, offer in chosen:
                    seen.append(_watch(world, record, offer, snapshot, report, stopping))
            except CancelledError:
                stopped = not lease.lost.is_set()
    notify(session, list(looked(seen)))
    if stopped:
        raise KeyboardInterrupt
    return seen


def _monitors(
    session: Session, wanted: Sequence[str], snapshot: Snapshot
) -> list[tuple[Record, Offer]]:
    known = {str(a): r for a, r in sorted(snapshot.records.items()) if a.kind == "monitor"}
    for name in wanted:
        if name not in known:
            detail = f"There is no {name} in the state.{did_you_mean(name, known)} Apply it first."
            raise stop("Unknown monitor", detail)
    if not known:
        raise stop("Unknown monitor", "No monitor is applied yet: run `mlform apply` first.")
    found = []
    for name, record in known.items():
        if not wanted or name in wanted:
            offer = session.registry.find("monitor", record.type)
            if offer is None:
                detail = session.registry.missing("monitor", record.type)
                raise stop("Unknown resource type", detail)
            found.append((record, offer))
    return found


def _watch(
    world: World,
    record: Record,
    offer: Offer,
    snapshot: Snapshot,
    report: Reporter,
    stopping: threading.Event,
) -> Watched:
    from mlform.apply.settle import Settler
    from mlform.apply.watch import Watched, watch
    from mlform.refresh.recorded import Recorded

    settler = Settler(Recorded(snapshot.records, world.registry), {})
    try:
        attributes, alarms = watch(world, record, offer, settler, report, stopping)
    except DiagnosedError as error:
        first = error.diagnostics.errors[0]
        return Watched(record.address, {}, [], f"{first.summary}: {first.detail}")
    return Watched(record.address, attributes, alarms)
