"""What each trigger makes of the alarms that wait for it, and of its schedule. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from mlform.address import Address
from mlform.lazy import dataclass
from mlform.lengths import seconds
from mlform.reconcile.past import Act, Past, means
from mlform.refresh import Observation, Observations
from mlform.registry.trigger import last_tick, written
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
    tick: str | None = None
    """The ``as_of`` that its schedule has come to and that was not acted on yet."""
    propose: bool = False
    """Whether what follows is only proposed."""
    limit: float | None = None
    """So many seconds at most may what follows take for it to be done unasked."""

    @property
    def moves(self) -> bool:
        """Whether anything moves."""
        return self.consume and (bool(self.advances) or self.tick is not None)


@dataclass(frozen=True)
class Known:
    """What triggers are judged by: what was seen, what is recorded, what they did before, now."""

    observations: Observations
    snapshot: Snapshot
    past: Mapping[Address, Past]
    now: datetime


def pull(
    triggers: Mapping[Address, Mapping[str, Any]], alarms: Sequence[AlarmEvent], known: Known
) -> list[Pull]:
    """Return what every trigger does that has an alarm it has not acted on, or a tick.

    Alarms that were raised before it listened are no information for it: they are used up at once.
    ``triggers`` are their arguments: ``on`` and ``advance`` as written, the others as data.
    """
    found = []
    for trigger, arguments in sorted(triggers.items()):
        monitors = [Address.leading(text) for text in arguments["on"]]
        unused = [
            a
            for a in alarms
            if str(trigger) not in a.consumed_by
            and any(means(m, Address.parse(a.monitor)) for m in monitors)
        ]
        heard = known.past.get(trigger, Past()).heard
        if older := tuple(a for a in unused if a.id not in heard):
            count = f"{len(older)} older alarm{'' if len(older) == 1 else 's'}"
            why = f"leaves {count} aside, raised before its `on` named the monitor"
            found.append(Pull(trigger, older, (), why, consume=True))
        waiting = tuple(a for a in unused if a.id in heard)
        tick = _tick(trigger, arguments, known)
        if waiting or tick:
            found.append(_pull(trigger, arguments, waiting, tick, known))
    return found


def _tick(trigger: Address, arguments: Mapping[str, Any], known: Known) -> str | None:
    """Return the last tick of a schedule, if it was not acted on yet."""
    schedule = arguments.get("schedule")
    if schedule is None:
        return None
    record = known.snapshot.records.get(trigger)
    attributes = {} if record is None else record.attributes
    # Written as they are, times sort as they follow each other.
    before = max(attributes.get("as_of") or "", attributes.get("dismissed") or "")
    tick = written(last_tick(schedule, known.now))
    return tick if before < tick else None


def _pull(
    trigger: Address,
    arguments: Mapping[str, Any],
    waiting: tuple[AlarmEvent, ...],
    tick: str | None,
    known: Known,
) -> Pull:
    incidents = [a for a in waiting if a.payload.get("incident")]
    if incidents:
        why = (
            f"{incidents[0].id} is a data incident ({incidents[0].payload.get('summary', '')}): "
            "nothing retrains on broken data"
        )
        return Pull(trigger, waiting, (), why, consume=True)
    need = arguments.get("need") or {}
    acts = known.past.get(trigger, Past()).acts
    if why := _rests(arguments, len(waiting), tick, acts, known.now):
        return Pull(trigger, waiting, (), why, consume=False, tick=tick)
    named = [Address.leading(text) for text in arguments["advance"]]
    records, seen = known.snapshot.records, known.observations
    there = sorted({*records, *seen})
    datasets = dict.fromkeys(a for n in named for a in there if means(n, a))
    moved = [a for d in datasets if (a := _advance(d, seen.get(d), records.get(d)))]
    least, new_rows = int(need.get("new_rows", 0)), sum(a.new_rows or 0 for a in moved)
    names = ", ".join(map(str, named))
    why = ""
    if not moved and (tick is None or least):
        why = f"nothing new at the source of {names} since it was last applied"
    elif new_rows < least:
        why = f"{new_rows:,} new rows < {least:,} needed"
    if why:
        why = f"no new information: {why}"
        return Pull(trigger, waiting, (), why, consume=False, tick=tick)
    parts = [
        str(a.dataset) if a.new_rows is None else f"{a.dataset} by {a.new_rows:+,} rows"
        for a in moved
    ]
    said = [f"advances {', '.join(parts)}"] if parts else []
    said += [f"as of {tick}"] if tick else []
    budget = arguments.get("budget") or {}
    limit = budget.get("time")
    return Pull(
        trigger,
        waiting,
        tuple(moved),
        ", ".join(said),
        consume=True,
        tick=tick,
        propose=arguments.get("mode") == "propose",
        limit=None if limit is None else seconds(limit),
    )


def _rests(
    arguments: Mapping[str, Any],
    alarms: int,
    tick: str | None,
    acts: Sequence[Act],
    now: datetime,
) -> str:
    """Say why a trigger does not act yet, whatever is new; ``""`` if it may."""
    least = int((arguments.get("need") or {}).get("alarms", 1))
    if tick is None and alarms < least:
        return f"{alarms} of {least} alarms that are needed wait"
    rest = timedelta(seconds=seconds(arguments.get("cooldown") or "0s"))
    last = max((it.at for it in acts), default=None)
    if last is not None and now < last + rest:
        return f"rests until {written(last + rest)} (cooldown {arguments['cooldown']})"
    budget = arguments.get("budget") or {}
    if (runs := budget.get("runs")) is not None:
        per = timedelta(seconds=seconds(budget["per"]))
        within = sorted(it.at for it in acts if it.moved and it.at > now - per)
        if len(within) >= runs:
            free = written(within[-runs] + per)
            return f"its budget of {runs} in {budget['per']} is used up until {free}"
    return ""


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
