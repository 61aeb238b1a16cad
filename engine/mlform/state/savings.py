"""What runs did not compute, added up from what each journalled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from mlform.lazy import dataclass, field
from mlform.state.model import Entry

CAUSES: Final = ("reuse", "cutoff", "decide")


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
