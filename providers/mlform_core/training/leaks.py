"""What a model could know and should not: rows of other parts, columns that give the target away.

Hints, no proofs. Rows are compared by 64-bit hashes, one part in memory at a time; columns are
looked at one by one, on a sample.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mlform.sdk import Context, ResourceError
from mlform_core.training.choosing import Chosen, choose

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from mlform_core.training.arguments import TableArguments

SAMPLE: Final = 20_000
_DIGITS: Final = 4
_SHARE: Final = 0.01
_OVER_CHANCE: Final = 10
_SAME_TARGET: Final = 0.95
_TELLING: Final = 0.98
_FEWEST: Final = 50
_FEWEST_OF_CLASS: Final = 20
_CLASSES: Final = 20
_MOST_CLASSES: Final = 100
_BINS: Final = 100


def guarded(ctx: Context, new: TableArguments) -> dict[str, Any] | None:
    """Look for leaks and tell them; ``None`` if switched off.

    Raises ``ResourceError`` if there are hints and ``leaks = "error"``.
    """
    if new.leaks == "off":
        return None
    found = find(ctx, choose(new), new.seed)
    if found["hints"] and new.leaks == "error":
        todo = (
            "Split by what such rows have in common, or leave the column out with exclude. "
            'leaks = "warn" trains all the same.'
        )
        raise ResourceError("Leak", "\n".join([*found["hints"], todo]), argument="leaks")
    for hint in found["hints"]:
        ctx.log(f"Warning: {hint}")
    return found


def find(ctx: Context, chosen: Chosen, seed: int) -> dict[str, Any]:
    """Return ``rows`` (by part, what it shares with training), ``columns`` and ``hints``."""
    import pandas as pd

    ctx.progress(0, None, "looking for leaks")
    train = chosen.read(ctx, chosen.training_part)
    columns = telling(train, chosen.target, seed)
    hints = [
        f'"{it["column"]}" alone tells "{chosen.target}": {it["measure"]} {it["value"]:.4g} on '
        f"{it['rows']:,} rows. Is it known when the model is asked?"
        for it in columns
    ]
    rows: dict[str, dict[str, int]] = {}
    if len(chosen.parts) > 1 and len(train):
        names = [f["name"] for f in chosen.features]
        types = {f["name"]: f["type"] for f in chosen.features}
        types[chosen.target] = chosen.target_type
        chance = _chance(_rough(train[names], types))
        known = _hashes(train, types, chosen.target)
        within = float(pd.Series(known["near"]).duplicated(keep=False).mean())
        del train
        for part in list(chosen.parts)[1:]:
            other = chosen.read(ctx, part)
            rows[part] = _shared(known, _hashes(other, types, chosen.target), len(other))
            if hint := _told(rows[part], part, chosen.training_part, chance, within):
                hints.append(hint)
    return {"rows": rows, "columns": columns, "hints": hints}


def _told(
    shared: Mapping[str, int], part: str, training: str, chance: float, within: float
) -> str | None:
    """Return the hint, if there is one. ``within``: the share of training rows with twins there."""
    of, near = shared["of"], shared["near"]
    if not of or near / of < max(_SHARE, _OVER_CHANCE * chance):
        return None
    # What comes again and again, as a timetable does, does so within training with other targets.
    if near / of < 2 * within and shared["labelled"] < _SAME_TARGET * near:
        return None
    return (
        f'{near:,} of {of:,} rows ({near / of:.1%}) of part "{part}" have a twin in '
        f'"{training}": {shared["exact"]:,} with the same features, {shared["labelled"]:,} with '
        f"the same target too, the others but for spelling and digits after the {_DIGITS}th. "
        f'Metrics on "{part}" are too good.'
    )


def _chance(rough: pd.DataFrame) -> float:
    """Return the share of rows with a twin if columns had nothing to do with each other.

    Few columns of few values repeat by themselves; that is no leak.
    """
    agree = 1.0
    for name in rough.columns:
        counts = rough[name].value_counts(dropna=False).to_numpy().astype("float64")
        pairs = len(rough) * (len(rough) - 1.0)
        agree *= float((counts * (counts - 1)).sum()) / max(1.0, pairs)
    return min(1.0, len(rough) * agree)


def _hashes(
    frame: pd.DataFrame, types: Mapping[str, str], target: str
) -> dict[str, npt.NDArray[Any]]:
    """Return a hash of each row, by what is compared."""
    import numpy as np
    import pandas as pd

    # Whole numbers and truths with a gap in one part alone are of another type there.
    numbers = {n: np.float64 for n, t in types.items() if t in {"int64", "bool"}}
    alike = frame[list(types)].astype(numbers)
    features = alike.drop(columns=target)
    of = {"exact": features, "labelled": alike, "near": _rough(features, types)}
    return {kind: pd.util.hash_pandas_object(it, index=False).to_numpy() for kind, it in of.items()}


def _shared(
    known: Mapping[str, npt.NDArray[Any]], other: Mapping[str, npt.NDArray[Any]], rows: int
) -> dict[str, int]:
    import pandas as pd

    counts = {kind: int(pd.Series(other[kind]).isin(known[kind]).sum()) for kind in known}
    return {**counts, "of": rows}


def _rough(features: pd.DataFrame, types: Mapping[str, str]) -> pd.DataFrame:
    """Return the columns with floats of few digits, texts without case and space around them."""
    found = {}
    for name in features.columns:
        column = features[name]
        if types[name] == "float64":
            column = _few_digits(column)
        elif types[name] == "string":
            column = column.astype("string").str.strip().str.casefold().astype(object)
        found[name] = column
    return features.assign(**found)


def _few_digits(column: pd.Series[Any]) -> pd.Series[Any]:
    import numpy as np
    import pandas as pd

    numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    usable = np.isfinite(numbers) & (numbers != 0)
    size = np.floor(np.log10(np.abs(numbers, where=usable, out=np.ones_like(numbers))))
    scale = 10.0 ** (_DIGITS - 1 - np.clip(size, -290, 290))
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.where(usable, np.round(numbers * scale) / scale, numbers)
    return pd.Series(rounded + 0.0, index=column.index)


def telling(frame: pd.DataFrame, target: str, seed: int) -> list[dict[str, Any]]:
    """Return the columns that predict the target all but alone, with how well.

    Numbers by the area under the ROC curve (two classes) or Spearman's rank correlation (a
    value). Texts, and all columns where there are more classes, by the groups they make: learnt on
    one half of the rows and measured on the other (AUC, R², or what accuracy gains over the
    largest class as a share of what there is to gain).
    """
    frame = frame[frame[target].notna()]
    if len(frame) > SAMPLE:
        frame = frame.sample(SAMPLE, random_state=seed)
    else:
        frame = frame.sample(frac=1, random_state=seed)
    if len(frame) < _FEWEST:
        return []
    y, classes = _target(frame[target])
    if classes == 1 or classes > _MOST_CLASSES:
        return []
    found = []
    for name in frame.columns:
        if name == target:
            continue
        measure, value, rows = _alone(frame[name], y, classes)
        if value >= _TELLING:
            told = {"column": name, "measure": measure, "value": round(value, 6), "rows": rows}
            found.append(told)
    return found


def _target(column: pd.Series[Any]) -> tuple[npt.NDArray[Any], int]:
    """Return the target as numbers, and how many classes it has; none if it is a value."""
    import numpy as np
    import pandas as pd

    codes, values = pd.factorize(column, sort=True)
    few = len(values) <= _CLASSES and not pd.api.types.is_float_dtype(column.dtype)
    if len(values) <= 2 or few or not pd.api.types.is_numeric_dtype(column.dtype):
        return codes.astype(np.float64), len(values)
    return column.to_numpy(dtype=np.float64), 0


def _alone(column: pd.Series[Any], y: npt.NDArray[Any], classes: int) -> tuple[str, float, int]:
    """Return how well one column predicts, by which measure, on how many rows."""
    import numpy as np
    import pandas as pd

    numeric = pd.api.types.is_numeric_dtype(column.dtype)
    if numeric and classes in {0, 2}:
        x = column.to_numpy(dtype=np.float64, na_value=np.nan)
        there = ~np.isnan(x)
        rank = _auc if classes else _spearman
        best = "AUC" if classes else "|Spearman|", rank(x[there], y[there]), int(there.sum())
        absent = _auc(there.astype(np.float64), y) if classes else 0.0
        return max(best, ("AUC of being missing", absent, len(y)), key=lambda it: it[1])
    if numeric:
        column = column.rank(pct=True).mul(_BINS).round()
    groups = pd.factorize(column, use_na_sentinel=False)[0]
    half = len(y) // 2
    return _by_group(groups[:half], y[:half], groups[half:], y[half:], classes)


def _by_group(
    known: npt.NDArray[Any],
    y: npt.NDArray[Any],
    asked: npt.NDArray[Any],
    truth: npt.NDArray[Any],
    classes: int,
) -> tuple[str, float, int]:
    import numpy as np
    import pandas as pd

    by = pd.Series(y).groupby(known)
    if classes > 2:
        table = pd.crosstab(known, y)
        usual = pd.Series(y).mode().iloc[0]
        said = pd.Series(asked).map(table.idxmax(axis=1)).fillna(usual).to_numpy()
        base = float((truth == usual).mean())
        gain = (float((said == truth).mean()) - base) / (1 - base) if base < 1 else 0.0
        return "gain in accuracy", gain, len(truth)
    said = pd.Series(asked).map(by.mean()).fillna(float(np.mean(y))).to_numpy()
    if classes:
        return "AUC", _auc(said, truth), len(truth)
    spread = float(((truth - truth.mean()) ** 2).sum())
    return "R²", 1 - float(((truth - said) ** 2).sum()) / spread if spread else 0.0, len(truth)


def _auc(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    """Return the area under the ROC curve in the better direction; 0 with too few of a class."""
    import pandas as pd

    positive = y == 1
    one, zero = int(positive.sum()), int((~positive).sum())
    if min(one, zero) < _FEWEST_OF_CLASS:
        return 0.0
    ranks = pd.Series(x).rank().to_numpy()
    area = (float(ranks[positive].sum()) - one * (one + 1) / 2) / (one * zero)
    return max(area, 1 - area)


def _spearman(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    import pandas as pd

    if len(x) < _FEWEST:
        return 0.0
    a, b = pd.Series(x).rank(), pd.Series(y).rank()
    if a.nunique() < 2 or b.nunique() < 2:
        return 0.0
    value = float(a.corr(b))
    return abs(value) if math.isfinite(value) else 0.0
