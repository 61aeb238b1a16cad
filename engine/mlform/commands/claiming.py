"""The lease of an apply: for what its plan writes, so that others may write the rest meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from mlform.commands.session import Session
from mlform.lazy import dataclass

if TYPE_CHECKING:
    from mlform.plan import Plan
    from mlform.state.lease import Extent, Lease
    from mlform.state.model import Entry, Snapshot

_OFTEN: Final = 3
"""So many times a plan is made anew because what it rests on was written before its lease held;
then it is made under a lease for everything."""
_ONE_BY_ONE: Final = frozenset({"done", "forget", "outputs"})
"""What raises the serial and is about one resource, or about outputs alone."""


@dataclass(frozen=True)
class Claimed:
    """A plan, the state it is carried out on, and the lease that holds both still."""

    plan: Plan
    snapshot: Snapshot
    lease: Lease


@contextmanager
def claimed(
    session: Session, operation: str, make: Callable[[Snapshot], Plan]
) -> Iterator[Claimed]:
    """Plan, and take a lease for what the plan writes; plan anew if that has moved before it held.

    Raises ``LockedError`` if another writes any of it, or the whole state, for too long.
    """
    deadline = time.monotonic() + session.lock_timeout
    for _ in range(_OFTEN):
        leases = session.free(deadline)
        snapshot = session.store.snapshot()
        plan = make(snapshot)
        extent = _extent(session, plan, snapshot, leases)
        with session.lock(operation, extent, deadline) as lease:
            now = snapshot
            if lease.serial != snapshot.serial or not snapshot.lineage:
                now = session.store.snapshot()
            if stands(extent, snapshot, now, between(session, snapshot.serial, now)):
                yield Claimed(plan, now, lease)
                return
    with session.lock(operation, None, deadline) as lease:
        snapshot = session.store.snapshot()
        yield Claimed(make(snapshot), snapshot, lease)


@contextmanager
def claimed_for(session: Session, operation: str, plan: Plan) -> Iterator[Claimed]:
    """Take a lease for what a saved plan writes.

    Whether it still stands is the caller's to find out. Raises ``LockedError``.
    """
    deadline = time.monotonic() + session.lock_timeout
    while True:
        leases = session.free(deadline)
        snapshot = session.store.snapshot()
        extent = _extent(session, plan, snapshot, leases)
        with session.lock(operation, extent, deadline) as lease:
            if lease.serial == snapshot.serial:
                yield Claimed(plan, snapshot, lease)
                return


def _extent(
    session: Session, plan: Plan, snapshot: Snapshot, leases: Sequence[Lease]
) -> Extent | None:
    from mlform.plan.extent import extent

    held = {name for it in leases if it.extent is not None for name in it.extent.writes}
    left = {e.address for e in session.store.unfinished() if e.address} - held
    others = changed(between(session, plan.serial, snapshot))
    return extent(plan, snapshot, session.registry, others=others, left=left)


def between(session: Session, serial: int, now: Snapshot) -> Sequence[Entry]:
    """Return what was written after a serial."""
    return [] if now.serial == serial else session.store.since(serial)


def changed(entries: Sequence[Entry]) -> set[str]:
    """Return the addresses that entries of the journal are about."""
    return {e.address for e in entries if e.address}


def stands(
    extent: Extent | None, before: Snapshot, now: Snapshot, entries: Sequence[Entry]
) -> bool:
    """Tell whether what a plan writes and rests on is what it was when the plan was made."""
    if extent is None:
        return before.serial == now.serial
    if before.lineage not in {"", now.lineage} or touching(extent, entries):
        return False
    outputs = {n.removeprefix("output.") for n in extent.writes if n.startswith("output.")}
    return all(before.outputs.get(n) == now.outputs.get(n) for n in outputs)


def touching(extent: Extent | None, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return the entries that are about what a lease is for, or about more than one resource."""
    if extent is None:
        return entries
    ours = extent.writes | extent.reads
    return [e for e in entries if e.operation not in _ONE_BY_ONE or e.address in ours]


def ours(lease: Lease, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return the entries that are about what a lease may write: the others are of other runs."""
    return [e for e in entries if lease.covers(e.address)]
