"""Expectations: what data must be like, judged from statistics kept beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from mlform.sdk import Fields, ResourceError

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_VALUES = 200


class Expectations(Fields):
    """What must hold of a dataset before anything uses it."""

    rows_min: int | None = Field(default=None, ge=0)
    rows_max: int | None = Field(default=None, ge=0)
    null_rate_max: dict[str, float] = Field(default_factory=dict)
    """Column → the largest share of missing values."""
    range: dict[str, tuple[float | None, float | None]] = Field(default_factory=dict)
    """Column → least and largest value; null leaves a side open."""
    in_set: dict[str, list[str | int | float | bool]] = Field(default_factory=dict)
    """Column → every value it may have."""
    unique: list[str] = Field(default_factory=list)
    """Columns that hold no value twice within a partition."""


def statistics(table: pa.Table) -> dict[str, Any]:
    """Return what expectations are judged from, for one partition."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns: dict[str, Any] = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_floating(column.type):
            column = _countable(column)
        found: dict[str, Any] = {"nulls": column.null_count}
        distinct = pc.count_distinct(column, mode="only_valid").as_py()
        found["distinct"] = distinct
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            limits = pc.min_max(column)
            found["min"], found["max"] = limits["min"].as_py(), limits["max"].as_py()
        if distinct <= _MOST_VALUES and not pa.types.is_timestamp(column.type):
            found["values"] = sorted(pc.unique(column.drop_null()).to_pylist(), key=str)
        columns[name] = found
    return {"rows": table.num_rows, "columns": columns}


def _countable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return floats as statistics can hold them: NaN is missing, infinity the largest number."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    most = float(np.finfo(column.type.to_pandas_dtype()).max)
    return pc.min_element_wise(
        pc.max_element_wise(known, pa.scalar(-most, column.type), skip_nulls=False),
        pa.scalar(most, column.type),
        skip_nulls=False,
    )


def merged(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Add the statistics of partitions up."""
    rows = sum(int(p["rows"]) for p in parts.values())
    columns: dict[str, list[Any]] = {}
    for part in parts.values():
        for name, found in part["columns"].items():
            columns.setdefault(name, []).append((part["rows"], found))
    return {"rows": rows, "columns": {n: _column(f) for n, f in columns.items()}}


def _column(found: Any) -> dict[str, Any]:
    each = [f for _, f in found]
    result: dict[str, Any] = {"nulls": sum(f["nulls"] for f in each)}
    result["repeats"] = sum(rows - f["nulls"] - f["distinct"] for rows, f in found)
    for name, choose in (("min", min), ("max", max)):
        values = [f[name] for f in each if f.get(name) is not None]
        if values:
            result[name] = choose(values)
    if all("values" in f for f in each):
        result["values"] = sorted({v for f in each for v in f["values"]}, key=str)
    return result


def judge(expect: Expectations, found: Mapping[str, Any]) -> None:
    """Raise ``ResourceError`` with every expectation that does not hold, and what was found."""
    if found_wrong := problems(expect, found):
        raise ResourceError("Expectations not met", "\n".join(found_wrong), argument="expect")


def problems(expect: Expectations, found: Mapping[str, Any]) -> list[str]:
    """Return every expectation that does not hold, with what was found; from statistics alone."""
    rows, columns = int(found["rows"]), found["columns"]
    broken: list[str] = []
    if expect.rows_min is not None and rows < expect.rows_min:
        broken.append(f"rows: {rows:,} < rows_min {expect.rows_min:,}")
    if expect.rows_max is not None and rows > expect.rows_max:
        broken.append(f"rows: {rows:,} > rows_max {expect.rows_max:,}")
    named = [*expect.null_rate_max, *expect.range, *expect.in_set, *expect.unique]
    missing = [n for n in dict.fromkeys(named) if n not in columns]
    broken += [f"{n}: no such column; there are {', '.join(columns)}" for n in missing]
    for name, most in expect.null_rate_max.items():
        if name in columns and rows and columns[name]["nulls"] / rows > most:
            share = columns[name]["nulls"] / rows
            broken.append(f"{name}: {share:.2%} missing > null_rate_max {most:.2%}")
    for name, (least, most_) in expect.range.items():
        broken += _range(name, columns.get(name, {}), least, most_)
    for name, allowed in expect.in_set.items():
        broken += _in_set(name, columns.get(name, {}), allowed)
    for name in expect.unique:
        if columns.get(name, {}).get("repeats"):
            broken.append(f"{name}: {columns[name]['repeats']:,} values stand more than once")
    return broken


def _range(
    name: str, column: Mapping[str, Any], least: float | None, most: float | None
) -> list[str]:
    problems = []
    if least is not None and column.get("min") is not None and column["min"] < least:
        problems.append(f"{name}: smallest value {column['min']:g} < {least:g}")
    if most is not None and column.get("max") is not None and column["max"] > most:
        problems.append(f"{name}: largest value {column['max']:g} > {most:g}")
    return problems


def _in_set(name: str, column: Mapping[str, Any], allowed: list[Any]) -> list[str]:
    if not column:
        return []
    if "values" not in column:
        return [f"{name}: more than {_MOST_VALUES} different values; in_set allows {len(allowed)}"]
    others = [v for v in column["values"] if v not in allowed]
    if not others:
        return []
    shown = ", ".join(map(repr, others[:5]))
    return [f"{name}: {shown} not in {allowed}"]
