"""State in a PostgreSQL database, which several machines share.

Every transaction is short and says its own settings: nothing rests on a session, so a pooler that
gives each transaction another connection is no matter. What became of a commit whose answer was
lost is asked of the database itself (``txid_status``), before anything is done again.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NoReturn

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine, create_engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from mlform.diagnostics import DiagnosedError, stop
from mlform.failpoints import failpoint
from mlform.state.database import Again, Database
from mlform.state.file import NAME, SCHEMA, check_version
from mlform.state.tables import ENTRY, JOURNAL

# What it warns of when a connection breaks is raised as well, and told in words.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

SCHEMA_NAME: Final = "mlform"
PATIENCE: Final = 120.0
"""Seconds to wait for a database that was there before and is not now."""
_FIRST_PATIENCE: Final = 3.0
"""The same for one that was never there: it is more likely a mistake."""
_CONNECT: Final = 5
"""Seconds that one attempt to connect may take."""
_LONGEST_PAUSE: Final = 1.0
_BEGIN: Final = text(
    """
    SELECT txid_current(),
      set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') = 'off'
                 THEN 'on' ELSE current_setting('synchronous_commit') END, true),
      set_config('lock_timeout', '10s', true),
      set_config('statement_timeout', '60s', true),
      set_config('idle_in_transaction_session_timeout', '30s', true)
    """
)
"""What each transaction that writes begins with: its number, and settings of its own."""
_GONE: Final = ("08", "57P01", "57P02", "57P03", "25P03", "53300")
"""SQLSTATEs (and classes of them) of a server that went away, or is coming up."""
_BUSY: Final = ("40001", "40P01", "55P03")
"""Those of a transaction that another was in the way of."""
_WHAT_TO_DO: Final = {
    "28": "Check the user and the password: they may come from the URL, from PGPASSWORD, from "
    "~/.pgpass or from a service file.",
    "3D000": "Make the database (`createdb`), or mend its name in the backend's url.",
    "42501": "Give this user the right to create and write tables in that schema.",
    "25006": "This server takes no writes (a standby?): name the primary in the backend's url.",
    "53": "The server has no room or memory left: mend that, then run the command again.",
    "55P03": "Another process keeps the state locked within a transaction: see pg_stat_activity.",
    "": "Check that the server runs and can be reached from here, then run the command again.",
}


class PostgresDatabase(Database):
    """A database server: several machines share it."""

    shared_clock = True

    def __init__(self, url: str, workspace: str = NAME, schema: str | None = None) -> None:
        super().__init__(workspace)
        self.schema = schema or SCHEMA_NAME
        self._parts: Final = _parts(url)
        self.name = f"{describe(self._parts)} (schema {self.schema})"
        self._engine = self._open(url)
        weakref.finalize(self, self._engine.dispose)
        self._known = False
        """Whether the server has ever answered."""
        self._away: float | None = None
        self._guard = threading.Lock()

    def close(self) -> None:
        """Close the connections. They open again if used."""
        self._engine.dispose()
        self._ready = False

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """Give a consistent view, or ``None`` where nothing was ever written."""
        with self._explained(), self._engine.connect() as connection:
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            with connection.begin():
                found = self._version(connection)
                if not isinstance(found, int) or found >= SCHEMA:
                    yield connection if self._is_state(connection, found) else None
                    self._here()
                    return
        with self._as_of_now() as brought_up:
            yield brought_up

    @contextmanager
    def _as_of_now(self) -> Iterator[Connection]:
        """Give older tables as they would be brought up, and leave them as they are."""
        with self._explained(), self._engine.connect() as connection:
            transaction = connection.begin()
            try:
                connection.execute(_BEGIN)
                self._bring_up(connection, self._version(connection), look=True)
                self._find(connection)
                yield connection
            finally:
                transaction.rollback()
            self._here()

    def clock(self, connection: Connection) -> float:
        """Return the seconds of the server's clock."""
        return float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0)

    def rot(self, connection: Connection) -> list[str]:
        """Return nothing: a PostgreSQL server checks its own pages."""
        return []

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give one transaction that may write, in tables that are there."""
        number, entry = None, None
        try:
            with self._explained(), self._engine.connect() as connection, connection.begin():
                connection.info.pop(ENTRY, None)
                number = connection.scalar(_BEGIN)
                failpoint("state.begun")
                yield connection
                failpoint("state.commit")
                # From here on an error may hide a commit that did take place.
                number, entry = -int(number or 0), connection.info.get(ENTRY)
            self._here()
            failpoint("state.committed")
        except Again:
            if number is None or number > 0 or not self._committed(-number, entry):
                raise

    def _committed(self, number: int, entry: str | None) -> bool:
        """Find out what became of a transaction whose commit was not answered.

        A server that crashed gives the number of one that was lost to another, so the journal
        entry that it wrote has to be there too. One that wrote none may be done twice.
        """
        while True:
            try:
                with self._explained(), self._engine.connect() as connection:
                    status = connection.scalar(text("SELECT txid_status(:n)"), {"n": number})
                    there = status == "committed" and self._holds(connection, entry)
            except Again:
                continue
            if status != "in progress":
                self._here()
                return there
            time.sleep(0.05)  # the server has yet to notice that we are gone

    def _holds(self, connection: Connection, entry: str | None) -> bool:
        query = select(JOURNAL.c.sequence).where(JOURNAL.c.sha256 == entry)
        return entry is not None and connection.execute(query).first() is not None

    def _prepare(self) -> None:
        with self.transaction() as connection:
            self._check_durable(connection)
            found = self._version(connection)
            if found is not None:
                self._bring_up(connection, found)
                self._find(connection)
                return
            # One at a time: `IF NOT EXISTS` does not hold against another that is at it.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:n))"), {"n": self.name})
            if self._version(connection) is None:
                there = "SELECT 1 FROM pg_namespace WHERE nspname = :n"
                if connection.scalar(text(there), {"n": self.schema}) is None:
                    connection.execute(CreateSchema(str(self.schema)))
                self._create(connection)
            self._find(connection)

    def _bring_up(self, connection: Connection, found: object, *, look: bool = False) -> None:
        """Bring older tables up, one process at a time."""
        if check_version(found) == SCHEMA:
            return
        path = connection.dialect.identifier_preparer.quote(str(self.schema))
        connection.execute(text(f"SET LOCAL search_path TO {path}"))
        connection.execute(text("LOCK TABLE state IN ACCESS EXCLUSIVE MODE"))
        if self._version(connection) != SCHEMA:  # else another has just done it
            if not look:
                self.check_unused(connection)
            self.upgraded(connection)

    def _check_durable(self, connection: Connection) -> None:
        query = "SELECT current_setting('fsync'), current_setting('full_page_writes')"
        for name, value in zip(
            ("fsync", "full_page_writes"), connection.execute(text(query)).one(), strict=True
        ):
            if value != "on":
                raise stop(
                    "State backend is not durable",
                    f"The server of {self.name} runs with {name} = {value}: a power cut there "
                    f"would lose what was recorded. Nothing was changed. Turn {name} on.",
                )

    def _open(self, url: str) -> Engine:
        def connect() -> psycopg.Connection:
            return psycopg.connect(
                url,
                prepare_threshold=None,  # a pooler hands out connections that know no statements
                connect_timeout=_CONNECT,
                application_name="mlform",
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
            )

        return create_engine(
            "postgresql+psycopg://",
            creator=connect,
            execution_options={
                "workspace": self.workspace,
                "schema_translate_map": {None: self.schema},
            },
        )

    def _here(self) -> None:
        self._known, self._away = True, None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what a database driver raises into words, or into another attempt."""
        try:
            yield
        except DBAPIError as error:
            self._failed(error.orig or error, lost=error.connection_invalidated)
        except psycopg.Error as error:
            self._failed(error)

    def _failed(self, error: BaseException, *, lost: bool = False) -> NoReturn:
        code = getattr(error, "sqlstate", None) or ""
        # What fails before there is a connection has no code, whatever the reason.
        lost = lost or (not code and isinstance(error, psycopg.OperationalError))
        refused = "password" in str(error) or "does not exist" in str(error)
        if code.startswith((*_GONE, *_BUSY)) or (lost and not (refused and not self._known)):
            self._wait(error)
            raise Again
        raise self._unusable(error, code) from None

    def _wait(self, error: BaseException) -> None:
        """Wait a little for the server; raise in words where it has been away for too long."""
        now = time.monotonic()
        with self._guard:
            self._away = now if self._away is None else self._away
            away = now - self._away
        if away > (PATIENCE if self._known else _FIRST_PATIENCE):
            # It stays away until it answers: whoever asks next does not wait as long once more.
            raise self._unusable(error, getattr(error, "sqlstate", None) or "") from None
        time.sleep(min(0.05 + away / 4, _LONGEST_PAUSE))

    def _unusable(self, error: BaseException, code: str) -> DiagnosedError:
        why = " ".join(str(error).split())
        if password := self._parts.get("password"):
            why = why.replace(str(password), "…")
        if not code and "database" in why and "does not exist" in why:
            code = "3D000"
        elif not code and ("password" in why or "does not exist" in why):
            code = "28"
        hint = next(t for n, t in _WHAT_TO_DO.items() if code.startswith(n))
        detail = f"{self.name}: {why}. Nothing more was changed. {hint}"
        return stop("State cannot be used", detail)


def _parts(url: str) -> Mapping[str, object]:
    """Read a URL. Raises ``DiagnosedError``, which does not quote it: it may hold a password."""
    try:
        return conninfo_to_dict(url)
    except psycopg.Error:
        raise stop(
            "Invalid state backend",
            "The url of the postgres backend cannot be read. It is written "
            '"postgresql://USER@HOST:PORT/DATABASE?sslmode=require"; what has a meaning in a URL '
            "is written %40 (@), %2F (/), %3A (:).",
        ) from None


def describe(parts: Mapping[str, object]) -> str:
    """Return how people know a database: without a password."""
    if "service" in parts:
        return f"postgresql service {parts['service']}"
    user = f"{parts['user']}@" if "user" in parts else ""
    port = f":{parts['port']}" if "port" in parts else ""
    return f"postgresql://{user}{parts.get('host', '')}{port}/{parts.get('dbname', '')}"
