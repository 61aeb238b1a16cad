"""What a table looks like, column by column, small enough to keep: the reference of a monitor.

A numeric column is a grid of its own quantiles with counts; any other is a table of counts. Bins
are always those of the reference: equal-width bins over both sides let a single outlier hide a
shift (measured).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

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


def column(values: pd.Series[Any], like: Profile | None = None) -> dict[str, Any]:
    """Return the profile of one column; on the grid of ``like`` if that is given."""
    import numpy as np

    found = _seconds_or_numbers(values, like)
    if found is None:
        return _categorical(values)
    numbers, time = found
    there = np.sort(numbers)  # what is missing comes last
    there = there[: len(there) - int(np.count_nonzero(np.isnan(numbers)))]
    edges = (
        _quantiles(there, exact=time)
        if like is None
        else np.asarray(like["edges"], dtype=np.float64)
    )
    finite = there[np.searchsorted(there, -np.inf, side="right") : np.searchsorted(there, np.inf)]
    ends = finite[[0, -1]] if len(finite) else finite
    start, end = (ends if time else _rounded(ends)).tolist() or (None, None)
    return {
        "kind": "numeric",
        "time": time,
        "rows": len(numbers),
        "missing": len(numbers) - len(there),
        "edges": edges.tolist(),
        "counts": _counts(there, edges),
        "min": start,
        "max": end,
    }


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


def _quantiles(there: Floats, *, exact: bool) -> Floats:
    """Return values of the data, no interpolation: the same on every machine."""
    import numpy as np

    finite = there[np.isfinite(there)]
    if not len(finite):
        return finite
    found = finite[(np.arange(1, GRID + 1) * len(finite) - 1) // GRID]
    return np.unique(found if exact else _rounded(found))


def _counts(there: Floats, edges: Floats) -> list[int]:
    import numpy as np

    below = np.searchsorted(there, _reach(edges), side="right")
    return [int(n) for n in np.diff(below, prepend=0, append=len(there))]


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
