"""The tables of the state. The first column of each says which workspace a row is of."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Delete,
    Float,
    Index,
    Insert,
    Integer,
    MetaData,
    Row,
    Select,
    String,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from mlform.diagnostics import DiagnosedError
from mlform.state.codec import seal, sound
from mlform.state.model import damaged
from mlform.state.sealed import CLEAR, Cipher, Unauthentic, encrypted

METADATA: Final = MetaData()
_Sequence = BigInteger().with_variant(Integer, "sqlite")
# Ordered byte by byte everywhere: the order of a language puts `a.b` elsewhere than SQLite does.
_Name = String().with_variant(String(collation="C"), "postgresql")
ENTRY: Final = "entry"
"""Where a connection keeps the hash of the journal entry that its transaction wrote last."""

STATE = Table(
    "state",
    METADATA,
    Column("name", _Name, primary_key=True),
    Column("schema_version", Integer, nullable=False),
    Column("lineage", String, nullable=False),
    Column("serial", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("fences", String, nullable=False, server_default=""),
    Column("outputs", Text, nullable=False),
    Column("outputs_sha256", String, nullable=False),
    Column("moved", Text),
)
"""One row for each workspace. Version 1 of mlform reads its version here, and refuses it.

``fence`` is the last that was given, ``fences`` those that hold, each between spaces: what every
write asks for is in the row that it locks anyway.
"""
LEASES = Table(
    "leases",
    METADATA,
    Column("workspace", _Name, primary_key=True),
    Column("fence", BigInteger, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("expires", Float, nullable=False),
    Column("work", Text),
    Column("extent", Text),
)
"""Who may write, by fence. Only changed under the lock of the workspace's own row."""
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
    return _ours(table, workspace_of(connection))


@lru_cache(maxsize=256)
def _ours(table: Table, workspace: str) -> ColumnElement[bool]:
    """Made once, as are the statements that every step runs: making them cost most of a write."""
    return table.columns[0] == workspace


def columns(table: Table) -> list[Column[Any]]:
    """Return the columns of a table but the workspace."""
    return list(table.columns)[1:]


def own(connection: Connection, table: Table) -> Select[Any]:
    """Return the query for the workspace's rows of a table, without saying whose they are."""
    return _own(table, workspace_of(connection))


@lru_cache(maxsize=256)
def _own(table: Table, workspace: str) -> Select[Any]:
    return select(*columns(table)).where(_ours(table, workspace))


def cipher_of(connection: Connection) -> Cipher:
    """Return what encrypts and decrypts the rows of a connection."""
    found: Cipher = connection.get_execution_options().get("cipher", CLEAR)
    return found


def lineage_of(connection: Connection) -> str:
    """Return the lineage of the workspace."""
    return str(connection.execute(select(STATE.c.lineage).where(ours(connection, STATE))).scalar())


def rows(
    connection: Connection, table: Table, found: Iterable[Row[Any]], *, everywhere: bool = False
) -> Iterator[Any]:
    """Give rows of a table (all columns but the workspace) decrypted.

    One that was altered, or that stood somewhere else, comes with a seal that does not fit.
    ``everywhere``: they may be of other workspaces; what only those have the key of is left out.
    """
    if table not in _SEALED:
        yield from found
        return
    cipher, lineage = cipher_of(connection), ""
    sealed, _ = _SEALED[table]
    names = [c.name for c in columns(table)]
    places = [names.index(name) for name in sealed]
    kind = _kind(table)
    for row in found:
        if cipher is CLEAR and not any(encrypted(row[place]) for place in places):
            yield row
            continue
        lineage = lineage or ("" if everywhere else lineage_of(connection))
        values = dict(zip(names, row, strict=True))
        try:
            opened = _opened(cipher, lineage, table, values)
        except DiagnosedError:
            if everywhere:
                continue
            raise
        yield kind(**opened)


def _opened(cipher: Cipher, lineage: str, table: Table, values: dict[str, Any]) -> dict[str, Any]:
    sealed, bound = _SEALED[table]
    checked = table is not JOURNAL and "sha256" in values
    whole = (
        not checked or seal(*[v for n, v in values.items() if n != "sha256"]) == values["sha256"]
    )
    opened = dict(values)
    for name in sealed:
        try:
            about = _where(lineage, table, name, values, bound)
            opened[name] = cipher.open(values[name], about) if whole else ""
        except Unauthentic:
            opened[name], whole = "", False
    if checked and whole:
        opened["sha256"] = seal(*[v for n, v in opened.items() if n != "sha256"])
    return opened


def closed(connection: Connection, table: Table, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row as it is to be written: what others may not read encrypted, and sealed anew.

    The hash of a journal entry stays that of what it says: so the chain holds whatever key it is
    encrypted with.
    """
    cipher = cipher_of(connection)
    if table not in _SEALED or not cipher.active:
        return row
    sealed, bound = _SEALED[table]
    lineage, written = lineage_of(connection), dict(row)
    for name in sealed:
        written[name] = cipher.seal(row[name], _where(lineage, table, name, row, bound), lineage)
    if table is not JOURNAL and "sha256" in written:
        kept = [written[c.name] for c in columns(table) if c.name != "sha256"]
        written["sha256"] = seal(*kept)
    return written


def resealed(connection: Connection) -> int:
    """Write every row of the workspace anew, as it would be written now; return how many.

    Raises ``DiagnosedError`` where one is not what was written: it would be believed afterwards.
    """
    count = 0
    for table, (sealed, _) in _SEALED.items():
        keys = [c for c in table.primary_key.columns if c is not table.columns[0]]
        names = [c.name for c in columns(table)]
        for row in list(rows(connection, table, connection.execute(own(connection, table)))):
            values = dict(zip(names, row, strict=True))
            if any(values[name] == "" for name in sealed):
                raise damaged(f"A row of {table.name} ({row[0]}) is not what was written.")
            if table is not JOURNAL and "sha256" in values and not sound(row):
                raise damaged(f"A row of {table.name} ({row[0]}) is not what was written.")
            written = closed(connection, table, values)
            changed = {n: written[n] for n in (*sealed, "sha256") if n in written}
            here = [ours(connection, table), *(c == values[c.name] for c in keys)]
            connection.execute(update(table).where(*here).values(changed))
            count += 1
    return count


def outputs_of(connection: Connection, state: Any) -> str | None:
    """Return the outputs in a state's row; ``None`` if they are not what was written."""
    if seal("outputs", state.outputs) != state.outputs_sha256:
        return None
    try:
        return cipher_of(connection).open(state.outputs, (state.lineage, "state", "outputs"))
    except Unauthentic:
        return None


def outputs_values(connection: Connection, text: str) -> dict[str, str]:
    """Return the columns of a state's row that have its outputs."""
    lineage = lineage_of(connection)
    written = cipher_of(connection).seal(text, (lineage, "state", "outputs"), lineage)
    return {"outputs": written, "outputs_sha256": seal("outputs", written)}


def _where(
    lineage: str, table: Table, column: str, row: Mapping[str, Any], bound: Sequence[str]
) -> tuple[object, ...]:
    """Return where a text stands. A result is worth the same in every workspace."""
    base = "" if table is REALISATIONS else lineage
    return (base, table.name, column, *(row[name] for name in bound))


_SEALED: Final[Mapping[Table, tuple[Sequence[str], Sequence[str]]]] = {
    RECORDS: (("data",), ("address",)),
    JOURNAL: (("detail",), ("sequence", "serial", "operation")),
    REALISATIONS: (("attributes", "receipt"), ("key", "number", "digest")),
    ALARMS: (("payload",), ("id", "monitor")),
    CONSUMED: (("outcome",), ("alarm", "trigger")),
}
"""Table → the columns that are encrypted, and those that say where that is."""


@cache
def _kind(table: Table) -> Any:
    return namedtuple(table.name, [c.name for c in columns(table)])  # noqa: PYI024 - as the table has them


@cache
def _insert(table: Table) -> Insert:
    return insert(table)


def add(connection: Connection, table: Table, *rows: Sequence[Any] | Mapping[str, Any]) -> None:
    """Insert rows into the workspace: their columns but the first, in order or by name."""
    names, first = [c.name for c in columns(table)], table.columns[0].name
    named = (r if isinstance(r, Mapping) else dict(zip(names, r, strict=True)) for r in rows)
    whose = workspace_of(connection)
    values = [{first: whose, **closed(connection, table, row)} for row in named]
    if values:
        # As parameters: values would be taken into the statement one by one, for every row.
        connection.execute(_insert(table), values if len(values) > 1 else values[0])


def drop_records(connection: Connection, addresses: Sequence[str]) -> None:
    """Delete the records at some addresses, where there are any."""
    if addresses:
        gone = [{"dropped": address} for address in addresses]
        connection.execute(_dropping(workspace_of(connection)), gone)


@lru_cache(maxsize=256)
def _dropping(workspace: str) -> Delete:
    here = RECORDS.columns[0] == workspace
    return delete(RECORDS).where(here, RECORDS.c.address == bindparam("dropped"))


def state_row(connection: Connection, *, lock: bool = True) -> Row[Any]:
    """Return the workspace's own row; locked, where the database locks rows."""
    query = _held(workspace_of(connection)) if lock else own(connection, STATE)
    found = connection.execute(query).one_or_none()
    if found is None:
        raise damaged(f'The row of workspace "{workspace_of(connection)}" cannot be found.')
    return found


@lru_cache(maxsize=256)
def _held(workspace: str) -> Select[Any]:
    return _own(STATE, workspace).with_for_update()
