"""Tables as artifacts: Parquet written in one way, so that equal values are equal bytes."""

from __future__ import annotations

import io
import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlform.sdk import Artifact, Context, Handle, ResourceError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SPLIT: Final = "_split"
"""The reserved column that says which part a row is in; null where there is no split."""
LAYOUT: Final = "_layout"
"""The facet of what a whole table says: its time, its key and the names of its parts."""
PARTITIONS: Final = "_partitions"
"""The facet of the names of a table's partitions, in order."""
TRANSFORM: Final = "_transform"
"""The facet of what a feature view does to requests."""
LOOKUPS: Final = "_lookups"
"""The facet of what it looks up for them."""
RESERVED: Final = (SPLIT, LAYOUT, PARTITIONS, TRANSFORM, LOOKUPS)
MEDIA_TYPE: Final = "application/vnd.apache.parquet"


def read_table(
    ctx: Context,
    handle: Handle,
    columns: Sequence[str] | None = None,
    split: str | None = None,
    partitions: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Read the table of a dataset or feature view, partitions in order, rows numbered anew.

    ``split`` keeps one part, ``partitions`` only these. ``_split`` itself is left out unless
    ``columns`` names it. A column is of one type throughout, missing in a partition that lacks it.
    """
    return to_frame(read_arrow(ctx, handle, columns, split, partitions))


def read_arrow(
    ctx: Context,
    handle: Handle,
    columns: Sequence[str] | None = None,
    split: str | None = None,
    partitions: Sequence[str] | None = None,
) -> pa.Table:
    """Read a table as ``read_table`` does, as Arrow data."""
    import pyarrow as pa
    import pyarrow.compute as pc

    there: Mapping[str, Any] = handle.attributes["partitions"]
    types: Mapping[str, str] = handle.attributes["columns"]
    asked = [n for n in types if n != SPLIT] if columns is None else columns
    wanted = list(dict.fromkeys([*asked, *([] if split is None else [SPLIT])]))
    _check_uses(handle, wanted)
    tables = []
    for name in there if partitions is None else partitions:
        table = _read_partition(ctx.artifacts.path(there[name]["digest"]), wanted, types)
        if split is not None:
            table = table.filter(pc.equal(table[SPLIT], split))
        tables.append(table)
    table = pa.concat_tables(_of_one_clock(tables), promote_options="permissive")
    if SPLIT not in asked and split is not None:
        table = table.drop_columns([SPLIT])
    return table


def _of_one_clock(tables: list[pa.Table]) -> list[pa.Table]:
    """Return tables whose moments are in UTC without saying so where only some say so."""
    import pyarrow as pa

    first = tables[0].schema if tables else None
    if all(table.schema == first for table in tables):
        return tables
    types: dict[str, set[Any]] = {}
    for table in tables:
        for field in table.schema:
            types.setdefault(field.name, set()).add(field.type)
    mixed = {n for n, of in types.items() if len(of) > 1 and all(map(pa.types.is_timestamp, of))}
    return [
        table.cast(
            pa.schema(
                [f.with_type(pa.timestamp("us")) if f.name in mixed else f for f in table.schema]
            )
        )
        for table in tables
    ]


def _check_uses(handle: Handle, wanted: Sequence[str]) -> None:
    """Refuse to read what is not in the key: a change of it would wake nobody."""
    if handle.uses is None:
        return
    if more := [name for name in wanted if name not in handle.uses]:
        raise AssertionError(f"{', '.join(more)} of {handle.address} is read and not in uses()")


def _read_partition(path: Path, wanted: Sequence[str], types: Mapping[str, str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        found = file.read(columns=[n for n in wanted if n in file.schema_arrow.names])
    columns: dict[str, Any] = {}
    for name in wanted:
        column = found[name] if name in found.column_names else None
        named = "string" if name == SPLIT else types[name]
        if column is None:
            columns[name] = pa.nulls(found.num_rows, arrow_type(named))
        elif type_name(column.type) != named:
            columns[name] = column.cast(arrow_type(named))
        else:
            columns[name] = column
    return pa.table(columns)


def arrow_type(name: str) -> pa.DataType:
    """Return the type of Arrow in which we keep a type of contracts; moments without a zone."""
    import pyarrow as pa

    kept = {"int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_(), "string": pa.string()}
    return kept.get(name, pa.timestamp("us"))


def with_split(table: pa.Table, parts: pa.Array) -> pa.Table:
    """Return a table with the part each row is in. Raises ``ResourceError`` on a name of ours."""
    if taken := [name for name in RESERVED if name in table.column_names]:
        detail = f"The column {taken[0]} has a name that mlform keeps for itself. Rename it."
        raise ResourceError("Reserved column name", detail)
    return table.append_column(SPLIT, parts)


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


def typed_nulls(table: pa.Table, schema: Mapping[str, str]) -> pa.Table:
    """Return a table whose columns without any value have the types that a contract gives them."""
    import pyarrow as pa

    for place, column in enumerate(table.schema):
        if pa.types.is_null(column.type) and schema.get(column.name) in TYPES:
            nulls = pa.nulls(table.num_rows, arrow_type(schema[column.name]))
            table = table.set_column(place, column.name, nulls)
    return table


def with_moments(table: pa.Table, schema: Mapping[str, str]) -> pa.Table:
    """Return a table of which texts are moments, in UTC, where a contract says so.

    Texts are in ISO 8601, and in UTC where they have no offset. Raises ``ResourceError`` with the
    first of each column that is not.
    """
    import pyarrow as pa

    problems = []
    for place, column in enumerate(table.schema):
        if not pa.types.is_string(column.type) or schema.get(column.name) != "timestamp":
            continue
        texts = table[column.name].combine_chunks()
        try:
            table = table.set_column(place, column.name, _moments(texts))
        except pa.ArrowInvalid:
            row = _first_not(texts)
            problems.append(
                f'column "{column.name}" has {texts[row].as_py()!r} in row {row + 1:,}, which is '
                "no moment in ISO 8601"
            )
    if problems:
        raise ResourceError("Schema contract broken", "\n".join(problems), argument="schema")
    return table


def reading_texts(name: str, type_: str) -> str:
    """Say how a column of texts becomes one of moments; nothing of another type."""
    return f' schema = {{ {name} = "timestamp" }} reads texts in ISO 8601.' * (type_ == "string")


def _moments(texts: Any) -> Any:
    """Read moments, to the microsecond. Raises ``pa.ArrowInvalid``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.replace_substring_regex(texts, r"(\.\d{6})\d+", r"\1")
    zoned = pc.match_substring_regex(texts, r"\d[T ].*(Z|[+-]\d\d(:?\d\d)?)$")
    with_offset = pc.if_else(zoned, texts, None).cast(pa.timestamp("us", "UTC"))
    plain = pc.if_else(zoned, None, texts).cast(pa.timestamp("us"))
    return pc.coalesce(with_offset.cast(pa.timestamp("us")), plain)


def _first_not(texts: Any) -> int:
    """Return the place of the first text that is no moment, where there is one."""
    import pyarrow as pa

    def fails(rows: int) -> bool:
        try:
            _moments(texts[:rows])
        except pa.ArrowInvalid:
            return True
        return False

    return bisect_left(range(1, len(texts) + 1), True, key=fails)  # noqa: FBT003 - what is sought


def canonical(table: pa.Table) -> pa.Table:
    """Return the same values in the types we keep: no dictionaries, no metadata, one chunk."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns, fields = [], []
    for field in table.schema:
        type_ = _kept(field.type)
        column = table[field.name].combine_chunks()
        column = (
            _texts(column) if pa.types.is_nested(field.type) else column.cast(type_, safe=False)
        )
        # Adding 0.0 makes 0.0 of -0.0: equal values are one value to all who read them.
        columns.append(pc.add(column, 0.0) if type_ == pa.float64() else column)
        fields.append(pa.field(field.name, type_))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _texts(column: Any) -> Any:
    """Return nested values as JSON, names in order."""
    import pyarrow as pa

    found = [
        None if v is None else json.dumps(v, sort_keys=True, ensure_ascii=False, default=str)
        for v in column.to_pylist()
    ]
    return pa.array(found, pa.string())


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
