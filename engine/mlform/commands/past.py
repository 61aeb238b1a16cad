"""What was recorded earlier, and what differs between two moments."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from mlform.commands.queries import not_recorded, parsed
from mlform.commands.saving import moment
from mlform.commands.session import Session
from mlform.diagnostics import stop
from mlform.state.differences import Differences, Past, compared
from mlform.state.past import Fold, at_moment, at_serial

if TYPE_CHECKING:
    from mlform.state.model import Entry, Record, Snapshot

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_NOW: Final = "now"


def past(session: Session, *, serial: int | None = None, at: str | None = None) -> Past:
    """Return what was recorded at a serial or a time; without either, what is recorded now."""
    if serial is not None and at is not None:
        detail = f"-serial={serial} is one, -at={at} another: give one of them."
        raise stop("Two moments at once", detail)
    now = session.snapshot()
    if serial is None and at is None:
        return Past(now, None)
    if serial is not None:
        if not 0 <= serial <= now.serial:
            detail = f"There is no serial {serial}: the state has 0 to {now.serial}."
            raise stop("No such serial", f"{detail} See `mlform state history`.")
        return _past(at_serial(session.store.journal(), serial), now)
    return _past(at_moment(session.store.journal(), end_of(str(at))), now)


def _past(fold: Fold, now: Snapshot) -> Past:
    return Past(fold.snapshot(now.lineage), fold.at)


def end_of(text: str) -> datetime:
    """Return the time a user means; of a day its end, in UTC. Raises ``DiagnosedError``."""
    found = moment(text, datetime.now(UTC))
    if _DAY.fullmatch(text):
        return datetime.combine(found.date(), time.max, UTC)
    exact = "." in text or not re.search(r"T\d", text)
    return found if exact else found + timedelta(seconds=1) - timedelta(microseconds=1)


def when(session: Session, text: str) -> Past:
    """Return what was recorded at what a user wrote: a serial, a time, or ``now``."""
    if text == _NOW:
        return past(session)
    if text.isdecimal():
        return past(session, serial=int(text))
    return past(session, at=text)


def differences(session: Session, before: str, after: str) -> Differences:
    """Return what differs between two moments, each a serial, a time or ``now``."""
    return compared(when(session, before), when(session, after))


def record_at(text: str, then: Past) -> Record:
    """Return one record of a moment. Raises ``DiagnosedError`` where there was none."""
    records = then.snapshot.records
    if parsed(text) not in records:
        raise not_recorded(text, records)
    return records[parsed(text)]


def history(session: Session, text: str | None) -> list[Entry]:
    """Return the journal, oldest first; of one resource under all the addresses it had."""
    found = list(session.store.journal())
    if text is None:
        return found
    name = str(parsed(text))
    kept: list[Entry] = []
    for entry in reversed(found):
        inside = entry.detail.get("records") or {}
        before = [a for a, data in inside.items() if data and data["address"] == name]
        if entry.address == name or name in inside or before:
            kept.append(entry)
        if entry.operation == "moved" and before:
            name = before[0]
    if not kept:
        raise not_recorded(text, {a for e in found if (a := e.address)}, "was never recorded")
    return kept[::-1]
