"""What was recorded at a serial or at a time: the journal, followed up to there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from mlform.lazy import dataclass, field
from mlform.state.codec import parse_record, text
from mlform.state.model import Entry, Record, Snapshot, damaged


@dataclass
class Fold:
    """What the journal says the state is, entry by entry. Plain data, each record on its own."""

    serial: int = 0
    at: datetime | None = None
    """When the last of the entries was written that raised the serial."""
    records: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)

    def follow(self, entry: Entry) -> None:
        """Take one entry more."""
        if entry.serial:
            self.serial, self.at = entry.serial, entry.at
        match entry.operation:
            case "done":
                assert entry.address is not None, "what is done is done to a resource"
                self.records[entry.address] = entry.detail["record"]
            case "forget":
                self.records.pop(str(entry.address), None)
            case "outputs":
                self.outputs = entry.detail["outputs"]
            case "moved" | "revised":
                found: Mapping[str, Mapping[str, Any] | None] = entry.detail["records"]
                for address in found:
                    self.records.pop(address, None)
                come = [data for data in found.values() if data is not None]
                self.records.update({data["address"]: data for data in come})
                self.outputs = entry.detail.get("outputs", self.outputs)
            case _:  # it tells of something else than records
                pass

    def snapshot(self, lineage: str) -> Snapshot:
        """Return it as a snapshot. Raises ``DiagnosedError`` where a record cannot be read."""
        records = [read(address, data) for address, data in self.records.items()]
        return Snapshot(lineage, self.serial, {r.address: r for r in records}, self.outputs)


def read(address: str, data: Mapping[str, Any]) -> Record:
    """Return a record of the journal. Raises ``DiagnosedError`` if it is none."""
    try:
        return parse_record(json.loads(text(data)))
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(f"The record of {address} cannot be read ({error!r}).") from None


def at_serial(entries: Iterable[Entry], serial: int) -> Fold:
    """Return what was recorded at a serial, or before it if it was never reached."""
    fold = Fold()
    for entry in entries:
        if entry.serial > serial:
            break
        fold.follow(entry)
    return fold


def at_moment(entries: Iterable[Entry], moment: datetime) -> Fold:
    """Return what was recorded at a time."""
    fold = Fold()
    for entry in until(entries, moment):
        fold.follow(entry)
    return fold


def until(entries: Iterable[Entry], moment: datetime) -> Iterator[Entry]:
    """Give what was written until a time.

    A clock may have gone back in between: an entry counts if one after it is old enough.
    """
    waiting: list[Entry] = []
    for entry in entries:
        waiting.append(entry)
        if entry.at <= moment:
            yield from waiting
            waiting.clear()
