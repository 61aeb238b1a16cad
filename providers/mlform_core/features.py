"""``feature_view "python"``: a user's function over data frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from pydantic import ConfigDict, Field, model_validator

from mlform.sdk import (
    Arguments,
    Artifact,
    Attributes,
    Carrier,
    Code,
    Context,
    Facets,
    Handle,
    Inputs,
    Looking,
    Metadata,
    Resource,
    ResourceError,
    Stored,
    Volatile,
    code,
)
from mlform_core.gate_rules import suggestion
from mlform_core.partitions import Partition, together
from mlform_core.tables import LAYOUT, PARTITIONS, SPLIT, with_split

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class PythonArguments(Arguments):
    """What the function is, and what it is given."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    from_: Handle = Field(alias="from")
    inputs: dict[str, Handle] = Field(default_factory=dict)
    """More tables, passed by name."""
    transform: Code
    """``"path.py:function"``, called as ``function(frame, **inputs, **params)``."""
    include: list[str] = Field(default_factory=list)
    """Files that the code reads beside itself: paths, globs, folders, whatever language they are
    in. A change in them computes anew."""
    columns: list[str] | None = None
    """The columns of ``from`` that the function gets; without it, all. A change in another column
    wakes nobody."""
    input_columns: dict[str, list[str]] = Field(default_factory=dict)
    """The same for tables in ``inputs``, by name."""
    by: Literal["partition"] | None = None
    """``"partition"``: the function is called for each partition of ``from`` by itself, and only
    for those that changed. Without it, once for the whole table."""
    params: dict[str, Any] = Field(default_factory=dict)
    entities: list[str] = Field(default_factory=list)
    timestamp: str | None = None
    features: dict[str, str] = Field(default_factory=dict)
    """Contract of the result: column → type."""
    owner: Metadata[str] = ""
    description: Metadata[str] = ""

    @model_validator(mode="after")
    def _known_inputs(self) -> Self:
        if unknown := sorted(self.input_columns.keys() - self.inputs.keys()):
            raise ValueError(f"input_columns names {', '.join(unknown)}, not among inputs")
        return self


class PythonAttributes(Attributes):
    """The table the function gave."""

    partitions: Carrier[dict[str, Artifact]]
    columns: dict[str, str]
    rows: int
    splits: dict[str, int]
    time: str | None
    key: list[str]
    facets: Facets
    """A digest for each column, and for each column in each partition."""
    digests: Carrier[Artifact]
    """The digests of each column by partition, in full, as JSON."""
    profile: Volatile[dict[str, Any]]


StoredView: TypeAlias = Stored[PythonArguments, PythonAttributes]


class Python(
    Resource[PythonArguments, PythonAttributes],
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
        check(new)
        return Inputs(code.included(ctx, new.include))

    def uses(self, new: PythonArguments) -> Mapping[str, Collection[str]]:
        """Take the columns that are named; of a table without any named, all."""
        found: dict[str, set[str]] = {}
        for handle, columns in _tables(new):
            if "columns" in handle.attributes:
                found.setdefault(handle.address, set()).update(_columns(handle, columns))
        if "columns" in new.from_.attributes:
            found[new.from_.address] |= {SPLIT, LAYOUT}
            found[new.from_.address] |= {PARTITIONS} if new.by == "partition" else set()
        return found

    def apply(self, ctx: Context, new: PythonArguments, old: StoredView | None) -> PythonAttributes:
        """Call the function, on the whole or on each partition that has not been given before."""
        check(new)
        code.check_included(ctx, new.include, ctx.inputs.parts)
        function = code.load(ctx.root, new.transform)
        others = _Others(ctx, new)
        there = list(new.from_.attributes["partitions"])
        groups = {name: [name] for name in there} if new.by == "partition" else {"all": there}
        digests = json.loads(ctx.artifacts.read(new.from_.artifact_at("digests").digest))
        partitions: dict[str, Artifact] = {}
        facts: dict[str, Any] = {}
        for done, (name, taken) in enumerate(groups.items()):
            ctx.progress(done, len(groups), f"{new.transform} {name}")
            what = _made_of(ctx, new, [digests[n] for n in taken])
            make = partial(_make, ctx, new, function, others, taken)
            partition = Partition(ctx, what, make)
            partitions[name], facts[name] = partition.table, partition.facts
        time = new.timestamp or new.from_.attributes.get("time")
        parts = new.from_.attributes.get("splits") or {}
        found = together(ctx, facts, parts, time, new.entities)
        return PythonAttributes(partitions=partitions, **found)

    def distributions(self, new: PythonArguments) -> tuple[str, ...]:
        """Name what reads and writes the tables; the code's own imports count by its closure."""
        return ("pandas", "pyarrow")


def _tables(new: PythonArguments) -> Iterator[tuple[Handle, list[str] | None]]:
    """Yield each table with the columns of it that are named."""
    yield new.from_, new.columns
    for name, handle in new.inputs.items():
        yield handle, new.input_columns.get(name)


def _columns(handle: Handle, named: list[str] | None) -> list[str]:
    return list(handle.attributes["columns"]) if named is None else list(dict.fromkeys(named))


def check(new: PythonArguments) -> None:
    """Raise ``ResourceError`` for what is no table, and for every column that is not there."""
    arguments = ["from", *("inputs" for _ in new.inputs)]
    for argument, (handle, named) in zip(arguments, _tables(new), strict=True):
        if "columns" not in handle.attributes:
            detail = f"{handle.address} is no table. Write a whole dataset or feature view."
            raise ResourceError("Not a table", detail, argument=argument)
        there = handle.attributes["columns"]
        if missing := [name for name in named or [] if name not in there]:
            lines = [
                f'There is no column "{name}" in {handle.address}.{suggestion(name, there)}'
                for name in missing
            ]
            lines.append(f"It has {', '.join(there)}.")
            blamed = "columns" if argument == "from" else "input_columns"
            raise ResourceError("Unknown column", "\n".join(lines), argument=blamed)


def _made_of(
    ctx: Context, new: PythonArguments, digests: list[Mapping[str, str]]
) -> dict[str, Any]:
    """Return what the result of one call depends on."""
    columns = _columns(new.from_, new.columns)
    types = new.from_.attributes["columns"]
    return {
        "code": ctx.receipt.get("code"),
        "transform": new.transform,
        "include": dict(ctx.inputs.parts),
        "params": new.params,
        "features": new.features,
        "columns": {name: types[name] for name in columns},
        "rows": [[there.get(name) for name in [*columns, SPLIT]] for there in digests],
        "inputs": {
            name: [handle.digest, new.input_columns.get(name)]
            for name, handle in new.inputs.items()
        },
    }


class _Others:
    """The tables beside ``from``: read when the first call needs them."""

    def __init__(self, ctx: Context, new: PythonArguments) -> None:
        self.ctx, self.new = ctx, new

    @cached_property
    def frames(self) -> dict[str, pd.DataFrame]:
        from mlform_core.tables import read_table

        named = self.new.input_columns
        return {
            name: read_table(self.ctx, handle, _columns(handle, named.get(name)))
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

    columns = [*_columns(new.from_, new.columns), SPLIT]
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
