"""``savings``: what was not computed since its result was there, or came out the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from mlform.commands.session import Session
from mlform.diagnostics import stop

if TYPE_CHECKING:
    from mlform.state.model import Entry

CAUSES: Final = ("reuse", "cutoff", "decide")
_AGO: Final = re.compile(r"(\d+)([dhm])")
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}


@dataclass
class Saved:
    """So many steps that were not computed, and how many seconds they would have taken."""

    steps: int = 0
    seconds: float = 0.0

    def add(self, seconds: float, steps: int = 1) -> None:
        """Count some more."""
        self.steps += steps
        self.seconds += seconds


@dataclass
class Savings:
    """What runs did not compute, by cause and by address.

    ``untouched`` is not saved by what makes mlform differ: any tool that looks at what changed
    leaves these alone. It is what an apply of everything from scratch would have taken on top.
    """

    runs: int = 0
    first: datetime | None = None
    last: datetime | None = None
    worked: float = 0.0
    """Seconds of work that was done."""
    causes: dict[str, Saved] = field(default_factory=lambda: {c: Saved() for c in CAUSES})
    addresses: Counter[str] = field(default_factory=Counter)
    """Address → seconds."""
    untouched: Saved = field(default_factory=Saved)

    @property
    def total(self) -> Saved:
        """All causes together."""
        found = self.causes.values()
        return Saved(sum(s.steps for s in found), sum(s.seconds for s in found))


def savings(session: Session, since: str | None = None, now: datetime | None = None) -> Savings:
    """Add up what all runs were spared, or those since a time. Raises on a time that is none."""
    begin = None if since is None else moment(since, now or datetime.now(UTC))
    return added(e for e in session.store.runs() if begin is None or e.at >= begin)


def added(entries: Iterable[Entry]) -> Savings:
    """Add up what runs were spared."""
    found = Savings()
    for entry in entries:
        found.runs += 1
        found.first = found.first or entry.at
        found.last = entry.at
        found.worked += entry.detail.get("worked", 0.0)
        for address, cause, seconds in entry.detail.get("spared", ()):
            found.causes[cause].add(seconds)
            found.addresses[address] += seconds
        steps, seconds = entry.detail.get("untouched", (0, 0.0))
        found.untouched.add(seconds, steps)
    return found


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
