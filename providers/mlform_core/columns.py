"""Raw columns in the types a model was trained on, the same at training and at serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


def conform(frame: pd.DataFrame, features: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """Return ``features`` of ``frame`` in their order: numbers as float64, strings as objects.

    ``float64``, ``int64`` and ``bool`` become float64; ``timestamp`` becomes seconds since 1970
    UTC (a naive time is taken for UTC, a text is in ISO 8601); ``string`` stays. Missing is NaN
    throughout. Raises ``ValueError`` naming each column that is missing or holds something else.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    problems = []
    for feature in features:
        name, kind = feature["name"], feature["type"]
        if name not in frame.columns:
            problems.append(f'The column "{name}" ({kind}) is missing.')
            continue
        try:
            values = _AS[kind](frame[name])
            # Without the type pandas 3 would make its own strings of objects again.
            columns[name] = pd.Series(values, index=frame.index, dtype=values.dtype)
        except (ValueError, TypeError) as error:
            problems.append(f'The column "{name}" should be {kind}: {error}')
    if problems:
        raise ValueError("\n".join(problems))
    return pd.DataFrame(columns, index=frame.index, columns=[f["name"] for f in features])


def arrays(
    columns: Mapping[str, Sequence[Any]], features: Sequence[Mapping[str, str]]
) -> dict[str, npt.NDArray[Any]]:
    """Return by name what ``conform`` makes of a frame of these values, at a fraction of its cost.

    Values are as JSON has them, ``None`` where one is missing. Raises ``KeyError``, ``TypeError``
    or ``ValueError`` where ``conform`` may say what is wrong.
    """
    return {f["name"]: _OF[f["type"]](columns[f["name"]]) for f in features}


def framed(found: Mapping[str, npt.NDArray[Any]]) -> pd.DataFrame:
    """Return what ``arrays`` made as the frame that ``conform`` makes."""
    import pandas as pd

    return pd.DataFrame({n: pd.Series(v, dtype=v.dtype) for n, v in found.items()})


def _number(column: pd.Series[Any]) -> npt.NDArray[np.float64]:
    import numpy as np
    import pandas as pd

    if column.dtype.kind in "fiub" and isinstance(column.dtype, np.dtype):
        return column.to_numpy(dtype=np.float64)
    numbers = column if pd.api.types.is_numeric_dtype(column.dtype) else pd.to_numeric(column)
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)


def _timestamp(column: pd.Series[Any]) -> npt.NDArray[np.float64]:
    import numpy as np
    import pandas as pd

    # A format guessed from the first text would depend on what else is asked at the same time.
    texts = column.dtype == object or isinstance(column.dtype, pd.StringDtype)
    form = "ISO8601" if texts else None
    times = pd.to_datetime(column, utc=True, format=form).dt.tz_localize(None)
    seconds = times.to_numpy(dtype="datetime64[ns]").astype(np.int64) / 1e9
    return np.where(times.isna().to_numpy(), np.nan, seconds)


def _string(column: pd.Series[Any]) -> npt.NDArray[np.object_]:
    import numpy as np
    import pandas as pd

    missing = column.isna().to_numpy()
    values = column.to_numpy(dtype=object, copy=True)
    if not isinstance(column.dtype, pd.StringDtype):
        for place, value in enumerate(values):
            if not missing[place] and not isinstance(value, str):
                values[place] = str(value)
    values[missing] = np.nan
    return values


_AS: Mapping[str, Any] = {
    "float64": _number,
    "int64": _number,
    "bool": _number,
    "timestamp": _timestamp,
    "string": _string,
}


def _numbers(values: Sequence[Any]) -> npt.NDArray[np.float64]:
    import numpy as np

    return np.array(values, dtype=np.float64)


def _timestamps(values: Sequence[Any]) -> npt.NDArray[np.float64]:
    import pandas as pd

    return _timestamp(pd.Series(values))


def _strings(values: Sequence[Any]) -> npt.NDArray[np.object_]:
    import numpy as np

    if not {str, type(None)}.issuperset(map(type, values)):
        raise TypeError("a value that is no text")
    return np.array([np.nan if v is None else v for v in values], dtype=object)


_OF: Mapping[str, Any] = {
    "float64": _numbers,
    "int64": _numbers,
    "bool": _numbers,
    "timestamp": _timestamps,
    "string": _strings,
}
