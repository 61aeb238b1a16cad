"""The tables of the state, and how one database is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
)

SCHEMA: Final = 1
"""Version of the tables. A state with a higher one is refused."""

METADATA = MetaData()

STATE = Table(
    "state",
    METADATA,
    Column("name", String, primary_key=True),
    Column("schema_version", Integer, nullable=False),
    Column("lineage", String, nullable=False),
    Column("serial", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("holder", Text),
    Column("outputs", Text, nullable=False),
)
RECORDS = Table(
    "records",
    METADATA,
    Column("address", String, primary_key=True),
    Column("data", Text, nullable=False),
    Column("sha256", String, nullable=False),
)
JOURNAL = Table(
    "journal",
    METADATA,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("serial", BigInteger, nullable=False),
    Column("run", String, nullable=False),
    Column("at", String, nullable=False),
    Column("operation", String, nullable=False),
    Column("address", String, index=True),
    Column("detail", Text, nullable=False),
    Column("sha256", String, nullable=False),
)
REALISATIONS = Table(
    "realisations",
    METADATA,
    Column("key", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("digest", String, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("receipt", Text, nullable=False),
)
ALARMS = Table(
    "alarms",
    METADATA,
    Column("id", String, primary_key=True),
    Column("monitor", String, nullable=False),
    Column("at", String, nullable=False),
    Column("payload", Text, nullable=False),
)
CONSUMED = Table(
    "consumed",
    METADATA,
    Column("alarm", String, primary_key=True),
    Column("trigger", String, primary_key=True),
    Column("outcome", Text, nullable=False),
)


def database_file(url: str) -> Path | None:
    """Return the file of a SQLite URL, or ``None`` for another database."""
    prefix = "sqlite:///"
    return Path(url.removeprefix(prefix)) if url.startswith(prefix) else None


def open_engine(url: str) -> Engine:
    """Open a database so that a commit is durable when it returns."""
    engine = create_engine(url, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy's own BEGIN below, not the driver's
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
