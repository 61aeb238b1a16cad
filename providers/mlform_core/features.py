"""``feature_view "python"``: a user's function over data frames."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pydantic import Field

from mlform.sdk import Code, Context, Inputs, Looking, Resource, Stored, code
from mlform_core.making import Making
from mlform_core.transforms import Function, Made
from mlform_core.views import (
    ViewArguments,
    ViewAttributes,
    built,
    check_tables,
    foretold,
    joined,
    own_of,
    time_of,
    uses,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from mlform_core.joins import Own

_ROWS: Final = "the rows"
"""What the table of ``from`` is called beside inputs, whose names are those of parameters."""


class PythonArguments(ViewArguments):
    """What the function is, and what it is given."""

    transform: Code
    """``"path.py:function"``, called as ``function(frame, **inputs, **params)``. An input in
    ``as_of`` has the index of ``frame``."""
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

    def foretell(
        self, ctx: Looking | None, new: PythonArguments, parts: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Name the parts: those of its rows."""
        return foretold(new)

    def uses(self, new: PythonArguments) -> Mapping[str, Collection[str]]:
        """Take the columns that are named; of a table without any named, all."""
        return uses(new)

    def apply(self, ctx: Context, new: PythonArguments, old: StoredView | None) -> ViewAttributes:
        """Call the function, on the whole or on each partition that has not been given before."""
        check_tables(new)
        code.check_included(ctx, new.include, ctx.inputs.parts)
        function = code.load(ctx.root, new.transform)
        how = {
            "code": ctx.receipt.get("code"),
            "transform": new.transform,
            "include": dict(ctx.inputs.parts),
            "params": new.params,
        }
        if new.as_of:
            how["as_of"] = {name: it.model_dump(mode="json") for name, it in new.as_of.items()}
            how["time"] = time_of(new)
        own = own_of(new, _ROWS)
        online = partial(Function, function, new.transform, new.params)
        offline = online()
        making = Making(ctx, new, own, partial(_called, offline, own))
        made = built(ctx, new, how, new.transform, making.table)
        if new.online is None:
            return made
        from mlform_core.certifying import Kind, certified

        told = {"kind": "python", **how, "code": (ctx.receipt.get("code") or {}).get("transform")}
        files = [*ctx.code_files.get("transform", ()), *ctx.inputs.parts]
        return certified(making, made, Kind(told, online, lambda: offline.given, files))

    def distributions(self, new: PythonArguments) -> tuple[str, ...]:
        """Name what reads and writes the tables; the code's own imports count by its closure."""
        return ("pandas", "pyarrow", *(("duckdb",) if new.as_of else ()))


def _called(function: Function, own: Own, raw: pa.Table, inputs: Mapping[str, pa.Table]) -> Made:
    return function(raw, joined(own, raw, inputs))
