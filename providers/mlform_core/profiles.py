"""What a table looks like, column by column, small enough to keep: the reference of a monitor.

A numeric column is a grid of its own quantiles with counts; any other is a table of counts. Bins
are always those of the reference: equal-width bins over both sides let a single outlier hide a
shift (measured).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    from mlform_core.ranking import Ranked

    Floats = npt.NDArray[np.float64]

Profile: TypeAlias = Mapping[str, Any]

GRID: Final = 2048
"""Quantiles kept of a numeric column; equal ones fall together."""
DIGITS: Final = 7
"""Significant digits kept of a fraction: the last bits of a prediction depend on how many threads
summed it, and must not make another profile."""
_NEXT_TO_NOTHING: Final = 1e-290
MOST_VALUES: Final = 1000
"""Values of a categorical column that are counted one by one, the most frequent first."""


def profile(frame: pd.DataFrame, like: Mapping[str, Profile] | None = None) -> dict[str, Any]:
    """Return the profile of every column, as JSON data; equal frames give equal profiles.

    Numeric (and, in seconds since 1970 UTC, timestamps): ``{"kind": "numeric", "time", "rows",
    "missing", "edges", "counts", "min", "max"}``; bin i holds what lies above ``edges[i-1]`` and
    at or below ``edges[i]``, so there is one count more than there are edges. Infinities are in
    the first and last bin; fractions have ``DIGITS`` digits. Otherwise ``{"kind": "categorical",
    "rows", "missing", "counts": {value: n}, "other"}``, most frequent first. ``like``: take kinds
    and edges from these profiles, so that counts can be compared and added exactly.
    """
    like = like or {}
    return {str(name): column(frame[name], like.get(str(name))) for name in frame.columns}


def stored(path: Path, like: Mapping[str, Profile] | None = None) -> dict[str, Any]:
    """Return the profile of a Parquet file as ``profile`` does, reading a column at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    like = like or {}
    with pq.ParquetFile(path) as plain:
        schema = plain.schema_arrow
    text = (pa.types.is_string, pa.types.is_large_string)
    texts = [f.name for f in schema if any(test(f.type) for test in text)]
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        return {n: arrow_column(file.read([n])[n], like.get(n)) for n in schema.names}


def arrow_column(values: pa.ChunkedArray, like: Profile | None = None) -> dict[str, Any]:
    """Return the profile of one column of Arrow data; on the grid of ``like`` if that is given."""
    import pyarrow as pa

    kind = values.type
    number = pa.types.is_floating(kind) or pa.types.is_integer(kind)
    if number and (like is None or (like["kind"] == "numeric" and not like["time"])):
        return _numeric(_numbers(values), like, time=False)
    if pa.types.is_dictionary(kind) and (like is None or like["kind"] == "categorical"):
        return _dictionary(values)
    return column(values.to_pandas(), like)


def _numbers(values: pa.ChunkedArray) -> Floats:
    import numpy as np

    whole = values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()
    if whole.null_count:
        return np.asarray(whole.to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.from_dlpack(whole).astype(np.float64, copy=False)


def _dictionary(values: pa.ChunkedArray) -> dict[str, Any]:
    """Count texts by their numbers in a dictionary, chunk by chunk."""
    import numpy as np

    counts: dict[str, int] = {}
    for chunk in values.chunks:
        numbers = chunk.indices.drop_null() if chunk.null_count else chunk.indices
        found = np.bincount(np.from_dlpack(numbers), minlength=len(chunk.dictionary)).tolist()
        for value, n in zip(chunk.dictionary.to_pylist(), found, strict=True):
            if n:
                counts[value] = counts.get(value, 0) + n
    return _table(counts, 0, len(values), values.null_count)


def column(values: pd.Series[Any], like: Profile | None = None) -> dict[str, Any]:
    """Return the profile of one column; on the grid of ``like`` if that is given."""
    found = _seconds_or_numbers(values, like)
    if found is None:
        return _categorical(values)
    numbers, time = found
    return _numeric(numbers, like, time=time)


def _numeric(numbers: Floats, like: Profile | None, *, time: bool) -> dict[str, Any]:
    import numpy as np

    from mlform_core.ranking import Ranked

    gone = np.isnan(numbers)
    missing = int(np.count_nonzero(gone))
    there = Ranked(numbers[~gone] if missing else numbers)
    inside = np.isfinite(there.numbers)
    finite = there if inside.all() else Ranked(there.numbers[inside])
    edges = (
        _quantiles(finite, exact=time)
        if like is None
        else np.asarray(like["edges"], dtype=np.float64)
    )
    ends = np.array([finite.numbers.min(), finite.numbers.max()] if len(finite.numbers) else [])
    start, end = (ends if time else _rounded(ends)).tolist() or (None, None)
    return {
        "kind": "numeric",
        "time": time,
        "rows": len(numbers),
        "missing": missing,
        "edges": edges.tolist(),
        "counts": _counts(there, edges),
        "min": start,
        "max": end,
    }


def numbers(values: pd.Series[Any], like: Profile) -> Floats:
    """Return the values of a numeric column as its profile has them; NaN where it has none."""
    found = _seconds_or_numbers(values, like)
    assert found is not None, "the profile is numeric"
    return found[0]


def merge(one: Mapping[str, Profile], two: Mapping[str, Profile]) -> dict[str, Any]:
    """Return the profile of the rows of both.

    Exact where grids are equal (``like``). Otherwise quantiles are exact to one bin of either,
    and values outside the most frequent of either side count as "other". Raises ``ValueError``
    if the columns or their kinds differ.
    """
    if one.keys() != two.keys():
        raise ValueError(f"columns differ: {', '.join(sorted(one.keys() ^ two.keys()))}")
    return {name: _merged(name, one[name], two[name]) for name in one}


def ranks(column: Profile, edges: Floats) -> Floats:
    """Return how many values lie at or below each of ``edges``, straight between own edges."""
    import numpy as np

    own = np.asarray(column["edges"], dtype=np.float64)
    if column["min"] is None or not len(own):
        return np.zeros(len(edges))
    below = np.cumsum(column["counts"])[:-1].astype(np.float64)
    start, end = column["min"], column["max"]
    x, y = own, below
    if start < own[0]:
        x, y = np.insert(x, 0, start), np.insert(y, 0, 0.0)
    if end > own[-1]:
        x, y = np.append(x, end), np.append(y, float(sum(column["counts"])))
    return np.interp(edges, x, y, left=0.0)


def _seconds_or_numbers(values: pd.Series[Any], like: Profile | None) -> tuple[Floats, bool] | None:
    """Return a column as numbers, and whether they are times; ``None`` if it is categorical."""
    import numpy as np
    import pandas as pd

    dtype = values.dtype
    if like is not None:
        if like["kind"] != "numeric":
            return None
        if like["time"]:
            return _seconds(
                pd.to_datetime(values, errors="coerce", utc=True, format="ISO8601")
            ), True
        found = pd.to_numeric(values, errors="coerce")
        return found.to_numpy(dtype=np.float64, na_value=np.nan), False
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return _seconds(pd.to_datetime(values, utc=True)), True
    if pd.api.types.is_bool_dtype(dtype) or not pd.api.types.is_numeric_dtype(dtype):
        return None
    return values.to_numpy(dtype=np.float64, na_value=np.nan), False


def _rounded(values: Floats) -> Floats:
    """Round fractions to ``DIGITS`` significant digits; whole numbers stay as they are."""
    import numpy as np

    fractions = (values != np.rint(values)) & (np.abs(values) > _NEXT_TO_NOTHING)
    if not fractions.any():
        return values
    found = values.copy()
    these = values[fractions]
    places = DIGITS - 1 - np.floor(np.log10(np.abs(these)))
    scale = 10.0 ** np.abs(places)
    # Dividing by the exact power of ten gives the float that is written with these digits.
    fine, coarse = np.rint(these * scale) / scale, np.rint(these / scale) * scale
    found[fractions] = np.where(places >= 0, fine, coarse)
    return found


def _reach(edges: Floats) -> Floats:
    """Return the largest value that an edge stands for: half a unit of its last digit above it.

    So values need no rounding before they are counted. Whole numbers of more digits are exact.
    """
    import numpy as np

    size = np.abs(edges)
    fine = (size > _NEXT_TO_NOTHING) & (size < 10.0**DIGITS)
    unit = 10.0 ** (np.floor(np.log10(np.where(fine, size, 1.0))) - DIGITS + 1)
    return np.where(fine, edges + unit / 2, edges)


def _seconds(times: pd.Series[Any]) -> Floats:
    import numpy as np

    plain = times.dt.tz_localize(None)
    seconds = plain.to_numpy(dtype="datetime64[ns]").astype(np.int64) / 1e9
    return np.where(plain.isna().to_numpy(), np.nan, seconds)


def _quantiles(there: Ranked, *, exact: bool) -> Floats:
    """Return finite values of the data, no interpolation: the same on every machine."""
    import numpy as np

    rows = len(there.numbers)
    if not rows:
        return there.numbers
    found = there.ordered((np.arange(1, GRID + 1) * rows - 1) // GRID)
    return np.unique(found if exact else _rounded(found))


def _counts(there: Ranked, edges: Floats) -> list[int]:
    import numpy as np

    below = there.at_most(_reach(edges))
    return [int(n) for n in np.diff(below, prepend=0, append=len(there.numbers))]


def _categorical(values: pd.Series[Any]) -> dict[str, Any]:
    texts = values.dropna().astype(str)
    counts = {str(v): int(n) for v, n in texts.value_counts().items()}
    return _table(counts, 0, len(values), len(values) - len(texts))


def _table(counts: Mapping[str, int], other: int, rows: int, missing: int) -> dict[str, Any]:
    named = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "kind": "categorical",
        "rows": rows,
        "missing": missing,
        "counts": dict(named[:MOST_VALUES]),
        "other": other + sum(n for _, n in named[MOST_VALUES:]),
    }


def _merged(name: str, one: Profile, two: Profile) -> dict[str, Any]:
    if one["kind"] != two["kind"]:
        raise ValueError(f'"{name}" is {one["kind"]} here and {two["kind"]} there')
    rows, missing = one["rows"] + two["rows"], one["missing"] + two["missing"]
    if one["kind"] == "categorical":
        counts = dict(one["counts"])
        for value, n in two["counts"].items():
            counts[value] = counts.get(value, 0) + n
        return _table(counts, one["other"] + two["other"], rows, missing)
    edges, counted = _grid(one, two)
    ends = [p for p in (one, two) if p["min"] is not None]
    return {
        "kind": "numeric",
        "time": one["time"],
        "rows": rows,
        "missing": missing,
        "edges": edges,
        "counts": counted,
        "min": min((p["min"] for p in ends), default=None),
        "max": max((p["max"] for p in ends), default=None),
    }


def _grid(one: Profile, two: Profile) -> tuple[list[float], list[int]]:
    import numpy as np

    if one["edges"] == two["edges"]:
        pairs = zip(one["counts"], two["counts"], strict=True)
        return list(one["edges"]), [a + b for a, b in pairs]
    every = np.union1d(one["edges"], two["edges"])
    below = np.rint(ranks(one, every) + ranks(two, every)).astype(np.int64)
    total = sum(one["counts"]) + sum(two["counts"])
    if len(every) > GRID:
        wanted = np.arange(1, GRID + 1) * total / GRID
        at = np.unique(np.minimum(np.searchsorted(below, wanted), len(every) - 1))
        every, below = every[at], below[at]
    counts = np.diff(below, prepend=0, append=total)
    return every.tolist(), [int(n) for n in counts]


_ANY: Final = {
    "float64": 0.0,
    "int64": 0,
    "bool": False,
    "string": "",
    "timestamp": "1970-01-01T00:00:00Z",
}


def usual(profile: Any, feature: Mapping[str, str]) -> Any:
    """Return the median or the most frequent value of a feature's reference."""
    kind = feature["type"]
    if not isinstance(profile, Mapping) or kind == "timestamp":
        return _ANY[kind]
    if kind == "string":
        return next(iter(profile.get("counts", {})), _ANY[kind])
    edges = profile.get("edges")
    return edges[len(edges) // 2] if edges else _ANY[kind]
