"""What all feature views share: which tables they take, and what is made of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from mlform.sdk import (
    Arguments,
    Artifact,
    Attributes,
    Carrier,
    Context,
    Facets,
    Fields,
    Handle,
    Length,
    Metadata,
    ResourceError,
    Volatile,
    did_you_mean,
    seconds,
)
from mlform_core.joins import ROW, Join, Own, Tables, numbered
from mlform_core.naming import absent, known, refuse
from mlform_core.partitions import Partition, together
from mlform_core.tables import LAYOUT, LOOKUPS, PARTITIONS, SPLIT, TRANSFORM, reading_texts

if TYPE_CHECKING:
    import pyarrow as pa


class AsOf(Fields):
    """How a table is joined as of each row's time: the newest row that is not newer than it."""

    on: list[str] = Field(min_length=1)
    """Columns that must be equal, of one name in both tables."""
    time: str | None = None
    """When a row became known; the table's own time without it."""
    ttl: Length | None = None
    """The greatest age: what is older counts as missing."""


class Online(Fields):
    """That each row depends on nothing but itself and its inputs, so that requests can be served.

    It is tried whenever the view is made: rows of it go the way of a request and must come out as
    they are in the table.
    """

    absent: list[str] = Field(default_factory=list)
    """Columns of ``from`` that no request has, such as what became of it. What is made of them is
    not served."""
    stand_in: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """What stands in the place of absent columns; otherwise they are missing."""
    tolerance: float = Field(default=0.0, ge=0)
    """Numbers are equal if |online − offline| ≤ tolerance × (1 + |offline|)."""
    rows: int = Field(default=2000, ge=1)
    """How many rows are tried, at most."""

    @model_validator(mode="after")
    def _for_absent(self) -> Self:
        if more := sorted(self.stand_in.keys() - {*self.absent}):
            raise ValueError(f"stand_in has {', '.join(more)}, not among absent")
        return self


class ViewArguments(Arguments):
    """Which tables a view takes, and what must come out."""

    model_config = ConfigDict(populate_by_name=True)

    from_: Handle = Field(alias="from")
    inputs: dict[str, Handle] = Field(default_factory=dict)
    """More tables, by name."""
    columns: list[str] | None = None
    """The columns of ``from`` that are taken; without it, all. A change in another column wakes
    nobody."""
    input_columns: dict[str, list[str]] = Field(default_factory=dict)
    """The same for tables in ``inputs``, by name."""
    as_of: dict[str, AsOf] = Field(default_factory=dict)
    """Inputs as each row of ``from`` could know them: such an input has one row for each row of
    ``from``, and missing values where there was nothing yet."""
    by: Literal["partition"] | None = None
    """``"partition"``: each partition of ``from`` is worked on by itself, and only those that
    changed. Without it, the whole table at once."""
    entities: list[str] = Field(default_factory=list)
    timestamp: str | None = None
    features: dict[str, str] = Field(default_factory=dict)
    """Contract of the result: column → type."""
    online: Online | None = None
    """Have deployments make the features of a request."""
    owner: Metadata[str] = ""
    description: Metadata[str] = ""

    @field_validator("columns")
    @classmethod
    def _there(cls, value: list[str] | None, info: ValidationInfo) -> list[str] | None:
        if "from_" in info.data:
            refuse(absent(info.data["from_"], value or ()))
        return value

    @field_validator("input_columns")
    @classmethod
    def _in_inputs(cls, value: dict[str, list[str]], info: ValidationInfo) -> dict[str, list[str]]:
        tables = info.data.get("inputs", {})
        refuse("\n".join(filter(None, (absent(tables[n], value[n]) for n in value if n in tables))))
        return value

    @model_validator(mode="after")
    def _known_inputs(self) -> Self:
        for argument, names in (("input_columns", [*self.input_columns]), ("as_of", [*self.as_of])):
            if unknown := sorted({*names} - self.inputs.keys()):
                raise ValueError(f"{argument} names {', '.join(unknown)}, not among inputs")
        return self


class Level(Fields):
    """What makes the rows of requests of one view."""

    transform: Artifact
    lookups: dict[str, Artifact]
    probe: Artifact


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
    transform: Carrier[Artifact | None] = None
    """What makes the features of a request, where the view is ``online``."""
    lookups: Carrier[dict[str, Artifact]] = Field(default_factory=dict)
    """What it looks up: of inputs that are joined in time the newest row of each key, others
    whole."""
    probe: Carrier[Artifact | None] = None
    """Rows with the features that they have, by which a server tries itself."""
    beneath: Carrier[list[Level]] = Field(default_factory=list)
    """The same of the view that its rows are of, where that is online, too, and of those of which
    the rows of that are."""


def uses(new: ViewArguments) -> dict[str, set[str]]:
    """Return the facets a view takes: the columns that are named; of a table without any, all."""
    found: dict[str, set[str]] = {}
    for handle, columns in _tables(new):
        if "columns" in handle.attributes:
            found.setdefault(handle.address, set()).update(columns_of(handle, columns))
    if "columns" in new.from_.attributes:
        found[new.from_.address] |= {SPLIT, LAYOUT}
        found[new.from_.address] |= {PARTITIONS} if new.by == "partition" else set()
        if new.online is not None and levels(new.from_):
            found[new.from_.address] |= {TRANSFORM, LOOKUPS}
    for name in new.as_of:
        if (address := new.inputs[name].address) in found:
            found[address].add(LAYOUT)  # its time may be that of the table
    return found


def foretold(new: ViewArguments) -> dict[str, Any]:
    """Return what is known of a view before there is one: its parts are those of ``from``."""
    parts = known(new.from_, "splits")
    return {} if parts is None else {"splits": list(parts)}


def levels(handle: Handle) -> list[Level]:
    """Return what makes the rows of a table for requests: nothing unless it is an online view.

    What makes its own comes first, then what makes the rows that those are of, and so on.
    """
    found = handle.attributes
    if not found.get("transform"):
        return []
    own = {n: found[n] for n in Level.model_fields}
    return [Level.model_validate(it) for it in (own, *found["beneath"])]


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

    def making(done: int, name: str) -> pa.Table:
        ctx.progress(done, len(groups), f"{note} {name}")
        return make(groups[name])

    for done, (name, taken) in enumerate(groups.items()):
        what = {**how, **_taken(new, [digests[n] for n in taken])}
        partition = Partition(ctx, what, partial(making, done, name))
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


def name_of(handle: Handle) -> str:
    """Return the name that a table has in queries: that of its resource."""
    return handle.address.partition("[")[0].rpartition(".")[2]


def time_of(new: ViewArguments) -> str | None:
    """Return the column that says when a row of ``from`` was."""
    found = new.timestamp or new.from_.attributes.get("time")
    return None if found is None else str(found)


def own_of(new: ViewArguments, called: str) -> Own:
    """Return the table that the view is about, ``called`` so, and what is joined in time."""
    joins = {}
    for name, join in new.as_of.items():
        handle = new.inputs[name]
        time = join.time or str(handle.attributes["time"])
        age = None if join.ttl is None else seconds(join.ttl)
        columns = columns_of(handle, new.input_columns.get(name))
        joins[name] = Join(join.on, time, age, columns)
    return Own(called, time_of(new), joins)


def joined(own: Own, raw: pa.Table, inputs: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """Return the inputs, those that are joined in time with a row for each row of ``raw``."""
    if not own.joins:
        return dict(inputs)
    given = {own.name: numbered(raw), **{name: numbered(inputs[name]) for name in own.joins}}
    with Tables(own, given) as tables:
        found = {name: tables.table(name).drop_columns([ROW]) for name in own.joins}
    return {**inputs, **found}


def check_tables(new: ViewArguments) -> None:
    """Raise ``ResourceError`` for what is no table, and for every column that is not there."""
    _check_there(new)
    for name, join in new.as_of.items():
        handle, time = new.inputs[name], join.time or new.inputs[name].attributes.get("time")
        for table, named, moment in (
            (new.from_, new.columns, time_of(new)),
            (handle, new.input_columns.get(name), time),
        ):
            if moment is None:
                where = "timestamp" if table is new.from_ else f"as_of.{name}.time"
                detail = f"{table.address} has no time of its own: say by {where} which column."
                raise ResourceError("No time to join by", detail, argument="as_of")
            _joinable(table, columns_of(table, named), [*join.on, moment])
            if (type_ := table.attributes["columns"][moment]) != "timestamp":
                detail = f"{moment} of {table.address} is {type_}; a join in time needs timestamps."
                detail += reading_texts(moment, type_)
                raise ResourceError("Not a time column", detail, argument="as_of")
    absent = [] if new.online is None else new.online.absent
    if unknown := [n for n in absent if n not in columns_of(new.from_, new.columns)]:
        detail = (
            f"{', '.join(unknown)} is no column that is taken of {new.from_.address}; it has "
            f"{', '.join(columns_of(new.from_, new.columns))}."
        )
        raise ResourceError("Unknown column", detail, argument="online")


def _joinable(table: Handle, taken: list[str], wanted: list[str]) -> None:
    if missing := [c for c in wanted if c not in taken]:
        detail = (
            f"as_of needs {', '.join(missing)} of {table.address}; taken of it are "
            f"{', '.join(taken)}."
        )
        raise ResourceError("Unknown column", detail, argument="as_of")


def _check_there(new: ViewArguments) -> None:
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
