"""The right to write a state: who has it, what for, and what there is to say to others."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, Final

from mlform.lazy import dataclass, field

_NAMED: Final = 20
"""So many resources are named to who waits for the lock; of the others, how many."""


@dataclass(frozen=True)
class Work:
    """What a lease is held for: which resources, and until when by estimate (``None``: unknown)."""

    resources: tuple[str, ...] = ()
    until: datetime | None = None
    more: int = 0
    """How many resources there are beside those named."""

    @classmethod
    def of(cls, resources: Sequence[str], until: datetime | None) -> Work:
        """Return it for any number of resources."""
        return cls(tuple(resources[:_NAMED]), until, max(0, len(resources) - _NAMED))

    @classmethod
    def parse(cls, text: str | None) -> Work:
        """Read it back; nothing where it cannot be read, for it only informs."""
        try:
            data = json.loads(text or "{}")
            until = data.get("until")
            named = tuple(map(str, data.get("resources", ())))
            over = until and datetime.fromisoformat(until).astimezone(UTC)
            return cls(named, over, int(data.get("more", 0)))
        except (ValueError, TypeError, AttributeError):
            return cls()

    def dump(self) -> str:
        """Write it."""
        return json.dumps(self.as_data())

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data."""
        until = None if self.until is None else self.until.isoformat(timespec="seconds")
        return {"resources": list(self.resources), "more": self.more, "until": until}

    def words(self, now: datetime) -> str:
        """Return it in words, ready to follow another sentence; empty where nothing is known."""
        words = ""
        if self.resources:
            more = f" and {self.more} more" if self.more else ""
            words += f" It is working on {', '.join(self.resources)}{more}."
        if self.until is not None:
            at = f"{self.until:%Y-%m-%d %H:%M:%S %Z}".rstrip()
            late = timedelta(seconds=int((now - self.until).total_seconds()))
            if late <= timedelta():
                words += f" By estimate it takes until {at}."
            else:
                words += f" By estimate it was to end at {at}; it is late by {late}."
        return words


@dataclass(frozen=True)
class Extent:
    """What of a state a lease is for: names of resources, and ``output.NAME``.

    What one lease writes no other reads or writes; what both only read both may have. One for a
    duty is for nothing of the state: it stands in nobody's way but of who would have the same.
    """

    writes: frozenset[str]
    reads: frozenset[str] = frozenset()
    duty: str = ""
    """What one process at a time does for a state, as "watch"."""

    @classmethod
    def for_duty(cls, duty: str) -> Extent:
        """Return it for a duty alone."""
        return cls(frozenset(), duty=duty)

    @classmethod
    def of(cls, writes: Iterable[object], reads: Iterable[object] = ()) -> Extent:
        """Return it for addresses."""
        written = frozenset(map(str, writes))
        return cls(written, frozenset(map(str, reads)) - written)

    @classmethod
    def parse(cls, text: str | None) -> Extent | None:
        """Read it back; ``None`` is the whole state, and so is what cannot be read."""
        try:
            data = json.loads(text or "null")
            parts = frozenset(data["writes"]), frozenset(data["reads"])
            return cls(*parts, str(data.get("duty", "")))
        except (ValueError, TypeError, KeyError):
            return None

    def dump(self) -> str:
        """Write it."""
        named = {"writes": sorted(self.writes), "reads": sorted(self.reads)}
        return json.dumps({**named, "duty": self.duty} if self.duty else named)

    def clash(self, other: Extent) -> frozenset[str]:
        """Return what keeps two leases from being held at the same time."""
        met = self.writes & (other.writes | other.reads) | self.reads & other.writes
        return met | ({self.duty} & {other.duty} - {""})


@dataclass(frozen=True)
class Lease:
    """The right to write, as of one moment. Every write checks ``fence``."""

    id: str
    fence: int
    owner: str
    """``user@host``."""
    pid: int
    operation: str
    since: datetime
    work: Work = field(default_factory=Work, compare=False)
    extent: Extent | None = field(default=None, compare=False)
    """What it is for; ``None``: the whole state."""
    serial: int = field(default=0, compare=False)
    """The serial of the state when it was taken."""
    lost: Event = field(default_factory=Event, compare=False, repr=False)
    """Set once it is known that another has taken the lock."""
    _heard: list[Callable[[], None]] = field(default_factory=list, compare=False, repr=False)

    @property
    def duty(self) -> str:
        """The duty it is for; ``""``: it is for the state, or a part of it."""
        return "" if self.extent is None else self.extent.duty

    def covers(self, name: str | None) -> bool:
        """Tell whether what is recorded under a name may be written."""
        return self.extent is None or name is None or name in self.extent.writes

    def when_lost(self, act: Callable[[], None]) -> None:
        """Have something done, once, as soon as the lease is known to be lost."""
        self._heard.append(act)
        if self.lost.is_set():
            act()

    def lose(self) -> None:
        """Tell all who listen that the lease is lost."""
        self.lost.set()
        for act in self._heard:
            act()

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data, for whoever is refused the lock."""
        named = {n: getattr(self, n) for n in ("id", "owner", "pid", "operation")}
        return {**named, "since": self.since.isoformat(), **self.work.as_data()}


class LockedError(Exception):
    """Someone else holds the lock: who, since when, doing what. Exit code 4.

    ``clash`` is what both are to write, or the one to write and the other to read; empty where
    either is for the whole state.
    """

    def __init__(self, holder: Lease, clash: Collection[str] = ()) -> None:
        since = f"{holder.since:%Y-%m-%d %H:%M:%S %Z}".strip()
        named, more = sorted(clash)[:_NAMED], max(0, len(clash) - _NAMED)
        held = f"{', '.join(named)}{f' and {more} more' if more else ''}" or "the state"
        super().__init__(
            f"{holder.owner} (process {holder.pid}) has held {held} since {since} for "
            f'"{holder.operation}", lease {holder.id}.'
            f"{holder.work.words(datetime.now(UTC))}"
        )
        self.holder = holder


class LostLeaseError(Exception):
    """The lease was taken over: nothing may be written any more."""

    @classmethod
    def of(cls, lease: Lease) -> LostLeaseError:
        """Return the error for one lease."""
        return cls(
            f'Lease {lease.id} of process {lease.pid} for "{lease.operation}" no longer holds: the '
            "lock was given back or taken over. Nothing more was written."
        )
