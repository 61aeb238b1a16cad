"""``savings``: what was not computed since its result was there, or came out the same."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from mlform.commands.session import Session
from mlform.diagnostics import stop
from mlform.state.savings import Savings, added

_AGO: Final = re.compile(r"(\d+)([dhm])")
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}


def savings(session: Session, since: str | None = None, now: datetime | None = None) -> Savings:
    """Add up what all runs were spared, or those since a time. Raises on a time that is none."""
    begin = None if since is None else moment(since, now or datetime.now(UTC))
    return added(e for e in session.store.runs() if begin is None or e.at >= begin)


def moment(text: str, now: datetime) -> datetime:
    """Return the time a user means: a date, a time, or so long ago (``30d``, ``12h``)."""
    if ago := _AGO.fullmatch(text):
        try:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        detail = f'"{text}" is no time. Write 2026-01-31, 2026-01-31T06:00:00Z, 30d or 12h.'
        raise stop("Invalid time", detail) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
