"""The results that keys have had, by rank: the highest sound one of a key is selected."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, delete, select

from mlform.state.codec import seal, sound
from mlform.state.codec import text as write
from mlform.state.model import Realisation
from mlform.state.tables import REALISATIONS, add, columns, ours, own, rows

_BATCH: Final = 500


def selected(
    connection: Connection, keys: Sequence[str], workspace: str
) -> Mapping[str, Realisation]:
    """Return the selected result of each key: of this workspace, else of another."""
    found: dict[str, Realisation] = {}
    others = REALISATIONS.c.workspace != workspace
    order = (others, REALISATIONS.c.workspace, REALISATIONS.c.number.desc())
    for start in range(0, len(keys), _BATCH):
        chosen = REALISATIONS.c.key.in_(list(keys[start : start + _BATCH]))
        query = select(*columns(REALISATIONS)).where(chosen).order_by(*order)
        given = connection.execute(query)
        for row in rows(connection, REALISATIONS, given, everywhere=True):
            if row.key not in found and sound(row):
                found[row.key] = _realisation(row)
    return found


def remember(connection: Connection, realisation: Realisation, *, select: bool) -> None:
    """Keep a result under its key above the others, or without ``select`` below them."""
    key, digest = realisation.key, realisation.digest
    ranked = _ranked(connection, key)
    same = next((row for row in ranked if row.digest == digest and sound(row)), None)
    if same is not None and (not select or same.number == ranked[0].number):
        return
    kept = write(dict(realisation.attributes)), write(dict(realisation.receipt))
    if same is not None:
        this = (REALISATIONS.c.key == key) & (REALISATIONS.c.number == same.number)
        chosen = ours(connection, REALISATIONS) & this
        connection.execute(delete(REALISATIONS).where(chosen))
        kept = same.attributes, same.receipt
    number = 1
    if ranked:
        number = ranked[0].number + 1 if select else ranked[-1].number - 1
    row = (key, number, digest, *kept, seal(key, number, digest, *kept))
    add(connection, REALISATIONS, row)


def drop(connection: Connection, keys: Sequence[str]) -> None:
    """Forget every result of some keys."""
    for start in range(0, len(keys), _BATCH):
        gone = REALISATIONS.c.key.in_(list(keys[start : start + _BATCH]))
        chosen = ours(connection, REALISATIONS) & gone
        connection.execute(delete(REALISATIONS).where(chosen))


def every(connection: Connection) -> list[Realisation]:
    """Return every sound result that every key has had."""
    all_ = connection.execute(own(connection, REALISATIONS))
    return [_realisation(row) for row in rows(connection, REALISATIONS, all_) if sound(row)]


def of(connection: Connection, key: str) -> list[Realisation]:
    """Return every sound result of a key, the selected one first."""
    return [_realisation(row) for row in _ranked(connection, key) if sound(row)]


def _ranked(connection: Connection, key: str) -> list[Any]:
    chosen = own(connection, REALISATIONS).where(REALISATIONS.c.key == key)
    found = connection.execute(chosen.order_by(REALISATIONS.c.number.desc()))
    return list(rows(connection, REALISATIONS, found))


def _realisation(row: Any) -> Realisation:
    return Realisation(row.key, row.digest, json.loads(row.attributes), json.loads(row.receipt))
