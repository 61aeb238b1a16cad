"""Which columns and rows of a table a training takes, checked before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlform.sdk import Context, Handle, ResourceError
from mlform_core.naming import absent, no_part

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from mlform_core.training.arguments import TableArguments


@dataclass(frozen=True)
class Chosen:
    """The columns and parts of one table that concern a training.

    ``parts``: the named parts of the table with rows, that trained on first; just
    ``{"all": None}`` if it trains on all rows.
    """

    data: Handle
    target: str
    target_type: str
    features: list[dict[str, str]]
    parts: dict[str, str | None]

    @property
    def training_part(self) -> str:
        """The name of the part trained on."""
        return next(iter(self.parts))

    def read(self, ctx: Context, part: str) -> pd.DataFrame:
        """Read the features and the target of one of ``parts``."""
        from mlform_core.tables import read_table

        columns = [*(f["name"] for f in self.features), self.target]
        frame: pd.DataFrame = read_table(ctx, self.data, columns, split=self.parts[part])
        return frame


def choose(new: TableArguments) -> Chosen:
    """Return what the arguments choose of their table. Raises ``ResourceError``."""
    table = new.data.attributes
    if "columns" not in table:
        detail = (
            f"{new.data.address} is no table. Write a whole dataset or feature view: "
            "data = dataset.NAME."
        )
        raise ResourceError("Not a table", detail, argument="data")
    types: dict[str, str] = {n: t for n, t in table["columns"].items() if n != "_split"}
    address = new.data.address
    given = {"target": [new.target], "features": new.features or [], "exclude": new.exclude}
    for argument, columns in given.items():
        if detail := absent(new.data, columns):
            raise ResourceError("Unknown column", detail, argument=argument)
    if new.features is not None:
        names = new.features
        if twice := sorted({n for n in names if names.count(n) > 1}):
            detail = f"{', '.join(twice)}: named twice."
            raise ResourceError("Invalid features", detail, argument="features")
    else:
        left_out = {new.target, table.get("time"), *table.get("key", []), *new.exclude}
        names = [n for n in types if n not in left_out]
    if not names:
        detail = f"{address} has no columns but the target, the key and the time."
        raise ResourceError("No features", detail, argument="data")
    features = [{"name": n, "type": types[n]} for n in names]
    return Chosen(new.data, new.target, types[new.target], features, _parts(new))


def _parts(new: TableArguments) -> dict[str, str | None]:
    splits: dict[str, int] = new.data.attributes.get("splits") or {}
    if new.split is None:
        return {"all": None}
    if detail := no_part(new.data, new.split):
        raise ResourceError("Unknown part", detail, argument="split")
    if splits[new.split] == 0:
        there = ", ".join(f"{part} ({rows:,} rows)" for part, rows in splits.items())
        detail = f'The part "{new.split}" of {new.data.address} has no rows. It has {there}.'
        raise ResourceError("Nothing to train on", detail, argument="split")
    others = {part: part for part, rows in splits.items() if rows and part != new.split}
    return {new.split: new.split, **others}


def labels(chosen: Chosen, column: pd.Series[Any], *, classes: bool) -> npt.NDArray[Any]:
    """Return the target as an array: of values as they are for classes, else float64.

    Raises ``ResourceError`` if values are missing, or are not what the task needs.
    """
    import numpy as np

    missing = int(column.isna().sum())
    if missing:
        detail = (
            f'The target "{chosen.target}" is missing in {missing:,} of {len(column):,} rows of '
            f'{chosen.data.address}, part "{chosen.training_part}". Filter those rows out '
            "where the table is made."
        )
        raise ResourceError("Target missing", detail, argument="target")
    kind = chosen.target_type
    if not classes:
        if kind in {"string", "timestamp"}:
            detail = (
                f'The target "{chosen.target}" is a {kind}, and a regression needs numbers. '
                "For classes take a classifier."
            )
            raise ResourceError("Target of the wrong type", detail, argument="target")
        return column.to_numpy(dtype=np.float64)
    return _classes(chosen, column)


def _classes(chosen: Chosen, column: pd.Series[Any]) -> npt.NDArray[Any]:
    import numpy as np

    kind = chosen.target_type
    if kind == "float64":
        numbers = column.to_numpy(dtype=np.float64)
        if not np.array_equal(numbers, np.trunc(numbers)):
            odd = numbers[numbers != np.trunc(numbers)][0]
            detail = (
                f'The target "{chosen.target}" has values such as {odd:g}, which are no '
                "classes. Take a regressor, or make classes of it where the table is made."
            )
            raise ResourceError("Target of the wrong type", detail, argument="target")
        values: npt.NDArray[Any] = numbers.astype(np.int64)
    elif kind == "timestamp":
        detail = f'The target "{chosen.target}" is a timestamp, and no class.'
        raise ResourceError("Target of the wrong type", detail, argument="target")
    else:
        to = {"bool": np.bool_, "int64": np.int64}.get(kind, np.object_)
        values = column.to_numpy(dtype=to)
    present = np.unique(values)
    if len(present) < 2:
        detail = (
            f'The target "{chosen.target}" is {present[0]} in all {len(values):,} rows of '
            f'{chosen.data.address}, part "{chosen.training_part}": there is nothing to tell '
            "apart."
        )
        raise ResourceError("One class only", detail, argument="target")
    return values
