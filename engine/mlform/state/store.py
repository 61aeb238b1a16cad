"""State in a SQL database. Row per resource, journal append-only, every write under the fence."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import DatabaseError

from mlform.address import Address
from mlform.diagnostics import DiagnosedError, stop
from mlform.state.codec import parse_record, record_data
from mlform.state.holder import Holder
from mlform.state.model import (
    AlarmEvent,
    Entry,
    Lease,
    LockedError,
    LostLeaseError,
    Realisation,
    Record,
    Snapshot,
    damaged,
)
from mlform.state.tables import (
    ALARMS,
    CONSUMED,
    JOURNAL,
    METADATA,
    REALISATIONS,
    RECORDS,
    SCHEMA,
    STATE,
    database_file,
    open_engine,
)

_NAME = "default"
_BATCH = 500


class SqlStore:
    """A store behind a database URL. Nothing is created until something is written."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._engine = open_engine(url)
        self._ready = False

    def snapshot(self) -> Snapshot:
        """Return everything recorded now."""
        with self._reading() as connection:
            if connection is None:
                return Snapshot("", 0, {})
            state = connection.execute(select(STATE).where(STATE.c.name == _NAME)).one_or_none()
            if state is None:
                return Snapshot("", 0, {})
            rows = connection.execute(select(RECORDS)).all()
        records = [_checked(row.address, row.data, row.sha256) for row in rows]
        by_address = {r.address: r for r in records}
        return Snapshot(state.lineage, state.serial, by_address, json.loads(state.outputs))

    @contextmanager
    def lock(self, operation: str) -> Iterator[Lease]:
        """Take the lock for the length of a ``with`` block. Raises ``LockedError`` at once."""
        lease = self._take(Holder.me(operation))
        try:
            yield lease
        finally:
            with self._writing() as connection:
                mine = (STATE.c.name == _NAME) & (STATE.c.fence == lease.fence)
                connection.execute(update(STATE).where(mine).values(holder=None))

    def _take(self, holder: Holder) -> Lease:
        with self._writing() as connection:
            state = connection.execute(select(STATE).where(STATE.c.name == _NAME)).one()
            if state.holder is not None:
                current = Holder.parse(state.holder)
                if current.alive():
                    raise LockedError(current.lease(state.fence))
            fence = state.fence + 1
            values = {"fence": fence, "holder": holder.dump()}
            connection.execute(update(STATE).where(STATE.c.name == _NAME).values(values))
        return holder.lease(fence)

    def intent(self, lease: Lease, run: str, address: Address, detail: Mapping[str, Any]) -> None:
        """Journal that a side effect is about to happen."""
        self._journal(lease, run, "intent", str(address), detail)

    def failed(self, lease: Lease, run: str, address: Address, detail: Mapping[str, Any]) -> None:
        """Journal that it did not come off."""
        self._journal(lease, run, "failed", str(address), detail)

    def put(self, lease: Lease, run: str, record: Record, detail: Mapping[str, Any]) -> int:
        """Write one record in place of any older one; return the new serial."""
        data = record_data(record)
        text = _text(data)
        name = str(record.address)
        with self._writing() as connection:
            serial = _advance(connection, lease)
            connection.execute(delete(RECORDS).where(RECORDS.c.address == name))
            connection.execute(
                insert(RECORDS).values(address=name, data=text, sha256=_hash(name, text))
            )
            _append(connection, serial, run, "done", name, {**detail, "record": data})
        return serial

    def forget(self, lease: Lease, run: str, address: Address, detail: Mapping[str, Any]) -> int:
        """Drop one record; return the new serial."""
        with self._writing() as connection:
            serial = _advance(connection, lease)
            connection.execute(delete(RECORDS).where(RECORDS.c.address == str(address)))
            _append(connection, serial, run, "forget", str(address), detail)
        return serial

    def put_outputs(self, lease: Lease, run: str, outputs: Mapping[str, Any]) -> None:
        """Write the outputs, if they differ from those recorded."""
        text = _text(outputs)
        with self._writing() as connection:
            state = connection.execute(select(STATE).where(STATE.c.name == _NAME)).one()
            if state.outputs == text:
                return
            serial = _advance(connection, lease)
            connection.execute(update(STATE).where(STATE.c.name == _NAME).values(outputs=text))
            _append(connection, serial, run, "outputs", None, {"outputs": dict(outputs)})

    def unfinished(self) -> Sequence[Entry]:
        """Return the intents that neither came off nor failed: a run was killed there."""
        last: dict[str, Entry] = {}
        for entry in self.journal():
            if entry.address is not None:
                last[entry.address] = entry
        return [e for e in last.values() if e.operation == "intent"]

    def journal(self, address: Address | None = None) -> Iterator[Entry]:
        """Return the journal, oldest first, of one address or of all."""
        query = select(JOURNAL).order_by(JOURNAL.c.sequence)
        if address is not None:
            query = query.where(JOURNAL.c.address == str(address))
        with self._reading() as connection:
            rows = [] if connection is None else connection.execute(query).all()
        for row in rows:
            yield Entry(
                row.sequence,
                row.serial,
                row.run,
                datetime.fromisoformat(row.at),
                row.operation,
                row.address,
                json.loads(row.detail),
                row.sha256,
            )

    def verify(self) -> Sequence[str]:
        """Check the hash chain and every record's own hash; return what is wrong."""
        with self._reading() as connection:
            if connection is None:
                return []
            journal = connection.execute(select(JOURNAL).order_by(JOURNAL.c.sequence)).all()
            records = connection.execute(select(RECORDS)).all()
        found, previous = [], ""
        for number, row in enumerate(journal, 1):
            if row.sequence != number:
                found.append(f"journal entry {number} is missing")
                break
            previous = _chain(previous, tuple(row)[:-1])
            if previous != row.sha256:
                found.append(f"journal entry {number} or one before it was altered")
                break
        altered = [r.address for r in records if _hash(r.address, r.data) != r.sha256]
        return [*found, *(f"the record of {a} was altered" for a in altered)]

    def realisations(self, keys: Sequence[str]) -> Mapping[str, Realisation]:
        """Return the selected realisation of each key that has one."""
        found: dict[str, Realisation] = {}
        with self._reading() as connection:
            for start in range(0, len(keys) if connection is not None else 0, _BATCH):
                assert connection is not None
                chosen = REALISATIONS.c.key.in_(list(keys[start : start + _BATCH]))
                query = select(REALISATIONS).where(chosen, REALISATIONS.c.number == 1)
                for row in connection.execute(query):
                    attributes, receipt = json.loads(row.attributes), json.loads(row.receipt)
                    found[row.key] = Realisation(row.key, row.digest, attributes, receipt)
        return found

    def realise(self, lease: Lease, realisation: Realisation) -> None:
        """Remember a result under its key; the first of a key is selected."""
        same = REALISATIONS.c.key == realisation.key
        with self._writing() as connection:
            _hold(connection, lease)
            rows = connection.execute(select(REALISATIONS).where(same)).all()
            if any(row.digest == realisation.digest for row in rows):
                return
            connection.execute(
                insert(REALISATIONS).values(
                    key=realisation.key,
                    number=len(rows) + 1,
                    digest=realisation.digest,
                    attributes=_text(realisation.attributes),
                    receipt=_text(realisation.receipt),
                )
            )

    def raise_alarm(
        self, lease: Lease, run: str, monitor: Address, payload: Mapping[str, Any]
    ) -> AlarmEvent | None:
        """Record an alarm. ``None`` if the same alarm is recorded already."""
        text, at = _text(payload), _now()
        name = "ev-" + hashlib.sha256(f"{monitor} {text}".encode()).hexdigest()[:12]
        with self._writing() as connection:
            _hold(connection, lease)
            if connection.execute(select(ALARMS).where(ALARMS.c.id == name)).first():
                return None
            connection.execute(
                insert(ALARMS).values(id=name, monitor=str(monitor), at=at, payload=text)
            )
            _append(connection, 0, run, "alarm", str(monitor), {"alarm": name})
        return AlarmEvent(name, str(monitor), datetime.fromisoformat(at), dict(payload))

    def alarms(self) -> Sequence[AlarmEvent]:
        """Return every alarm, oldest first."""
        with self._reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(select(ALARMS).order_by(ALARMS.c.at, ALARMS.c.id)).all()
            consumed = connection.execute(select(CONSUMED)).all()
        by_alarm: dict[str, dict[str, str]] = {}
        for row in consumed:
            by_alarm.setdefault(row.alarm, {})[row.trigger] = row.outcome
        return [
            AlarmEvent(
                row.id,
                row.monitor,
                datetime.fromisoformat(row.at),
                json.loads(row.payload),
                by_alarm.get(row.id, {}),
            )
            for row in rows
        ]

    def consume(self, lease: Lease, run: str, event: str, trigger: str, outcome: str) -> None:
        """Mark an alarm as acted on by a trigger; once is for ever."""
        with self._writing() as connection:
            _hold(connection, lease)
            same = (CONSUMED.c.alarm == event) & (CONSUMED.c.trigger == trigger)
            if connection.execute(select(CONSUMED).where(same)).first():
                return
            values = {"alarm": event, "trigger": trigger, "outcome": outcome}
            connection.execute(insert(CONSUMED).values(values))
            _append(connection, 0, run, "consume", trigger, {"alarm": event, "outcome": outcome})

    def _journal(
        self, lease: Lease, run: str, operation: str, address: str, detail: Mapping[str, Any]
    ) -> None:
        with self._writing() as connection:
            _hold(connection, lease)
            _append(connection, 0, run, operation, address, detail)

    @contextmanager
    def _reading(self) -> Iterator[Connection | None]:
        """Give a consistent view, or ``None`` where nothing was ever written."""
        file = database_file(self._url)
        if file is not None and not file.exists():
            yield None
            return
        with self._explained(), self._engine.connect() as connection, connection.begin():
            if not self._ready and not self._engine.dialect.has_table(connection, STATE.name):
                yield None
                return
            _check_schema(connection)
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Give one short transaction; it is durable when the block is left."""
        with self._explained():
            self._prepare()
            connect = self._engine.connect().execution_options(writes=True)
            with connect as connection, connection.begin():
                yield connection

    def _prepare(self) -> None:
        if self._ready:
            return
        file = database_file(self._url)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        connect = self._engine.connect().execution_options(writes=True)
        with connect as connection, connection.begin():
            METADATA.create_all(connection)
            if connection.execute(select(STATE)).first() is None:
                connection.execute(
                    insert(STATE).values(
                        name=_NAME,
                        schema_version=SCHEMA,
                        lineage=str(uuid.uuid4()),
                        serial=0,
                        fence=0,
                        outputs="{}",
                    )
                )
            _check_schema(connection)
        self._ready = True

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what a database driver raises into words."""
        try:
            yield
        except (DatabaseError, sqlite3.Error) as error:
            raise self._unusable(str(getattr(error, "orig", error))) from None
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None

    def _unusable(self, why: str) -> DiagnosedError:
        place = database_file(self._url) or "the database"
        detail = (
            f"{place}: {why}. Nothing was changed by this. Check that the file may be read and "
            "written and that the disk has room; restore it from a backup if it is damaged."
        )
        return stop("State cannot be used", detail)


def _check_schema(connection: Connection) -> None:
    found = connection.execute(select(STATE.c.schema_version)).scalar()
    if found is not None and found > SCHEMA:
        detail = (
            f"The state has format {found}; this mlform knows up to {SCHEMA}. It was written by a "
            "newer mlform: upgrade."
        )
        raise stop("State is of a newer version", detail)


def _advance(connection: Connection, lease: Lease) -> int:
    """Raise the serial, if the lease still holds: the one check that keeps two writers apart."""
    query = (
        update(STATE)
        .where((STATE.c.name == _NAME) & (STATE.c.fence == lease.fence))
        .values(serial=STATE.c.serial + 1)
        .returning(STATE.c.serial)
    )
    serial = connection.execute(query).scalar()
    if serial is None:
        raise LostLeaseError("The lock was taken over by someone else.")
    return int(serial)


def _hold(connection: Connection, lease: Lease) -> None:
    fence = connection.execute(select(STATE.c.fence).where(STATE.c.name == _NAME)).scalar()
    if fence != lease.fence:
        raise LostLeaseError("The lock was taken over by someone else.")


def _append(
    connection: Connection,
    serial: int,
    run: str,
    operation: str,
    address: str | None,
    detail: Mapping[str, Any],
) -> None:
    last = connection.execute(
        select(JOURNAL.c.sequence, JOURNAL.c.sha256).order_by(JOURNAL.c.sequence.desc()).limit(1)
    ).one_or_none()
    sequence = 1 if last is None else last.sequence + 1
    row = (sequence, serial, run, _now(), operation, address, _text(detail))
    sha256 = _chain("" if last is None else last.sha256, row)
    names = [c.name for c in JOURNAL.columns]
    connection.execute(insert(JOURNAL).values(dict(zip(names, [*row, sha256], strict=True))))


def _chain(previous: str, row: Sequence[Any]) -> str:
    return hashlib.sha256(_text([previous, *row]).encode()).hexdigest()


def _checked(address: str, text: str, sha256: str) -> Record:
    if _hash(address, text) != sha256:
        raise damaged(f"The record of {address} is not what was written.")
    try:
        return parse_record(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(f"The record of {address} cannot be read ({error!r}).") from None


def _hash(address: str, text: str) -> str:
    return hashlib.sha256(f"{address}\n{text}".encode()).hexdigest()


def _text(data: Any) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _now() -> str:
    return datetime.now(UTC).isoformat()
