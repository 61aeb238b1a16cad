"""Alarms that monitors raised, and which trigger has acted on which."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete

from mlform.state import journal
from mlform.state.codec import seal, sound
from mlform.state.codec import text as write
from mlform.state.model import AlarmEvent, damaged
from mlform.state.tables import ALARMS, CONSUMED, add, ours, own, rows
from mlform.values import canonical


def raised(
    connection: Connection, run: str, monitor: str, payload: Mapping[str, Any]
) -> AlarmEvent | None:
    """Record an alarm; ``None`` if the same alarm is recorded already."""
    at = journal.now()
    name = "ev-" + hashlib.sha256((monitor + canonical(payload)).encode()).hexdigest()[:12]
    if connection.execute(own(connection, ALARMS).where(ALARMS.c.id == name)).first():
        return None
    row = (name, monitor, at, write(dict(payload)))
    add(connection, ALARMS, (*row, seal(*row)))
    journal.append(connection, 0, run, "event", monitor, {"alarm": name})
    return AlarmEvent(name, monitor, datetime.fromisoformat(at), dict(payload))


def every(connection: Connection) -> list[AlarmEvent]:
    """Return every alarm with what came of it, oldest first."""
    outcomes: dict[str, dict[str, str]] = {}
    for row in rows(connection, CONSUMED, connection.execute(own(connection, CONSUMED))):
        outcomes.setdefault(row.alarm, {})[row.trigger] = row.outcome
    query = own(connection, ALARMS).order_by(ALARMS.c.at, ALARMS.c.id)
    found = list(rows(connection, ALARMS, connection.execute(query)))
    return [_alarm(row, outcomes.get(row.id, {})) for row in found]


def consume(connection: Connection, run: str, event: str, trigger: str, outcome: str) -> None:
    """Mark an alarm as acted on by a trigger; once is for ever."""
    same = (CONSUMED.c.alarm == event) & (CONSUMED.c.trigger == trigger)
    if connection.execute(own(connection, CONSUMED).where(same)).first():
        return
    add(connection, CONSUMED, {"alarm": event, "trigger": trigger, "outcome": outcome})
    detail = {"alarm": event, "outcome": outcome}
    journal.append(connection, 0, run, "consume", trigger, detail)


def pulled(
    connection: Connection, run: str, trigger: str, events: Sequence[str], detail: Mapping[str, Any]
) -> None:
    """Mark alarms as acted on, and journal what their trigger moved for them."""
    for event in events:
        consume(connection, run, event, trigger, str(detail["why"]))
    journal.append(connection, 0, run, "pull", trigger, {"alarms": list(events), **detail})


def move(connection: Connection, moves: Mapping[str, str]) -> None:
    """Give what monitors raised and triggers acted on their new names, all at once."""
    raised_by = list(rows(connection, ALARMS, connection.execute(own(connection, ALARMS))))
    for row in (r for r in raised_by if r.monitor in moves):
        connection.execute(delete(ALARMS).where(ours(connection, ALARMS), ALARMS.c.id == row.id))
        now = (row.id, moves[row.monitor], row.at, row.payload)
        add(connection, ALARMS, (*now, seal(*now) if sound(row) else row.sha256))
    acted_on = list(rows(connection, CONSUMED, connection.execute(own(connection, CONSUMED))))
    kept = {(r.alarm, moves.get(r.trigger, r.trigger)): r.outcome for r in acted_on}
    if any(r.trigger in moves for r in acted_on):
        connection.execute(delete(CONSUMED).where(ours(connection, CONSUMED)))
        add(connection, CONSUMED, *((*key, outcome) for key, outcome in kept.items()))


def _alarm(row: Any, consumed_by: Mapping[str, str]) -> AlarmEvent:
    if not sound(row):
        raise damaged(f"The alarm {row.id} is not what was written.")
    at = datetime.fromisoformat(row.at)
    return AlarmEvent(row.id, row.monitor, at, json.loads(row.payload), consumed_by)
