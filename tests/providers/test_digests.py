"""Digests of columns: the same for equal values, and for nothing else."""

from __future__ import annotations

import io
import math
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlform_core.digests import ColumnHasher, column_digests

TEXT = st.text("aé☃\0", max_size=5)
EPOCH = datetime.fromisoformat("1970-01-01")
TYPES: dict[Any, st.SearchStrategy[Any]] = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
    pa.string(): TEXT,
    pa.binary(): st.binary(max_size=5),
    pa.timestamp("us"): st.integers(-(10**15), 10**15).map(
        lambda us: EPOCH + timedelta(microseconds=us)
    ),
}


@st.composite
def columns(draw: st.DrawFn) -> pa.Array:
    type_ = draw(st.sampled_from(list(TYPES)))
    return pa.array(draw(st.lists(st.none() | TYPES[type_], max_size=20)), type_)


def hashed(*arrays: pa.Array) -> str:
    return column_digests(pa.table({"x": pa.chunked_array(list(arrays))}))["x"]


def same(one: Any, two: Any) -> bool:
    floats = isinstance(one, float) and isinstance(two, float)
    return one == two or (floats and math.isnan(one) and math.isnan(two))


@given(columns(), st.data())
def test_chunks_do_not_count(column: pa.Array, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(column)))
    assert hashed(column.slice(0, cut), column.slice(cut)) == hashed(column)
    padded = pa.concat_arrays([pa.nulls(3, column.type), column, pa.nulls(2, column.type)])
    assert hashed(padded.slice(3, len(column))) == hashed(column)


@given(columns(), st.sampled_from(["zstd", "snappy", "none"]), st.integers(1, 7), st.booleans())
def test_files_do_not_count(column: pa.Array, codec: str, rows: int, dictionary: bool) -> None:
    sink = io.BytesIO()
    table = pa.table({"x": column})
    pq.write_table(table, sink, compression=codec, row_group_size=rows, use_dictionary=dictionary)
    assert column_digests(pq.read_table(sink)) == column_digests(table)


@given(st.lists(st.none() | TEXT, max_size=20))
def test_layouts_of_text_do_not_count(texts: list[str | None]) -> None:
    plain = pa.array(texts, pa.string())
    layouts = [
        plain.cast(pa.large_string()),
        plain.cast(pa.string_view()),
        plain.dictionary_encode(),
    ]
    assert {hashed(layout) for layout in layouts} == {hashed(plain)}


@given(columns(), st.data())
def test_every_value_and_its_place_counts(column: pa.Array, data: st.DataObject) -> None:
    values = column.to_pylist()
    if not values:
        return
    at = data.draw(st.integers(0, len(values) - 1))
    other = data.draw(st.none() | TYPES[column.type])
    changed = [*values[:at], other, *values[at + 1 :]]
    differs = hashed(pa.array(changed, column.type)) != hashed(column)
    assert differs == (not same(values[at], other))
    turned = [*values[1:], values[0]]
    differs = hashed(pa.array(turned, column.type)) != hashed(column)
    assert differs == (not all(map(same, turned, values)))
    assert hashed(pa.array([*values, values[0]], column.type)) != hashed(column)


def test_null_empty_and_types_are_told_apart() -> None:
    different = [
        pa.array([None], pa.string()),
        pa.array([""], pa.string()),
        pa.array([b""], pa.binary()),
        pa.array([0], pa.int64()),
        pa.array([0], pa.int32()),
        pa.array([0.0], pa.float64()),
        pa.array([0.0], pa.float32()),
        pa.array([math.nan], pa.float64()),
        pa.array([None], pa.float64()),
        pa.array([False], pa.bool_()),
        pa.array([0], pa.timestamp("us")),
        pa.array([0], pa.timestamp("ms")),
        pa.array([0], pa.timestamp("us", tz="UTC")),
        pa.array([], pa.string()),
        pa.array([None], pa.null()),
    ]
    assert len({hashed(array) for array in different}) == len(different)
    assert hashed(pa.array(["ab", "c"])) != hashed(pa.array(["a", "bc"]))


def test_equal_values_are_one_whatever_their_bits() -> None:
    odd = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_0001))[0]
    assert hashed(pa.array([odd, -0.0])) == hashed(pa.array([math.nan, 0.0]))
    at = datetime(2013, 7, 1, 12, tzinfo=UTC)
    zones = [pa.array([at], pa.timestamp("us", tz=tz)) for tz in ("UTC", "Europe/Berlin")]
    assert hashed(zones[0]) == hashed(zones[1])
    garbage = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\1"), pa.py_buffer(b"\7" * 16)])
    assert hashed(garbage) == hashed(pa.array([0x0707070707070707, None]))


def test_long_columns_are_the_same_in_one_piece_and_in_many() -> None:
    long = pa.array([None if i % 7 == 0 else i * 0.5 for i in range(300_000)])
    pieces = [long.slice(at, 70_001) for at in range(0, len(long), 70_001)]
    assert hashed(*pieces) == hashed(long)


def test_what_has_no_digest_is_refused() -> None:
    with pytest.raises(TypeError, match="list"):
        hashed(pa.array([[1]]))
    hasher = ColumnHasher(pa.int64())
    with pytest.raises(TypeError, match="string"):
        hasher.add(pa.array(["a"]))
