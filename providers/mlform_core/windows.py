"""Which rows count by their time: so long before a moment."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from mlform.sdk import Artifact, Context, Fields, Length, ResourceError, seconds

if TYPE_CHECKING:
    import pyarrow as pa


class Window(Fields):
    """Rows whose time is less than ``last`` before ``until``, and before it.

    ``until`` moves by itself where it is that of a trigger with a schedule:
    ``until = trigger.monthly.as_of``. ``column``: the ``time`` of the dataset, unless it is named.
    Rows without a time are outside.
    """

    last: Length
    until: str
    column: str | None = None

    @field_validator("last")
    @classmethod
    def _some(cls, value: str) -> str:
        if seconds(value) == 0:
            raise ValueError("last: no row is in a window of no length")
        return value

    @field_validator("until")
    @classmethod
    def _moment(cls, value: str) -> str:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f'until: "{value}" is no time: write 2026-01-31T06:00:00Z') from None
        return value

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """From when (within) until when (without), in UTC, without a zone as tables have it."""
        end = datetime.fromisoformat(self.until)
        end = end.astimezone(UTC).replace(tzinfo=None) if end.tzinfo else end
        return end - timedelta(seconds=seconds(self.last)), end


def times(table: pa.Table, name: str) -> Any:
    """Return a column as moments. Raises ``ResourceError`` where it has none."""
    import pyarrow as pa

    from mlform_core.tables import reading_texts

    if name not in table.column_names:
        detail = f"There is no column {name}; there are {', '.join(table.column_names)}."
        raise ResourceError("Unknown column", detail, argument="window")
    try:
        return table[name].cast(pa.timestamp("us"))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        kind = str(table[name].type)
        detail = f"{name} is {kind}; a window needs times.{reading_texts(name, kind)}"
        raise ResourceError("Not a time column", detail, argument="window") from None


def span(ctx: Context, table: Artifact, name: str) -> tuple[datetime, datetime] | None:
    """Return the first and the last time in a stored table; ``None`` where it has none."""

    def made() -> bytes:
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        stored = pq.read_table(ctx.artifacts.path(table.digest), memory_map=True)
        found = pc.min_max(times(stored, name))
        ends = [found["min"].as_py(), found["max"].as_py()]
        return json.dumps([None if e is None else e.isoformat() for e in ends]).encode()

    kept = ctx.memo({"span": table.digest, "column": name}, made)
    first, last = json.loads(ctx.artifacts.read(kept.digest))
    return None if first is None else (datetime.fromisoformat(first), datetime.fromisoformat(last))


def cut(table: pa.Table, name: str, bounds: tuple[datetime, datetime]) -> pa.Table:
    """Return the rows within bounds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first, end = (pa.scalar(b, pa.timestamp("us")) for b in bounds)
    column = times(table, name)
    inside = pc.and_(pc.greater_equal(column, first), pc.less(column, end))
    return table.filter(pc.fill_null(inside, fill_value=False))
