"""``dataset "python"``: a table that a function of the project's own returns."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from mlform.sdk import Code, Context, Inputs, Looking, Resource, ResourceError, Stored, code
from mlform_core.asking import answered, ask
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
)

if TYPE_CHECKING:
    import pyarrow as pa

_INCLUDED: Final = "include "
"""What the names of parts begin with that are files beside the code."""


class FunctionArguments(DatasetArguments):
    """Which function, and what tells that it would return something else."""

    function: Code
    """``"path.py:function"``, called as ``function(**params)``; returns a pandas, Arrow or polars
    table, or a list of rows that are objects."""
    token: Code | None = None
    """``"path.py:function"``, called as ``token(**params)`` at every plan: what it returns (JSON,
    or anything with a text) is the version of the data. Without it the code is."""
    by: Literal["partition"] | None = None
    """``"partition"``: ``token`` returns an object, partition → version, and ``function(name,
    **params)`` is called for each partition whose version moved."""
    params: dict[str, Any] = Field(default_factory=dict)
    include: list[str] = Field(default_factory=list)
    """Files that the code reads beside itself: paths, globs, folders. A change in them counts."""

    @model_validator(mode="after")
    def _told(self) -> Self:
        if self.by == "partition" and self.token is None:
            raise ValueError('by = "partition" needs a token function, which names the partitions')
        return self


StoredFunction: TypeAlias = Stored[FunctionArguments, DatasetAttributes]


class Function(
    Foretold,
    Resource[FunctionArguments, DatasetAttributes],
    kind="dataset",
    type="python",
    reusable=True,
):
    """A dataset that a Python function returns."""

    preload = PRELOAD
    imports = (
        "what a function returns is what its code makes; import a table that is made elsewhere "
        'as a dataset "file"'
    )

    def inputs(self, ctx: Looking, new: FunctionArguments) -> Inputs:
        """Ask the token function for the version, in a process of its own."""
        told = None
        if new.token is not None:
            told = ask(ctx.root, new.token, new.params, "token")
        included = code.included(ctx, new.include)
        return Inputs({_INCLUDED + n: d for n, d in included.items()} | _parts(new, told))

    def preview(
        self,
        ctx: Looking,
        new: FunctionArguments,
        old: StoredFunction,
        moved: Mapping[str, str | None],
    ) -> Sequence[str]:
        """Say that nothing is known of what a function would return."""
        tokens = [taken for name, taken in moved.items() if not _included(name)]
        if not tokens:
            return ()
        called = f"what is in them is not known before {new.function} is called"
        if new.by is None:
            return [f"its token is another; {called.replace('them', 'it')}"]
        fresh = tokens.count(None)
        return [f"{fresh} new, {len(tokens) - fresh} changed partitions; {called}"]

    def apply(
        self, ctx: Context, new: FunctionArguments, old: StoredFunction | None
    ) -> DatasetAttributes:
        """Call the function for each partition that it was not called for, and judge the whole."""
        if ctx.doing in {"decide", "update"} and old is not None:
            return judged(new, old)
        parts = ctx.inputs.parts
        included = {n.removeprefix(_INCLUDED): d for n, d in parts.items() if _included(n)}
        code.check_included(ctx, new.include, included)
        tokens: Mapping[str, str | None] = {n: t for n, t in parts.items() if not _included(n)}
        if new.token is None:
            tokens = {"all": None}
        calling = _Calling(ctx, new)

        def sources() -> Iterator[tuple[str, Source]]:
            for name, token in tokens.items():
                what = {
                    "code": ctx.receipt.get("code"),
                    "function": new.function,
                    "params": new.params,
                    "include": included,
                    "part": [name, token],
                }
                take = partial(calling.table, name, token)
                yield name, fetched(ctx, what, "table.parquet", take)

        return assembled(ctx, new, sources(), len(tokens))

    def distributions(self, new: FunctionArguments) -> tuple[str, ...]:
        """Name what reads and writes the tables; the code's own imports count by its closure."""
        return ("pandas", "pyarrow")


class _Calling:
    """The function, once the first table is wanted of it."""

    def __init__(self, ctx: Context, new: FunctionArguments) -> None:
        self.ctx, self.new = ctx, new

    @cached_property
    def _function(self) -> Callable[..., Any]:
        return code.load(self.ctx.root, self.new.function)

    def table(self, name: str, token: str | None) -> bytes:
        """Return one partition as Parquet. Raises ``ResourceError`` where its version moved."""
        import pyarrow.parquet as pq

        self._check(name, token)
        given = [name] if self.new.by == "partition" else []
        table = _table(self._function(*given, **self.new.params), self.new.function)
        self._check(name, token)
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd")
        return sink.getvalue()

    def _check(self, name: str, token: str | None) -> None:
        if self.new.token is None:
            return
        now = _parts(self.new, answered(self.ctx.root, self.new.token, self.new.params))
        if now.get(name) != token:
            raise not_available(name, str(token), now.get(name), "token")


def _included(name: str) -> bool:
    return name.startswith(_INCLUDED)


def _parts(new: FunctionArguments, told: Any) -> dict[str, str]:
    """Return each partition with its version, from what the token function said."""
    if new.token is None:
        return {}
    if new.by is None:
        return {"all": json.dumps(told, sort_keys=True)}
    if not isinstance(told, Mapping) or not told or any(_included(n) for n in told):
        detail = (
            f'With by = "partition", {new.token} returns partition → version, at least one; it '
            f"returned {json.dumps(told)[:200]}."
        )
        raise ResourceError("Not partitions", detail, argument="token")
    return {str(n): json.dumps(v, sort_keys=True) for n, v in sorted(told.items())}


def _table(made: Any, function: str) -> pa.Table:
    import pandas as pd
    import pyarrow as pa

    try:
        if isinstance(made, pd.DataFrame):
            return pa.Table.from_pandas(made, preserve_index=False).replace_schema_metadata(None)
        if isinstance(made, list) and all(isinstance(row, Mapping) for row in made):
            return pa.Table.from_pylist(made)
        if hasattr(made, "__arrow_c_stream__"):
            return pa.table(made)
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        detail = f"What {function} returned cannot be kept as a table: {reason}"
        raise ResourceError("Not a table", detail, argument="function") from None
    detail = (
        f"{function} returned {type(made).__name__}, not a pandas, Arrow or polars table, or a "
        "list of rows that are objects."
    )
    raise ResourceError("Not a table", detail, argument="function")
