"""Tables as artifacts: Parquet written in one way, so that equal values are equal bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mlform.sdk import Artifact, Context, Handle, ResourceError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SPLIT: Final = "_split"
"""The reserved column that says which part a row is in; null where there is no split."""
MEDIA_TYPE: Final = "application/vnd.apache.parquet"


def read_table(
    ctx: Context, handle: Handle, columns: Sequence[str] | None = None, split: str | None = None
) -> pd.DataFrame:
    """Read the table of a dataset or feature view, all partitions in order, rows numbered anew.

    ``split`` keeps one part. ``_split`` itself is left out unless ``columns`` names it.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    partitions: Mapping[str, Any] = handle.attributes["partitions"]
    wanted = None if columns is None else list(dict.fromkeys([*columns, SPLIT]))
    tables = []
    for artifact in partitions.values():
        table = pq.read_table(ctx.artifacts.path(artifact["digest"]), columns=wanted)
        if split is not None:
            table = table.filter(pc.equal(table[SPLIT], split))
        tables.append(table)
    table = pa.concat_tables(tables, promote_options="permissive")
    if columns is None or SPLIT not in columns:
        table = table.drop_columns([SPLIT])
    return to_frame(table)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return Arrow data as pandas has them: strings as objects, missing numbers as NaN."""
    frame: pd.DataFrame = table.to_pandas(strings_to_categorical=False, date_as_object=False)
    return frame


def write_table(ctx: Context, frame: pd.DataFrame) -> Artifact:
    """Write a frame as Parquet, without its index, in the canonical form."""
    return ctx.artifacts.put_bytes(encode(from_frame(frame)), MEDIA_TYPE)


def from_frame(frame: pd.DataFrame) -> pa.Table:
    """Return a frame as Arrow data in canonical types."""
    import pyarrow as pa

    return canonical(pa.Table.from_pandas(frame, preserve_index=False))


def canonical(table: pa.Table) -> pa.Table:
    """Return the same values in the types we keep: no dictionaries, no metadata, one chunk."""
    import pyarrow as pa

    columns, fields = [], []
    for field in table.schema:
        type_ = _kept(field.type)
        columns.append(table[field.name].combine_chunks().cast(type_, safe=False))
        fields.append(pa.field(field.name, type_))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _kept(type_: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_dictionary(type_):
        return _kept(type_.value_type)
    if pa.types.is_integer(type_):
        return pa.int64()
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return pa.float64()
    if pa.types.is_boolean(type_):
        return pa.bool_()
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        return pa.timestamp("us", tz=getattr(type_, "tz", None))
    return pa.string()


def encode(table: pa.Table) -> bytes:
    """Write Arrow data as Parquet; the same values give the same bytes."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata(None),
        sink,
        compression="zstd",
        version="2.6",
        row_group_size=1 << 20,
        store_schema=False,
    )
    return sink.getvalue()


def types_of(table: pa.Table) -> dict[str, str]:
    """Return each column's type by the names that contracts use."""
    return {f.name: type_name(f.type) for f in table.schema if f.name != SPLIT}


def type_name(type_: Any) -> str:
    """Return ``int64``, ``float64``, ``string``, ``bool`` or ``timestamp``."""
    import pyarrow as pa

    kept = _kept(type_)
    if pa.types.is_timestamp(kept):
        return "timestamp"
    return {"int64": "int64", "double": "float64", "bool": "bool"}.get(str(kept), "string")


TYPES: Final = ("int64", "float64", "string", "bool", "timestamp")


def check_schema(found: Mapping[str, str], wanted: Mapping[str, str], argument: str) -> None:
    """Compare columns with a contract. Raises ``ResourceError`` with every difference.

    Whole numbers satisfy ``float64``: which of the two a file has depends on its missing values.
    """
    problems = []
    for name, type_ in wanted.items():
        if type_ not in TYPES:
            problems.append(f'"{type_}" is no type; types are {", ".join(TYPES)}')
        elif name not in found:
            problems.append(f'column "{name}" is missing; there are {", ".join(found)}')
        elif found[name] != type_ and (found[name], type_) != ("int64", "float64"):
            problems.append(f'column "{name}" is {found[name]}, and {type_} is required')
    if problems:
        raise ResourceError("Schema contract broken", "\n".join(problems), argument=argument)
