"""``feature_view "sql"``: a query over tables, answered by DuckDB within the process."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlform.sdk import (
    Context,
    Handle,
    Inputs,
    Length,
    Looking,
    Resource,
    ResourceError,
    Stored,
    seconds,
)
from mlform_core.tables import SPLIT, with_split
from mlform_core.views import (
    ViewArguments,
    ViewAttributes,
    built,
    check_tables,
    columns_of,
    uses,
)

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


class AsOf(BaseModel):
    """How a table is joined as of each row's time: the newest row that is not newer than it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: list[str] = Field(min_length=1)
    """Columns that must be equal, of one name in both tables."""
    time: str | None = None
    """When a row became known; the table's own time without it."""
    ttl: Length | None = None
    """The greatest age: what is older counts as missing."""


class SqlViewArguments(ViewArguments):
    """What is asked of which tables."""

    query: str
    """A ``SELECT``. The table of ``from`` has the name of its resource, those of ``inputs`` have
    theirs. It returns ``_row``, and each of them at most once."""
    as_of: dict[str, AsOf] = Field(default_factory=dict)
    """Inputs as each row of ``from`` could know them: such an input has one row for each row of
    ``from``, with its ``_row``, and missing values where there was nothing yet."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if unknown := sorted(self.as_of.keys() - self.inputs.keys()):
            raise ValueError(f"as_of names {', '.join(unknown)}, not among inputs")
        return self


StoredSqlView: TypeAlias = Stored[SqlViewArguments, ViewAttributes]


class SqlView(
    Resource[SqlViewArguments, ViewAttributes], kind="feature_view", type="sql", reusable=True
):
    """Features made by a query.

    The rows of the result are rows of ``from``, told by ``_row``: a row stays in the part its
    dataset put it in, whatever the query does.
    """

    preload = ("pyarrow.parquet", "pyarrow.compute", "duckdb")
    imports = (
        "a table of features is what its query makes of its data; import a table that is made "
        'elsewhere as a dataset "file"'
    )

    def inputs(self, ctx: Looking, new: SqlViewArguments) -> Inputs:
        """Look at nothing; tell at once of columns that are not there."""
        _check(new)
        return Inputs()

    def uses(self, new: SqlViewArguments) -> Mapping[str, Collection[str]]:
        """Take the columns that are named; of a table without any named, all."""
        return uses(new)

    def apply(
        self, ctx: Context, new: SqlViewArguments, old: StoredSqlView | None
    ) -> ViewAttributes:
        """Ask, of the whole or of each partition that was not asked before."""
        _check(new)
        how = {
            "query": new.query,
            "as_of": {name: it.model_dump(mode="json") for name, it in new.as_of.items()},
            "name": _name(new.from_),
            "time": _time(new),
        }
        make = partial(_make, ctx, new, _Inputs(ctx, new))
        return built(ctx, new, how, _name(new.from_), make)

    def distributions(self, new: SqlViewArguments) -> tuple[str, ...]:
        """Name what answers the query and what reads and writes the tables."""
        return ("duckdb", "pyarrow")


def _name(handle: Handle) -> str:
    """Return the name that a table has in the query: that of its resource."""
    return handle.address.partition("[")[0].rpartition(".")[2]


def _time(new: SqlViewArguments) -> str | None:
    found = new.timestamp or new.from_.attributes.get("time")
    return None if found is None else str(found)


def _check(new: SqlViewArguments) -> None:
    """Raise ``ResourceError`` for what is no table, and for columns that are not there."""
    check_tables(new)
    if _name(new.from_) in new.inputs:
        detail = f'Two tables are called "{_name(new.from_)}": give the input another name.'
        raise ResourceError("Same name twice", detail, argument="inputs")
    for name, join in new.as_of.items():
        handle, time = new.inputs[name], join.time or new.inputs[name].attributes.get("time")
        for table, named, moment in (
            (new.from_, new.columns, _time(new)),
            (handle, new.input_columns.get(name), time),
        ):
            if moment is None:
                where = "timestamp" if table is new.from_ else f"as_of.{name}.time"
                detail = f"{table.address} has no time of its own: say by {where} which column."
                raise ResourceError("No time to join by", detail, argument="as_of")
            _there(table, columns_of(table, named), [*join.on, moment])
            if (type_ := table.attributes["columns"][moment]) != "timestamp":
                detail = f"{moment} of {table.address} is {type_}; a join in time needs timestamps."
                raise ResourceError("Not a time column", detail, argument="as_of")


def _there(table: Handle, taken: list[str], wanted: list[str]) -> None:
    if missing := [c for c in wanted if c not in taken]:
        detail = (
            f"as_of needs {', '.join(missing)} of {table.address}; taken of it are "
            f"{', '.join(taken)}."
        )
        raise ResourceError("Unknown column", detail, argument="as_of")


class _Inputs:
    """The tables beside ``from``: read when the first query needs them."""

    def __init__(self, ctx: Context, new: SqlViewArguments) -> None:
        self.ctx, self.new = ctx, new

    @cached_property
    def tables(self) -> dict[str, pa.Table]:
        from mlform_core.tables import read_arrow

        named = self.new.input_columns
        return {
            name: _numbered(read_arrow(self.ctx, handle, columns_of(handle, named.get(name))))
            for name, handle in self.new.inputs.items()
        }


def _numbered(table: pa.Table) -> pa.Table:
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


def _make(ctx: Context, new: SqlViewArguments, inputs: _Inputs, partitions: list[str]) -> pa.Table:
    """Ask of some partitions; return the answer in the order of ``from``, rows in their parts."""
    from mlform_core.tables import canonical, check_schema, read_arrow, types_of

    columns = [*columns_of(new.from_, new.columns), SPLIT]
    whole = read_arrow(ctx, new.from_, columns, partitions=partitions)
    parts = whole[SPLIT].combine_chunks()
    tables = {_name(new.from_): _numbered(whole.drop_columns([SPLIT]))}
    for name, table in inputs.tables.items():
        tables[f"{name} as a whole" if name in new.as_of else name] = table
    made = _ordered(_answer(new, tables), new, whole.num_rows)
    rows = made[ROW].combine_chunks()
    table = canonical(made.drop_columns([ROW]))
    check_schema(types_of(table), new.features, "features")
    return with_split(table, parts.take(rows))


def _answer(new: SqlViewArguments, tables: Mapping[str, pa.Table]) -> pa.Table:
    try:
        import duckdb
    except ImportError:
        detail = 'A feature view "sql" needs the package duckdb: pip install "mlform[sql]".'
        raise ResourceError("Package is not installed", detail) from None
    with duckdb.connect(":memory:", config=dict(_SETTINGS)) as connection:
        for name, table in tables.items():
            connection.register(name, table)
        for name, join in new.as_of.items():
            connection.execute(_as_of(new, name, join))
        connection.execute("SET lock_configuration = true")
        try:
            _refuse(connection, new.query)
            return connection.sql(new.query).to_arrow_table()
        except duckdb.Error as error:
            said = str(error).replace(" as a whole", "").strip()
            raise ResourceError("Query failed", said, argument="query") from None


def _as_of(new: SqlViewArguments, name: str, join: AsOf) -> str:
    """Return the statement that makes an input what each row of ``from`` could know of it."""
    handle = new.inputs[name]
    own, time = _quoted(_name(new.from_)), _quoted(str(_time(new)))
    known = _quoted(str(join.time or handle.attributes["time"]))
    taken = columns_of(handle, new.input_columns.get(name))
    columns = "".join(f", joined.{_quoted(column)}" for column in taken)
    keys = ", ".join(map(_quoted, join.on))
    equal = " AND ".join(f"f.{_quoted(k)} = i.{_quoted(k)}" for k in join.on)
    age = f"date_diff('microsecond', i.{known}, f.{time})"
    fresh = "" if join.ttl is None else f" WHERE {age} <= {round(seconds(join.ttl) * 1e6)}"
    # Of rows of one moment the last in the table counts.
    return f"""
        CREATE TEMP VIEW {_quoted(name)} AS
        WITH known AS (
            SELECT * FROM {_quoted(name + " as a whole")}
            QUALIFY row_number() OVER (PARTITION BY {keys}, {known} ORDER BY {ROW} DESC) = 1
        ), joined AS (
            SELECT f.{ROW} AS own, i.* FROM {own} f
            ASOF JOIN known i ON {equal} AND f.{time} >= i.{known}{fresh}
        )
        SELECT f.{ROW}{columns} FROM {own} f LEFT JOIN joined ON joined.own = f.{ROW}
    """  # noqa: S608 - names are quoted, and all of it is the user's own


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _refuse(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Refuse what is no one query, and what has another answer each time."""
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


def _ordered(made: pa.Table, new: SqlViewArguments, rows: int) -> pa.Table:
    """Hold the answer to its contract, and put it in order. Raises ``ResourceError``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = made.column_names
    if ROW not in names:
        detail = (
            f"It returns {', '.join(names)}, and not {ROW}, which says which row of "
            f"{_name(new.from_)} a row is, and so which part it is in: select it as well."
        )
        raise ResourceError("Rows lost their identity", detail, argument="query")
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        detail = f'It returns "{twice}" twice: give one of them another name.'
        raise ResourceError("Invalid columns", detail, argument="query")
    own = made[ROW]
    if not pa.types.is_integer(own.type) or own.null_count or _outside(own, rows):
        detail = f"What it returns as {ROW} is not that of {_name(new.from_)}."
        raise ResourceError("Rows lost their identity", detail, argument="query")
    if len(made) and (twice := len(made) - pc.count_distinct(own).as_py()):
        detail = (
            f"It returns {twice:,} rows more than one for a row of {_name(new.from_)}: group by "
            f"{ROW}, or join an input as_of."
        )
        raise ResourceError("Rows lost their identity", detail, argument="query")
    return made.sort_by(ROW)


def _outside(own: pa.ChunkedArray, rows: int) -> bool:
    import pyarrow.compute as pc

    if not len(own):
        return False
    ends = pc.min_max(own).as_py()
    return bool(ends["min"] < 0 or ends["max"] >= rows)
