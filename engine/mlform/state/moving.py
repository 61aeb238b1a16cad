"""A whole database of states, moved to another backend: every workspace with all its past."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, func, insert, select, update

from mlform.diagnostics import counted, stop
from mlform.lazy import dataclass, replace
from mlform.state.audit import audit
from mlform.state.database import Database, open_database, patient
from mlform.state.file import NAME, SCHEMA
from mlform.state.place import Place
from mlform.state.tables import JOURNAL, LEASES, METADATA, RECORDS, STATE

_PAGE: Final = 500
_OF_THE_PLACE: Final = frozenset({"fence", "fences", "moved", "schema_version"})
"""Columns of a workspace that tell of where it is kept, not of what it holds."""


@dataclass(frozen=True)
class Moved:
    """What was moved: which workspaces, how many rows, from where and to where."""

    workspaces: tuple[str, ...]
    rows: int
    source: str
    target: str


def move(source: Place, target: Place) -> Moved:
    """Copy every workspace, check the copy, and mark what was copied as the backup of it.

    Stopped at any moment, what is at the source is whole and goes on counting until the copy is,
    and the same call does the rest. Raises ``DiagnosedError`` where there is another state at the
    target, and ``LockedError`` where someone is writing.
    """
    old = open_database(source.url, NAME, source.schema)
    new = open_database(target.url, NAME, target.schema)
    old.protect(source.cipher)
    new.protect(target.cipher)
    new.backups_too = True  # a state that comes back finds what it left behind
    with closing(old), closing(new):
        if old.name == new.name:
            raise stop("Nothing to move", f"The state is kept in {new.name} already.")
        names = _names(old)
        with ExitStack() as locks:
            for name in names:
                store = replace(source, workspace=name).store()
                locks.enter_context(store.lock("init -migrate-state"))
            rows = _copy(old, new, names)
            _mark(old, new.name)
    return Moved(tuple(names), rows, old.name, new.name)


@patient
def _names(database: Database) -> list[str]:
    with database.reading() as connection:
        if connection is None:
            raise stop("Nothing to move", f"There is no state in {database.name}.")
        return list(connection.execute(select(STATE.c.name).order_by(STATE.c.name)).scalars())


@patient
def _copy(old: Database, new: Database, names: list[str]) -> int:
    """Copy all rows in one transaction, which ends only if what arrived is what was sent."""
    with old.reading() as source, new.writing() as target:
        assert source is not None, "what is locked is there"
        for name in names:
            _check_older(source, target, name, new.name)
        target.execute(delete(LEASES).where(LEASES.c.workspace.in_(names)))
        sent = {table.name: _send(source, target, table, names) for table in _tables()}
        for table in _tables():
            if _told(_rows(target, table, names)) != sent[table.name]:
                raise _not_whole(f"the rows of {table.name} are not those that were sent", new)
        for name in names:
            if problems := audit(target.execution_options(workspace=name)):
                raise _not_whole(f"workspace {name}: {problems[0]}", new)
        target.execution_options(workspace=NAME)
        return sum(count for count, _ in sent.values())


def _not_whole(why: str, new: Database) -> Exception:
    return stop(
        "State was not moved",
        f"What arrived in {new.name} cannot be believed: {why}. Nothing was changed there, and "
        "the state is where it was. Check it there first: `mlform audit verify`.",
    )


def _check_older(source: Connection, target: Connection, name: str, where: str) -> None:
    """Raise ``DiagnosedError`` unless what is at the target is nothing, or an earlier copy."""
    there = target.execute(select(STATE).where(STATE.c.name == name)).one_or_none()
    if there is None:
        return
    last = _last(target, name)
    if last is None and not there.serial:
        return
    here = source.execute(select(STATE.c.lineage).where(STATE.c.name == name)).scalar_one()
    at = JOURNAL.c.sha256 == (None if last is None else last.sha256)
    known = select(JOURNAL.c.sequence).where(JOURNAL.c.workspace == name, at)
    if there.lineage == here and source.execute(known).first() is not None:
        return
    count = target.scalar(select(func.count()).where(RECORDS.c.workspace == name))
    holds = f"{counted(count or 0, 'resource')} at serial {there.serial}"
    raise stop(
        "There is another state",
        f'{where} has a workspace "{name}" with {holds}, '
        "which is no earlier copy of this one. Nothing was changed. Name another database or "
        "schema; or go on with the state that is there: `mlform init -reconfigure`.",
    )


def _last(connection: Connection, name: str) -> Any:
    query = select(JOURNAL.c.sequence, JOURNAL.c.sha256).where(JOURNAL.c.workspace == name)
    return connection.execute(query.order_by(JOURNAL.c.sequence.desc()).limit(1)).one_or_none()


def _tables() -> list[Table]:
    """Return the tables that tell of what a state holds: who may write it is of the place."""
    return [table for table in METADATA.tables.values() if table is not LEASES]


def _rows(connection: Connection, table: Table, names: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of some workspaces, in the order of their keys."""
    key = list(table.primary_key.columns)
    query = select(table).where(table.columns[0].in_(names)).order_by(*key)
    with connection.execute(query.execution_options(yield_per=_PAGE)) as found:
        for row in found:
            yield dict(row._mapping)  # noqa: SLF001 - what SQLAlchemy calls its public mapping


def _send(
    source: Connection, target: Connection, table: Table, names: list[str]
) -> tuple[int, str]:
    """Put the rows of a table in place of those at the target; return how many, and their hash."""
    target.execute(delete(table).where(table.columns[0].in_(names)))
    page: list[dict[str, Any]] = []

    def sent() -> Iterator[dict[str, Any]]:
        for row in _rows(source, table, names):
            page.append(_arriving(row) if table is STATE else row)
            yield row
            if len(page) == _PAGE:
                target.execute(insert(table), page)
                page.clear()

    told = _told(sent())
    if page:
        target.execute(insert(table), page)
    return told


def _arriving(row: dict[str, Any]) -> dict[str, Any]:
    free = {"fences": "", "moved": None}
    return {**row, **free, "schema_version": SCHEMA, "fence": row["fence"] + 1}


def _told(rows: Iterator[dict[str, Any]]) -> tuple[int, str]:
    """Return how many rows there are, and one hash of what they hold."""
    count, found = 0, hashlib.sha256()
    for row in rows:
        count += 1
        kept = [(n, v) for n, v in row.items() if n not in _OF_THE_PLACE]
        found.update(repr(kept).encode())
    return count, found.hexdigest()


@patient
def _mark(database: Database, where: str) -> None:
    """Say of every workspace that what is here is a backup from now on."""
    with database.writing() as connection:
        connection.execute(update(STATE).values(moved=where))
