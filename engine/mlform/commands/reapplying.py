"""``reapply``, ``monitor run`` and ``update``: how the loop closes."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlform.address import Address
from mlform.commands.applying import Applied, apply
from mlform.commands.provenance import new_run, provenance
from mlform.commands.session import Session
from mlform.commands.working import at_work
from mlform.diagnostics import DiagnosedError, did_you_mean, stop
from mlform.lazy import dataclass

if TYPE_CHECKING:
    from mlform.apply import Reporter, World
    from mlform.apply.watch import Watched
    from mlform.reconcile import Moved, Pull
    from mlform.registry import Offer
    from mlform.state.model import Record, Snapshot


@dataclass(frozen=True)
class Reapplied:
    """What the triggers made of the alarms, and what was applied for it."""

    pulls: Sequence[Pull]
    applied: Applied


def reapply(session: Session, report: Reporter, *, parallelism: int = 2) -> Reapplied:
    """Let every trigger act on its alarms, then plan and apply what follows, unasked."""
    from mlform.reconcile import pull
    from mlform.refresh import none
    from mlform.refresh.pins import read_pins

    with session.lock("reapply") as lease:
        snapshot = session.store.snapshot()
        pins = read_pins(session.root)
        seen = session.look(snapshot, pins, read=none)
        pulls = pull(_triggers(snapshot), session.store.alarms(), seen, snapshot)
        run = new_run()
        _move_pins(session, pulls)
        for it in pulls:
            for alarm in it.alarms if it.consume else ():
                session.store.consume(lease, run, alarm.id, str(it.trigger), it.why)
    applied = apply(
        session, lambda _plan: True, report, parallelism=parallelism, operation="reapply"
    )
    return Reapplied(pulls, applied)


def _triggers(snapshot: Snapshot) -> dict[Address, Mapping[str, Any]]:
    records = snapshot.records.items()
    return {a: r.arguments for a, r in records if a.kind == "trigger"}


def _move_pins(session: Session, pulls: Sequence[Pull]) -> None:
    from mlform.refresh.pins import Pin, read_pins, write_pins

    pins = read_pins(session.root)
    before = dict(pins)
    for it in pulls:
        for advance in it.advances:
            if advance.pinned:
                source = pins[advance.dataset].source
                pins[advance.dataset] = Pin(source, advance.parts, advance.rows)
    if pins != before:
        write_pins(session.root, pins)


def update(session: Session, wanted: Sequence[str]) -> list[Moved]:
    """Move the pins of the datasets named, or of all, to what lies at their sources."""
    from mlform.reconcile import Moved
    from mlform.refresh import none
    from mlform.refresh.observe import source_of, version_mode
    from mlform.refresh.pins import Pin, read_pins, write_pins
    from mlform.refresh.scope import Scope
    from mlform.refresh.world import wanted as normalised

    project, _ = session.configured
    snapshot = session.store.snapshot()
    targets = set(session.targets(wanted, snapshot)) if wanted else set(project.resources)
    pins = read_pins(session.root)
    seen = session.look(snapshot, pins, read=none)
    scope = Scope(project, snapshot, session.diagnostics)
    moved, told = [], provenance(session.root)
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
            pins[address] = pin
            rows = None if old is None or None in (old.rows, pin.rows) else _less(pin, old)
            moved.append(Moved(address, old.version if old else None, pin.version, rows))
    if moved:
        write_pins(session.root, pins)
    return moved


def _less(new: Any, old: Any) -> int:
    return int(new.rows) - int(old.rows)


def run_monitors(session: Session, wanted: Sequence[str], report: Reporter) -> list[Watched]:
    """Let the monitors named, or all, look at what came since they last looked."""
    with session.lock("monitor run") as lease:
        snapshot = session.store.snapshot()
        chosen = _monitors(session, wanted, snapshot)
        with at_work(session, lease, [o for _, o in chosen]) as (world, stopping):
            return [_watch(world, r, o, snapshot, report, stopping) for r, o in chosen]


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
