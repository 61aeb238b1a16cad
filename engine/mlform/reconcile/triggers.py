"""What each trigger makes of the alarms that wait for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlform.address import Address
from mlform.lazy import dataclass
from mlform.refresh import Observation, Observations
from mlform.state.model import AlarmEvent, Record, Snapshot


@dataclass(frozen=True)
class Advance:
    """One dataset that moves: to which parts, and how many rows that adds (``None``: unknown)."""

    dataset: Address
    parts: Mapping[str, str]
    rows: int | None
    new_rows: int | None
    pinned: bool
    """Whether the lock file holds it, and so must be moved."""


@dataclass(frozen=True)
class Moved:
    """A pin that was moved: from which version to which, and how many rows that adds."""

    dataset: Address
    before: str | None
    after: str
    new_rows: int | None


@dataclass(frozen=True)
class Pull:
    """What came of one trigger: what moves, or why nothing does.

    ``consume`` says whether its alarms are dealt with; without new information they wait.
    """

    trigger: Address
    alarms: tuple[AlarmEvent, ...]
    advances: tuple[Advance, ...]
    why: str
    consume: bool


def pull(
    triggers: Mapping[Address, Mapping[str, Any]],
    alarms: Sequence[AlarmEvent],
    observations: Observations,
    snapshot: Snapshot,
) -> list[Pull]:
    """Return what every trigger does about the alarms it has not yet acted on.

    ``triggers`` are their arguments: ``on`` and ``advance`` as written, ``need`` as data.
    """
    found = []
    for trigger, arguments in sorted(triggers.items()):
        monitors = {str(Address.leading(text)) for text in arguments["on"]}
        waiting = tuple(
            a for a in alarms if a.monitor in monitors and str(trigger) not in a.consumed_by
        )
        if waiting:
            datasets = [Address.leading(text) for text in arguments["advance"]]
            need = int((arguments.get("need") or {}).get("new_rows", 0))
            found.append(_pull(trigger, waiting, datasets, need, observations, snapshot))
    return found


def _pull(
    trigger: Address,
    waiting: tuple[AlarmEvent, ...],
    datasets: Sequence[Address],
    need: int,
    observations: Observations,
    snapshot: Snapshot,
) -> Pull:
    incidents = [a for a in waiting if a.payload.get("incident")]
    if incidents:
        why = (
            f"{incidents[0].id} is a data incident ({incidents[0].payload.get('summary', '')}): "
            "nothing retrains on broken data"
        )
        return Pull(trigger, waiting, (), why, consume=True)
    moved = [
        advance
        for dataset in datasets
        if (advance := _advance(dataset, observations.get(dataset), snapshot.records.get(dataset)))
    ]
    if not moved:
        names = ", ".join(map(str, datasets))
        why = f"no new information: nothing new at the source of {names} since it was last applied"
        return Pull(trigger, waiting, (), why, consume=False)
    new_rows = sum(a.new_rows or 0 for a in moved)
    if new_rows < need:
        why = f"no new information: {new_rows:,} new rows < {need:,} needed"
        return Pull(trigger, waiting, (), why, consume=False)
    parts = ", ".join(
        str(a.dataset) if a.new_rows is None else f"{a.dataset} by {a.new_rows:+,} rows"
        for a in moved
    )
    return Pull(trigger, waiting, tuple(moved), f"advances {parts}", consume=True)


def _advance(dataset: Address, seen: Observation | None, record: Record | None) -> Advance | None:
    if seen is None or seen.parts is None:
        return None
    held_to = dict(seen.pinned) if seen.pinned is not None else dict(record.parts if record else {})
    if held_to == dict(seen.parts):
        return None
    before = seen.pinned_rows
    if before is None and record is not None:
        before = record.receipt.get("rows")
    new = None if seen.rows is None or before is None else seen.rows - before
    return Advance(dataset, dict(seen.parts), seen.rows, new, seen.pinned is not None)
