"""What all feature views share: which tables they take, and what is made of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from mlform.sdk import (
    Arguments,
    Artifact,
    Attributes,
    Carrier,
    Context,
    Facets,
    Handle,
    Metadata,
    ResourceError,
    Volatile,
    did_you_mean,
)
from mlform_core.partitions import Partition, together
from mlform_core.tables import LAYOUT, PARTITIONS, SPLIT

if TYPE_CHECKING:
    import pyarrow as pa


class ViewArguments(Arguments):
    """Which tables a view takes, and what must come out."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    from_: Handle = Field(alias="from")
    inputs: dict[str, Handle] = Field(default_factory=dict)
    """More tables, by name."""
    columns: list[str] | None = None
    """The columns of ``from`` that are taken; without it, all. A change in another column wakes
    nobody."""
    input_columns: dict[str, list[str]] = Field(default_factory=dict)
    """The same for tables in ``inputs``, by name."""
    by: Literal["partition"] | None = None
    """``"partition"``: each partition of ``from`` is worked on by itself, and only those that
    changed. Without it, the whole table at once."""
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


class ViewAttributes(Attributes):
    """The table that came out."""

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


def uses(new: ViewArguments) -> dict[str, set[str]]:
    """Return the facets a view takes: the columns that are named; of a table without any, all."""
    found: dict[str, set[str]] = {}
    for handle, columns in _tables(new):
        if "columns" in handle.attributes:
            found.setdefault(handle.address, set()).update(columns_of(handle, columns))
    if "columns" in new.from_.attributes:
        found[new.from_.address] |= {SPLIT, LAYOUT}
        found[new.from_.address] |= {PARTITIONS} if new.by == "partition" else set()
    return found


def built(
    ctx: Context,
    new: ViewArguments,
    how: Mapping[str, Any],
    note: str,
    make: Callable[[list[str]], pa.Table],
) -> ViewAttributes:
    """Make the view of the whole, or of each partition that was not made before.

    ``make`` is given partitions of ``from`` and returns the table with the column ``_split``;
    ``how`` is what its result depends on beside the tables.
    """
    there = list(new.from_.attributes["partitions"])
    groups = {name: [name] for name in there} if new.by == "partition" else {"all": there}
    digests = json.loads(ctx.artifacts.read(new.from_.artifact_at("digests").digest))
    partitions: dict[str, Artifact] = {}
    facts: dict[str, Any] = {}
    for done, (name, taken) in enumerate(groups.items()):
        ctx.progress(done, len(groups), f"{note} {name}")
        what = {**how, **_taken(new, [digests[n] for n in taken])}
        partition = Partition(ctx, what, partial(make, taken))
        partitions[name], facts[name] = partition.table, partition.facts
    time = new.timestamp or new.from_.attributes.get("time")
    parts = new.from_.attributes.get("splits") or {}
    found = together(ctx, facts, parts, time, new.entities)
    return ViewAttributes(partitions=partitions, **found)


def _taken(new: ViewArguments, digests: list[Mapping[str, str]]) -> dict[str, Any]:
    """Return what is taken of the tables."""
    columns = columns_of(new.from_, new.columns)
    types = new.from_.attributes["columns"]
    return {
        "features": new.features,
        "columns": {name: types[name] for name in columns},
        "rows": [[there.get(name) for name in [*columns, SPLIT]] for there in digests],
        "inputs": {
            name: [handle.digest, new.input_columns.get(name)]
            for name, handle in new.inputs.items()
        },
    }


def _tables(new: ViewArguments) -> Iterator[tuple[Handle, list[str] | None]]:
    """Yield each table with the columns of it that are named."""
    yield new.from_, new.columns
    for name, handle in new.inputs.items():
        yield handle, new.input_columns.get(name)


def columns_of(handle: Handle, named: list[str] | None) -> list[str]:
    """Return the columns of a table that are named; all, where none are."""
    return list(handle.attributes["columns"]) if named is None else list(dict.fromkeys(named))


def check_tables(new: ViewArguments) -> None:
    """Raise ``ResourceError`` for what is no table, and for every column that is not there."""
    arguments = ["from", *("inputs" for _ in new.inputs)]
    for argument, (handle, named) in zip(arguments, _tables(new), strict=True):
        if "columns" not in handle.attributes:
            detail = f"{handle.address} is no table. Write a whole dataset or feature view."
            raise ResourceError("Not a table", detail, argument=argument)
        there = handle.attributes["columns"]
        if missing := [name for name in named or [] if name not in there]:
            lines = [
                f'There is no column "{name}" in {handle.address}.{did_you_mean(name, there)}'
                for name in missing
            ]
            lines.append(f"It has {', '.join(there)}.")
            blamed = "columns" if argument == "from" else "input_columns"
            raise ResourceError("Unknown column", "\n".join(lines), argument=blamed)
