"""Joins in time, and queries of tables, by DuckDB within the process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from mlform.sdk import ResourceError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

ROW: Final = "_row"
"""The column that says which row of ``from`` a row of the result is."""
_SETTINGS: Final[Mapping[str, Any]] = {
    # A sum of floats depends on who adds what first: one thread, one result.
    "threads": 1,
    # What a query can reach is what the key has: no files, no network, no variables of ours.
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_MOVING: Final = frozenset(
    """
    now today current_date current_time current_timestamp current_localtime localtime
    current_localtimestamp localtimestamp get_current_time get_current_timestamp
    transaction_timestamp random uuid uuidv4 uuidv7 gen_random_uuid setseed nextval currval
    txid_current current_query_id current_connection_id
    """.split()  # noqa: SIM905 - twenty names in quotes are no easier to read
)
"""What is another value each time it is asked: no result of it could be kept under a key."""


class RowsError(ResourceError):
    """A query cannot take values that are in the rows it is asked of."""


@dataclass(frozen=True)
class Join:
    """The newest row of a table with equal ``on`` that is not newer than a row's time.

    ``time`` says when a row became known, ``age`` in seconds how old it may be; ``columns`` is
    what is taken, ``time`` and ``on`` among it.
    """

    on: Sequence[str]
    time: str
    age: float | None
    columns: Sequence[str]

    @property
    def microseconds(self) -> int | None:
        """The greatest age."""
        return None if self.age is None else round(self.age * 1e6)


@dataclass(frozen=True)
class Own:
    """The table whose rows it is about: its name, and the column of each row's time."""

    name: str
    time: str | None = None
    joins: Mapping[str, Join] = field(default_factory=dict)
    """Tables that are joined in time, by name."""


class Tables:
    """Tables within DuckDB, by name; those in ``own.joins`` have a row for each row of ``own``.

    All are numbered (``numbered``).
    """

    def __init__(self, own: Own, tables: Mapping[str, pa.Table]) -> None:
        try:
            import duckdb
        except ImportError:
            detail = 'Queries and joins in time need the package duckdb: pip install "mlform[sql]".'
            raise ResourceError("Package is not installed", detail) from None
        self._own = own
        self._connection: duckdb.DuckDBPyConnection
        self._connection = duckdb.connect(":memory:", config=dict(_SETTINGS))
        for name, table in tables.items():
            self.put(_whole(name) if name in own.joins else name, table)
        for name, join in own.joins.items():
            if name in tables:
                self._connection.execute(_as_of(own, name, join))
        self._connection.execute("SET lock_configuration = true")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def put(self, name: str, table: pa.Table) -> None:
        """Have a table, in place of one of this name."""
        self._connection.register(name, table)

    def table(self, name: str) -> pa.Table:
        """Return a table in the order of its rows."""
        return self.asked(f"SELECT * FROM {quoted(name)} ORDER BY {ROW}")  # noqa: S608 - quoted

    def latest(self, name: str, join: Join, until: int | None = None) -> pa.Table:
        """Return of a table that is joined the newest row of each key, in order.

        ``until``: of what was known then (microseconds since 1970).
        """
        keys, known = ", ".join(map(quoted, join.on)), quoted(join.time)
        limit = "" if until is None else f" AND {known} <= make_timestamp({until})"
        there = " AND ".join(f"{quoted(k)} IS NOT NULL" for k in (*join.on, join.time))
        columns = ", ".join(map(quoted, join.columns))
        return self.asked(f"""
            SELECT {columns} FROM {quoted(_whole(name))} WHERE {there}{limit}
            QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {known} DESC, {ROW} DESC) = 1
            ORDER BY {keys}
        """)  # noqa: S608 - names are quoted

    def narrowed(self, rows: pa.Table) -> Tables:
        """Return the same, but of what is joined only rows with the keys of some of ``own``."""
        self.put(_SOME, rows)
        found = {}
        for name, join in self._own.joins.items():
            equal = " AND ".join(f"f.{quoted(k)} = i.{quoted(k)}" for k in join.on)
            found[name] = self.asked(f"""
                SELECT * FROM {quoted(_whole(name))} i
                WHERE EXISTS (SELECT 1 FROM {quoted(_SOME)} f WHERE {equal}) ORDER BY {ROW}
            """)  # noqa: S608 - names are quoted
        return Tables(self._own, {self._own.name: rows, **found})

    def asked(self, query: str) -> pa.Table:
        """Return the answer to a query. Raises ``ResourceError``; ``RowsError`` for its values."""
        import duckdb

        try:
            return self._connection.sql(query).to_arrow_table()
        except duckdb.Error as error:
            said = str(error).replace(_whole(""), "").strip()
            values = isinstance(error, duckdb.DataError | duckdb.InvalidInputException)
            kind = RowsError if values else ResourceError
            raise kind("Query failed", said, argument="query") from None

    def check(self, query: str) -> None:
        """Refuse what is no one query, and what has another answer each time."""
        import duckdb

        try:
            _refuse(self._connection, query)
        except duckdb.Error as error:
            raise ResourceError("Query failed", f"{error}", argument="query") from None


_SOME: Final = "those that are tried"
"""Rows of ``own`` that others are narrowed by; no table of a user has blanks in its name."""


def _whole(name: str) -> str:
    return f"{name} as a whole"


def _as_of(own: Own, name: str, join: Join) -> str:
    """Return the statement that makes a table what each row of ``own`` could know of it."""
    rows, time, known = quoted(own.name), quoted(str(own.time)), quoted(join.time)
    columns = "".join(f", joined.{quoted(column)}" for column in join.columns)
    keys = ", ".join(map(quoted, join.on))
    equal = " AND ".join(f"f.{quoted(k)} = i.{quoted(k)}" for k in join.on)
    age = f"date_diff('microsecond', i.{known}, f.{time})"
    fresh = "" if join.microseconds is None else f" WHERE {age} <= {join.microseconds}"
    # Of rows of one moment the last in the table counts.
    return f"""
        CREATE TEMP VIEW {quoted(name)} AS
        WITH known AS (
            SELECT * FROM {quoted(_whole(name))}
            QUALIFY row_number() OVER (PARTITION BY {keys}, {known} ORDER BY {ROW} DESC) = 1
        ), joined AS (
            SELECT f.{ROW} AS own, i.* FROM {rows} f
            ASOF JOIN known i ON {equal} AND f.{time} >= i.{known}{fresh}
        )
        SELECT f.{ROW}{columns} FROM {rows} f LEFT JOIN joined ON joined.own = f.{ROW}
    """  # noqa: S608 - names are quoted, and all of it is the user's own


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def numbered(table: pa.Table) -> pa.Table:
    """Return a table with its rows numbered, and moments in UTC without a zone."""
    import pyarrow as pa

    if ROW in table.column_names:
        detail = f"The column {ROW} has a name that a view keeps for itself. Rename it."
        raise ResourceError("Reserved column name", detail, argument="from")
    for place, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type) and column.type.tz is not None:
            plain = table[column.name].cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
            table = table.set_column(place, column.name, plain)
    return table.append_column(ROW, pa.array(range(table.num_rows), pa.int64()))


def _refuse(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    found = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
    tree = json.loads(found[0][0])
    if tree.get("error"):
        said = str(tree.get("error_message", "it is none"))
        hint = "" if "SELECT" in said else " Write one SELECT."
        raise ResourceError("Not a query", f"{said}.{hint}", argument="query")
    if len(tree["statements"]) != 1:
        detail = f"There are {len(tree['statements'])} statements. Write one SELECT."
        raise ResourceError("Not a query", detail, argument="query")
    if moving := sorted({name for name in _called(tree) if name in _MOVING}):
        detail = (
            f"{', '.join(moving)} has another value each time, so no result could be made again. "
            "Take the moment from a column or a variable."
        )
        raise ResourceError("Not the same each time", detail, argument="query")


def _called(tree: Any) -> Iterator[str]:
    """Yield every function, and every bare name, which may be one."""
    if isinstance(tree, Mapping):
        if isinstance(name := tree.get("function_name"), str):
            yield name.lower()
        names = tree.get("column_names")
        if isinstance(names, list) and len(names) == 1:
            yield str(names[0]).lower()
        for value in tree.values():
            yield from _called(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _called(value)


def ordered(made: pa.Table, name: str, rows: int) -> pa.Table:
    """Hold an answer to its contract, and put it in the order of ``name``, which has ``rows``.

    Raises ``ResourceError``.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    names = made.column_names
    if ROW not in names:
        detail = (
            f"It returns {', '.join(names)}, and not {ROW}, which says which row of {name} a row "
            "is, and so which part it is in: select it as well."
        )
        raise ResourceError("Rows lost their identity", detail, argument="query")
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        detail = f'It returns "{twice}" twice: give one of them another name.'
        raise ResourceError("Invalid columns", detail, argument="query")
    own = made[ROW]
    if not pa.types.is_integer(own.type) or own.null_count or _outside(own, rows):
        detail = f"What it returns as {ROW} is not that of {name}."
        raise ResourceError("Rows lost their identity", detail, argument="query")
    if len(made) and (twice := len(made) - pc.count_distinct(own).as_py()):
        detail = (
            f"It returns {twice:,} rows more than one for a row of {name}: group by {ROW}, or join "
            "an input as_of."
        )
        raise ResourceError("Rows lost their identity", detail, argument="query")
    return made.sort_by(ROW)


def _outside(own: pa.ChunkedArray, rows: int) -> bool:
    import pyarrow.compute as pc

    if not len(own):
        return False
    ends = pc.min_max(own).as_py()
    return bool(ends["min"] < 0 or ends["max"] >= rows)
