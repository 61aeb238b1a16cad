"""State in a SQL database. Row per resource, journal append-only, every write under the fence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, case, delete, select, update

from mlform.address import Address
from mlform.failpoints import failpoint
from mlform.state import history, journal
from mlform.state.audit import audit
from mlform.state.codec import checked_record, record_data, seal, sound
from mlform.state.codec import text as write
from mlform.state.database import open_database, patient
from mlform.state.file import NAME
from mlform.state.holder import Holder
from mlform.state.lock import Lock
from mlform.state.model import (
    AlarmEvent,
    Entry,
    Lease,
    LostLeaseError,
    Realisation,
    Record,
    Revision,
    Snapshot,
    Spent,
    Work,
    damaged,
)
from mlform.state.sealed import CLEAR, Cipher
from mlform.state.tables import (
    ALARMS,
    CONSUMED,
    REALISATIONS,
    RECORDS,
    STATE,
    add,
    columns,
    ours,
    outputs_of,
    outputs_values,
    own,
    resealed,
    rows,
    state_row,
)
from mlform.values import canonical

_BATCH: Final = 500


class SqlStore:
    """A store behind a database URL. Nothing is created until the lock is first taken."""

    def __init__(
        self,
        url: str,
        workspace: str = NAME,
        schema: str | None = None,
        cipher: Cipher = CLEAR,
    ) -> None:
        self._database = open_database(url, workspace, schema)
        self._database.protect(cipher)
        self._lock = Lock(self._database)

    def close(self) -> None:
        """Let go of the database. The store may be used again."""
        self._database.close()

    @patient
    def snapshot(self) -> Snapshot:
        """Return everything recorded now."""
        with self._database.reading() as connection:
            if connection is None:
                return Snapshot("", 0, {})
            state = state_row(connection, lock=False)
            outputs = outputs_of(connection, state)
            if outputs is None:
                raise damaged("The outputs are not what was written.")
            found = connection.execute(own(connection, RECORDS))
            records = [checked_record(*row) for row in rows(connection, RECORDS, found)]
        by_address = {r.address: r for r in records}
        return Snapshot(state.lineage, state.serial, by_address, json.loads(outputs))

    def lock(
        self,
        operation: str,
        wait: float = 0.0,
        waiting: Callable[[Lease], None] = lambda _holder: None,
    ) -> AbstractContextManager[Lease]:
        """Take the lock for the length of a ``with`` block."""
        return self._lock.hold(operation, wait, waiting)

    def announce(self, lease: Lease, work: Work) -> None:
        """Tell whoever is refused the lock what it is held for."""
        self._lock.announce(lease, work)

    def break_lock(self, lease: str) -> bool:
        """Take the lock from the holder of a lease, by its id; ``False`` if it has it no more."""
        return self._lock.broken(lease, Holder.me("force-unlock"))

    def intent(self, lease: Lease, run: str, address: Address, detail: Mapping[str, Any]) -> None:
        """Journal that a side effect is about to happen."""
        self._note(lease, run, "intent", str(address), detail)

    def submitted(
        self, lease: Lease, run: str, address: Address, detail: Mapping[str, Any]
    ) -> None:
        """Journal what an engine knows the job by that was just handed to it."""
        self._note(lease, run, "submitted", str(address), detail)

    def failed(self, lease: Lease, run: str, address: Address, detail: Mapping[str, Any]) -> None:
        """Journal that it did not come off."""
        self._note(lease, run, "failed", str(address), detail)

    def approve(self, lease: Lease, run: str, address: Address, detail: Mapping[str, Any]) -> None:
        """Journal that someone agrees to what would be done to a resource."""
        self._note(lease, run, "approve", str(address), detail)

    @patient
    def approvals(self) -> Sequence[Entry]:
        """Return the entries of all that was ever agreed to, oldest first."""
        with self._database.reading() as connection:
            return [] if connection is None else journal.approvals(connection)

    def ran(self, lease: Lease, run: str, detail: Mapping[str, Any]) -> None:
        """Journal that a run is over, and what came of what it did not do."""
        self._note(lease, run, "run", None, detail)

    @patient
    def made(
        self, address: Address, run: str | None = None, before: int | None = None
    ) -> Entry | None:
        """Return the last entry that tells how a record was made."""
        with self._database.reading() as connection:
            return None if connection is None else journal.made(connection, address, run, before)

    @patient
    def since(self, serial: int) -> Sequence[Entry]:
        """Return the entries that raised the serial beyond one, oldest first."""
        with self._database.reading() as connection:
            return [] if connection is None else journal.since(connection, serial)

    @patient
    def runs(self) -> Sequence[Entry]:
        """Return the entry of each run that did anything, oldest first."""
        with self._database.reading() as connection:
            return [] if connection is None else journal.runs(connection)

    @patient
    def put(self, lease: Lease, run: str, record: Record, detail: Mapping[str, Any]) -> int:
        """Write one record in place of any older one; return the new serial."""
        data = record_data(record)
        written, name = write(data), str(record.address)
        row = {"address": name, "data": written, "sha256": seal(name, written)}
        with self._database.writing() as connection:
            serial = _advance(connection, lease)
            _drop(connection, name)
            add(connection, RECORDS, row)
            journal.append(connection, serial, run, "done", name, {**detail, "record": data})
            history.append(connection, serial, name, detail)
        return serial

    @patient
    def move(self, lease: Lease, run: str, records: Mapping[Address, Record]) -> int:
        """Write records in place of those at the addresses given, at once; return the serial."""
        with self._database.writing() as connection:
            serial = _advance(connection, lease)
            for address in records:
                _drop(connection, str(address))
            written = {str(a): record_data(r) for a, r in records.items()}
            for data in written.values():
                line, name = write(data), data["address"]
                row = {"address": name, "data": line, "sha256": seal(name, line)}
                add(connection, RECORDS, row)
            journal.append(connection, serial, run, "moved", None, {"records": written})
            history.move(connection, {a: data["address"] for a, data in written.items()})
        return serial

    @patient
    def forget(self, lease: Lease, run: str, address: Address, detail: Mapping[str, Any]) -> int:
        """Drop one record; return the new serial."""
        with self._database.writing() as connection:
            serial = _advance(connection, lease)
            _drop(connection, str(address))
            journal.append(connection, serial, run, "forget", str(address), detail)
        return serial

    @patient
    def revise(self, lease: Lease, run: str, revision: Revision) -> int:
        """Write and drop records by hand, all of them at once; return the new serial."""
        written = {
            str(a): None if r is None else record_data(r) for a, r in revision.records.items()
        }
        detail = {**revision.detail, "records": written}
        with self._database.writing() as connection:
            serial = _advance(connection, lease, revision.serial)
            for address, data in written.items():
                _drop(connection, address)
                if data is not None:
                    line = write(data)
                    row = {"address": address, "data": line, "sha256": seal(address, line)}
                    add(connection, RECORDS, row)
            if revision.outputs is not None:
                detail["outputs"] = dict(revision.outputs)
                values = outputs_values(connection, write(detail["outputs"]))
                connection.execute(update(STATE).where(ours(connection, STATE)).values(values))
            journal.append(connection, serial, run, "revised", None, detail)
        return serial

    @patient
    def put_outputs(self, lease: Lease, run: str, outputs: Mapping[str, Any]) -> None:
        """Write the outputs, if they differ from those recorded."""
        written = write(dict(outputs))
        with self._database.writing() as connection:
            _hold(connection, lease)
            if outputs_of(connection, state_row(connection)) == written:
                return
            serial = _advance(connection, lease)
            values = outputs_values(connection, written)
            connection.execute(update(STATE).where(ours(connection, STATE)).values(values))
            journal.append(connection, serial, run, "outputs", None, {"outputs": dict(outputs)})

    @patient
    def history(
        self, addresses: Sequence[str], serial: int, most: int
    ) -> Mapping[str, Sequence[Spent]]:
        """Return what the steps at these addresses took up to a serial, the newest first."""
        with self._database.reading() as connection:
            if connection is None:
                return {}
            return history.latest(connection, addresses, serial, most)

    @patient
    def estimated(self, serial: int, most: int) -> Sequence[Spent]:
        """Return the last steps up to a serial that had an estimate, newest first."""
        with self._database.reading() as connection:
            return [] if connection is None else history.estimated(connection, serial, most)

    @patient
    def unfinished(self) -> Sequence[Entry]:
        """Return the intents that neither came off nor failed: a run was killed there."""
        with self._database.reading() as connection:
            return [] if connection is None else journal.unfinished(connection)

    def reseal(self, lease: Lease, run: str) -> int:
        """Write every row anew, encrypted as is configured now, or not; return how many."""
        count = self._resealed(lease, run)
        self._database.compact()
        return count

    @patient
    def _resealed(self, lease: Lease, run: str) -> int:
        with self._database.writing() as connection:
            _hold(connection, lease)
            outputs = outputs_of(connection, state_row(connection))
            if outputs is None:
                raise damaged("The outputs are not what was written.")
            values = outputs_values(connection, outputs)
            connection.execute(update(STATE).where(ours(connection, STATE)).values(values))
            count = resealed(connection)
            how = "encrypted" if self._database.cipher.active else "decrypted"
            journal.append(connection, 0, run, "resealed", None, {"rows": count, "how": how})
        return count

    def journal(self, address: Address | None = None) -> Iterator[Entry]:
        """Return the journal, oldest first, of one address or of all."""
        return journal.entries(self._database, address)

    @patient
    def verify(self) -> Sequence[str]:
        """Check the file, the hash chain, each row's own hash, and the rows against the chain."""
        with self._database.reading() as connection:
            if connection is None:
                return []
            rot = [f"the database file: {line}" for line in self._database.rot(connection)]
            return rot + audit(connection)

    @patient
    def realisations(self, keys: Sequence[str]) -> Mapping[str, Realisation]:
        """Return the selected realisation of each key that has one.

        That of another workspace counts where this one has none. One whose row was damaged counts
        as none: the work is done again and remembered anew.
        """
        found: dict[str, Realisation] = {}
        with self._database.reading() as connection:
            for start in range(0, len(keys) if connection is not None else 0, _BATCH):
                assert connection is not None
                others = REALISATIONS.c.workspace != self._database.workspace
                order = (others, REALISATIONS.c.workspace, REALISATIONS.c.number.desc())
                chosen = REALISATIONS.c.key.in_(list(keys[start : start + _BATCH]))
                query = select(*columns(REALISATIONS)).where(chosen).order_by(*order)
                given = connection.execute(query)
                for row in rows(connection, REALISATIONS, given, everywhere=True):
                    if row.key not in found and sound(row):
                        found[row.key] = _realisation(row)
        return found

    @patient
    def realise(self, lease: Lease, realisation: Realisation, *, select: bool = True) -> None:
        """Remember a result under its key, and select it; else those before it stay selected.

        The number of a realisation is its rank: the highest sound one of a key is selected.
        """
        key, digest = realisation.key, realisation.digest
        with self._database.writing() as connection:
            _hold(connection, lease)
            ranked = _ranked(connection, key)
            same = next((row for row in ranked if row.digest == digest and sound(row)), None)
            if same is not None and (not select or same.number == ranked[0].number):
                return
            kept = write(dict(realisation.attributes)), write(dict(realisation.receipt))
            if same is not None:
                connection.execute(
                    delete(REALISATIONS).where(
                        ours(connection, REALISATIONS),
                        REALISATIONS.c.key == key,
                        REALISATIONS.c.number == same.number,
                    )
                )
                kept = same.attributes, same.receipt
            number = 1
            if ranked:
                number = ranked[0].number + 1 if select else ranked[-1].number - 1
            row = (key, number, digest, *kept, seal(key, number, digest, *kept))
            add(connection, REALISATIONS, row)

    @patient
    def purged(
        self, lease: Lease, run: str, keys: Sequence[str], detail: Mapping[str, Any]
    ) -> None:
        """Forget every result of these keys, and journal what is deleted for good."""
        with self._database.writing() as connection:
            _hold(connection, lease)
            for start in range(0, len(keys), _BATCH):
                gone = REALISATIONS.c.key.in_(list(keys[start : start + _BATCH]))
                chosen = ours(connection, REALISATIONS) & gone
                connection.execute(delete(REALISATIONS).where(chosen))
            journal.append(connection, 0, run, "purged", None, detail)

    @patient
    def results(self) -> Iterator[Realisation]:
        """Return every sound result that every key has had."""
        with self._database.reading() as connection:
            if connection is None:
                return iter(())
            all_ = connection.execute(own(connection, REALISATIONS))
            found = list(rows(connection, REALISATIONS, all_))
        return iter([_realisation(row) for row in found if sound(row)])

    @patient
    def all_realisations(self, key: str) -> Sequence[Realisation]:
        """Return every sound realisation of a key, the selected one first."""
        with self._database.reading() as connection:
            ranked = [] if connection is None else _ranked(connection, key)
        return [_realisation(row) for row in ranked if sound(row)]

    @patient
    def raise_alarm(
        self, lease: Lease, run: str, monitor: Address, payload: Mapping[str, Any]
    ) -> AlarmEvent | None:
        """Record an alarm. ``None`` if the same alarm is recorded already."""
        who, at = str(monitor), journal.now()
        name = "ev-" + hashlib.sha256((who + canonical(payload)).encode()).hexdigest()[:12]
        row = (name, who, at, write(dict(payload)))
        with self._database.writing() as connection:
            _hold(connection, lease)
            if connection.execute(own(connection, ALARMS).where(ALARMS.c.id == name)).first():
                return None
            add(connection, ALARMS, (*row, seal(*row)))
            journal.append(connection, 0, run, "event", who, {"alarm": name})
        return AlarmEvent(name, who, datetime.fromisoformat(at), dict(payload))

    @patient
    def alarms(self) -> Sequence[AlarmEvent]:
        """Return every alarm, oldest first."""
        with self._database.reading() as connection:
            if connection is None:
                return []
            query = own(connection, ALARMS).order_by(ALARMS.c.at, ALARMS.c.id)
            raised = list(rows(connection, ALARMS, connection.execute(query)))
            stored = connection.execute(own(connection, CONSUMED))
            consumed = list(rows(connection, CONSUMED, stored))
        outcomes: dict[str, dict[str, str]] = {}
        for row in consumed:
            outcomes.setdefault(row.alarm, {})[row.trigger] = row.outcome
        return [_alarm(row, outcomes.get(row.id, {})) for row in raised]

    @patient
    def consume(self, lease: Lease, run: str, event: str, trigger: str, outcome: str) -> None:
        """Mark an alarm as acted on by a trigger; once is for ever."""
        row = {"alarm": event, "trigger": trigger, "outcome": outcome}
        same = (CONSUMED.c.alarm == event) & (CONSUMED.c.trigger == trigger)
        with self._database.writing() as connection:
            _hold(connection, lease)
            if connection.execute(own(connection, CONSUMED).where(same)).first():
                return
            add(connection, CONSUMED, row)
            detail = {"alarm": event, "outcome": outcome}
            journal.append(connection, 0, run, "consume", trigger, detail)

    @patient
    def _note(
        self, lease: Lease, run: str, operation: str, address: str | None, detail: Mapping[str, Any]
    ) -> None:
        with self._database.writing() as connection:
            _hold(connection, lease)
            journal.append(connection, 0, run, operation, address, detail)


def _ranked(connection: Connection, key: str) -> list[Any]:
    """Return the realisations of a key, the highest rank first."""
    chosen = own(connection, REALISATIONS).where(REALISATIONS.c.key == key)
    found = connection.execute(chosen.order_by(REALISATIONS.c.number.desc()))
    return list(rows(connection, REALISATIONS, found))


def _drop(connection: Connection, address: str) -> None:
    chosen = ours(connection, RECORDS) & (RECORDS.c.address == address)
    connection.execute(delete(RECORDS).where(chosen))


def _advance(connection: Connection, lease: Lease, least: int = 0) -> int:
    """Raise the serial, if the lease still holds: the one check that keeps two writers apart."""
    higher = STATE.c.serial + 1
    query = (
        update(STATE)
        .where(ours(connection, STATE), STATE.c.fence == lease.fence)
        .values(serial=case((higher < least, least), else_=higher) if least else higher)
        .returning(STATE.c.serial)
    )
    serial = connection.execute(query).scalar()
    if serial is None:
        raise LostLeaseError.of(lease)
    failpoint("state.advanced")
    return int(serial)


def _hold(connection: Connection, lease: Lease) -> None:
    if state_row(connection).fence != lease.fence:
        raise LostLeaseError.of(lease)


def _realisation(row: Any) -> Realisation:
    return Realisation(row.key, row.digest, json.loads(row.attributes), json.loads(row.receipt))


def _alarm(row: Any, consumed_by: Mapping[str, str]) -> AlarmEvent:
    if not sound(row):
        raise damaged(f"The alarm {row.id} is not what was written.")
    at = datetime.fromisoformat(row.at)
    return AlarmEvent(row.id, row.monitor, at, json.loads(row.payload), consumed_by)
