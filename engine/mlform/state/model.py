"""Records, runs and events, and what any store of them must do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import chain, count
from typing import Any, Protocol
from urllib.parse import quote

from mlform.address import Address
from mlform.diagnostics import stop
from mlform.lazy import dataclass, field
from mlform.state.lease import Extent, Lease, Work
from mlform.values import Handle


@dataclass(frozen=True)
class Record:
    """One applied resource instance.

    ``arguments`` and ``attributes`` are plain data (handles tagged, nothing sensitive in clear).
    ``key`` is the action key, ``decision_key`` the hash of the decision arguments (``None`` where
    there are none), ``digest`` the content hash of the attributes that count. ``parts`` are the
    facts from outside the key was made of, ``code`` and ``environment`` what the key had for user
    code (``{file: {function: hash}}``) and for distributions (``{name: version}``): kept so that a
    plan can name what changed. ``needs`` are direct edges only.
    """

    address: Address
    type: str
    key: str
    decision_key: str | None
    digest: str
    arguments: Mapping[str, Any]
    attributes: Mapping[str, Any]
    parts: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[Address, ...] = ()
    held: tuple[str, ...] = ()
    protected: bool = False
    receipt: Mapping[str, Any] = field(default_factory=dict)
    """Who, when, in which run, how long, from which commit, and why it ran."""
    create_first: bool = False
    """A replacement is made before this goes (``create_before_destroy``, its own or forced)."""
    deposed: tuple[Record, ...] = ()
    """Objects that replacements left behind and that are still there, newest first."""

    @property
    def tainted(self) -> bool:
        """Whether it is to be made again: left unfinished, or marked by ``taint``."""
        return bool(self.receipt.get("tainted"))


def folder_name(address: str) -> str:
    """Return an address as the name of one folder."""
    return quote(address, safe='[]"')


def home_of(record: Record) -> str:
    """Return the name of the folder of a resource: that of its first address."""
    return str(record.receipt.get("home") or folder_name(str(record.address)))


def homes_of(record: Record) -> tuple[str, ...]:
    """Return the folders of a resource and of what its replacements left behind."""
    return home_of(record), *map(home_of, record.deposed)


def free_home(address: Address, taken: Callable[[str], bool]) -> str:
    """Return the name of a folder for a new resource: one that no other has."""
    first = folder_name(str(address))
    names = chain([first], (f"{first}~{n}" for n in count(1)))
    return next(name for name in names if not taken(name))


def homes_at(address: Address, names: Iterable[str]) -> list[str]:
    """Return those names of folders that ``free_home`` gives to an address."""
    first = folder_name(str(address))
    return [n for n in names if n == first or n.rpartition("~")[0] == first]


@dataclass(frozen=True)
class Snapshot:
    """Everything recorded at one serial."""

    lineage: str
    serial: int
    records: Mapping[Address, Record]
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """Output name → ``{"value": …, "sensitive": bool}``; a sensitive value is a tagged digest."""
    worth: dict[tuple[Address, type], Handle] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    """What records are worth to expressions, by address and attributes, as far as anyone asked."""


@dataclass(frozen=True)
class Realisation:
    """One result a key has had. A key may have several; exactly one is selected."""

    key: str
    digest: str
    attributes: Mapping[str, Any]
    receipt: Mapping[str, Any]


@dataclass(frozen=True)
class Revision:
    """What is changed by hand in a state: nothing is made or destroyed by it.

    ``records`` has what there is at an address from now on (``None``: nothing). ``outputs`` are
    those from now on, ``None`` leaves them. ``serial`` is the least that it must raise the serial
    to: what comes from a later state is later than what was here.
    """

    detail: Mapping[str, Any]
    records: Mapping[Address, Record | None]
    outputs: Mapping[str, Any] | None = None
    serial: int = 0


@dataclass(frozen=True)
class Entry:
    """One line of the journal, append-only: ``serial`` is 0 for what changed no record."""

    sequence: int
    serial: int
    run: str
    at: datetime
    operation: str
    """``intent``, ``done``, ``failed``, ``forget``, ``event``, ``consume``, ``run``, …"""
    address: str | None
    detail: Mapping[str, Any]
    sha256: str
    """Chained: the hash of this entry and of the one before."""


@dataclass(frozen=True)
class Spent:
    """What one step took, once: a line of the history that estimates are made from.

    ``rows`` are those of the largest dataset it was made from. ``changed`` is whether its output
    differed from the one before (``None``: there was none). ``expected`` and ``most`` are the p50
    and p90 that its plan gave.
    """

    address: str
    action: str
    seconds: float
    rows: int | None = None
    changed: bool | None = None
    expected: float | None = None
    most: float | None = None

    def as_data(self) -> dict[str, Any]:
        """Return it as a journal entry keeps it, beside the address."""
        return {n: v for n, v in vars(self).items() if n != "address"}


@dataclass(frozen=True)
class AlarmEvent:
    """An alarm as recorded: immutable, consumed once."""

    id: str
    monitor: str
    at: datetime
    payload: Mapping[str, Any]
    consumed_by: Mapping[str, str] = field(default_factory=dict)
    """Trigger address → what came of it."""


class Store(Protocol):
    """Where state lives. Each write is durable when the call returns."""

    def snapshot(self) -> Snapshot:
        """Return everything recorded now."""
        ...

    def lock(
        self,
        operation: str,
        wait: float = 0.0,
        waiting: Callable[[Lease], None] = lambda _holder: None,
        extent: Extent | None = None,
    ) -> AbstractContextManager[Lease]:
        """Take the lock for the length of a ``with`` block: of what is in ``extent``, or of all.

        Raises ``LockedError`` if another has it for ``wait`` seconds from now; ``waiting`` hears of
        each who has it meanwhile. A holder whose process is gone (same host), or whose lease was
        not renewed in time, loses it to the next who asks.
        """
        ...

    def leases(self) -> Sequence[Lease]:
        """Return who has the lock now, the oldest first: several, where each has a part."""
        ...

    def await_free(
        self, wait: float = 0.0, waiting: Callable[[Lease], None] = lambda _holder: None
    ) -> Sequence[Lease]:
        """Return who has parts of the lock, once nobody has the whole.

        Raises ``LockedError`` if someone has the whole for ``wait`` seconds from now.
        """
        ...

    def renew(self, lease: Lease) -> bool:
        """Renew a lease at once, though it is renewed anyway; ``False`` if another has taken it."""
        ...

    def announce(self, lease: Lease, work: Work) -> None:
        """Tell whoever is refused the lock what it is held for."""

    def break_lock(self, lease: str) -> bool:
        """Take the lock from a lease by its id, and journal it; ``False`` if it has it no more."""
        ...

    def intent(self, lease: Lease, run: str, address: Address, detail: Mapping[str, Any]) -> None:
        """Journal that a side effect is about to happen."""

    def submitted(
        self, lease: Lease, run: str, address: Address, detail: Mapping[str, Any]
    ) -> None:
        """Journal what an engine knows the job by that was just handed to it."""

    def failed(self, lease: Lease, run: str, address: Address, detail: Mapping[str, Any]) -> None:
        """Journal that it did not come off."""

    def put(self, lease: Lease, run: str, record: Record, detail: Mapping[str, Any]) -> int:
        """Write one record in place of any older one; return the new serial."""
        ...

    def move(self, lease: Lease, run: str, records: Mapping[Address, Record]) -> int:
        """Write records in place of those at the addresses given, at once; return the serial.

        An address may be that of another record now: all that is given goes before any comes.
        """
        ...

    def forget(self, lease: Lease, run: str, address: Address, detail: Mapping[str, Any]) -> int:
        """Drop one record; return the new serial."""
        ...

    def revise(self, lease: Lease, run: str, revision: Revision) -> int:
        """Write and drop records by hand, all of them at once; return the new serial."""
        ...

    def approve(self, lease: Lease, run: str, address: Address, detail: Mapping[str, Any]) -> None:
        """Journal that someone agrees to what would be done to a resource."""

    def approvals(self) -> Sequence[Entry]:
        """Return the entries of all that was ever agreed to, oldest first."""
        ...

    def put_outputs(self, lease: Lease, run: str, outputs: Mapping[str, Any]) -> None:
        """Write the outputs that the lease covers, if they differ (no new serial if not)."""

    def history(
        self, addresses: Sequence[str], serial: int, most: int
    ) -> Mapping[str, Sequence[Spent]]:
        """Return what the steps at these addresses took up to a serial, the newest first.

        At most ``most`` of each; an address without any is missing.
        """
        ...

    def destroyed(self, serial: int, most: int) -> Sequence[Spent]:
        """Return what it took to destroy things up to a serial, newest first."""
        ...

    def estimated(self, serial: int, most: int) -> Sequence[Spent]:
        """Return the last steps up to a serial that had an estimate, newest first."""
        ...

    def ran(self, lease: Lease, run: str, detail: Mapping[str, Any]) -> None:
        """Journal that a run is over, and what came of what it did not do."""

    def made(
        self, address: Address, run: str | None = None, before: int | None = None
    ) -> Entry | None:
        """Return the last entry that tells how a record was made: in a run, or before a sequence.

        ``None`` where there is none. What only marks a record (taint, a monitor's look) is none.
        """
        ...

    def since(self, serial: int) -> Sequence[Entry]:
        """Return the entries that raised the serial beyond one, oldest first."""
        ...

    def runs(self) -> Sequence[Entry]:
        """Return the entry of each run that did anything, oldest first."""
        ...

    def unfinished(self) -> Sequence[Entry]:
        """Return the intents that neither came off nor failed: a run was killed there."""
        ...

    def journal(self, address: Address | None = None, *, moved: bool = False) -> Iterator[Entry]:
        """Return the journal, oldest first, of one address or of all.

        ``moved``: of what is at the address now, under those that it had before, too.
        """
        ...

    def verify(self) -> Sequence[str]:
        """Check the hash chain and every record's own hash; return what is wrong."""
        ...

    def reseal(self, lease: Lease, run: str) -> int:
        """Write everything anew, encrypted as is configured now, or not; return how many rows."""
        ...

    def realisations(self, keys: Sequence[str]) -> Mapping[str, Realisation]:
        """Return the selected realisation of each key that has one."""
        ...

    def realise(self, lease: Lease, realisation: Realisation, *, select: bool = True) -> None:
        """Remember a result under its key and select it; without ``select``, beside the others."""

    def purged(
        self, lease: Lease, run: str, keys: Sequence[str], detail: Mapping[str, Any]
    ) -> None:
        """Forget every result of these keys, and journal what is deleted for good."""

    def results(self) -> Iterator[Realisation]:
        """Return every result that every key has had."""
        ...

    def all_realisations(self, key: str) -> Sequence[Realisation]:
        """Return every realisation of a key, the selected one first."""
        ...

    def raise_alarm(
        self, lease: Lease, run: str, monitor: Address, payload: Mapping[str, Any]
    ) -> AlarmEvent | None:
        """Record an alarm. ``None`` if the same alarm (same monitor and payload) is recorded."""
        ...

    def alarms(self) -> Sequence[AlarmEvent]:
        """Return every alarm, oldest first."""
        ...

    def reactions(self, after: int = 0) -> Sequence[Entry]:
        """Return the entries that tell of alarms and of triggers, oldest first.

        That is what was raised, acted on, moved and revised, and what became of each trigger;
        those alone that come ``after`` an entry.
        """
        ...

    def consume(self, lease: Lease, run: str, event: str, trigger: str, outcome: str) -> None:
        """Mark an alarm as acted on by a trigger; once is for ever."""

    def pull(
        self,
        lease: Lease,
        run: str,
        trigger: Address,
        events: Sequence[str],
        detail: Mapping[str, Any],
    ) -> None:
        """Mark alarms as acted on, and journal what their trigger moved for them.

        ``detail`` has ``why``, what is called ``moved``, and the ``tick`` if there was one.
        """


def damaged(detail: str) -> Exception:
    """Return the error for a state that cannot be believed."""
    return stop(
        "State is damaged",
        f"{detail} Nothing was changed. Restore the state from a backup, or look at it with "
        "`mlform state list`.",
    )
