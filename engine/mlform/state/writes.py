"""What steps write: one transaction for all that came while another was on its way to the disk.

A step waits for its own write to be durable. While it does, the writes of others gather, and go
together: a transaction and its wait for the disk cost about as much for twenty as for one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Event, Lock
from typing import Any, Final

from sqlalchemy import Connection

from mlform.lazy import dataclass, field
from mlform.state import fencing, history, journal, realisations
from mlform.state.codec import record_text, seal
from mlform.state.database import Database, patient
from mlform.state.lease import Lease
from mlform.state.model import Realisation
from mlform.state.tables import RECORDS, add, drop_records

_CYCLE: Final = 0.008
"""Seconds from one transaction to the next, where several write: what the last one took less than
that a write waits for company."""
_LATELY: Final = 8
"""As much company as there was in one of so many transactions is all that is waited for."""


@dataclass(frozen=True)
class Write:
    """A journal entry, with the change of a record that it tells of; or a result of a key."""

    lease: Lease
    run: str = ""
    operation: str = ""
    address: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] | None = None
    """What is recorded at the address from now on."""
    drops: bool = False
    """Whether nothing is recorded there from now on."""
    realisation: Realisation | None = None
    select: bool = True
    """Whether the result is the one to take from now on."""

    @property
    def raises(self) -> bool:
        """Whether there is a new serial."""
        return self.drops or self.record is not None


class _Waiting:
    """A write, until it is on the disk or has failed."""

    def __init__(self, write: Write) -> None:
        self.write = write
        self.woken = Lock()
        self.woken.acquire()
        self.over = False
        self.serial = 0
        self.error: BaseException | None = None


class Writer:
    """Writes for several threads at once. Whoever finds nobody writing does it for all."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._guard = Lock()
        self._waiting: list[_Waiting] = []
        self._busy = False
        self._gather = 0.0
        """Seconds that a write waits for company: none unless there was some just now."""
        self._lately: deque[int] = deque(maxlen=_LATELY)
        """How many wrote together."""
        self._enough = Event()

    def write(self, write: Write) -> int:
        """Write, and return the serial once it is durable: 0 for what changes no record.

        Raises ``LostLeaseError`` where the lease does not hold any more.
        """
        fencing.covered(write.lease, write.address)
        mine = _Waiting(write)
        with self._guard:
            self._waiting.append(mine)
            if len(self._waiting) >= max(self._lately, default=1):
                self._enough.set()
            leads, self._busy = not self._busy, True
        if not leads:
            mine.woken.acquire()
        if not mine.over:
            self._lead()
        if mine.error is not None:
            raise mine.error
        return mine.serial

    def _lead(self) -> None:
        if self._gather:
            self._enough.wait(self._gather)
        with self._guard:
            group, self._waiting = self._waiting, []
            self._lately.append(len(group))
            self._enough.clear()
        began = time.monotonic()
        try:
            self._carry_out(group)
        except BaseException as error:  # an interrupt: what became of the others, nobody knows
            for one in group:
                one.error, one.over = one.error or (None if one.over else error), True
            raise
        finally:
            with self._guard:
                after = self._waiting[0] if self._waiting else None
                self._busy = after is not None
                company = len(group) > 1 or self._busy
                took = time.monotonic() - began
                self._gather = max(0.0, _CYCLE - took) if company else 0.0
            if after is not None:
                after.woken.release()  # the first of those that came meanwhile leads them
            for one in group:
                one.woken.release()

    def _carry_out(self, group: Sequence[_Waiting]) -> None:
        if len(group) > 1 and len({one.write.lease for one in group}) == 1:
            with suppress(Exception):  # each learns of its own below
                return self._commit(group)
        for one in group:
            try:
                self._commit([one])
            except BaseException as error:  # noqa: BLE001 - raised where it was asked for
                one.error, one.over = error, True
        return None

    @patient
    def _commit(self, group: Sequence[_Waiting]) -> None:
        with self._database.writing() as connection:
            serials = _write(connection, [one.write for one in group])
        for one, serial in zip(group, serials, strict=True):
            one.serial, one.over = serial, True


def _write(connection: Connection, writes: Sequence[Write]) -> list[int]:
    """Write within a transaction; return the serial of each."""
    lease, raising = writes[0].lease, sum(w.raises for w in writes)
    if raising:
        serial = fencing.advance(connection, lease, raising) - raising
    else:
        fencing.hold(connection, lease)
        serial = 0
    serials: list[int] = []
    records: dict[str, Mapping[str, Any] | None] = {}
    entries: list[journal.Line] = []
    for write in writes:
        serial += write.raises
        serials.append(serial if write.raises else 0)
        if write.realisation is not None:
            realisations.remember(connection, write.realisation, select=write.select)
            continue
        detail = write.detail
        if write.record is not None:
            detail = {**detail, "record": write.record}
        if write.raises:
            records[str(write.address)] = write.record
        entries.append((serials[-1], write.run, write.operation, write.address, detail))
    replace_records(connection, records)
    journal.extend(connection, entries)
    spent = [(s, str(w.address), w.detail) for s, w in zip(serials, writes, strict=True) if s]
    history.extend(connection, spent)
    return serials


def replace_records(
    connection: Connection, records: Mapping[str, Mapping[str, Any] | None]
) -> None:
    """Write what is recorded at some addresses from now on; ``None``: nothing."""
    drop_records(connection, list(records))
    rows = []
    for address, data in records.items():
        if data is not None:
            line = record_text(data)
            rows.append({"address": address, "data": line, "sha256": seal(address, line)})
    add(connection, RECORDS, *rows)
