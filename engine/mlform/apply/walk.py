"""Run functions in dependency order on threads, as many as there is room for. Knows no plans."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from threading import Event, Lock
from typing import Final, Generic, TypeVar

from mlform.apply.devices import Devices

K = TypeVar("K", bound=Hashable)
GPU: Final = "gpu"
"""What runs take of this name they take of single devices."""


@dataclass
class Room(Generic[K]):
    """How much there is of what runs share, and what each run takes of it while it lasts.

    ``lane`` puts each key in a queue; one that waits there holds up none in another lane.
    """

    sizes: Mapping[str, float]
    takes: Callable[[K], Mapping[str, float]]
    lane: Callable[[K], str]
    threads: int
    """The most that run at once, whatever there is room for."""
    more: Callable[[str], float] = lambda _name: 0
    """How much more there is of something at this moment than its size says."""
    devices: Devices[K] = field(default_factory=Devices)
    _used: dict[str, float] = field(default_factory=dict)

    def full(self, amounts: Mapping[str, float]) -> set[str]:
        """Return what there is too little left of for these amounts."""
        return {n for n, a in amounts.items() if not self._fits(n, a)}

    def _fits(self, name: str, amount: float) -> bool:
        if name == GPU:
            return self.devices.fit(amount) is not None
        there = self.sizes.get(name, amount) + self.more(name)
        return amount + self._used.get(name, 0) <= there + 1e-9

    def take(self, key: K) -> None:
        """Take what a key takes."""
        for name, amount in self.takes(key).items():
            if name == GPU:
                self.devices.take(key, amount)
            else:
                self._used[name] = self._used.get(name, 0) + amount

    def give(self, key: K) -> None:
        """Give it back."""
        for name, amount in self.takes(key).items():
            if name == GPU:
                self.devices.give(key)
            else:
                self._used[name] -= amount


def walk(
    needs: Mapping[K, AbstractSet[K]],
    run: Callable[[K], bool],
    *,
    room: Room[K],
    stop: Event,
) -> set[K]:
    """Call ``run`` for each key once all it needs returned true. Return the keys that did not."""
    with ThreadPoolExecutor(room.threads, thread_name_prefix="apply") as pool:
        walking = _Walk(needs, run, room, stop, pool)
        try:
            walking.begin()
            walking.over.wait()
        finally:
            walking.halt()
    if walking.error is not None:
        raise walking.error
    return walking.blocked


class _Walk(Generic[K]):
    """One walk. The thread whose key is over says what is next, and goes on with it itself."""

    def __init__(
        self,
        needs: Mapping[K, AbstractSet[K]],
        run: Callable[[K], bool],
        room: Room[K],
        stop: Event,
        pool: ThreadPoolExecutor,
    ) -> None:
        self.blocked: set[K] = set()
        self.over = Event()
        self.error: BaseException | None = None
        self._needs, self._run, self._room, self._stop, self._pool = needs, run, room, stop, pool
        self._guard = Lock()
        self._sorter = TopologicalSorter(needs)
        self._sorter.prepare()
        self._waiting: dict[str, deque[K]] = {}
        self._running = 0
        self._halted = False

    def begin(self) -> None:
        """Begin with what needs nothing."""
        with self._guard:
            self._hand_out(self._next())

    def halt(self) -> None:
        """Let nothing more begin."""
        with self._guard:
            self._halted = True

    def _hand_out(self, keys: Sequence[K]) -> None:
        for key in keys:
            self._pool.submit(self._carry_out, key)

    def _carry_out(self, key: K) -> None:
        following: K | None = key
        while following is not None:
            came_off, error = False, None
            try:
                came_off = self._run(following)
            except BaseException as raised:  # noqa: BLE001 - raised by who waits for it
                error = raised
            try:
                following = self._after(following, error, came_off=came_off)
            except BaseException as raised:  # noqa: BLE001 - as above: a thread is not to be had
                self.error, following = self.error or raised, None
                self._halted = True  # what is next is not known any more: nobody is to look for it
                self.over.set()

    def _after(self, key: K, error: BaseException | None, *, came_off: bool) -> K | None:
        """Return what the thread of a key that is over goes on with."""
        with self._guard:
            self._end(key, error, came_off=came_off)
            admitted = self._next()
            self._hand_out(admitted[1:])
        return admitted[0] if admitted else None

    def _end(self, key: K, error: BaseException | None, *, came_off: bool) -> None:
        self._running -= 1
        self._room.give(key)
        if error is not None:
            self.error, self._halted = self.error or error, True
        if not came_off:
            self.blocked.add(key)
        self._sorter.done(key)

    def _next(self) -> list[K]:
        """Return what is to begin now; where nothing is and nothing runs, the walk is over."""
        admitted: list[K] = []
        while self._sorter.is_active() and not self._halted:
            admitted = self._admitted()
            if admitted or self._running:
                break
        self._running += len(admitted)
        if not self._running:
            self.over.set()
        return admitted

    def _admitted(self) -> list[K]:
        self._sort_in(self._sorter.get_ready())
        lanes = self._waiting.items()
        return [key for lane, queue in lanes for key in _admitted(lane, queue, self._room)]

    def _sort_in(self, ready: Iterable[K]) -> None:
        stopped = self._stop.is_set()
        for key in ready:
            if stopped or self._needs.get(key, frozenset()) & self.blocked:
                self._block(key)
            else:
                self._waiting.setdefault(self._room.lane(key), deque()).append(key)
        if stopped:
            for key in (k for queue in self._waiting.values() for k in queue):
                self._block(key)
            self._waiting.clear()

    def _block(self, key: K) -> None:
        self.blocked.add(key)
        self._sorter.done(key)


def _admitted(lane: str, queue: deque[K], room: Room[K]) -> list[K]:
    """Take from a lane what there is room for now.

    What is too large for what is left keeps that for itself: nothing behind it that wants the
    same goes first, or it might wait for ever.
    """
    found: list[K] = []
    passed: list[K] = []
    kept: set[str] = set()
    while queue and lane not in kept:
        key = queue.popleft()
        amounts = room.takes(key)
        if full := room.full(amounts) | (amounts.keys() & kept):
            kept |= full
            passed.append(key)
        else:
            room.take(key)
            found.append(key)
    queue.extendleft(reversed(passed))
    return found
