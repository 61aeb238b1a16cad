"""``dataset "sql"``: a table or a query of a database, read through SQLAlchemy."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from pydantic import model_validator

from mlform.sdk import (
    Context,
    Identity,
    Imported,
    Inputs,
    Looking,
    Operational,
    Resource,
    ResourceError,
    Secret,
    Stored,
)
from mlform_core.databases import (
    connected,
    fetch,
    limited,
    parsed,
    place_of,
    read_back,
    source_of,
    statement,
    written,
)
from mlform_core.datasets import (
    PRELOAD,
    DatasetArguments,
    DatasetAttributes,
    Foretold,
    Source,
    assembled,
    fetched,
    judged,
    not_available,
    wanted,
)

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

PATIENCE: Final = 2.0
"""Seconds that counting what arrived may take."""
_MOST_PARTITIONS: Final = 10_000
_MOST_COUNTED: Final = 50
"""Partitions that moved, up to which the rows that arrived are counted."""
_NUMBERS: Final = frozenset({"int64", "float64"})


class SqlArguments(DatasetArguments):
    """Which rows of which database, and what tells that they are others."""

    url_env: Operational[str | None] = None
    """The environment variable that holds the SQLAlchemy URL."""
    url: Secret[str | None] = None
    """The SQLAlchemy URL itself, from a sensitive variable; never recorded."""
    table: Identity[str | None] = None
    """A table or view, ``schema.name`` where it is not in the default schema."""
    query: Identity[str | None] = None
    """A ``SELECT`` instead of a table."""
    watermark: str | None = None
    """A column that grows with every row that is added or changed (``updated_at``, an id). The
    largest value is the version. Rows that have none are not read; rows that are deleted, or
    changed without it, are not seen."""
    snapshot: str | None = None
    """A query whose one row is the version, instead of a watermark: anything that changes when
    the rows do. With ``partition``: a row for each partition, its value first."""
    partition: str | None = None
    """A column: rows that agree on it are a partition, read by itself and only when it moved."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for one, other in (("table", "query"), ("url", "url_env")):
            if (getattr(self, one) is None) == (getattr(self, other) is None):
                raise ValueError(f"write one of {one} and {other}")
        if (self.watermark is None) == (self.snapshot is None):
            raise ValueError(
                "write how a new version is told: watermark (a column that grows with every "
                "change) or snapshot (a query whose result is another when the rows are)"
            )
        return self


ImportedSql: TypeAlias = Imported[DatasetAttributes]
StoredSql: TypeAlias = Stored[SqlArguments, DatasetAttributes]
Token: TypeAlias = Mapping[str, Any]
"""What tells the version of one partition, and which rows are in it; as JSON it is the part."""


class Sql(
    Foretold, Resource[SqlArguments, DatasetAttributes], kind="dataset", type="sql", reusable=True
):
    """A dataset read from a database.

    A database keeps no old versions: what was read stays in the artifact store, and a pinned
    version is made from that.
    """

    preload = (*PRELOAD, "sqlalchemy")

    def inputs(self, ctx: Looking, new: SqlArguments) -> Inputs:
        """Ask for the version, and, only where it moved, for partitions and how many rows."""
        url = _url(ctx, new)
        with connected(url) as connection:
            found = _Source(new, place_of(url, ctx.root), connection)
            version = found.version()
            seen = {"sql": found.what, "version": version}
            token = "sql " + sha256(_text(seen).encode()).hexdigest()
            parts = ctx.remember(token, lambda: {"parts": found.parts(version)})["parts"]
        rows = [json.loads(part).get("rows") for part in parts.values()]
        return Inputs(parts, None if None in rows else sum(rows))

    def preview(
        self, ctx: Looking, new: SqlArguments, old: StoredSql, moved: Mapping[str, str | None]
    ) -> Sequence[str]:
        """Say by how many rows it grows, and how those above the watermark that was read differ."""
        from mlform_core.arrivals import grown, told

        before, there = old.attributes, self.inputs(ctx, new)
        said = [grown(there, before.rows, moved, "partitions", windowed=new.window is not None)]
        if new.watermark is None:
            return said
        url, columns = _url(ctx, new), wanted(new, before)
        what = [place_of(url, ctx.root), _asked(new), moved, there.parts, columns]
        token = "sql arrived " + sha256(_text(what).encode()).hexdigest()

        def above() -> dict[str, Any]:
            with connected(url) as connection:
                source = _Source(new, place_of(url, ctx.root), connection)
                return source.above(moved, there.parts, columns)

        try:
            found = ctx.remember(token, above)
        except _UnknownError as error:  # not remembered: the next plan may have more luck
            return [*said, f"how many rows are above the watermark is not known: {error}"]
        return [
            *said,
            f"{found['rows']:,} rows are above the watermark that was read",
            *told([found], before.profile, columns, {*new.growing, new.watermark}),
        ]

    def apply(self, ctx: Context, new: SqlArguments, old: StoredSql | None) -> DatasetAttributes:
        """Read each partition that was not read before, and judge the whole."""
        if ctx.doing in {"decide", "update"} and old is not None:
            return judged(new, old)
        return self._read(ctx, new, ctx.inputs.parts)

    def import_(self, ctx: Context, id: str, new: SqlArguments | None) -> ImportedSql | None:  # noqa: A002 - as the SDK has it
        """Read a table of the database that the block names."""
        if new is None:
            detail = "Which database holds it, and what tells its version, only a block can say."
            raise ResourceError("Write the block first", detail)
        if id != new.table:
            detail = f"The block reads {new.table or 'a query'}, and the import names {id}."
            raise ResourceError("Not the same data", detail, argument="table")
        return Imported(self._read(ctx, new, ctx.inputs.parts), {"table": id})

    def _read(self, ctx: Context, new: SqlArguments, parts: Mapping[str, str]) -> DatasetAttributes:
        with ExitStack() as stack:
            database = _Lazily(ctx, new, stack)

            def sources() -> Iterator[tuple[str, Source]]:
                for name, part in parts.items():
                    what = {"sql": _asked(new), "name": name, "part": part}
                    take = partial(_take, database, name, part)
                    yield name, fetched(ctx, what, "table.parquet", take)

            return assembled(ctx, new, sources(), len(parts))

    def distributions(self, new: SqlArguments) -> tuple[str, ...]:
        """Name what writes the tables; what reads the database changes no values."""
        return ("pyarrow",)

    def destroy(self, ctx: Context, old: StoredSql) -> str:
        """Leave the database alone."""
        return f"{old.arguments.table or 'what the query reads'} is left alone"


class _Lazily:
    """A connection that is made when the first partition has to be read."""

    def __init__(self, ctx: Context, new: SqlArguments, stack: ExitStack) -> None:
        self.ctx, self.new, self._stack = ctx, new, stack
        self._source: _Source | None = None
        self._now: Mapping[str, str] = {}

    def open(self) -> tuple[_Source, Mapping[str, str]]:
        """Return the source, and its partitions as they are now."""
        if self._source is None:
            url = _url(self.ctx, self.new)
            connection = self._stack.enter_context(connected(url))
            self._source = _Source(self.new, place_of(url, self.ctx.root), connection)
            self._now = self._source.parts(self._source.version())
        return self._source, self._now


def _take(database: _Lazily, name: str, part: str) -> bytes:
    """Read one partition as it was planned. Raises ``ResourceError`` where it is that no more."""
    import pyarrow.parquet as pq

    source, now = database.open()
    planned, there = json.loads(part), json.loads(now.get(name, "{}"))
    gone = not_available(name, part, now.get(name), source.argument)
    versions = ("database", "upto" if source.new.snapshot is None else "snapshot")
    moved = [n for n in versions if planned.get(n) != there.get(n)]
    if not there or any(n != "upto" for n in moved):
        raise gone
    table = fetch(source.connection, source.rows(planned))
    # What was added since is above the watermark. Fewer rows below it: some were changed.
    if moved and planned["rows"] != table.num_rows:
        raise gone
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


class _UnknownError(Exception):
    """How much arrived is not known, and why."""


def _ends(least: Any, most: Any) -> dict[str, float]:
    """Return the ends of a column of numbers; nothing where it has other values by now."""
    try:
        return {} if least is None else {"min": float(least), "max": float(most)}
    except (TypeError, ValueError):
        return {}


class _Source:
    """What a dataset reads, over one connection."""

    def __init__(self, new: SqlArguments, place: str, connection: Connection) -> None:
        import sqlalchemy as sa

        self.new, self.place, self.connection = new, place, connection
        self.what = {**_asked(new), "database": self.place}
        self.argument = "table" if new.table else "query"
        self._from = source_of(new.table, new.query)
        self._of: Callable[[str | None], Any] = lambda name: sa.column(str(name))

    def version(self) -> Any:
        """Return what tells the version of the whole: no more is asked than that."""
        import sqlalchemy as sa

        if self.new.snapshot is not None:
            found = self.connection.execute(statement(self.new.snapshot)).all()
            return [[written(v) for v in row] for row in found]
        top = sa.func.max(self._of(self.new.watermark))
        return written(self.connection.execute(sa.select(top).select_from(self._from)).scalar())

    def parts(self, version: Any) -> dict[str, str]:
        """Return each partition with what tells its version, as JSON."""
        if self.new.snapshot is not None:
            return self._snapshots(version)
        import sqlalchemy as sa

        mark = self._of(self.new.watermark)
        asked = [sa.func.max(mark), sa.func.count(mark)]
        if self.new.partition is None:
            found = [(None, *self.connection.execute(self._select(asked)).one())]
        else:
            by = self._of(self.new.partition)
            grouped = self._select([by, *asked]).where(mark.is_not(None)).group_by(by)
            found = [tuple(row) for row in self.connection.execute(grouped)]
        return self._named(
            [(by, {"upto": written(top), "rows": rows}) for by, top, rows in found if rows]
        )

    def above(
        self, taken: Mapping[str, str | None], now: Mapping[str, str], columns: Mapping[str, str]
    ) -> dict[str, Any]:
        """Count the rows above the watermarks that were taken: see ``arrivals.footer``.

        Raises ``_UnknownError`` where that would take too long.
        """
        import sqlalchemy as sa
        from sqlalchemy.exc import DBAPIError

        if len(taken) > _MOST_COUNTED:
            raise _UnknownError(f"{len(taken):,} partitions moved")
        asked: list[Any] = [sa.func.count(self._of(self.new.watermark))]
        for name, kind in columns.items():
            column = self._of(name)
            ends = [sa.func.min(column), sa.func.max(column)]
            asked += [sa.func.count(column), *(ends if kind in _NUMBERS else [])]
        where = sa.or_(*(self._beyond(now[name], was) for name, was in taken.items()))
        try:
            with limited(self.connection, PATIENCE) as can:
                if not can:
                    raise _UnknownError(
                        "how to limit the time of a query is not known of this database"
                    )
                rows, *told = self.connection.execute(self._select(asked).where(where)).one()
        except DBAPIError:
            said = f"counting them took more than {PATIENCE:g} s, or failed"
            raise _UnknownError(said) from None
        found: dict[str, Any] = {}
        for name, kind in columns.items():
            found[name] = {"nulls": rows - told.pop(0)}
            if kind in _NUMBERS:
                found[name] |= _ends(told.pop(0), told.pop(0))
        return {"rows": rows, "columns": found}

    def _beyond(self, now: str, taken: str | None) -> Any:
        """Return the condition that a row of a partition came after what was taken of it."""
        import sqlalchemy as sa

        token, mark = json.loads(now), self._of(self.new.watermark)
        was = json.loads(taken or "{}")
        upto = was.get("upto") if was.get("database") == self.place else None
        chosen = [mark.is_not(None) if upto is None else mark > read_back(upto)]
        if self.new.partition is not None:
            by, value = self._of(self.new.partition), read_back(token["value"])
            chosen.append(by.is_(None) if value is None else by == value)
        return sa.and_(*chosen)

    def _snapshots(self, version: Any) -> dict[str, str]:
        if self.new.partition is None:
            return self._named([(None, {"snapshot": version})])
        if any(len(row) < 2 for row in version):
            detail = (
                f'With partition = "{self.new.partition}" it gives a row for each partition: '
                "its value, then what tells its version."
            )
            raise ResourceError("Invalid snapshot query", detail, argument="snapshot")
        return self._named([(read_back(row[0]), {"snapshot": row[1:]}) for row in version])

    def _named(self, found: list[tuple[Any, Token]]) -> dict[str, str]:
        if not found:
            detail = f"{self.new.table or 'The query'} has no rows."
            raise ResourceError("No data", detail, argument=self.argument)
        if len(found) > _MOST_PARTITIONS:
            detail = (
                f'"{self.new.partition}" has {len(found):,} values; a dataset has at most '
                f"{_MOST_PARTITIONS:,} partitions. Choose a coarser column, such as a month."
            )
            raise ResourceError("Too many partitions", detail, argument="partition")
        parts = {}
        for value, token in found:
            name = "all" if self.new.partition is None else f"{self.new.partition}={value}"
            at = {} if self.new.partition is None else {"value": written(value)}
            parts[name] = _text({"database": self.place, **at, **token})
        return dict(sorted(parts.items()))

    def rows(self, wanted: Token) -> Any:
        """Return the statement that reads one partition as it was."""
        import sqlalchemy as sa

        columns = _columns(self.new)
        chosen = self._select([self._of(c) for c in columns] if columns else [sa.text("*")])
        if self.new.partition is not None:
            by, value = self._of(self.new.partition), read_back(wanted["value"])
            chosen = chosen.where(by.is_(None) if value is None else by == value)
        if wanted.get("upto") is not None:
            chosen = chosen.where(self._of(self.new.watermark) <= read_back(wanted["upto"]))
        return chosen

    def _select(self, columns: list[Any]) -> Any:
        import sqlalchemy as sa

        return sa.select(*columns).select_from(self._from)


def _asked(new: SqlArguments) -> dict[str, Any]:
    """Return what decides which rows and columns are read of a database."""
    asked = ("table", "query", "watermark", "snapshot", "partition")
    return {**{name: getattr(new, name) for name in asked}, "columns": _columns(new)}


def _columns(new: SqlArguments) -> list[str] | None:
    """Return the columns to read: those that are kept, and those that must be there."""
    if new.columns is None:
        return None
    return list(dict.fromkeys([*new.columns, *new.key, *([new.time] if new.time else [])]))


def _text(data: Any) -> str:
    return json.dumps(data, sort_keys=True, ensure_ascii=False)


def _url(ctx: Looking, new: SqlArguments) -> URL:
    if new.url is not None:
        return parsed(new.url, ctx.root)
    if not (text := os.environ.get(new.url_env or "", "")):
        detail = f"The environment variable {new.url_env} is not set: put the URL into it."
        raise ResourceError("No database URL", detail, argument="url_env")
    return parsed(text, ctx.root)
