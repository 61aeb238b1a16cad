"""The journal: append-only, each entry hashed together with the one before.

It says what every record was at every serial, so the records can be checked against it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, and_, false, func, or_, select, true

from mlform.address import Address
from mlform.failpoints import failpoint
from mlform.state.codec import text
from mlform.state.database import Database, patient
from mlform.state.model import Entry, damaged
from mlform.state.tables import (
    ENTRY,
    JOURNAL,
    add,
    cipher_of,
    lineage_of,
    ours,
    own,
    rows,
    workspace_of,
)

_PAGE: Final = 500
_SALT: Final = "$salt"
_MARKS: Final = frozenset({"taint", "untaint", "watch", "no-op"})
"""Actions that write a record without making what it records."""
_REACTIONS: Final = ("event", "consume", "pull", "moved", "revised")
_ABOUT_EFFECTS: Final = ("intent", "done", "failed", "forget")


def append(
    connection: Connection,
    serial: int,
    run: str,
    operation: str,
    address: str | None,
    detail: Mapping[str, Any],
) -> None:
    """Add an entry at the end, within the transaction of what it tells of."""
    extend(connection, [(serial, run, operation, address, detail)])


Line: TypeAlias = tuple[int, str, str, str | None, Mapping[str, Any]]
"""Serial, run, operation, address and detail of an entry to be."""


def extend(connection: Connection, lines: Sequence[Line]) -> None:
    """Add entries at the end, in order, within the transaction of what they tell of."""
    if not lines:
        return
    last = connection.execute(_last(workspace_of(connection))).one_or_none()
    sequence, previous = (0, lineage_of(connection)) if last is None else tuple(last)
    active, found = cipher_of(connection).active, []
    for serial, run, operation, address, told in lines:
        # The hash stands in clear: nothing is to be guessed by it.
        detail = {**told, _SALT: secrets.token_hex(16)} if active else told
        sequence += 1
        row = (sequence, serial, run, now(), operation, address, text(detail))
        previous = chain(previous, row)
        found.append([*row, previous])
    connection.info[ENTRY] = previous
    add(connection, JOURNAL, *found)
    failpoint("state.journalled")


@lru_cache(maxsize=256)
def _last(workspace: str) -> Select[Any]:
    query = select(JOURNAL.c.sequence, JOURNAL.c.sha256).where(JOURNAL.columns[0] == workspace)
    return query.order_by(JOURNAL.c.sequence.desc()).limit(1)


def entries(
    database: Database, address: Address | None = None, *, moved: bool = False
) -> Iterator[Entry]:
    """Return entries, oldest first, all or of one address; ``moved``: of all that it had before.

    Nothing is held open between one page and the next.
    """
    last = 0
    about: ColumnElement[bool] = true()
    if address is not None:
        about = JOURNAL.c.address == str(address)
        if moved:
            about = _everywhere(database, str(address))
    while True:
        page = _page(database, last, about)
        for row in page:
            yield _entry(row)
        if len(page) < _PAGE:
            return
        last = page[-1].sequence


def _about(connection: Connection, address: str, before: int | None = None) -> ColumnElement[bool]:
    """Return the condition that an entry is about a resource, wherever it was.

    The address is that of now, or of a sequence ``before`` which entries are looked for.
    """
    query = own(connection, JOURNAL).where(JOURNAL.c.operation == "moved")
    if before is not None:
        query = query.where(JOURNAL.c.sequence < before)
    moves = _entries(connection, query.order_by(JOURNAL.c.sequence.desc()))
    name, at = address, JOURNAL.c.sequence
    found: list[ColumnElement[bool]] = []
    until: list[ColumnElement[bool]] = []
    for move in moves:
        records = move.detail["records"]
        came = next((old for old, data in records.items() if data["address"] == name), None)
        if came == name or (came is None and name not in records):
            continue
        found.append(and_(JOURNAL.c.address == name, at > move.sequence, *until))
        if came is None:  # what was here before is somewhere else now
            return or_(*found)
        name, until = came, [at < move.sequence]
    return or_(*found, and_(JOURNAL.c.address == name, *until))


@patient
def _everywhere(database: Database, address: str) -> ColumnElement[bool]:
    with database.reading() as connection:
        return false() if connection is None else _about(connection, address)


@patient
def _page(database: Database, last: int, about: ColumnElement[bool]) -> Sequence[Any]:
    """Return some entries after a sequence."""
    with database.reading() as connection:
        if connection is None:
            return []
        query = own(connection, JOURNAL).where(JOURNAL.c.sequence > last, about)
        found = connection.execute(query.order_by(JOURNAL.c.sequence).limit(_PAGE))
        return list(rows(connection, JOURNAL, found))


def unfinished(connection: Connection) -> list[Entry]:
    """Return the latest intent of each address that nothing came after."""
    about = JOURNAL.c.operation.in_(_ABOUT_EFFECTS) & JOURNAL.c.address.is_not(None)
    about &= ours(connection, JOURNAL)
    latest = select(func.max(JOURNAL.c.sequence)).where(about).group_by(JOURNAL.c.address)
    query = (
        own(connection, JOURNAL)
        .where(JOURNAL.c.sequence.in_(latest), JOURNAL.c.operation == "intent")
        .order_by(JOURNAL.c.sequence)
    )
    return _entries(connection, query)


def made(
    connection: Connection, address: Address, run: str | None, before: int | None
) -> Entry | None:
    """Return the last entry that tells how a record was made: in a run, or before a sequence."""
    about = _about(connection, str(address), before)
    query = own(connection, JOURNAL).where(about, JOURNAL.c.operation == "done")
    if run is not None:
        query = query.where(JOURNAL.c.run == run)
    if before is not None:
        query = query.where(JOURNAL.c.sequence < before)
    found = connection.execute(query.order_by(JOURNAL.c.sequence.desc()))
    for entry in map(_entry, rows(connection, JOURNAL, found)):
        if entry.detail.get("action") not in _MARKS:
            return entry
    return None


def since(connection: Connection, serial: int) -> list[Entry]:
    """Return the entries that raised the serial beyond one, oldest first."""
    query = own(connection, JOURNAL).where(JOURNAL.c.serial > serial).order_by(JOURNAL.c.sequence)
    return _entries(connection, query)


def runs(connection: Connection) -> list[Entry]:
    """Return the entries that tell of whole runs, oldest first."""
    about = JOURNAL.c.address.is_(None) & (JOURNAL.c.operation == "run")
    return _entries(connection, own(connection, JOURNAL).where(about).order_by(JOURNAL.c.sequence))


def approvals(connection: Connection) -> list[Entry]:
    """Return the entries that tell who agreed to something, oldest first."""
    about = JOURNAL.c.address.is_not(None) & (JOURNAL.c.operation == "approve")
    return _entries(connection, own(connection, JOURNAL).where(about).order_by(JOURNAL.c.sequence))


def reactions(connection: Connection, after: int) -> list[Entry]:
    """Return the entries after one that tell of alarms and of triggers, oldest first."""
    address, operation = JOURNAL.c.address, JOURNAL.c.operation
    trigger = or_(address.like("trigger.%"), address.like("%.trigger.%"))
    about = or_(operation.in_(_REACTIONS), and_(operation.in_(("done", "forget")), trigger))
    query = own(connection, JOURNAL).where(JOURNAL.c.sequence > after, about)
    return _entries(connection, query.order_by(JOURNAL.c.sequence))


def now() -> str:
    """Return this moment as it is written."""
    return datetime.now(UTC).isoformat()


def chain(previous: str, row: Sequence[Any]) -> str:
    """Return the hash of an entry (its columns but the hash) and of the one before."""
    return hashlib.sha256(_encode([previous, *row]).encode()).hexdigest()


_encode: Final = json.JSONEncoder(separators=(",", ":"), default=repr).encode


def _entries(connection: Connection, query: Select[Any]) -> list[Entry]:
    return [_entry(row) for row in rows(connection, JOURNAL, connection.execute(query))]


def _entry(row: Any) -> Entry:
    try:
        return Entry(
            row.sequence,
            row.serial,
            row.run,
            datetime.fromisoformat(row.at),
            row.operation,
            row.address,
            json.loads(row.detail),
            row.sha256,
        )
    except (ValueError, TypeError):
        raise damaged(f"Journal entry {row.sequence} cannot be read.") from None
