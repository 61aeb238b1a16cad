"""What a table looks like, column by column, small enough to keep: the reference of a monitor.

A numeric column is a grid of its own quantiles with counts; any other is a table of counts. Bins
are always those of the reference: equal-width bins over both sides let a single outlier hide a
shift (measured).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

BINS: Final = 10
"""Quantile bins of a numeric column; repeated edges fall together."""
_MOST_VALUES: Final = 1000


def profile(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the profile of every column, as JSON data; equal frames give equal profiles.

    Numeric: ``{"kind": "numeric", "rows", "missing", "edges", "counts", "min", "max"}`` with
    inner quantile edges, so ``len(counts) == len(edges) + 1``. Otherwise ``{"kind":
    "categorical", "rows", "missing", "counts": {value: n}, "other"}``.
    """
    return {str(name): column(frame[name]) for name in frame.columns}


def column(values: pd.Series[Any]) -> dict[str, Any]:
    """Return the profile of one column."""
    import numpy as np
    import pandas as pd

    if pd.api.types.is_bool_dtype(values.dtype) or not pd.api.types.is_numeric_dtype(values.dtype):
        return _categorical(values)
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    there = np.sort(numbers[np.isfinite(numbers)])
    rows, missing = len(numbers), len(numbers) - len(there)
    if len(there) == 0:
        empty = {"edges": [], "counts": [0], "min": None, "max": None}
        return {"kind": "numeric", "rows": rows, "missing": missing, **empty}
    at = (np.arange(1, BINS) * len(there)) // BINS
    edges = np.unique(there[at])
    return {
        "kind": "numeric",
        "rows": rows,
        "missing": missing,
        "edges": [float(e) for e in edges],
        "counts": [int(n) for n in binned(there, edges)],
        "min": float(there[0]),
        "max": float(there[-1]),
    }


def binned(values: Floats, edges: Floats) -> npt.NDArray[np.int64]:
    """Count finite values by bin; a value on an edge belongs to the bin above."""
    import numpy as np

    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)


def _categorical(values: pd.Series[Any]) -> dict[str, Any]:
    texts = values.dropna().astype(str)
    counts = texts.value_counts()
    named = sorted(((int(n), str(v)) for v, n in counts.items()), key=lambda p: (-p[0], p[1]))
    kept = named[:_MOST_VALUES]
    return {
        "kind": "categorical",
        "rows": len(values),
        "missing": len(values) - len(texts),
        "counts": {v: n for n, v in kept},
        "other": sum(n for n, _ in named[_MOST_VALUES:]),
    }
