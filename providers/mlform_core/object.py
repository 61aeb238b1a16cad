"""``dataset "object"``: files in a bucket of an S3-compatible store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias

from pydantic import Field

from mlform.sdk import (
    Context,
    Identity,
    Imported,
    Inputs,
    Looking,
    Operational,
    Resource,
    ResourceError,
    Stored,
)
from mlform_core.buckets import Bucket, GoneError, token_of
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
    wanted,
)
from mlform_core.sources import SUFFIXES, Format, format_of, hive_columns

_MOST_COUNTED: Final = 1000
"""Objects up to which rows are counted, by the last bytes of each."""
_AT_ONCE: Final = 8


class ObjectArguments(DatasetArguments):
    """Which objects of which bucket, and how it is reached."""

    url: Identity[str] = Field(
        pattern=r"^s3://[^/*?\[]+/.+", examples=["s3://bucket/sales/*.parquet"]
    )
    """An object, a glob or a prefix whose objects are partitions: ``s3://bucket/sales/*.parquet``.
    """
    format: Format | None = None
    hive: bool = False
    """Whether prefixes named ``column=value`` are columns: whole numbers where all values are."""
    versions: bool = False
    """In a bucket with versioning: the version of an object counts, and an old one that is pinned
    is read from the bucket where the store has no copy."""
    endpoint_url: Operational[str | None] = None
    """Where the store answers, if it is not Amazon's."""
    anonymous: Operational[bool] = False
    """Whether to ask without credentials: for public buckets."""


ImportedObject: TypeAlias = Imported[DatasetAttributes]
StoredObject: TypeAlias = Stored[ObjectArguments, DatasetAttributes]


class Object(
    Foretold,
    Resource[ObjectArguments, DatasetAttributes],
    kind="dataset",
    type="object",
    reusable=True,
):
    """A dataset read from a bucket.

    Credentials come from the environment and the usual places, and are recorded nowhere.
    """

    preload = PRELOAD

    def inputs(self, ctx: Looking, new: ObjectArguments) -> Inputs:
        """List the objects with their etags; rows of Parquet from its last bytes, where it moved.

        Nothing is read of the objects otherwise.
        """
        bucket = _bucket(new)
        found = _listed(bucket, new)
        parts = {}
        for name, info in found.items():
            version = None
            if new.versions:
                seen = f"{new.endpoint_url} {info['name']} {token_of(info)} {info['LastModified']}"
                asked = partial(_version, bucket, info["name"])
                version = ctx.remember(f"s3 version {seen}", asked)["version"]
            parts[name] = token_of(info, version)
        return Inputs(parts, _rows(ctx, bucket, new, found, parts))

    def preview(
        self, ctx: Looking, new: ObjectArguments, old: StoredObject, moved: Mapping[str, str | None]
    ) -> Sequence[str]:
        """Say by how many rows it grows, and, by Parquet's last bytes, how what arrived differs."""
        from mlform_core.arrivals import grown, told

        before, there = old.attributes, self.inputs(ctx, new)
        said = [grown(there, before.rows, moved, "objects", windowed=new.window is not None)]
        formats = {format_of(name, new.format) for name in moved}
        if formats != {"parquet"} or len(moved) > _MOST_COUNTED:
            return said
        bucket, base = _bucket(new), _base(new.url)

        def footer(name: str) -> Mapping[str, Any]:
            read = partial(bucket.footer, f"{base}{name}")
            return ctx.remember(f"footer {base}{name} {there.parts[name]}", read)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            footers = list(pool.map(footer, moved))
        return [*said, *told(footers, before.profile, wanted(new, before), new.growing)]

    def apply(
        self, ctx: Context, new: ObjectArguments, old: StoredObject | None
    ) -> DatasetAttributes:
        """Read each object that was not read before, and judge the whole."""
        if ctx.doing in {"decide", "update"} and old is not None:
            return judged(new, old)
        return self._read(ctx, new, ctx.inputs.parts)

    def import_(self, ctx: Context, id: str, new: ObjectArguments | None) -> ImportedObject | None:  # noqa: A002 - as the SDK has it
        """Read the objects at a URL."""
        if new is not None and new.url != id:
            detail = f"The block reads {new.url}, and the import names {id}. Make them agree."
            raise ResourceError("Not the same data", detail, argument="url")
        arguments = new or ObjectArguments(url=id)
        parts = self.inputs(ctx, arguments).parts if new is None else ctx.inputs.parts
        return Imported(self._read(ctx, arguments, parts), {"url": id})

    def _read(
        self, ctx: Context, new: ObjectArguments, parts: Mapping[str, str]
    ) -> DatasetAttributes:
        bucket, base = _bucket(new), _base(new.url)
        columns = hive_columns(parts) if new.hive else {}

        def taken(name: str, token: str) -> Source:
            what = {"object": f"{base}{name}", "token": token, "format": new.format}
            return fetched(ctx, what, name, partial(_take, bucket, f"{base}{name}", name, token))

        def later(name: str) -> Source | None:
            token = self.inputs(ctx, new).parts.get(name)
            return None if token in {None, parts[name]} else taken(name, str(token))

        def sources() -> Iterator[tuple[str, Source]]:
            for name, token in parts.items():
                values, now = columns.get(name, {}), partial(later, name)
                yield name, replace(taken(name, token), constants=values, now=now)

        return assembled(ctx, new, sources(), len(parts))

    def distributions(self, new: ObjectArguments) -> tuple[str, ...]:
        """Name what reads and writes the files."""
        return ("pyarrow",)

    def destroy(self, ctx: Context, old: StoredObject) -> str:
        """Leave the bucket alone."""
        return f"the objects at {old.arguments.url} are left alone"


def _bucket(new: ObjectArguments) -> Bucket:
    return Bucket(new.endpoint_url, new.anonymous, new.versions)


def _base(url: str) -> str:
    """Return what keys begin with that names of partitions do not."""
    place = url.removeprefix("s3://")
    if any(c in place for c in "*?["):
        return place[: min(place.index(c) for c in "*?[" if c in place)].rpartition("/")[0] + "/"
    return place.rpartition("/")[0] + "/"


def _listed(bucket: Bucket, new: ObjectArguments) -> dict[str, Mapping[str, Any]]:
    there, base = bucket.listed(new.url), _base(new.url)
    named: dict[str, Mapping[str, Any]] = {
        name.removeprefix(base): {**info, "name": name}
        for name, info in there.items()
        if name.startswith(base) and format_of(name, new.format) is not None
    }
    if not named:
        others = ", ".join(sorted(n.rpartition("/")[2] for n in there)[:10])
        detail = f"{new.url} names no object with one of the endings {', '.join(SUFFIXES)}" + (
            f": there is {others}. Say what they are with format." if others else "."
        )
        raise ResourceError("No data", detail, argument="url")
    return named


def _version(bucket: Bucket, name: str) -> dict[str, str]:
    return {"version": bucket.version_of(name)}


def _rows(
    ctx: Looking,
    bucket: Bucket,
    new: ObjectArguments,
    found: Mapping[str, Mapping[str, Any]],
    parts: Mapping[str, str],
) -> int | None:
    """Return how many rows there are, where their last bytes tell and there are not too many."""
    formats = {format_of(name, new.format) for name in found}
    if formats != {"parquet"} or len(found) > _MOST_COUNTED:
        return None

    def counted(name: str) -> int:
        there = found[name]["name"]
        told = ctx.remember(f"rows {there} {parts[name]}", lambda: {"rows": bucket.rows(there)})
        return int(told["rows"])

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return sum(pool.map(counted, found))


def _take(bucket: Bucket, there: str, name: str, token: str) -> bytes:
    """Read one object as it was planned. Raises ``ResourceError`` where it is that no more."""
    try:
        return bucket.read(there, token)
    except GoneError as gone:
        raise not_available(name, token, gone.now, "url") from None
