"""State in a SQL database. Row per resource, journal append-only, every write under the fence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from sqlalchemy import update

from mlform.address import Address
from mlform.state import alarms, fencing, history, journal, realisations
from mlform.state.audit import audit
from mlform.state.codec import checked_record, record_data
from mlform.state.codec import text as write
from mlform.state.database import open_database, patient
from mlform.state.file import NAME
from mlform.state.holder import Holder
from mlform.state.lease import Extent, Lease, Work
from mlform.state.lock import Lock
from mlform.state.model import (
    AlarmEvent,
    Entry,
    Realisation,
    Record,
    Revision,
    Snapshot,
    Spent,
    damaged,
)
from mlform.state.sealed import CLEAR, Cipher
from mlform.state.tables import (
    RECORDS,
    STATE,
    ours,
    outputs_of,
    outputs_values,
    own,
    resealed,
    rows,
    state_row,
)
from mlform.state.writes import Write, Writer, replace_records

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
        self._writer = Writer(self._database)

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
        extent: Extent | None = None,
    ) -> AbstractContextManager[Lease]:
        """Take the lock for the length of a ``with`` block."""
        return self._lock.hold(operation, wait, waiting, extent)

    def leases(self) -> Sequence[Lease]:
        """Return who has the lock now, the oldest first: several, where each has a part."""
        return self._lock.leases()

    def await_free(
        self, wait: float = 0.0, waiting: Callable[[Lease], None] = lambda _holder: None
    ) -> Sequence[Lease]:
        """Return who has parts of the lock, once nobody has the whole."""
        return self._lock.await_free(wait, waiting)

    def renew(self, lease: Lease) -> bool:
        """Renew a lease at once; ``False`` if another has taken it."""
        return self._lock.beat(lease.fence)

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

    def put(self, lease: Lease, run: str, record: Record, detail: Mapping[str, Any]) -> int:
        """Write one record in place of any older one; return the new serial."""
        data = record_data(record)
        return self._writer.write(Write(lease, run, "done", data["address"], detail, data))

    @patient
    def move(self, lease: Lease, run: str, records: Mapping[Address, Record]) -> int:
        """Write records in place of those at the addresses given, at once; return the serial."""
        fencing.whole(lease)
        with self._database.writing() as connection:
            serial = fencing.advance(connection, lease)
            written = {str(a): record_data(r) for a, r in records.items()}
            gone = dict.fromkeys(written)
            replace_records(connection, gone | {d["address"]: d for d in written.values()})
            journal.append(connection, serial, run, "moved", None, {"records": written})
            renamed = {a: d["address"] for a, d in written.items() if d["address"] != a}
            history.move(connection, renamed)
            alarms.move(connection, renamed)
        return serial

    def forget(self, lease: Lease, run: str, address: Address, detail: Mapping[str, Any]) -> int:
        """Drop one record; return the new serial."""
        return self._writer.write(Write(lease, run, "forget", str(address), detail, drops=True))

    @patient
    def revise(self, lease: Lease, run: str, revision: Revision) -> int:
        """Write and drop records by hand, all of them at once; return the new serial."""
        fencing.whole(lease)
        written = {
            str(a): None if r is None else record_data(r) for a, r in revision.records.items()
        }
        detail = {**revision.detail, "records": written}
        with self._database.writing() as connection:
            serial = fencing.advance(connection, lease, least=revision.serial)
            replace_records(connection, written)
            if revision.outputs is not None:
                detail["outputs"] = dict(revision.outputs)
                values = outputs_values(connection, write(detail["outputs"]))
                connection.execute(update(STATE).where(ours(connection, STATE)).values(values))
            journal.append(connection, serial, run, "revised", None, detail)
        return serial

    @patient
    def put_outputs(self, lease: Lease, run: str, outputs: Mapping[str, Any]) -> None:
        """Write the outputs that the lease covers, if they differ from those recorded."""
        with self._database.writing() as connection:
            fencing.hold(connection, lease)
            before = outputs_of(connection, state_row(connection))
            if before is None and lease.extent is not None:
                raise damaged("The outputs are not what was written.")
            recorded = json.loads(before or "{}")
            others = {n: o for n, o in recorded.items() if not lease.covers(f"output.{n}")}
            now = {**others, **{n: o for n, o in outputs.items() if n not in others}}
            written = write(now)
            if before == written:
                return
            serial = fencing.advance(connection, lease)
            values = outputs_values(connection, written)
            connection.execute(update(STATE).where(ours(connection, STATE)).values(values))
            journal.append(connection, serial, run, "outputs", None, {"outputs": now})

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
    def destroyed(self, serial: int, most: int) -> Sequence[Spent]:
        """Return what it took to destroy things up to a serial, newest first."""
        with self._database.reading() as connection:
            return [] if connection is None else history.done(connection, "destroy", serial, most)

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
        fencing.whole(lease)
        with self._database.writing() as connection:
            fencing.hold(connection, lease)
            outputs = outputs_of(connection, state_row(connection))
            if outputs is None:
                raise damaged("The outputs are not what was written.")
            values = outputs_values(connection, outputs)
            connection.execute(update(STATE).where(ours(connection, STATE)).values(values))
            count = resealed(connection)
            how = "encrypted" if self._database.cipher.active else "decrypted"
            journal.append(connection, 0, run, "resealed", None, {"rows": count, "how": how})
        return count

    def journal(self, address: Address | None = None, *, moved: bool = False) -> Iterator[Entry]:
        """Return the journal, oldest first; see ``model.Store``."""
        return journal.entries(self._database, address, moved=moved)

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
        with self._database.reading() as connection:
            if connection is None:
                return {}
            return realisations.selected(connection, keys, self._database.workspace)

    def realise(self, lease: Lease, realisation: Realisation, *, select: bool = True) -> None:
        """Remember a result under its key, and select it; else those before it stay selected.

        The number of a realisation is its rank: the highest sound one of a key is selected.
        """
        self._writer.write(Write(lease, realisation=realisation, select=select))

    @patient
    def purged(
        self, lease: Lease, run: str, keys: Sequence[str], detail: Mapping[str, Any]
    ) -> None:
        """Forget every result of these keys, and journal what is deleted for good."""
        fencing.whole(lease)
        with self._database.writing() as connection:
            fencing.hold(connection, lease)
            realisations.drop(connection, keys)
            journal.append(connection, 0, run, "purged", None, detail)

    @patient
    def results(self) -> Iterator[Realisation]:
        """Return every sound result that every key has had."""
        with self._database.reading() as connection:
            return iter([] if connection is None else realisations.every(connection))

    @patient
    def all_realisations(self, key: str) -> Sequence[Realisation]:
        """Return every sound realisation of a key, the selected one first."""
        with self._database.reading() as connection:
            return [] if connection is None else realisations.of(connection, key)

    @patient
    def raise_alarm(
        self, lease: Lease, run: str, monitor: Address, payload: Mapping[str, Any]
    ) -> AlarmEvent | None:
        """Record an alarm. ``None`` if the same alarm is recorded already."""
        fencing.covered(lease, str(monitor))
        with self._database.writing() as connection:
            fencing.hold(connection, lease)
            return alarms.raised(connection, run, str(monitor), payload)

    @patient
    def alarms(self) -> Sequence[AlarmEvent]:
        """Return every alarm, oldest first."""
        with self._database.reading() as connection:
            return [] if connection is None else alarms.every(connection)

    @patient
    def reactions(self, after: int = 0) -> Sequence[Entry]:
        """Return the entries that tell of alarms and of triggers, oldest first."""
        with self._database.reading() as connection:
            return [] if connection is None else journal.reactions(connection, after)

    @patient
    def consume(self, lease: Lease, run: str, event: str, trigger: str, outcome: str) -> None:
        """Mark an alarm as acted on by a trigger; once is for ever."""
        fencing.whole(lease)
        with self._database.writing() as connection:
            fencing.hold(connection, lease)
            alarms.consume(connection, run, event, trigger, outcome)

    @patient
    def pull(
        self,
        lease: Lease,
        run: str,
        trigger: Address,
        events: Sequence[str],
        detail: Mapping[str, Any],
    ) -> None:
        """Mark alarms as acted on, and journal what their trigger moved for them."""
        fencing.whole(lease)
        with self._database.writing() as connection:
            fencing.hold(connection, lease)
            alarms.pulled(connection, run, str(trigger), events, detail)

    def _note(
        self, lease: Lease, run: str, operation: str, address: str | None, detail: Mapping[str, Any]
    ) -> None:
        self._writer.write(Write(lease, run, operation, address, detail))
