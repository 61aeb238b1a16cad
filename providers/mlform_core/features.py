"""``feature_view "python"``: a user's function over data frames."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import Field

from mlform.sdk import Code, Context, Inputs, Looking, Resource, ResourceError, Stored, code
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
    import pandas as pd
    import pyarrow as pa


class PythonArguments(ViewArguments):
    """What the function is, and what it is given."""

    transform: Code
    """``"path.py:function"``, called as ``function(frame, **inputs, **params)``."""
    include: list[str] = Field(default_factory=list)
    """Files that the code reads beside itself: paths, globs, folders, whatever language they are
    in. A change in them computes anew."""
    params: dict[str, Any] = Field(default_factory=dict)


StoredView: TypeAlias = Stored[PythonArguments, ViewAttributes]


class Python(
    Resource[PythonArguments, ViewAttributes],
    kind="feature_view",
    type="python",
    version=2,
    reusable=True,
):
    """Features made by a Python function.

    The rows of the result are rows of ``from``, told by their index: a row stays in the part its
    dataset put it in, whatever the function does.
    """

    preload = ("pandas", "pyarrow.parquet", "pyarrow.compute")
    imports = (
        "a table of features is what its code makes of its data; import a table that is made "
        'elsewhere as a dataset "file"'
    )

    def inputs(self, ctx: Looking, new: PythonArguments) -> Inputs:
        """Look at the files that the code reads; tell at once of columns that are not there."""
        check_tables(new)
        return Inputs(code.included(ctx, new.include))

    def uses(self, new: PythonArguments) -> Mapping[str, Collection[str]]:
        """Take the columns that are named; of a table without any named, all."""
        return uses(new)

    def apply(self, ctx: Context, new: PythonArguments, old: StoredView | None) -> ViewAttributes:
        """Call the function, on the whole or on each partition that has not been given before."""
        check_tables(new)
        code.check_included(ctx, new.include, ctx.inputs.parts)
        function = code.load(ctx.root, new.transform)
        others = _Others(ctx, new)
        how = {
            "code": ctx.receipt.get("code"),
            "transform": new.transform,
            "include": dict(ctx.inputs.parts),
            "params": new.params,
        }
        return built(ctx, new, how, new.transform, partial(_make, ctx, new, function, others))

    def distributions(self, new: PythonArguments) -> tuple[str, ...]:
        """Name what reads and writes the tables; the code's own imports count by its closure."""
        return ("pandas", "pyarrow")


class _Others:
    """The tables beside ``from``: read when the first call needs them."""

    def __init__(self, ctx: Context, new: PythonArguments) -> None:
        self.ctx, self.new = ctx, new

    @cached_property
    def frames(self) -> dict[str, pd.DataFrame]:
        from mlform_core.tables import read_table

        named = self.new.input_columns
        return {
            name: read_table(self.ctx, handle, columns_of(handle, named.get(name)))
            for name, handle in self.new.inputs.items()
        }


def _make(
    ctx: Context,
    new: PythonArguments,
    function: Callable[..., Any],
    others: _Others,
    partitions: list[str],
) -> pa.Table:
    """Call the function on some partitions; return what it gives, rows in their parts."""
    import pyarrow as pa

    from mlform_core.tables import canonical, check_schema, from_frame, read_table, types_of

    columns = [*columns_of(new.from_, new.columns), SPLIT]
    whole = read_table(ctx, new.from_, columns, partitions=partitions)
    frame, parts = whole.drop(columns=[SPLIT]), whole[SPLIT]
    # Each call gets tables of its own: what it changes in place must not reach the next.
    given = {name: other.copy() for name, other in others.frames.items()}
    made = _checked(function(frame, **given, **new.params), frame, new.transform)
    table = canonical(from_frame(made))
    check_schema(types_of(table), new.features, "features")
    return with_split(table, pa.array(parts.loc[made.index], pa.string(), from_pandas=True))


def _checked(made: Any, given: pd.DataFrame, transform: str) -> pd.DataFrame:
    """Hold the function to its contract. Raises ``ResourceError``."""
    import pandas as pd

    if not isinstance(made, pd.DataFrame):
        detail = f"{transform} returned {type(made).__name__}, not a pandas DataFrame."
        raise ResourceError("Not a table", detail, argument="transform")
    if not made.index.isin(given.index).all() or not made.index.is_unique:
        detail = (
            f"{transform} returned rows whose index is not that of its first argument. The index "
            "says which row of the dataset a row is, and so which part it is in: keep it (after a "
            "merge: `.set_axis(frame.index)`, or join on columns with `frame.join`)."
        )
        raise ResourceError("Rows lost their identity", detail, argument="transform")
    if not all(isinstance(name, str) for name in made.columns) or not made.columns.is_unique:
        detail = (
            f"{transform} returned columns {list(made.columns)}: names must be text and unique."
        )
        raise ResourceError("Invalid columns", detail, argument="transform")
    return made
