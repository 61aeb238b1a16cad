"""What keeps the tables: a commit is durable when it returns, and errors come in words."""

from __future__ import annotations

import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, Select, insert, literal_column, select

from mlform.diagnostics import did_you_mean, stop
from mlform.state.codec import seal
from mlform.state.file import NAME, SCHEMA, check_moved, check_version
from mlform.state.holder import Holder
from mlform.state.lease import LockedError
from mlform.state.sealed import CLEAR, Cipher
from mlform.state.tables import METADATA, STATE

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Again(Exception):  # noqa: N818 - no error: nothing was done, and the caller does it again
    """A transaction that certainly did not take place, since the database went away or was busy."""


def patient(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Do anew what a database that went away for a moment did not do.

    The database itself says how long: what it raises in the end is an error in words.
    """

    @wraps(method)
    def call(*args: _P.args, **named: _P.kwargs) -> _R:
        while True:
            try:
                return method(*args, **named)
            except Again:
                continue

    return call


class Database(ABC):
    """The database of some workspaces, opened for one. Nothing is created until a write."""

    name: str
    """What people know it by. Never with a password."""
    shared_clock: bool = False
    """Whether all who use it see one clock."""
    schema: str | None = None
    """The schema its tables are in, where a database has such a thing."""

    _engine: Engine

    def __init__(self, workspace: str) -> None:
        self.workspace: Final = workspace
        self.cipher: Cipher = CLEAR
        self.backups_too = False
        """Whether to open what is only the backup of a state that moved."""
        self._ready = False
        self._writer = threading.RLock()

    def protect(self, cipher: Cipher) -> None:
        """Have rows encrypted and decrypted from here on."""
        self.cipher = cipher
        self._engine.update_execution_options(cipher=cipher)

    def compact(self) -> None:  # noqa: B027 - not every database keeps what was overwritten
        """Leave nothing behind of what was overwritten, where the database would."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections. They open again if used."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection | None]:
        """Give a consistent view, or ``None`` where nothing was ever written.

        May raise ``Again``: whoever uses it is ``patient``.
        """

    @abstractmethod
    def clock(self, connection: Connection) -> float:
        """Return the time (seconds since whenever) that leases of this database expire by."""

    @abstractmethod
    def rot(self, connection: Connection) -> list[str]:
        """Return what the database itself finds wrong with what it keeps."""

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give one short transaction; it is durable when the block is left.

        Threads of one process queue here, where waiting is fair, and not at the database. May
        raise ``Again``: whoever uses it is ``patient``.
        """
        with self._writer:
            if not self._ready:
                self._prepare()
                self._ready = True
            with self.transaction() as connection:
                yield connection

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Connection]:
        """Give one transaction that may write, in tables that are there."""

    @abstractmethod
    def _prepare(self) -> None:
        """See that the tables are there, and of this version."""

    def _create(self, connection: Connection) -> None:
        """Make the tables of this version, and the workspace that there always is."""
        METADATA.create_all(connection)
        connection.execute(insert(STATE).values(new_workspace(NAME)))

    def check_unused(self, connection: Connection) -> None:
        """Raise ``LockedError`` if an older mlform is writing: it would not know the new tables."""
        held: Select[Any] = select(literal_column("holder").label("holder"), STATE.c.fence)
        for found in connection.execute(held):
            if found.holder is not None and (holder := Holder.parse(found.holder)).alive():
                raise LockedError(holder.lease(found.fence))

    def upgraded(self, connection: Connection) -> bool:
        """Bring tables of an older version up to this one; false if they were of this version."""
        found = check_version(self._version(connection))
        if found == SCHEMA:
            return False
        from mlform.state.migrations import migrate  # noqa: PLC0415 - loads Alembic

        migrate(connection, found)
        return True

    def _is_state(self, connection: Connection, found: object) -> bool:
        """Tell whether there is a state to read in tables of a version, or of none.

        Raises ``DiagnosedError`` if it is not for us.
        """
        if found is None:
            if self.workspace != NAME:
                raise no_workspace(self.workspace, [NAME])
            return False
        check_version(found)
        self._find(connection)
        return True

    def _find(self, connection: Connection) -> None:
        """Raise ``DiagnosedError`` if the workspace is not here, or is no more."""
        query = select(STATE.c.name, STATE.c.moved)
        moved = {row.name: row.moved for row in connection.execute(query)}
        if self.workspace not in moved:
            raise no_workspace(self.workspace, list(moved))
        if not self.backups_too:
            check_moved(moved[self.workspace])

    def _version(self, connection: Connection) -> object:
        """Return the version of the tables; ``None`` where there are none."""
        if not connection.dialect.has_table(connection, STATE.name, schema=self.schema):
            return None
        found = list(connection.execute(select(STATE.c.schema_version)).scalars())
        return max(found) if found else ""


def new_workspace(name: str) -> dict[str, object]:
    """Return the row of a workspace that nothing was done in."""
    return {
        "name": name,
        "schema_version": SCHEMA,
        "lineage": str(uuid.uuid4()),
        "serial": 0,
        "fence": 0,
        "fences": "",
        "outputs": "{}",
        "outputs_sha256": seal("outputs", "{}"),
    }


def no_workspace(name: str, known: list[str]) -> Exception:
    """Return the error for a workspace that is none."""
    return stop(
        "No such workspace",
        f'There is no workspace "{name}" here.{did_you_mean(name, known)} There is: '
        f"{', '.join(sorted(known))}. Make it with `mlform workspace new {name}`, or choose another"
        " with `mlform workspace select`.",
    )


def open_database(url: str, workspace: str = NAME, schema: str | None = None) -> Database:
    """Return the database that a URL names. Raises ``DiagnosedError`` for one of no known kind."""
    kind = url.partition(":")[0]
    if kind == "sqlite":
        from mlform.state.sqlite import SqliteDatabase  # noqa: PLC0415 - one kind is enough

        return SqliteDatabase(url, workspace)
    if kind in {"postgresql", "postgres"}:
        try:
            from mlform.state.postgres import PostgresDatabase  # noqa: PLC0415 - loads its driver
        except ModuleNotFoundError:
            raise stop(
                "State backend needs psycopg",
                "State in PostgreSQL needs its driver: pip install 'mlform[postgres]'.",
            ) from None
        return PostgresDatabase(url, workspace, schema)
    raise stop(
        "State backend is not supported",
        f'State is kept in SQLite files ("sqlite:///path/to/state.db") and in PostgreSQL '
        f'("postgresql://host/database"), not in "{kind}". Configure backend "sqlite" or '
        '"postgres".',
    )
