"""Partitions of a table: each made once, with its facts, and what they come to together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from mlform.sdk import Artifact, Context, Facets, ResourceError
from mlform_core import expect as expecting

if TYPE_CHECKING:
    import pyarrow as pa

_VERSION: Final = 2


class Partition:
    """One partition: its table and its facts, each made once and kept by what it is made of.

    ``make`` gives the table in canonical types, with the column ``_split``.
    """

    def __init__(self, ctx: Context, what: Mapping[str, Any], make: Callable[[], pa.Table]) -> None:
        self.ctx, self.what, self.make = ctx, {**what, "version": _VERSION}, make
        self._made: pa.Table | None = None

    @cached_property
    def table(self) -> Artifact:
        """The partition as Parquet."""
        from mlform_core.tables import encode

        def made() -> bytes:
            self._made = self.make()
            return encode(self._made)

        return self.ctx.memo({"partition": self.what}, made)

    @cached_property
    def facts(self) -> Any:
        """Types, rows by part, statistics and digests of the columns, of the very table."""
        return facts_at(self.ctx, self.table, self.read)

    def read(self) -> pa.Table:
        """Return the table."""
        if self._made is not None:
            return self._made
        return stored(self.ctx, self.table)


def stored(ctx: Context, table: Artifact) -> pa.Table:
    """Return a partition as it is kept."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(ctx.artifacts.path(table.digest)) as file:
        return file.read()


def facts_at(
    ctx: Context, table: Artifact, read: Callable[[], pa.Table] | None = None
) -> dict[str, Any]:
    """Return what is kept of a partition beside its table, working it out if nobody has."""
    what = {"facts": table.digest, "version": _VERSION}
    found = read or (lambda: stored(ctx, table))
    made = ctx.memo(what, lambda: _encode(facts_of(found())))
    facts: dict[str, Any] = json.loads(ctx.artifacts.read(made.digest))
    return facts


def facts_of(table: pa.Table) -> dict[str, Any]:
    """Return what is kept of a partition beside its table."""
    import pyarrow.compute as pc

    from mlform_core.digests import column_digests
    from mlform_core.tables import SPLIT, types_of

    counts = pc.value_counts(table[SPLIT].drop_null()).to_pylist()
    return {
        "types": types_of(table),
        "splits": {c["values"]: c["counts"] for c in counts},
        "statistics": expecting.statistics(table.drop_columns([SPLIT])),
        "digests": column_digests(table),
    }


def _encode(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True, allow_nan=False, default=str).encode()


def together(
    ctx: Context,
    facts: Mapping[str, Any],
    parts: Iterable[str],
    time: str | None,
    key: list[str],
) -> dict[str, Any]:
    """Return the attributes that every table has, from the facts of its partitions.

    ``parts`` are the parts rows are divided into. Raises ``ResourceError`` where partitions do not
    agree.
    """
    from mlform_core.tables import LAYOUT, PARTITIONS

    columns: dict[str, str] = {}
    empty: dict[str, str] = {}
    splits: dict[str, int] = dict.fromkeys(sorted(parts), 0)
    for name, fact in facts.items():
        for column, type_ in fact["types"].items():
            if _empty(fact, column):
                empty.setdefault(column, type_)
            elif {columns.setdefault(column, type_), type_} == {"int64", "float64"}:
                columns[column] = "float64"
            elif columns[column] != type_:
                detail = f"Column {column} is {columns[column]} before, and {type_} in {name}."
                raise ResourceError("Partitions do not agree", detail, argument="path")
        for part, rows in fact["splits"].items():
            splits[part] += rows
    # A column without any value in a partition is of whatever type it is elsewhere.
    named = {column: None for fact in facts.values() for column in fact["types"]}
    columns = {column: columns.get(column) or empty[column] for column in named}
    profile = expecting.merged({n: f["statistics"] for n, f in facts.items()})
    digests = {name: fact["digests"] for name, fact in facts.items()}
    time = time if time in columns else None
    layout = {"time": time, "key": key, "parts": list(splits)}
    whole = {LAYOUT: layout, PARTITIONS: list(facts)}
    return {
        "columns": columns,
        "rows": profile["rows"],
        "splits": splits,
        "time": time,
        "key": key,
        "facets": Facets.of(digests, whole),
        "digests": ctx.artifacts.put_bytes(_encode(digests), "application/json"),
        "profile": profile,
    }


def _empty(fact: Mapping[str, Any], column: str) -> bool:
    statistics = fact["statistics"]
    return bool(statistics["columns"][column]["nulls"] == statistics["rows"])
