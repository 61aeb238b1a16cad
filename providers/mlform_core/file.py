"""``dataset "file"``: CSV, Parquet and JSON lines, read partition by partition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeAlias
from zlib import crc32

from mlform.sdk import (
    Context,
    Identity,
    Imported,
    Inputs,
    Looking,
    Resource,
    ResourceError,
    Stored,
)
from mlform_core.datasets import (
    PRELOAD,
    DatasetArguments,
    DatasetAttributes,
    Source,
    assembled,
    foretold,
    judged,
    not_available,
    wanted,
)
from mlform_core.sources import Format, count_rows, files, format_of, header, hive_columns

_MOST_HEADERS: Final = 64
"""Of more files it is not told which columns they have before they are read."""
_MOST_COUNTS: Final = 4096
"""How many counts of rows are remembered for one dataset: of a file each, if it has no more."""


class FileArguments(DatasetArguments):
    """Where the files are, what must hold of them, and how rows are divided."""

    path: Identity[str]
    """A file, a glob or a folder of partitions, relative to the spec's folder."""
    format: Format | None = None
    hive: bool = False
    """Whether folders named ``column=value`` are columns: whole numbers where all values are."""


StoredFile: TypeAlias = Stored[FileArguments, DatasetAttributes]
ImportedFile: TypeAlias = Imported[DatasetAttributes]
Counted: TypeAlias = tuple[str, Callable[[], dict[str, int]]]
"""What a number of rows is remembered by, and what counts them."""


class File(
    Resource[FileArguments, DatasetAttributes],
    kind="dataset",
    type="file",
    version=2,
    reusable=True,
):
    """A dataset read from local files."""

    preload = PRELOAD

    def inputs(self, ctx: Looking, new: FileArguments) -> Inputs:
        """List the files with their digests; rows from Parquet's footers, remembered for CSV."""
        found = files(ctx.root, new.path, new.format)
        parts = dict(zip(found, ctx.file_digests(found.values()), strict=True))
        return Inputs(parts, ctx.remember(*_counted(ctx, found, parts, new.format))["rows"])

    def foretell(
        self, ctx: Looking | None, new: FileArguments, parts: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Name the parts, and the columns: by the first lines of CSV, the footers of Parquet."""
        told = foretold(new)
        if ctx is None or "columns" in told or len(parts) > _MOST_HEADERS:
            return told
        names = _columns(ctx, parts, new)
        return told if names is None else {**told, "columns": names}

    def preview(
        self, ctx: Looking, new: FileArguments, old: StoredFile, moved: Mapping[str, str | None]
    ) -> Sequence[str]:
        """Say by how many rows it grows, and, by Parquet's footers, how what arrived differs."""
        from mlform_core.arrivals import footer, grown, told

        found, there = files(ctx.root, new.path, new.format), self.inputs(ctx, new)
        before = old.attributes
        said = [grown(there, before.rows, moved, "files", windowed=new.window is not None)]
        names = [n for n in moved if format_of(n, new.format) == "parquet"]
        if len(names) != len(moved) or len(names) > _MOST_COUNTS:
            return said
        footers = [
            ctx.remember(f"footer {there.parts[n]}", partial(footer, Path(found[n]))) for n in names
        ]
        return [*said, *told(footers, before.profile, wanted(new, before), new.growing)]

    def apply(self, ctx: Context, new: FileArguments, old: StoredFile | None) -> DatasetAttributes:
        """Read each partition that was not read before, and judge the whole."""
        if ctx.doing in {"decide", "update"} and old is not None:
            return judged(new, old)
        return self._read(ctx, new, ctx.inputs.parts)

    def import_(self, ctx: Context, id: str, new: FileArguments | None) -> ImportedFile | None:  # noqa: A002 - as the SDK has it
        """Read the files at a path; ``PATH@DIGEST`` only if the one file there has that content."""
        path, _, digest = id.partition("@")
        if new is not None and new.path != path:
            detail = f"The block reads {new.path}, and the import names {path}. Make them agree."
            raise ResourceError("Not the same data", detail, argument="path")
        if not any(c in path for c in "*?[") and not (ctx.root / path).exists():
            return None
        arguments = new or FileArguments(path=path)
        parts = self.inputs(ctx, arguments).parts if new is None else ctx.inputs.parts
        if digest and list(parts.values()) != [_sha256(digest)]:
            has = ", ".join(f"{name} {found}" for name, found in parts.items())
            detail = f"The import names {_sha256(digest)}; at {path} there is {has}."
            raise ResourceError("Not the same content", detail)
        attributes = self._read(ctx, arguments, parts)
        columns = {} if new else {"schema": dict(attributes.columns)}
        return Imported(attributes, {"path": path, **columns})

    def _read(
        self, ctx: Context, new: FileArguments, parts: Mapping[str, str]
    ) -> DatasetAttributes:
        there = files(ctx.root, new.path, new.format)
        columns = hive_columns(parts) if new.hive else {}

        def sources() -> Iterator[tuple[str, Source]]:
            for name, digest in parts.items():
                now = Path(there[name]) if name in there else None
                path = _source(ctx, now, name, digest)
                format_ = format_of(name, new.format)
                assert format_ is not None, "a part has a format"
                kept = ctx.artifacts.put_file(path)
                later = partial(_later, ctx, now, path, format_)
                yield name, Source(kept, path, format_, columns.get(name, {}), later)

        return assembled(ctx, new, sources(), len(parts))

    def distributions(self, new: FileArguments) -> tuple[str, ...]:
        """Name what reads and writes the files."""
        return ("pyarrow",)

    def destroy(self, ctx: Context, old: StoredFile) -> str:
        """Leave the files alone: they are the user's."""
        return f"the files at {old.arguments.path} are left alone"


def _columns(ctx: Looking, parts: Mapping[str, str], new: FileArguments) -> list[str] | None:
    """Return the columns that any of the files has, as far as files tell it quickly."""
    hive = hive_columns(parts) if new.hive else {}
    names = dict.fromkeys(name for columns in hive.values() for name in columns)
    found = files(ctx.root, new.path, new.format)
    for name, digest in parts.items():
        format_ = format_of(name, new.format)
        if name not in found or format_ is None or format_ == "jsonl":
            return None
        look = partial(header, Path(found[name]), format_, name)
        names |= dict.fromkeys(ctx.remember(f"header {format_} {digest}", look)["columns"])
    return list(names)


def _sha256(digest: str) -> str:
    return digest if digest.startswith("sha256:") else f"sha256:{digest}"


def _counted(
    ctx: Looking, found: Mapping[str, str], parts: Mapping[str, str], given: Format | None
) -> Counted:
    """Return what the rows of all files are remembered by, and how to count them."""
    groups = _groups(found, parts, given)
    if len(found) == 1:
        return next(groups)
    return _token(parts.values(), given), lambda: {
        "rows": sum(ctx.remember(*group)["rows"] for group in groups)
    }


def _token(digests: Iterable[str], given: Format | None) -> str:
    content = "\n".join(digests)
    return f"rows {given or ''} {sha256(content.encode()).hexdigest()}"


def _groups(
    found: Mapping[str, str], parts: Mapping[str, str], given: Format | None
) -> Iterator[Counted]:
    """Yield groups of files: what their rows are remembered by, and how to count them.

    Which files are together is told by their names, so that one that moved makes only the few
    beside it count again.
    """
    groups: dict[str | int, list[str]] = defaultdict(list)
    few = len(found) <= _MOST_COUNTS
    for name in found:
        place = name if few else crc32(name.encode(errors="surrogateescape")) % _MOST_COUNTS
        groups[place].append(name)

    def count(names: list[str]) -> dict[str, int]:
        rows = 0
        for name in names:
            format_ = format_of(name, given)
            assert format_ is not None, "files() lists what has a format"
            rows += count_rows(Path(found[name]), format_)
        return {"rows": rows}

    for names in groups.values():
        yield _token((parts[name] for name in names), given), partial(count, names)


def _later(ctx: Context, now: Path | None, taken: Path, format_: Format) -> Source | None:
    """Return what is at the source now, where something else was taken."""
    if now is None or now == taken:
        return None
    return Source(ctx.artifacts.put_file(now), now, format_)


def _source(ctx: Context, path: Path | None, name: str, digest: str) -> Path:
    """Return a file with exactly the content wanted: at the source, or kept from before."""
    present = None if path is None else ctx.file_digest(path)
    if path is not None and present == digest:
        return path
    try:
        return ctx.artifacts.path(digest)
    except KeyError:
        raise not_available(name, digest, present, "path") from None
