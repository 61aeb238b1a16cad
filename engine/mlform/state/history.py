"""What steps took: an index of the journal, written with it and moved with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, func, select, update

from mlform.state.model import Spent
from mlform.state.tables import HISTORY, add, columns, ours, own

_BATCH: Final = 500
_COLUMNS: Final = [c for c in columns(HISTORY) if c.name != "serial"]
"""In the order of the fields of ``Spent``."""


def line(serial: int, address: str, detail: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Return the line that a journal entry makes; ``None`` where it does not say what was spent."""
    spent = detail.get("spent")
    if spent is None:
        return None
    return (serial, address, *(spent[c.name] for c in _COLUMNS if c.name != "address"))


def extend(connection: Connection, told: Iterable[tuple[int, str, Mapping[str, Any]]]) -> None:
    """Add lines within the transaction of the journal entries that they are made from.

    Each entry is given by its serial, its address and its detail.
    """
    found = (line(*entry) for entry in told)
    add(connection, HISTORY, *(values for values in found if values is not None))


def move(connection: Connection, moves: Mapping[str, str]) -> None:
    """Give the lines of some addresses others, all at once: two may change places."""
    serials = {
        new: list(connection.execute(_serials(connection, old)).scalars())
        for old, new in moves.items()
    }
    for new, found in serials.items():
        for start in range(0, len(found), _BATCH):
            chosen = HISTORY.c.serial.in_(found[start : start + _BATCH])
            moved = update(HISTORY).where(ours(connection, HISTORY), chosen)
            connection.execute(moved.values(address=new))


def _serials(connection: Connection, address: str) -> Any:
    chosen = ours(connection, HISTORY) & (HISTORY.c.address == address)
    return select(HISTORY.c.serial).where(chosen)


def latest(
    connection: Connection, addresses: Sequence[str], serial: int, most: int
) -> dict[str, list[Spent]]:
    """Return the last lines of each address up to a serial, newest first."""
    rank = func.row_number().over(partition_by=HISTORY.c.address, order_by=HISTORY.c.serial.desc())
    found: dict[str, list[Spent]] = {}
    for start in range(0, len(addresses), _BATCH):
        chosen = HISTORY.c.address.in_(list(addresses[start : start + _BATCH]))
        ranked = own(connection, HISTORY).where(chosen, HISTORY.c.serial <= serial)
        inner = ranked.add_columns(rank.label("rank")).subquery()
        wanted = [inner.c[c.name] for c in _COLUMNS]
        query = select(*wanted).where(inner.c.rank <= most).order_by(inner.c.serial.desc())
        for row in connection.execute(query).all():
            found.setdefault(row[0], []).append(Spent(*row))
    return found


def done(connection: Connection, action: str, serial: int, most: int) -> list[Spent]:
    """Return the last lines of an action up to a serial, newest first, at any address."""
    about = (HISTORY.c.serial <= serial) & (HISTORY.c.action == action)
    query = select(*_COLUMNS).where(ours(connection, HISTORY), about)
    found = connection.execute(query.order_by(HISTORY.c.serial.desc()).limit(most))
    return [Spent(*row) for row in found]


def estimated(connection: Connection, serial: int, most: int) -> list[Spent]:
    """Return the last lines up to a serial that an estimate was made for, newest first."""
    about = (HISTORY.c.serial <= serial) & HISTORY.c.expected.is_not(None)
    query = (
        select(*_COLUMNS)
        .where(ours(connection, HISTORY), about)
        .order_by(HISTORY.c.serial.desc())
        .limit(most)
    )
    return [Spent(*row) for row in connection.execute(query)]
