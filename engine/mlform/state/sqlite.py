"""State in a SQLite file."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError

from mlform.diagnostics import stop
from mlform.failpoints import failpoint
from mlform.state.database import Database
from mlform.state.file import (
    NAME,
    PATIENCE,
    SCHEMA,
    TABLES,
    check_blank,
    check_version,
    error_name,
    explained,
    lenient,
)

_PREFIX: Final = "sqlite:///"


class SqliteDatabase(Database):
    """A file: several processes of one machine share it."""

    def __init__(self, url: str, workspace: str = NAME) -> None:
        super().__init__(workspace)
        path = url.removeprefix(_PREFIX)
        if path in {url, "", ":memory:"}:
            raise stop(
                "State backend is not supported",
                f'State in SQLite is in a file: "{_PREFIX}path/to/state.db", not "{url}".',
            )
        self.file: Final = Path(path)
        self.name = str(self.file)
        self._engine = _open(self.file, workspace)
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._old: SqliteDatabase | None = None
        # Whoever forgot to close, too, leaves one file.
        weakref.finalize(self, self._engine.dispose)

    def close(self) -> None:
        """Close the connections, so that the one file holds everything. It opens again if used."""
        self._engine.dispose()
        self._ready = False
        if self._old is not None and self._copy is not None:
            self._old.close()
            self._copy.cleanup()
        self._old = self._copy = None

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """Give a consistent view, or ``None`` where nothing was ever written."""
        with self._explained():
            if not self.file.exists():
                yield None
                return
            with self._engine.connect() as connection, connection.begin():
                found = self._version(connection)
                if not isinstance(found, int) or found >= SCHEMA:
                    yield connection if self._is_state(connection, found) else None
                    return
            with self._as_of_now().reading() as migrated:
                yield migrated

    def _version(self, connection: Connection) -> object:
        found = super()._version(connection)
        if found is None:
            check_blank(connection.exec_driver_sql(TABLES).scalar())
        return found

    def compact(self) -> None:
        """Write the file anew: pages that were overwritten keep what stood in them."""
        with self._explained():
            self._engine.dispose()
            connect = sqlite3.connect(self.file, timeout=PATIENCE, isolation_level=None)
            with closing(connect) as connection:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def clock(self, connection: Connection) -> float:
        """Return seconds since this machine started: no clock that anyone can set."""
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.time()

    def rot(self, connection: Connection) -> list[str]:
        """Return what the database itself finds wrong with its file."""
        said = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
        return [str(line) for line in said if line != "ok"]

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give one transaction that may write, in tables that are there."""
        with self._explained():
            connect = self._engine.connect().execution_options(writes=True)
            with connect as connection:
                with connection.begin():
                    failpoint("state.begun")
                    yield connection
                    failpoint("state.commit")
                failpoint("state.committed")

    def _prepare(self) -> None:
        with self._explained():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._use_wal()
        with self.transaction() as connection:
            found = self._version(connection)
            if found is None:
                self._create(connection)
            elif check_version(found) != SCHEMA:
                self.check_unused(connection)
                self._back_up(found)
                self.upgraded(connection)
            self._find(connection)

    def _back_up(self, version: object) -> None:
        """Copy the file as it is beside itself, whole or not at all."""
        backup = self.file.with_name(f"{self.file.name}.version-{version}")
        fresh = backup.with_name(f"{backup.name}.{os.getpid()}.tmp")
        try:
            _copy(self.file, fresh)
            with fresh.open("rb") as written:
                os.fsync(written.fileno())
            fresh.replace(backup)
        finally:
            fresh.unlink(missing_ok=True)

    def _as_of_now(self) -> SqliteDatabase:
        """Return a copy of a file of an older version, brought up to this one, to read from."""
        if self._old is None:
            self._copy = tempfile.TemporaryDirectory(prefix="mlform-state-")
            copy = Path(self._copy.name) / self.file.name
            _copy(self.file, copy)
            self._old = SqliteDatabase(f"{_PREFIX}{copy}", self.workspace)
            self._old.protect(self.cipher)
            with self._old.transaction() as connection:
                self._old.upgraded(connection)
        return self._old

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


def _copy(file: Path, target: Path) -> None:
    """Copy what is committed in a file, whoever else is using it."""
    with (
        closing(sqlite3.connect(file, timeout=PATIENCE)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)


def _open(file: Path, workspace: str) -> Engine:
    url = URL.create("sqlite", database=str(file))  # a path may hold what a URL gives a meaning
    options = {"workspace": workspace}
    engine = create_engine(url, connect_args={"timeout": PATIENCE}, execution_options=options)

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
