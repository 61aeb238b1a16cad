"""``feature_view "sql"``: a query over tables, answered by DuckDB within the process."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from mlform.sdk import Context, Inputs, Looking, Resource, ResourceError, Stored
from mlform_core.joins import Own, Tables, numbered
from mlform_core.making import Making
from mlform_core.transforms import Made, Query, answered
from mlform_core.views import (
    ViewArguments,
    ViewAttributes,
    built,
    check_tables,
    foretold,
    name_of,
    own_of,
    time_of,
    uses,
)

if TYPE_CHECKING:
    import pyarrow as pa


class SqlViewArguments(ViewArguments):
    """What is asked of which tables."""

    query: str
    """A ``SELECT``. The table of ``from`` has the name of its resource, those of ``inputs`` have
    theirs; one in ``as_of`` has ``_row`` as well. It returns ``_row``, and each of them at most
    once."""


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

    def foretell(
        self, ctx: Looking | None, new: SqlViewArguments, parts: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Name the parts: those of its rows."""
        return foretold(new)

    def uses(self, new: SqlViewArguments) -> Mapping[str, Collection[str]]:
        """Take the columns that are named; of a table without any named, all."""
        return uses(new)

    def apply(
        self, ctx: Context, new: SqlViewArguments, old: StoredSqlView | None
    ) -> ViewAttributes:
        """Ask, of the whole or of each partition that was not asked before."""
        _check(new)
        name = name_of(new.from_)
        how = {
            "query": new.query,
            "as_of": {name: it.model_dump(mode="json") for name, it in new.as_of.items()},
            "name": name,
            "time": time_of(new),
        }
        own = own_of(new, name)
        making = Making(ctx, new, own, lambda raw, inputs: _asked(new.query, own, raw, inputs))
        made = built(ctx, new, how, name, making.table)
        if new.online is None:
            return made
        from mlform_core.certifying import Kind, certified

        told = {"kind": "sql", "query": new.query}
        return certified(making, made, Kind(told, lambda _: Query(new.query, own)))

    def distributions(self, new: SqlViewArguments) -> tuple[str, ...]:
        """Name what answers the query and what reads and writes the tables."""
        return ("duckdb", "pyarrow")


def _check(new: SqlViewArguments) -> None:
    """Raise ``ResourceError`` for what is no table, and for columns that are not there."""
    check_tables(new)
    if name_of(new.from_) in new.inputs:
        detail = f'Two tables are called "{name_of(new.from_)}": give the input another name.'
        raise ResourceError("Same name twice", detail, argument="inputs")


def _asked(query: str, own: Own, raw: pa.Table, inputs: Mapping[str, pa.Table]) -> Made:
    """Ask of the whole: what is joined in time is so within the query."""
    tables = {name: numbered(table) for name, table in ({own.name: raw} | dict(inputs)).items()}
    with Tables(own, tables) as there:
        there.check(query)
        return answered(there.asked(query), own.name, raw.num_rows)
