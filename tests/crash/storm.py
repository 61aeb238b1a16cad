"""Processes that write one state, killed, stopped and woken at random moments.

Each takes the lock, of everything or of a part, counts some records up by one, several at a time,
and says each write that came back. One that is refused for a while takes the lock by force, as a
person would: the holder may only be asleep.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest import mock

from tests.state.conftest import make_record

from mlform.address import Address
from mlform.diagnostics import DiagnosedError
from mlform.state import Extent, LockedError, LostLeaseError, lock
from mlform.state.lease import Lease
from mlform.state.model import Record
from mlform.state.store import SqlStore

PROCESSES: Final = 5
ADDRESSES: Final = 4
AT_ONCE: Final = 3
"""How many threads of a process write at the same time."""
_PATIENT: Final = 0.4
"""Seconds that a process is refused by one lease before it takes the lock by force."""
_TTL: Final = 0.9
"""Seconds that a lease lasts from its last beat."""
_PAUSE: Final = (0.5, 1.2)
_PARTLY: Final = 0.7
"""How often the lock is taken of some of the addresses alone."""
_EFFECTS, _SAID, _HOLDER = "effects", "said", "holder"


@dataclass
class Figures:
    """What befell, and what came of it."""

    kills: int = 0
    pauses: int = 0
    server_kills: int = 0
    acknowledged: int = 0
    writes: int = 0
    in_doubt: int = 0
    fenced: int = 0
    forced: int = 0
    errors: int = 0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = {n: v for n, v in vars(self).items() if n not in {"violations", "seconds"}}
        return f"{self.seconds:.0f} s, {told}, violations {len(self.violations)}"


@dataclass(frozen=True)
class Worker:
    """One of the processes."""

    url: str
    folder: Path
    seed: int
    offset: float
    """Seconds by which its clock is wrong."""

    def work(self) -> None:
        """Write without end."""
        chance, real = random.Random(self.seed), time.time  # noqa: S311 - a game, no secret

        def wrong() -> float:
            return real() + self.offset

        with mock.patch("time.time", wrong):
            store, refused = SqlStore(self.url), ("", 0.0)
            while True:
                try:
                    self._run(store, chance)
                except LockedError as error:
                    with suppress(DiagnosedError):  # the server is away for longer
                        refused = self._refused(store, error.holder.id, refused)
                    time.sleep(chance.uniform(0.001, 0.03))
                except LostLeaseError:
                    self._say("fenced")
                except DiagnosedError:
                    self._say("error")
                    time.sleep(0.05)

    def _refused(self, store: SqlStore, by: str, before: tuple[str, float]) -> tuple[str, float]:
        lease, since = before
        if by != lease:
            return by, time.monotonic()
        if time.monotonic() - since > _PATIENT and store.break_lock(by):
            self._say("forced")
        return lease, since

    def _run(self, store: SqlStore, chance: random.Random) -> None:
        run = f"{os.getpid()}-{time.monotonic_ns()}"
        ours, extent = [Address("training_job", f"n{n}") for n in range(ADDRESSES)], None
        if chance.random() < _PARTLY:
            ours = chance.sample(ours, chance.randint(1, ADDRESSES - 1))
            extent = Extent(frozenset(map(str, ours)))
        with (
            store.lock("apply", extent=extent) as lease,
            ThreadPoolExecutor(AT_ONCE) as pool,
        ):
            (self.folder / _HOLDER).write_text(str(os.getpid()))
            for _ in range(chance.randint(2, 8)):
                records = store.snapshot().records
                names = chance.sample(ours, chance.randint(1, min(AT_ONCE, len(ours))))
                begun = [(store, lease, run, a, records.get(a)) for a in names]
                list(pool.map(lambda told: self._step(*told), begun))

    def _step(
        self, store: SqlStore, lease: Lease, run: str, address: Address, record: Record | None
    ) -> None:
        value = 1 if record is None else record.arguments["value"] + 1
        fact = {"value": value, "fence": lease.fence, "whole": lease.extent is None}
        store.intent(lease, run, address, fact)
        self._effect(f"{address.name}-{value}", run)
        serial = store.put(lease, run, make_record(address.name, value), fact)
        self._say("wrote", address.name, value, serial)

    def _effect(self, key: str, run: str) -> None:
        """Do something outside that can be done once for each key, as executors do."""
        with suppress(FileExistsError), (self.folder / _EFFECTS / key).open("x") as file:
            file.write(run)

    def _say(self, *what: object) -> None:
        line = json.dumps(what) + "\n"
        file = os.open(self.folder / _SAID, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.write(file, line.encode())
        os.close(file)


class Storm:
    """Keeps the processes running, and befalls them."""

    def __init__(
        self,
        url: str,
        folder: Path,
        seed: int,
        mutant: Callable[[], object] = lambda: None,
        *,
        clocks: float = 3600.0,
    ) -> None:
        (folder / _EFFECTS).mkdir(parents=True)
        self.url, self.folder, self.mutant, self.clocks = url, folder, mutant, clocks
        self.chance = random.Random(seed)  # noqa: S311 - a game, no secret
        self.running: dict[int, float] = {}
        """Process → when it is to be woken; 0 if it is awake."""
        self.figures = Figures()

    def blow(
        self,
        *,
        kills: int,
        seconds: float,
        server: Callable[[], None] | None = None,
        every: float = 4.0,
    ) -> Figures:
        """Kill that many, or for so long; ``server`` kills and restarts the database."""
        began, served = time.monotonic(), time.monotonic()
        try:
            while self.figures.kills < kills and time.monotonic() - began < seconds:
                while len(self.running) < PROCESSES:
                    self.running[self._start()] = 0.0
                self._let_them_work()
                self._wake()
                self._befall()
                if server is not None and time.monotonic() - served > every:
                    server()
                    self.figures.server_kills += 1
                    served = time.monotonic()
        finally:
            for pid in list(self.running):
                self._kill(pid)
        self.figures.seconds = time.monotonic() - began
        self._judge()
        return self.figures

    def _let_them_work(self) -> None:
        """Wait for a few writes, or a while; then for a moment that is no moment of any write."""
        want = self._size() + self.chance.randint(0, 6) * 20
        deadline = time.monotonic() + 0.5
        while self._size() < want and time.monotonic() < deadline:
            time.sleep(0.003)
            self._wake()
        time.sleep(self.chance.uniform(0.0, 0.05))

    def _size(self) -> int:
        file = self.folder / _SAID
        return file.stat().st_size if file.exists() else 0

    def _start(self) -> int:
        seed, offset = self.chance.random(), self.chance.uniform(-self.clocks, self.clocks)
        worker = Worker(self.url, self.folder, int(seed * 2**32), offset)
        child = os.fork()
        if child == 0:
            try:
                lock.TTL = _TTL  # type: ignore[misc]
                self.mutant()
                worker.work()
            except BaseException:  # noqa: BLE001 - whatever it is, it is told at the end
                (self.folder / f"died-{os.getpid()}").write_text(traceback.format_exc())
            finally:
                os._exit(1)
        return child

    def _befall(self) -> None:
        awake = [pid for pid, until in self.running.items() if not until]
        if not awake:
            return
        kill = self.chance.random() < 0.7
        holder = self._holder()
        aim = self.chance.random() < (0.25 if kill else 0.8)  # asleep, the holder is of interest
        one = holder if holder in awake and aim else self.chance.choice(awake)
        if kill:
            self._kill(one)
            self.figures.kills += 1
        else:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGSTOP)
            self.running[one] = time.monotonic() + self.chance.uniform(*_PAUSE)
            self.figures.pauses += 1

    def _holder(self) -> int | None:
        try:
            return int((self.folder / _HOLDER).read_text())
        except (OSError, ValueError):
            return None

    def _wake(self) -> None:
        now = time.monotonic()
        for pid, until in self.running.items():
            if until and now > until:
                os.kill(pid, signal.SIGCONT)
                self.running[pid] = 0.0

    def _kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        del self.running[pid]
        if not os.WIFSIGNALED(status):
            died = self.folder / f"died-{pid}"
            why = died.read_text() if died.exists() else f"status {status}"
            self.figures.violations.append(f"a process ended by itself: {why}")

    def _judge(self) -> None:
        """Look at what there is now, and hold it against what was said."""
        found, said = self.figures, self._said()
        found.fenced = sum(line[0] == "fenced" for line in said)
        found.forced = sum(line[0] == "forced" for line in said)
        found.errors = sum(line[0] == "error" for line in said)
        told = {(a, v, s) for what, *rest in said if what == "wrote" for a, v, s in [rest]}
        found.acknowledged = len(told)
        store = SqlStore(self.url)
        try:
            found.violations += store.verify()
            serial, journal = store.snapshot().serial, list(store.journal())
        finally:
            store.close()
        done = [e for e in journal if e.operation == "done"]
        found.writes = len(done)
        there = {(str(e.address).split(".")[1], e.detail["value"], e.serial) for e in done}
        found.in_doubt = len(there - told)
        found.violations += [f"acknowledged and lost: {line}" for line in sorted(told - there)]
        if [e.serial for e in done] != list(range(1, serial + 1)):
            found.violations.append("serials are not 1, 2, 3, …")
        found.violations += _counted(done) + _contiguous(journal) + self._effects(done)

    def _said(self) -> list[Any]:
        file = self.folder / _SAID
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def _effects(self, done: list[Any]) -> list[str]:
        """Return what is recorded and never happened, or happened beyond what is recorded."""
        keys = {f"{str(e.address).split('.')[1]}-{e.detail['value']}" for e in done}
        there = {p.name for p in (self.folder / _EFFECTS).iterdir()}
        wrong = [f"recorded, and never happened: {key}" for key in keys - there]
        ahead = Counter(key.split("-")[0] for key in there - keys)
        return wrong + [f"{n} happened {k} steps ahead" for n, k in ahead.items() if k > 1]


def _counted(done: list[Any]) -> list[str]:
    """Return the addresses whose values are not 1, 2, 3, …: a key done twice, or a lost update."""
    values: dict[str, list[int]] = {}
    for entry in done:
        values.setdefault(entry.address, []).append(entry.detail["value"])
    return [
        f"{address} counts {next((a, b) for a, b in zip(v, range(1, len(v) + 1)) if a != b)}"  # noqa: B905 - equally long
        for address, v in values.items()
        if v != list(range(1, len(v) + 1))
    ]


def _contiguous(journal: list[Any]) -> list[str]:
    """Return runs that another wrote into, and fences that went down.

    Of each address by itself, and of everything where a run had the lock of it all.
    """
    wrong: list[str] = []
    ended: dict[str, set[str]] = {}
    last: dict[str, str] = {}
    fences: dict[str, int] = {}
    about = [e for e in journal if e.operation in {"intent", "done"}]
    for entry in about:
        address, run, fence = str(entry.address), entry.run, entry.detail["fence"]
        if run != last.get(address):
            over = ended.setdefault(address, set())
            over.add(last.get(address, ""))
            if run in over:
                wrong.append(f"run {run} goes on after another at {entry.sequence}")
            last[address] = run
        if fence < fences.get(address, 0):
            wrong.append(f"fence {fence} after {fences[address]} at {entry.sequence}")
        fences[address] = max(fence, fences.get(address, 0))
    return wrong + _broken_into(about)


def _broken_into(about: list[Any]) -> list[str]:
    """Return the runs that had the whole state and that another wrote into."""
    places: dict[str, list[int]] = {}
    for place, entry in enumerate(about):
        if entry.detail["whole"]:
            places.setdefault(entry.run, []).append(place)
    return [
        f"run {run} had everything, and another wrote meanwhile"
        for run, them in places.items()
        if them[-1] - them[0] + 1 != len(them)
    ]
