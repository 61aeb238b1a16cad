"""One database, opened so that a commit is durable when it returns, and its errors in words."""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, select
from sqlalchemy.exc import DatabaseError

from mlform.diagnostics import stop
from mlform.failpoints import failpoint
from mlform.state.codec import seal
from mlform.state.file import NAME, PATIENCE, SCHEMA, check_version, error_name, explained, lenient
from mlform.state.tables import METADATA, STATE

_PREFIX: Final = "sqlite:///"


class Database:
    """A database of one state. Nothing is created until something is written."""

    def __init__(self, url: str) -> None:
        path = url.removeprefix(_PREFIX)
        if path in {url, "", ":memory:"}:
            raise stop(
                "State backend is not supported",
                f'This version keeps state in SQLite files ("{_PREFIX}path/to/state.db"), not in '
                f'"{url.partition("://")[0]}". Configure backend "sqlite".',
            )
        self.file = Path(path)
        self._engine = _open(self.file)
        weakref.finalize(
            self, self._engine.dispose
        )  # whoever forgot to close, too, leaves one file
        self._ready = False
        self._writer = threading.Lock()

    def close(self) -> None:
        """Close the connections, so that the one file holds everything. It opens again if used."""
        self._engine.dispose()
        self._ready = False

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """Give a consistent view, or ``None`` where nothing was ever written."""
        with self._explained():
            if not self.file.exists():
                yield None
                return
            with self._engine.connect() as connection, connection.begin():
                yield connection if _is_state(connection) else None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give one short transaction; it is durable when the block is left.

        Threads of one process queue here, where waiting is fair, and not at the file.
        """
        with self._writer, self._explained():
            if not self._ready:
                self._prepare()
            with self._begin() as connection:
                yield connection

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        connect = self._engine.connect().execution_options(writes=True)
        with connect as connection:
            with connection.begin():
                failpoint("state.begun")
                yield connection
                failpoint("state.commit")
            failpoint("state.committed")

    def _prepare(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._use_wal()
        with self._begin() as connection:
            there = _is_state(connection)
            METADATA.create_all(connection)
            if not there:
                values = {
                    "name": NAME,
                    "schema_version": SCHEMA,
                    "lineage": str(uuid.uuid4()),
                    "serial": 0,
                    "fence": 0,
                    "outputs": "{}",
                    "outputs_sha256": seal("outputs", "{}"),
                }
                connection.execute(insert(STATE).values(values))
        self._ready = True

    def _use_wal(self) -> None:
        deadline = time.monotonic() + PATIENCE
        with closing(self._engine.raw_connection()) as connection:
            while True:
                try:
                    mode = connection.cursor().execute("PRAGMA journal_mode = WAL").fetchone()[0]
                    break
                except sqlite3.OperationalError as error:
                    # This one statement does not wait by itself when another process is at it.
                    if error_name(error) != "SQLITE_BUSY" or time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)
        if mode != "wal":
            raise stop(
                "State cannot be used",
                f"The file system of {self.file} has no shared memory, which a safe commit needs "
                "(a network file system?). Keep the state on a local disk.",
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what a database driver raises into words."""
        with explained(self.file):
            try:
                yield
            except DatabaseError as error:
                raise error.orig or error from None


def rot(connection: Connection) -> list[str]:
    """Return what the database itself finds wrong with its file."""
    said = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
    return [str(line) for line in said if line != "ok"]


def _open(file: Path) -> Engine:
    url = URL.create("sqlite", database=str(file))  # a path may hold what a URL gives a meaning
    engine = create_engine(url, connect_args={"timeout": PATIENCE})

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the BEGIN below is ours, not the driver's
        connection.text_factory = lenient
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _is_state(connection: Connection) -> bool:
    """Tell whether there is a state here. Raises ``DiagnosedError`` if it is not for us."""
    if not connection.dialect.has_table(connection, STATE.name):
        return False
    query = select(STATE.c.schema_version).where(STATE.c.name == NAME)
    found = connection.execute(query).scalar()
    check_version(found)
    return True
