"""What triggers did before, and which alarms they heard: one walk along the journal. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from mlform.address import Address
from mlform.lazy import dataclass, field, replace
from mlform.state.model import AlarmEvent, Entry


@dataclass(frozen=True)
class Act:
    """One time that a trigger acted: when, and whether it moved anything."""

    at: datetime
    moved: bool


@dataclass(frozen=True)
class Past:
    """What a trigger did, and the ids of the alarms raised while its ``on`` named their monitor."""

    acts: tuple[Act, ...] = ()
    heard: frozenset[str] = frozenset()


@dataclass
class _Trigger:
    on: set[Address]
    heard: set[str] = field(default_factory=set)
    acts: list[Act] = field(default_factory=list)


def past(entries: Iterable[Entry], alarms: Iterable[AlarmEvent]) -> dict[Address, Past]:
    """Return the past of every trigger that is there at the end of ``entries``.

    What was raised before a trigger was there, or before its ``on`` named the monitor, it has not
    heard. A trigger that was gone meanwhile is another one; one that was renamed is not, nor is a
    monitor.
    """
    incidents = {a.id for a in alarms if a.payload.get("incident")}
    known: dict[str, _Trigger] = {}
    for entry in entries:
        _follow(known, entry, incidents)
    return {Address.parse(a): Past(tuple(it.acts), frozenset(it.heard)) for a, it in known.items()}


def means(named: Address, it: Address) -> bool:
    """Tell whether a resource is meant by an address: its own, or that of all its instances."""
    return named in {it, replace(it, key=None)}


def _follow(known: dict[str, _Trigger], entry: Entry, incidents: set[str]) -> None:
    address, detail = str(entry.address), entry.detail
    match entry.operation:
        case "event":
            monitor = Address.parse(address)
            for it in known.values():
                if any(means(named, monitor) for named in it.on):
                    it.heard.add(detail["alarm"])
        case "consume" if (actor := known.get(address)) is not None:
            if detail["alarm"] in incidents & actor.heard:
                actor.acts.append(Act(entry.at, moved=False))
        case "pull" if (actor := known.get(address)) is not None:
            actor.acts.append(Act(entry.at, moved=True))
        case "moved":
            _rename(known, {old: data["address"] for old, data in detail["records"].items()})
        case "done":
            _record(known, {address: detail["record"]})
        case "forget":
            _record(known, {address: None})
        case "revised":
            _record(known, detail["records"])
        case _:  # another's intent, or what the journal tells of others
            pass


def _record(known: dict[str, _Trigger], records: Mapping[str, Mapping[str, Any] | None]) -> None:
    for address, data in records.items():
        if data is None:
            known.pop(address, None)
        elif Address.parse(address).kind == "trigger":
            on = {Address.leading(text) for text in data["arguments"]["on"]}
            known.setdefault(address, _Trigger(on)).on = on


def _rename(known: dict[str, _Trigger], renamed: Mapping[str, str]) -> None:
    there = {renamed.get(a, a): it for a, it in known.items()}
    known.clear()
    known.update(there)
    for it in known.values():
        # What the spec calls it by now is recorded with the trigger's next step only.
        it.on |= {
            Address.parse(new)
            for old, new in renamed.items()
            if any(means(named, Address.parse(old)) for named in it.on)
        }
