"""What a feature view does to rows: the same code for all that is known, and for one request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from mlform.sdk import ResourceError
from mlform_core.joins import ROW, Own, Tables, numbered, ordered

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class Made:
    """Features in canonical types, and which row of what was given each row is."""

    table: pa.Table
    rows: pa.Array


WITHOUT_MISSING: Final = ("int64", "bool")
"""The types of pandas' columns that hold no missing value."""


class Transform(Protocol):
    """Makes features of rows of ``from`` and of other tables, by name.

    A table that is joined in time has a row for each row.
    """

    def __call__(self, raw: pa.Table, inputs: Mapping[str, pa.Table]) -> Made:
        """Make them. Raises ``ResourceError``, and whatever the user's code raises."""


class Function:
    """A function over data frames, called as ``function(frame, **inputs, **params)``.

    ``dtypes`` are those of pandas that columns have whatever is missing among some rows: those
    that they have in the whole table; that of ``from`` is called "".
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        params: Mapping[str, Any],
        dtypes: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._function, self._name, self._params = function, name, params
        self._dtypes = dtypes or {}
        self._frames: dict[str, tuple[pa.Table, pd.DataFrame]] = {}
        self.given: dict[str, dict[str, str]] = {}
        """The types that columns had in pandas, by table, when it was called last."""

    def __call__(self, raw: pa.Table, inputs: Mapping[str, pa.Table]) -> Made:
        """Call it. Each call gets tables of its own: a change in place reaches no other."""
        import pyarrow as pa

        from mlform_core.tables import canonical, from_frame

        frame = self._typed("", raw)
        given = {name: self._frame(name, table) for name, table in inputs.items()}
        made = _checked(self._function(frame, **given, **self._params), frame, self._name)
        rows = pa.array(made.index.to_numpy(), pa.int64())
        return Made(canonical(from_frame(made)), rows)

    def _frame(self, name: str, table: pa.Table) -> pd.DataFrame:
        import pandas as pd

        known, frame = self._frames.get(name, (None, None))
        if frame is None or known is not table:
            frame = self._typed(name, table)
            self._frames[name] = table, frame
        # From pandas 3 on a copy is made of what is written to, and of nothing else.
        return frame.copy(deep=int(pd.__version__.partition(".")[0]) < 3)

    def _typed(self, name: str, table: pa.Table) -> pd.DataFrame:
        from mlform_core.tables import to_frame

        frame = to_frame(table)
        if not self._dtypes:
            self.given[name] = {str(n): str(t) for n, t in frame.dtypes.items()}
        wanted = self._dtypes.get(name, {})
        moved = {
            n: t
            for n, t in wanted.items()
            if str(frame[n].dtype) != t and (t not in WITHOUT_MISSING or not frame[n].hasnans)
        }
        return frame.astype(moved) if moved else frame


def _checked(made: Any, given: pd.DataFrame, transform: str) -> pd.DataFrame:
    """Hold the function to its contract. Raises ``ResourceError``."""
    import pandas as pd

    if not isinstance(made, pd.DataFrame):
        detail = f"{transform} returned {type(made).__name__}, not a pandas DataFrame."
        raise ResourceError("Not a table", detail, argument="transform")
    if not made.index.isin(given.index).all() or not made.index.is_unique:
        detail = (
            f"{transform} returned rows whose index is not that of its first argument. The index "
            "says which row of the dataset a row is, and so which part it is in: keep it (after a "
            "merge: `.set_axis(frame.index)`, or join on columns with `frame.join`)."
        )
        raise ResourceError("Rows lost their identity", detail, argument="transform")
    if not all(isinstance(name, str) for name in made.columns) or not made.columns.is_unique:
        detail = (
            f"{transform} returned columns {list(made.columns)}: names must be text and unique."
        )
        raise ResourceError("Invalid columns", detail, argument="transform")
    return made


class Query:
    """A query over tables; ``own`` says what they are called, and which are joined already.

    The tables stay in DuckDB from call to call: only those that are others are put there anew.
    """

    def __init__(self, text: str, own: Own) -> None:
        self._text, self._own = text, own
        self._tables: Tables | None = None
        self._there: dict[str, pa.Table] = {}

    def __call__(self, raw: pa.Table, inputs: Mapping[str, pa.Table]) -> Made:
        """Ask it."""
        given = {self._own.name: raw, **inputs}
        if self._tables is None:
            self._tables = Tables(Own(self._own.name), {})
            self._tables.check(self._text)
        for name, table in given.items():
            if self._there.get(name) is not table:
                self._tables.put(name, numbered(table))
                self._there[name] = table
        return answered(self._tables.asked(self._text), self._own.name, raw.num_rows)


def answered(answer: pa.Table, name: str, rows: int) -> Made:
    """Return what a query answered as features, checked, in the order of ``name``."""
    from mlform_core.tables import canonical

    made = ordered(answer, name, rows)
    return Made(canonical(made.drop_columns([ROW])), made[ROW].combine_chunks())
