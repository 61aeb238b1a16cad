"""The tables of the state. The first column of each says which workspace a row is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    Row,
    Select,
    String,
    Table,
    Text,
    insert,
    select,
)

from mlform.state.model import damaged

METADATA: Final = MetaData()
_Sequence = BigInteger().with_variant(Integer, "sqlite")
# Ordered byte by byte everywhere: the order of a language puts `a.b` elsewhere than SQLite does.
_Name = String().with_variant(String(collation="C"), "postgresql")

STATE = Table(
    "state",
    METADATA,
    Column("name", _Name, primary_key=True),
    Column("schema_version", Integer, nullable=False),
    Column("lineage", String, nullable=False),
    Column("serial", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("holder", Text),
    Column("expires", Float),
    Column("work", Text),
    Column("outputs", Text, nullable=False),
    Column("outputs_sha256", String, nullable=False),
    Column("moved", Text),
)
"""One row for each workspace. Version 1 of mlform reads its version here, and refuses it."""
RECORDS = Table(
    "records",
    METADATA,
    Column("workspace", _Name, primary_key=True),
    Column("address", _Name, primary_key=True),
    Column("data", Text, nullable=False),
    Column("sha256", String, nullable=False),
)
JOURNAL = Table(
    "journal",
    METADATA,
    Column("workspace", _Name, primary_key=True),
    Column("sequence", _Sequence, primary_key=True, autoincrement=False),
    Column("serial", BigInteger, nullable=False),
    Column("run", String, nullable=False),
    Column("at", _Name, nullable=False),
    Column("operation", String, nullable=False),
    Column("address", _Name),
    Column("detail", Text, nullable=False),
    Column("sha256", String, nullable=False),
    Index("journal_of_address", "workspace", "address", "operation", "sequence"),
)
HISTORY = Table(
    "history",
    METADATA,
    Column("workspace", _Name, primary_key=True),
    Column("serial", BigInteger, primary_key=True, autoincrement=False),
    Column("address", _Name, nullable=False),
    Column("action", String, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("rows", BigInteger),
    Column("changed", Boolean),
    Column("expected", Float),
    Column("most", Float),
    Index("history_of_address", "workspace", "address", "serial"),
)
"""What each step that called a provider took: an index of the journal, narrow enough to plan by."""
REALISATIONS = Table(
    "realisations",
    METADATA,
    Column("workspace", _Name, primary_key=True),
    Column("key", _Name, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("digest", String, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("receipt", Text, nullable=False),
    Column("sha256", String, nullable=False),
)
ALARMS = Table(
    "alarms",
    METADATA,
    Column("workspace", _Name, primary_key=True),
    Column("id", _Name, primary_key=True),
    Column("monitor", String, nullable=False),
    Column("at", _Name, nullable=False),
    Column("payload", Text, nullable=False),
    Column("sha256", String, nullable=False),
)
CONSUMED = Table(
    "consumed",
    METADATA,
    Column("workspace", _Name, primary_key=True),
    Column("alarm", _Name, primary_key=True),
    Column("trigger", _Name, primary_key=True),
    Column("outcome", Text, nullable=False),
)


def workspace_of(connection: Connection) -> str:
    """Return the workspace that a connection was opened for."""
    return str(connection.get_execution_options()["workspace"])


def ours(connection: Connection, table: Table) -> ColumnElement[bool]:
    """Return the condition that a row is of the connection's workspace."""
    return table.columns[0] == workspace_of(connection)


def columns(table: Table) -> list[Column[Any]]:
    """Return the columns of a table but the workspace."""
    return list(table.columns)[1:]


def own(connection: Connection, table: Table) -> Select[Any]:
    """Return the query for the workspace's rows of a table, without saying whose they are."""
    return select(*columns(table)).where(ours(connection, table))


def add(connection: Connection, table: Table, row: Sequence[Any] | Mapping[str, Any]) -> None:
    """Insert a row into the workspace: its columns but the first, in order or by name."""
    if not isinstance(row, Mapping):
        row = dict(zip([c.name for c in columns(table)], row, strict=True))
    values = {table.columns[0].name: workspace_of(connection), **row}
    connection.execute(insert(table).values(values))


def state_row(connection: Connection, *, lock: bool = True) -> Row[Any]:
    """Return the workspace's own row; locked, where the database locks rows."""
    query = own(connection, STATE)
    found = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise damaged(f'The row of workspace "{workspace_of(connection)}" cannot be found.')
    return found
