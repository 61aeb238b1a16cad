"""A feature view at request time: raw rows in, features out, by the code that made the table."""

from __future__ import annotations

import math
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from mlform.sdk import ResourceError
from mlform_core.joins import Join, RowsError, numbered
from mlform_core.transforms import Transform

if TYPE_CHECKING:
    import pyarrow as pa

TOLD: Final = "transform.json"
CODE: Final = "code/"
MEMBER: Final = re.compile(r"transform\.json|code/(?!.*(^|/)\.\.(/|$))[^/\0][^\0]*")
"""What the bundle of a view has: what it says of itself, and its code."""
Columns: TypeAlias = Mapping[str, Sequence[Any]]
"""Values by column as requests have them, ``None`` where one is missing."""
Spec: TypeAlias = Mapping[str, Any]
"""A column: ``name``, ``type``, and ``zone`` of timestamps that have one."""
Outcome: TypeAlias = Literal["found", "missing", "old", "newer"]
"""What came of looking up a row: its key is not there; it is older than ``ttl``; only something
newer than the row's time is known."""
Looked: TypeAlias = Counter[tuple[str, Outcome]]
"""How often what came of looking up, by input."""


Fault: TypeAlias = Literal["rows", "view", "moment"]
"""Whose fault it is that no features come of a request."""


class LeftOutError(ValueError):
    """The view has no row for a row that was given."""


@dataclass(frozen=True)
class Features:
    """What a view made of the rows of a request, and what came of looking up."""

    columns: dict[str, list[Any]]
    looked: Looked


def specs(table: pa.Table) -> list[dict[str, Any]]:
    """Return what the columns of a table are."""
    import pyarrow as pa

    from mlform_core.tables import type_name

    found = []
    for field in table.schema:
        spec = {"name": field.name, "type": type_name(field.type)}
        if pa.types.is_timestamp(field.type) and field.type.tz is not None:
            spec["zone"] = field.type.tz
        found.append(spec)
    return found


def array(values: Sequence[Any], spec: Spec) -> pa.Array:
    """Return values of a request as a column. Raises ``ValueError`` naming the column."""
    import pyarrow as pa

    from mlform_core.tables import arrow_type

    kind = spec["type"]
    try:
        if kind == "timestamp":
            moments = [None if v is None else _moment(v) for v in values]
            return pa.array(moments, pa.int64()).cast(pa.timestamp("us", spec.get("zone")))
        if kind == "int64":
            values = [None if v is None or v != v else _whole(v) for v in values]  # noqa: PLR0124 - NaN
        if kind == "float64":
            values = [None if v is None else float(v) for v in values]
        if kind == "bool":
            values = [None if v is None or v != v else bool(v) for v in values]  # noqa: PLR0124 - NaN
        return pa.array(values, arrow_type(kind), from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError, OverflowError, TypeError) as error:
        raise ValueError(f'"{spec["name"]}" should be {kind}: {error}') from None


def _whole(value: float) -> int:
    if value != int(value):
        raise ValueError(f"{value} is no whole number")
    return int(value)


def _moment(value: str) -> int:
    """Return microseconds since 1970 of a moment in ISO 8601; without an offset it is in UTC."""
    found = datetime.fromisoformat(value)
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
    past = found - datetime(1970, 1, 1, tzinfo=UTC)
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds


def plain(column: pa.ChunkedArray) -> list[Any]:
    """Return a column as requests have it: moments as texts in ISO 8601, NaN as ``None``."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        micro = column.cast(pa.timestamp("us", column.type.tz))
        return [None if v is None else v.isoformat() for v in micro.to_pylist()]
    values: list[Any] = column.to_pylist()
    if pa.types.is_floating(column.type):
        return [None if v is None or math.isnan(v) else v for v in values]
    return values


class Lookup:
    """The newest row of each key of a table, in SQLite: nothing of it is in memory."""

    def __init__(self, connection: sqlite3.Connection, join: Join, columns: Sequence[Spec]) -> None:
        self._connection, self._join, self._specs = connection, join, columns

    def joined(self, raw: pa.Table, time: str) -> tuple[pa.Table, Counter[Outcome]]:
        """Return a row for each row of ``raw``, as a join in time would; and what came of it.

        Moments in ``raw`` are in UTC without a zone.
        """
        import pyarrow as pa

        keys = _keys(raw, self._join.on)
        times = raw[time].cast(pa.int64()).to_pylist()
        looked: Counter[Outcome] = Counter()
        rows = []
        for key, moment in zip(keys, times, strict=True):
            outcome, row = self._look(key, moment)
            looked[outcome] += 1
            rows.append(row)
        empty = (None,) * len(self._specs)
        columns = zip(*(empty if row is None else row for row in rows), strict=True)
        return _table(columns, self._specs), looked

    def _look(self, key: str | None, moment: int | None) -> tuple[Outcome, Sequence[Any] | None]:
        import orjson

        if key is None or moment is None:
            return "missing", None
        found = self._connection.execute("SELECT at, row FROM latest WHERE key = ?", (key,))
        one = found.fetchone()
        if one is None:
            return "missing", None
        at, text = one
        if at > moment:
            return "newer", None
        age = self._join.microseconds
        if age is not None and moment - at > age:
            return "old", None
        return "found", orjson.loads(text)


def keep(connection: sqlite3.Connection, table: pa.Table, join: Join) -> None:
    """Write the newest row of each key, for a ``Lookup`` to find."""
    import orjson
    import pyarrow as pa

    finite(table)
    plain_ = [
        c.cast(pa.int64()).to_pylist() if pa.types.is_timestamp(c.type) else c.to_pylist()
        for c in table.columns
    ]
    times = plain_[table.column_names.index(join.time)]
    rows = (orjson.dumps(row).decode() for row in zip(*plain_, strict=True))
    connection.execute(
        "CREATE TABLE latest (key TEXT PRIMARY KEY, at INTEGER, row TEXT) WITHOUT ROWID"
    )
    every = zip(_keys(table, join.on), times, rows, strict=True)
    connection.executemany("INSERT INTO latest VALUES (?, ?, ?)", every)
    connection.commit()


def finite(table: pa.Table) -> pa.Table:
    """Return a table as it is. Raises ``ResourceError`` if some number in it is infinite."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name in table.column_names:
        if pa.types.is_floating(table[name].type) and pc.any(pc.is_inf(table[name])).as_py():
            detail = f'"{name}" is infinite in some rows; what is looked up has finite numbers.'
            raise ResourceError("Not a finite number", detail)
    return table


def _keys(table: pa.Table, on: Sequence[str]) -> list[str | None]:
    """Return a text for the key of each row; equal keys have equal ones, whatever their type."""
    import orjson
    import pyarrow as pa

    columns = []
    for name in on:
        column = table[name]
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        columns.append(column.to_pylist())
    return [
        None if None in key else orjson.dumps([_key(v) for v in key]).decode()
        for key in zip(*columns, strict=True)
    ]


_WHOLE: Final = 2**63


def _key(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE:
        return int(value)
    return int(value) if isinstance(value, bool) else value


def _table(columns: Iterable[Sequence[Any]], wanted: Sequence[Spec]) -> pa.Table:
    """Return columns of plain values, moments in microseconds, as a table."""
    import pyarrow as pa

    from mlform_core.tables import arrow_type

    found = {}
    for values, spec in zip(columns, wanted, strict=True):
        if spec["type"] == "timestamp":
            found[spec["name"]] = pa.array(values, pa.int64()).cast(pa.timestamp("us"))
        else:
            found[spec["name"]] = pa.array(values, arrow_type(spec["type"]))
    return pa.table(found)


class View:
    """A feature view that makes the features of requests.

    ``told``: what the view says of itself (``certifying``). ``whole`` are inputs that are not
    joined in time, ``lookups`` those that are. ``beneath`` makes the rows that it is of out of
    those of a request, where these are others.
    """

    def __init__(
        self,
        told: Mapping[str, Any],
        transform: Transform,
        whole: Mapping[str, pa.Table],
        lookups: Mapping[str, Lookup],
        beneath: View | None = None,
    ) -> None:
        self.told, self._transform, self._beneath = told, transform, beneath
        self.wanted: Sequence[str] | None = None
        """The features that ``features`` returns, if not all that are served."""
        self._whole, self._lookups = whole, lookups

    def features(self, columns: Columns) -> Features:
        """Make the features of some rows, in their order.

        Whatever is raised, ``fault`` tells whose fault it is.
        """
        below: Looked = Counter()
        if self._beneath is not None:
            made = self._beneath.features(columns)
            columns, below = made.columns, made.looked
        raw = self.raw(columns)
        found, looked = self.looked_up(raw)
        return Features(self.made(raw, found, self.wanted), looked + below)

    def looked_up(self, raw: pa.Table) -> tuple[dict[str, pa.Table], Looked]:
        """Return what is joined in time to rows of ``from``, and what came of looking it up."""
        found: dict[str, pa.Table] = {}
        looked: Looked = Counter()
        if self._lookups:
            in_utc = numbered(raw)
            for name, lookup in self._lookups.items():
                found[name], outcomes = lookup.joined(in_utc, str(self.told["time"]))
                looked.update({(name, outcome): n for outcome, n in outcomes.items()})
        return found, looked

    def raw(self, columns: Columns) -> pa.Table:
        """Return the columns of a request as rows of ``from``. Raises ``ValueError``."""
        import pyarrow as pa

        rows = len(next(iter(columns.values()), ()))
        absent = self.told["absent"]
        return pa.table(
            {
                spec["name"]: array(
                    [absent[spec["name"]]] * rows
                    if spec["name"] in absent and spec["name"] not in columns
                    else columns[spec["name"]],
                    spec,
                )
                for spec in self.told["raw"]
            }
        )

    def made(
        self,
        raw: pa.Table,
        joined: Mapping[str, pa.Table],
        wanted: Sequence[str] | None = None,
    ) -> dict[str, list[Any]]:
        """Return the features of rows of ``from``, beside which lie the rows joined to them."""
        import pyarrow as pa
        import pyarrow.compute as pc

        made = self._transform(raw, {**self._whole, **joined})
        if len(made.rows) != raw.num_rows:
            there = pc.is_in(pa.array(range(raw.num_rows), pa.int64()), made.rows).to_pylist()
            raise LeftOutError(f"the feature view leaves out the row at {there.index(False)}")
        order = pc.sort_indices(made.rows)
        table = made.table if raw.num_rows == 1 else made.table.take(order)
        return {n: plain(table[n]) for n in (self.told["served"] if wanted is None else wanted)}


def fault(error: Exception) -> Fault:
    """Tell whose fault an error of ``View.features`` is.

    That of the rows: values of other types, rows that the view leaves out, that its query cannot
    take or its function calls a ``ValueError``. What may be over when it is asked again (files,
    memory) is that of the moment; all else that of the view.
    """
    import pyarrow as pa

    if isinstance(error, MemoryError | OSError | sqlite3.OperationalError):
        return "moment"
    # Arrow's own errors are of what the view made: those of what was asked have other names.
    refused = isinstance(error, ValueError) and not isinstance(error, pa.ArrowException)
    return "rows" if refused or isinstance(error, RowsError) else "view"


def taken(told: Mapping[str, Any]) -> list[Spec]:
    """Return the columns that a view takes of a row."""
    return [spec for spec in told["raw"] if spec["name"] not in told["absent"]]


def join_of(said: Mapping[str, Any]) -> Join:
    """Return a join as ``told`` has it."""
    return Join(said["on"], said["time"], said["age"], [c["name"] for c in said["columns"]])


def apart(found: Any, expected: Any) -> float:
    """Return how far two values are: 0 where they are one, infinity where nothing is near."""
    if found is None or expected is None:
        return 0.0 if found is expected else math.inf
    if isinstance(found, str) or isinstance(expected, str):
        return 0.0 if found == expected else math.inf
    if found == expected:
        return 0.0
    return float(abs(found - expected) / (1 + abs(expected)))
