"""Checking a state: the chain, every row's seal, and the rows against the journal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection

from mlform.lazy import dataclass, field
from mlform.state import history
from mlform.state.codec import journalled, seal, sound, text
from mlform.state.journal import chain
from mlform.state.tables import (
    ALARMS,
    HISTORY,
    JOURNAL,
    REALISATIONS,
    RECORDS,
    lineage_of,
    outputs_of,
    own,
    rows,
    state_row,
)

_PAGE: Final = 500


def audit(connection: Connection) -> list[str]:
    """Return what is wrong with a state, in words."""
    told = _Told()
    found = told.by_the_journal(connection)
    tables = ((RECORDS, "record of"), (REALISATIONS, "realisation"), (ALARMS, "alarm"))
    for table, what in tables:
        stored = rows(connection, table, connection.execute(own(connection, table)))
        found += [f"the {what} {row[0]} was altered" for row in stored if not sound(row)]
    if told.whole:
        found += told.unlike(connection)
    return found


@dataclass
class _Told:
    """What the journal says the state must be, entry by entry."""

    serial: int = 0
    records: dict[str, str] = field(default_factory=dict)
    """Address → the seal its record must have."""
    outputs: str = "{}"
    history: dict[int, Any] = field(default_factory=dict)
    """Serial → the line of the history that it must have."""
    whole: bool = False
    """Whether the journal held to its end, so that it may speak against the rows."""

    def by_the_journal(self, connection: Connection) -> list[str]:
        """Follow the journal as far as it can be believed; return what is wrong with it."""
        query = own(connection, JOURNAL).order_by(JOURNAL.c.sequence)
        start = lineage_of(connection)
        with connection.execute(query.execution_options(yield_per=_PAGE)) as stored:
            return self._along(start, rows(connection, JOURNAL, stored))

    def _along(self, previous: str, entries: Iterable[Any]) -> list[str]:
        for number, row in enumerate(entries, 1):
            previous = chain(previous, tuple(row)[:-1])
            if row.sequence != number:
                return [f"journal entry {number} is missing"]
            if previous != row.sha256:
                return [f"journal entry {number} or one before it was altered"]
            jumps = row.operation == "revised" and row.serial > self.serial
            if row.serial and row.serial != self.serial + 1 and not jumps:
                return [f"journal entry {number} has serial {row.serial} after {self.serial}"]
            self._follow(row)
        self.whole = True
        return []

    def _follow(self, row: Any) -> None:
        self.serial = row.serial or self.serial
        if row.operation == "done":
            detail = json.loads(row.detail)
            self.records[row.address] = seal(row.address, text(detail["record"]))
            self._spent(row, detail)
        elif row.operation == "forget":
            self.records.pop(row.address, None)
            self._spent(row, json.loads(row.detail))
        elif row.operation == "moved":
            records = json.loads(row.detail)["records"]
            for address in records:
                self.records.pop(address, None)
            for data in records.values():
                self.records[data["address"]] = seal(data["address"], text(data))
            for serial, (_, old, *rest) in self.history.items():
                if old in records:
                    self.history[serial] = (serial, records[old]["address"], *rest)
        elif row.operation == "revised":
            detail = json.loads(row.detail)
            for address, data in detail["records"].items():
                self.records.pop(address, None)
                if data is not None:
                    self.records[address] = seal(address, text(data))
            self.outputs = text(detail["outputs"]) if "outputs" in detail else self.outputs
        elif row.operation == "outputs":
            self.outputs = text(json.loads(row.detail)["outputs"])

    def _spent(self, row: Any, detail: Mapping[str, Any]) -> None:
        if (line := history.line(row.serial, row.address, detail)) is not None:
            self.history[row.serial] = line

    def unlike(self, connection: Connection) -> list[str]:
        """Return where the rows differ from what the journal says."""
        found = []
        state = state_row(connection, lock=False)
        if state.serial != self.serial:
            found.append(f"the state is at serial {state.serial}, its journal at {self.serial}")
        if outputs_of(connection, state) != self.outputs:
            found.append("the outputs are not those of the journal")
        lines = {line.serial: tuple(line) for line in connection.execute(own(connection, HISTORY))}
        if lines != self.history:
            found.append("the history of durations is not that of the journal")
        stored = rows(connection, RECORDS, connection.execute(own(connection, RECORDS)))
        there = {row.address: _record(row) for row in stored}
        for address in sorted(self.records.keys() | there.keys()):
            if address not in there:
                found.append(f"the record of {address} is missing")
            elif address not in self.records:
                found.append(f"the record of {address} is none of the journal's")
            elif there[address] != self.records[address]:
                found.append(f"the record of {address} is not the journal's")
        return found


def _record(row: Any) -> str:
    """Return the seal that the record of a row has in the journal."""
    return seal(row.address, journalled(row.data)) if sound(row) else str(row.sha256)
