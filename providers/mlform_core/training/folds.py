"""Cross-validation: which rows are held out in turn, with groups and with time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from mlform.sdk import Context, Fields, ResourceError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mlform_core.training.choosing import Chosen

    Places = npt.NDArray[np.intp]


class Folds(Fields):
    """How the training part is divided.

    ``by``: ``"random"`` (the classes of a target of text or truth in equal shares),
    ``"group"`` (rows that agree in ``column`` stay together), ``"time"`` (each fold is trained on
    what came before it in ``column``; rows of one time stay together).
    """

    count: int = Field(default=5, ge=2, le=100)
    by: Literal["random", "group", "time"] = "random"
    column: str | None = None

    @model_validator(mode="after")
    def _column(self) -> Self:
        if (self.column is None) != (self.by == "random"):
            needs = "needs" if self.column is None else "has no use for"
            raise ValueError(f'by = "{self.by}" {needs} a column')
        return self


def check(folds: Folds | None, chosen: Chosen) -> None:
    """Raise ``ResourceError`` if the column of the folds is not there."""
    there = chosen.data.attributes["columns"]
    if folds is not None and folds.column is not None and folds.column not in there:
        means = did_you_mean(folds.column, there)
        detail = f'There is no column "{folds.column}" in {chosen.data.address}.{means}'
        raise ResourceError("Unknown column", detail, argument="folds")


def divided(
    ctx: Context, folds: Folds, chosen: Chosen, target: Any, seed: int
) -> list[tuple[Places, Places]]:
    """Return for each fold the places of the rows to train on and of those held out."""
    import numpy as np
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

    rows = np.arange(len(target))
    try:
        if folds.by == "random":
            classes = chosen.target_type in {"string", "bool"}
            made = (StratifiedKFold if classes else KFold)(
                folds.count, shuffle=True, random_state=seed
            )
            return list(made.split(rows, target.astype(str) if classes else None))
        values = _column(ctx, folds, chosen)
        if folds.by == "group":
            grouped = GroupKFold(folds.count, shuffle=True, random_state=seed)
            return list(grouped.split(rows, groups=values))
        times, places = np.unique(values, return_inverse=True)
        return [
            (np.flatnonzero(np.isin(places, before)), np.flatnonzero(np.isin(places, after)))
            for before, after in TimeSeriesSplit(folds.count).split(times)
        ]
    except ValueError as error:
        what = f"{folds.count} folds of {len(rows):,} rows by {folds.column or 'chance'}"
        raise ResourceError("Too few rows", f"{what}: {error}", argument="folds") from error


def _column(ctx: Context, folds: Folds, chosen: Chosen) -> npt.NDArray[Any]:
    from mlform_core.tables import read_table

    assert folds.column is not None, "groups and times have a column"
    part = chosen.parts[chosen.training_part]
    column = read_table(ctx, chosen.data, [folds.column], split=part)[folds.column]
    if missing := int(column.isna().sum()):
        detail = f'"{folds.column}" is missing in {missing:,} rows: to which fold is not told.'
        raise ResourceError("Missing values", detail, argument="folds")
    import pandas as pd

    if folds.by == "group":
        codes: npt.NDArray[Any] = pd.factorize(column, sort=True)[0]
        return codes
    values: npt.NDArray[Any] = column.to_numpy()
    return values
