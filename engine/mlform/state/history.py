"""What steps took: an index of the journal, written with it and moved with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from mlform.state.model import Spent
from mlform.state.tables import HISTORY

_BATCH: Final = 500
_COLUMNS: Final = [c for c in HISTORY.columns if c.name != "serial"]
"""In the order of the fields of ``Spent``."""


def line(serial: int, address: str, detail: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Return the line that a journal entry makes; ``None`` where it does not say what was spent."""
    spent = detail.get("spent")
    if spent is None:
        return None
    return (serial, address, *(spent[c.name] for c in _COLUMNS if c.name != "address"))


def append(connection: Connection, serial: int, address: str, detail: Mapping[str, Any]) -> None:
    """Add a line within the transaction of the journal entry that it is made from."""
    values = line(serial, address, detail)
    if values is not None:
        connection.execute(insert(HISTORY).values(values))


def move(connection: Connection, moves: Mapping[str, str]) -> None:
    """Give the lines of some addresses others, all at once: two may change places."""
    serials = {
        new: list(connection.execute(_serials(old)).scalars())
        for old, new in moves.items()
        if old != new
    }
    for new, found in serials.items():
        for start in range(0, len(found), _BATCH):
            chosen = HISTORY.c.serial.in_(found[start : start + _BATCH])
            connection.execute(update(HISTORY).where(chosen).values(address=new))


def _serials(address: str) -> Any:
    return select(HISTORY.c.serial).where(HISTORY.c.address == address)


def latest(
    connection: Connection, addresses: Sequence[str], serial: int, most: int
) -> dict[str, list[Spent]]:
    """Return the last lines of each address up to a serial, newest first."""
    rank = func.row_number().over(partition_by=HISTORY.c.address, order_by=HISTORY.c.serial.desc())
    found: dict[str, list[Spent]] = {}
    if not _kept(connection):
        return found
    for start in range(0, len(addresses), _BATCH):
        chosen = HISTORY.c.address.in_(list(addresses[start : start + _BATCH]))
        ranked = select(HISTORY, rank.label("rank")).where(chosen, HISTORY.c.serial <= serial)
        inner = ranked.subquery()
        columns = [inner.c[c.name] for c in _COLUMNS]
        query = select(*columns).where(inner.c.rank <= most).order_by(inner.c.serial.desc())
        for row in connection.execute(query).all():
            found.setdefault(row[0], []).append(Spent(*row))
    return found


def estimated(connection: Connection, serial: int, most: int) -> list[Spent]:
    """Return the last lines up to a serial that an estimate was made for, newest first."""
    if not _kept(connection):
        return []
    about = (HISTORY.c.serial <= serial) & HISTORY.c.expected.is_not(None)
    query = select(*_COLUMNS).where(about).order_by(HISTORY.c.serial.desc()).limit(most)
    return [Spent(*row) for row in connection.execute(query)]


def _kept(connection: Connection) -> bool:
    """Tell whether there is a history: a state last written by an older version has none."""
    return connection.dialect.has_table(connection, HISTORY.name)
