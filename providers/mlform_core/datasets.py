"""What all datasets share: their arguments, and the way from source files to a judged table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from mlform.sdk import (
    Arguments,
    Artifact,
    Attributes,
    Carrier,
    Context,
    Decision,
    Facets,
    Fields,
    Looking,
    Metadata,
    ResourceError,
    Stored,
    Volatile,
)
from mlform_core import expect as expecting
from mlform_core.expect import Expectations
from mlform_core.partitions import Partition, together
from mlform_core.sources import Format
from mlform_core.splits import Split, StratifiedSplit, dividing
from mlform_core.windows import Window, cut, span

if TYPE_CHECKING:
    import pyarrow as pa

PRELOAD: Final = ("pandas", "pyarrow.parquet", "pyarrow.csv", "pyarrow.compute")
"""What reading and writing tables takes: warm workers import it once."""


class Version(Fields):
    """How the version of a dataset is chosen.

    ``float``: what lies at the source. ``pin``: what ``.mlform.lock.hcl`` says. ``fixed``: the
    version named in ``value``.
    """

    mode: Literal["float", "pin", "fixed"] = "float"
    value: str | None = None


class DatasetArguments(Arguments):
    """What must hold of the data, and how rows are divided."""

    version: Metadata[Version] = Version.model_construct()  # what checks it is not made for this
    key: list[str] = Field(default_factory=list)
    columns: list[str] | None = None
    time: str | None = None
    window: Window | None = None
    split: Annotated[Split, Field(discriminator="by")] | None = None
    schema_: dict[str, str] = Field(default_factory=dict, alias="schema")
    expect: Decision[Expectations] = Expectations.model_construct()
    owner: Metadata[str] = ""
    description: Metadata[str] = ""

    model_config = ConfigDict(populate_by_name=True)

    @property
    def growing(self) -> set[str]:
        """The columns whose values go on and on: keys and times."""
        times = [self.time, None if self.window is None else self.window.column]
        return {*self.key, *filter(None, times)}


class DatasetAttributes(Attributes):
    """A table in the artifact store, partition by partition."""

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
    sources: Volatile[dict[str, Artifact]]
    """What was read, as it was, so that this version can be rebuilt when the source moved on."""
    profile: Volatile[dict[str, Any]]
    strata: Volatile[dict[str, dict[str, int]]] = Field(default_factory=dict)
    """Rows by stratum and part, where the split is by strata."""


def foretold(new: DatasetArguments) -> dict[str, Any]:
    """Return what the arguments tell of the table: its parts, and its columns if all are named."""
    parts = {} if new.split is None else new.split.parts
    return {"splits": list(parts)} | ({} if new.columns is None else {"columns": new.columns})


class Foretold:
    """What every dataset tells of its table before it is read. Put it before ``Resource``."""

    def foretell(
        self, ctx: Looking | None, new: Any, parts: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Name the parts, and the columns where all are named."""
        return foretold(new)


@dataclass(frozen=True)
class Source:
    """One partition as it was read: a file in a known format, kept in the store."""

    artifact: Artifact
    path: Path
    format: Format
    constants: Mapping[str, Any] = field(default_factory=dict)
    """Columns that the file's place says and not the file: name → the one value, or null."""
    now: Callable[[], Source | None] = lambda: None
    """The same partition as the source has it by now; nothing where this is that."""


def fetched(ctx: Context, what: Mapping[str, Any], name: str, fetch: Callable[[], bytes]) -> Source:
    """Return what was read of a source before, told by ``what`` it is, or read it and keep it.

    ``name`` says the format by its ending.
    """
    from mlform_core.sources import format_of

    artifact = ctx.memo({"source": dict(what)}, fetch)
    format_ = format_of(name, what.get("format"))
    assert format_ is not None, "what was listed has a format"
    return Source(artifact, ctx.artifacts.path(artifact.digest), format_)


def judged(new: DatasetArguments, old: Stored[Any, DatasetAttributes]) -> DatasetAttributes:
    """Judge what was read before by the expectations there are now."""
    expecting.judge(new.expect, old.attributes.profile)
    return old.attributes


def wanted(new: DatasetArguments, before: DatasetAttributes) -> dict[str, str]:
    """Return the columns that were taken and still are, each with its type."""
    return {n: t for n, t in before.columns.items() if n in (new.columns or before.columns)}


def assembled(
    ctx: Context, new: DatasetArguments, sources: Iterable[tuple[str, Source]], total: int
) -> DatasetAttributes:
    """Make the table of each source that was not made before, and judge the whole."""
    partitions: dict[str, Artifact] = {}
    kept: dict[str, Artifact] = {}
    facts: dict[str, Any] = {}
    for done, (name, source) in enumerate(sources):
        ctx.progress(done, total, name)
        kept[name] = source.artifact
        whole = _partition(ctx, new, name, source)
        partition = whole if new.window is None else _within(ctx, new, whole)
        if partition is not None:
            partitions[name] = partition.table
            facts[name] = partition.facts
    if not partitions and kept:
        raise _outside(new)
    splits = () if new.split is None else new.split.parts
    found = together(ctx, facts, splits, new.time, new.key)
    expecting.judge(new.expect, found["profile"])
    if isinstance(new.split, StratifiedSplit):
        from mlform_core.strata import balanced

        found["strata"] = balanced(ctx, new.split, found["columns"], partitions.values())
    return DatasetAttributes(partitions=partitions, sources=kept, **found)


def not_available(name: str, was: str, now: str | None, argument: str) -> ResourceError:
    """Say that a version that is wanted is neither at the source nor in the store."""
    there = "is not there any more" if now is None else f"is {now} now"
    detail = (
        f"Partition {name} was {was} when it was pinned or planned; at the source it {there}, "
        "and the store has no copy. Bring that version back, or run `mlform update` to take "
        "what is there."
    )
    return ResourceError("Version not available", detail, argument=argument)


def _partition(ctx: Context, new: DatasetArguments, name: str, source: Source) -> Partition:
    what = {
        "file": source.artifact.digest,
        "format": source.format,
        "columns": new.columns,
        "schema": new.schema_,
        "time": new.time,
        "split": None if new.split is None else dividing(new.split),
        "constants": dict(source.constants),
    }
    return Partition(ctx, what, lambda: _table(ctx, new, name, source))


def _within(ctx: Context, new: DatasetArguments, whole: Partition) -> Partition | None:
    """Return what of a partition is in the window: all of it as it is, part of it, nothing."""
    assert new.window is not None
    column, (first, end) = _time_of(new), new.window.bounds
    there = span(ctx, whole.table, column)
    if there is None or there[1] < first or there[0] >= end:
        return None
    facts = whole.facts["statistics"]["columns"][column]
    if first <= there[0] and there[1] < end and not facts["nulls"]:
        return whole
    what = {**whole.what, "window": [column, first.isoformat(), end.isoformat()]}
    return Partition(ctx, what, lambda: cut(whole.read(), column, (first, end)))


def _time_of(new: DatasetArguments) -> str:
    assert new.window is not None
    column = new.window.column or new.time
    if column is None:
        detail = "Say which column has the times: window = { column = … }, or time = …."
        raise ResourceError("No time column", detail, argument="window")
    return column


def _outside(new: DatasetArguments) -> ResourceError:
    assert new.window is not None
    first, end = new.window.bounds
    detail = f"No row has a {_time_of(new)} from {first} until {end}."
    return ResourceError("Window is empty", detail, argument="window")


def _table(ctx: Context, new: DatasetArguments, name: str, source: Source) -> pa.Table:
    import pyarrow as pa

    from mlform_core.sources import read
    from mlform_core.splits import assign
    from mlform_core.tables import (
        canonical,
        check_schema,
        typed_nulls,
        types_of,
        with_moments,
        with_split,
    )

    found = read(source.path, source.format, name)
    for column, value in source.constants.items():
        if column not in found.column_names:
            type_ = pa.int64() if isinstance(value, int) else pa.string()
            found = found.append_column(column, pa.repeat(pa.scalar(value, type_), found.num_rows))
    try:
        if source.format != "parquet":  # text has no types of its own
            found = with_moments(found, new.schema_)
        table = canonical(typed_nulls(found, new.schema_))
        _need(ctx, new, table.column_names, name, source)
        if new.columns is not None:
            table = table.select(new.columns)
        check_schema(types_of(table), new.schema_, "schema")
        parts = pa.nulls(table.num_rows, pa.string())
        if new.split is not None:
            parts = assign(table, new.split)
        return with_split(table, parts)
    except ResourceError as error:
        detail = f"In partition {name}:\n{error.detail}"
        raise ResourceError(error.summary, detail, argument=error.argument) from None


def _need(ctx: Context, new: DatasetArguments, there: list[str], name: str, source: Source) -> None:
    """Raise ``ResourceError`` for every column that is asked for and is not there."""
    asked = {"columns": new.columns or [], "key": new.key, "time": [new.time] if new.time else []}
    missing = {a: [c for c in names if c not in there] for a, names in asked.items()}
    if not (wrong := [a for a, names in missing.items() if names]):
        return
    absent = list(dict.fromkeys(c for names in missing.values() for c in names))
    detail = f"There is no column {', '.join(absent)} in {name}; there are {', '.join(there)}."
    if new.version.mode == "pin" and (late := _by_now(source, absent, name)):
        detail += (
            f"\nThis is the version that .mlform.lock.hcl pins; at the source there is "
            f"{', '.join(late)} by now. `mlform update {ctx.address}` takes what is there."
        )
    raise ResourceError("Unknown column", detail, argument=wrong[0])


def _by_now(source: Source, columns: list[str], name: str) -> list[str]:
    """Return those columns that the source has by now."""
    from mlform_core.sources import read

    try:
        found = source.now()
        names = [] if found is None else read(found.path, found.format, name).column_names
    except ResourceError:  # what is there now is not what is wrong here
        return []
    return [c for c in columns if c in names]
