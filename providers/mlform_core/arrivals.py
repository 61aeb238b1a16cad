"""What arrived at a source, told from what files say of themselves: no value is read."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mlform.sdk import Inputs

_MOST: Final = 6
_FEWEST: Final = 30
"""Shares among fewer rows say little."""
_CHANGE: Final = 0.01


def grown(
    there: Inputs, before: int, moved: Mapping[str, str | None], parts: str, *, windowed: bool
) -> str:
    """Say how many ``parts`` of a source are new and changed, and by how many rows it grows.

    ``before``: the rows that were taken. Of a dataset that takes a window of them growth is not
    told: what leaves the window goes.
    """
    fresh = sum(taken is None for taken in moved.values())
    count = f"{fresh} new, {len(moved) - fresh} changed of {len(there.parts)} {parts}"
    if windowed:
        return count
    if there.rows is None:
        return f"{count}; how many rows they have is not known before they are read"
    return f"{count}: {there.rows - before:+,} rows, {there.rows:,} in all"


def footer(source: Path | IO[bytes]) -> dict[str, Any]:
    """Return rows, and of each column how many are missing, the least and the largest.

    As far as the footer of a Parquet file tells; numbers alone have ends.
    """
    import pyarrow.parquet as pq

    metadata = pq.ParquetFile(source).metadata
    columns: dict[str, dict[str, Any]] = {}
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            column = metadata.row_group(group).column(place)
            told = column.statistics
            into = columns.setdefault(column.path_in_schema, {"nulls": 0})
            if told is None or not told.has_null_count:
                into["nulls"] = None
            elif into["nulls"] is not None:
                into["nulls"] += told.null_count
            if told is not None and told.has_min_max and _number(told.min) and _number(told.max):
                into["min"] = min(into.get("min", told.min), told.min)
                into["max"] = max(into.get("max", told.max), told.max)
    return {"rows": metadata.num_rows, "columns": columns}


def told(
    footers: Iterable[Mapping[str, Any]],
    profile: Mapping[str, Any],
    types: Mapping[str, str],
    growing: Collection[str],
) -> list[str]:
    """Say how what arrived differs from what was there: columns, missing values, ends.

    The ends of columns that are ``growing`` by nature, such as keys and times, are no news; nor is
    it that whole numbers go on of which each stood in one row alone.
    """
    found = list(footers)
    rows = sum(f["rows"] for f in found)
    if not rows:
        return []
    said: list[str] = []
    for f in found[:1]:
        gone = sorted(set(types) - set(f["columns"]))
        new = sorted(set(f["columns"]) - set(types))
        said += [f"column {name} is not there any more" for name in gone]
        said += [f"column {name} is new" for name in new]
    for name in types:
        parts = [f["columns"][name] for f in found if name in f["columns"]]
        if parts:
            before = profile["columns"].get(name) or {}
            said += _missing(name, parts, rows, before, profile["rows"])
            counts = types[name] == "int64" and _counts(before, profile["rows"])
            said += [] if name in growing else _ends(name, parts, before, counts=counts)
    return [*said[:_MOST], *([f"… and {len(said) - _MOST} more"] if len(said) > _MOST else [])]


def _missing(
    name: str, parts: list[Mapping[str, Any]], rows: int, before: Mapping[str, Any], of: int
) -> Iterator[str]:
    counts = [p["nulls"] for p in parts]
    if of and None not in counts and rows >= _FEWEST and before.get("nulls") is not None:
        now, was = sum(counts) / rows, before["nulls"] / of
        error = math.sqrt(max(was * (1 - was), 1 / of) / rows)
        if abs(now - was) > max(3 * error, _CHANGE):
            yield f"{name}: {now:.1%} missing in what arrived, {was:.1%} before"


def _counts(before: Mapping[str, Any], rows: int) -> bool:
    """Tell whether whole numbers are as those of an id: none missing, none twice."""
    return rows >= _FEWEST and before.get("nulls") == 0 and before.get("repeats") == 0


def _ends(
    name: str, parts: list[Mapping[str, Any]], before: Mapping[str, Any], *, counts: bool
) -> Iterator[str]:
    ends = [p for p in parts if "min" in p]
    if not ends or not _number(before.get("min")):
        return
    least, most = min(p["min"] for p in ends), max(p["max"] for p in ends)
    if least < before["min"] or (most > before["max"] and not counts):
        known = f"{before['min']:g} … {before['max']:g}"
        # Parquet says -0 where the least is 0.
        yield f"{name}: {least + 0.0:g} … {most + 0.0:g} in what arrived, {known} before"


def _number(value: Any) -> bool:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and math.isfinite(value)
