"""``dataset "file"``: CSV and Parquet files, read partition by partition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias
from zlib import crc32

from pydantic import BaseModel, ConfigDict, Field

from mlform.sdk import (
    Arguments,
    Artifact,
    Attributes,
    Carrier,
    Context,
    Decision,
    Facets,
    Identity,
    Imported,
    Inputs,
    Looking,
    Metadata,
    Resource,
    ResourceError,
    Stored,
    Volatile,
)
from mlform_core import expect as expecting
from mlform_core.expect import Expectations
from mlform_core.partitions import Partition, together
from mlform_core.sources import Format, count_rows, files, format_of
from mlform_core.splits import HashSplit, TimeSplit

if TYPE_CHECKING:
    import pyarrow as pa


_MOST_COUNTS: Final = 4096
"""How many counts of rows are remembered for one dataset: of a file each, if it has no more."""


class Version(BaseModel):
    """How the version of a dataset is chosen.

    ``float``: what lies at the source. ``pin``: what ``.mlform.lock.hcl`` says. ``fixed``: the
    version named in ``value``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["float", "pin", "fixed"] = "float"
    value: str | None = None


class FileArguments(Arguments):
    """Where the files are, what must hold of them, and how rows are divided."""

    path: Identity[str]
    """A file, a glob or a folder of partitions, relative to the spec's folder."""
    format: Format | None = None
    version: Metadata[Version] = Version()
    key: list[str] = Field(default_factory=list)
    columns: list[str] | None = None
    time: str | None = None
    split: Annotated[HashSplit | TimeSplit, Field(discriminator="by")] | None = None
    schema_: dict[str, str] = Field(default_factory=dict, alias="schema")
    expect: Decision[Expectations] = Expectations()
    owner: Metadata[str] = ""
    description: Metadata[str] = ""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class FileAttributes(Attributes):
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
    """The files themselves, so that this version can be rebuilt when the source has moved on."""
    profile: Volatile[dict[str, Any]]


StoredFile: TypeAlias = Stored[FileArguments, FileAttributes]
ImportedFile: TypeAlias = Imported[FileAttributes]


class File(
    Resource[FileArguments, FileAttributes], kind="dataset", type="file", version=2, reusable=True
):
    """A dataset read from local files."""

    preload = ("pandas", "pyarrow.parquet", "pyarrow.csv", "pyarrow.compute")

    def inputs(self, ctx: Looking, new: FileArguments) -> Inputs:
        """List the files with their digests; rows from Parquet's footers, remembered for CSV."""
        found = files(ctx.root, new.path, new.format)
        parts = {name: ctx.file_digest(path) for name, path in found.items()}
        rows = sum(ctx.remember(*group)["rows"] for group in _groups(found, parts, new.format))
        return Inputs(parts, rows)

    def apply(self, ctx: Context, new: FileArguments, old: StoredFile | None) -> FileAttributes:
        """Read each partition that was not read before, and judge the whole."""
        if ctx.doing in {"decide", "update"} and old is not None:
            expecting.judge(new.expect, old.attributes.profile)
            return old.attributes
        return self._read(ctx, new, ctx.inputs.parts)

    def import_(self, ctx: Context, id: str, new: FileArguments | None) -> ImportedFile | None:  # noqa: A002 - as the SDK has it
        """Read the files at a path; ``PATH@DIGEST`` only if the one file there has that content."""
        path, _, wanted = id.partition("@")
        if new is not None and new.path != path:
            detail = f"The block reads {new.path}, and the import names {path}. Make them agree."
            raise ResourceError("Not the same data", detail, argument="path")
        if not any(c in path for c in "*?[") and not (ctx.root / path).exists():
            return None
        arguments = new or FileArguments(path=path)
        parts = self.inputs(ctx, arguments).parts if new is None else ctx.inputs.parts
        if wanted and list(parts.values()) != [_sha256(wanted)]:
            has = ", ".join(f"{name} {digest}" for name, digest in parts.items())
            detail = f"The import names {_sha256(wanted)}; at {path} there is {has}."
            raise ResourceError("Not the same content", detail)
        attributes = self._read(ctx, arguments, parts)
        columns = {} if new else {"schema": dict(attributes.columns)}
        return Imported(attributes, {"path": path, **columns})

    def _read(self, ctx: Context, new: FileArguments, parts: Mapping[str, str]) -> FileAttributes:
        there = files(ctx.root, new.path, new.format)
        partitions: dict[str, Artifact] = {}
        sources: dict[str, Artifact] = {}
        facts: dict[str, Any] = {}
        for done, (name, digest) in enumerate(parts.items()):
            ctx.progress(done, len(parts), name)
            path = _source(ctx, Path(there[name]) if name in there else None, name, digest)
            sources[name] = ctx.artifacts.put_file(path)
            format_ = format_of(name, new.format)
            assert format_ is not None, "a part has a format"
            partition = _partition(ctx, new, name, path, format_, digest)
            partitions[name] = partition.table
            facts[name] = partition.facts
        splits = () if new.split is None else new.split.parts
        found = together(ctx, facts, splits, new.time, new.key)
        expecting.judge(new.expect, found["profile"])
        return FileAttributes(partitions=partitions, sources=sources, **found)

    def distributions(self, new: FileArguments) -> tuple[str, ...]:
        """Name what reads and writes the files."""
        return ("pyarrow",)

    def destroy(self, ctx: Context, old: StoredFile) -> str:
        """Leave the files alone: they are the user's."""
        return f"the files at {old.arguments.path} are left alone"


def _sha256(digest: str) -> str:
    return digest if digest.startswith("sha256:") else f"sha256:{digest}"


def _groups(
    found: Mapping[str, str], parts: Mapping[str, str], given: Format | None
) -> Iterator[tuple[str, Callable[[], dict[str, int]]]]:
    """Yield groups of files: what their rows are remembered by, and how to count them.

    Which files are together is told by their names, so that one that moved makes only the few
    beside it count again.
    """
    groups: dict[str | int, list[str]] = {}
    for name in found:
        place = crc32(name.encode(errors="surrogateescape")) % _MOST_COUNTS
        groups.setdefault(name if len(found) <= _MOST_COUNTS else place, []).append(name)

    def count(names: list[str]) -> dict[str, int]:
        rows = 0
        for name in names:
            format_ = format_of(name, given)
            assert format_ is not None, "files() lists what has a format"
            rows += count_rows(Path(found[name]), format_)
        return {"rows": rows}

    for names in groups.values():
        content = "\n".join(parts[name] for name in names)
        token = f"rows {given or ''} {sha256(content.encode()).hexdigest()}"
        yield token, partial(count, names)


def _source(ctx: Context, path: Path | None, name: str, digest: str) -> Path:
    """Return a file with exactly the content wanted: at the source, or kept from before."""
    present = None if path is None else ctx.file_digest(path)
    if path is not None and present == digest:
        return path
    try:
        return ctx.artifacts.path(digest)
    except KeyError:
        now = "is not there any more" if present is None else f"is {present} now"
        detail = (
            f"Partition {name} was {digest} when it was pinned or planned; at the source it {now}, "
            "and the store has no copy. Bring that version back, or run `mlform update` to take "
            "what is there."
        )
        raise ResourceError("Version not available", detail, argument="path") from None


def _partition(
    ctx: Context, new: FileArguments, name: str, path: Path, format_: Format, digest: str
) -> Partition:
    what = {
        "file": digest,
        "format": format_,
        "columns": new.columns,
        "schema": new.schema_,
        "time": new.time,
        "split": None if new.split is None else new.split.model_dump(mode="json"),
    }
    return Partition(ctx, what, lambda: _table(new, name, path, format_))


def _table(new: FileArguments, name: str, path: Path, format_: Format) -> pa.Table:
    import pyarrow as pa

    from mlform_core.sources import read
    from mlform_core.splits import assign
    from mlform_core.tables import canonical, check_schema, types_of, with_split

    table = canonical(read(path, format_, name))
    try:
        wanted = [*new.key, *([new.time] if new.time else [])]
        _need(table.column_names, [*(new.columns or []), *wanted], name)
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


def _need(there: list[str], wanted: list[str], name: str) -> None:
    missing = [c for c in dict.fromkeys(wanted) if c not in there]
    if missing:
        detail = f"There is no column {', '.join(missing)} in {name}; there are {', '.join(there)}."
        raise ResourceError("Unknown column", detail)
