"""Run functions in dependency order on threads, as many as there is room for. Knows no plans."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from queue import Empty, SimpleQueue
from threading import Event
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


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
    _used: dict[str, float] = field(default_factory=dict)

    def full(self, amounts: Mapping[str, float]) -> set[str]:
        """Return what there is too little left of for these amounts."""
        return {n for n, a in amounts.items() if a + self._used.get(n, 0) > self._size(n, a) + 1e-9}

    def _size(self, name: str, amount: float) -> float:
        return self.sizes.get(name, amount) + self.more(name)

    def take(self, key: K) -> None:
        """Take what a key takes."""
        for name, amount in self.takes(key).items():
            self._used[name] = self._used.get(name, 0) + amount

    def give(self, key: K) -> None:
        """Give it back."""
        for name, amount in self.takes(key).items():
            self._used[name] -= amount


def walk(
    needs: Mapping[K, AbstractSet[K]],
    run: Callable[[K], bool],
    *,
    room: Room[K],
    stop: Event,
) -> set[K]:
    """Call ``run`` for each key once all it needs returned true. Return the keys that did not."""
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    blocked: set[K] = set()
    running: dict[K, None] = {}
    ended: SimpleQueue[tuple[K, bool | BaseException]] = SimpleQueue()
    waiting: dict[str, deque[K]] = {}

    def carry_out(key: K) -> None:
        try:
            ended.put((key, run(key)))
        except BaseException as error:  # noqa: BLE001 - raised by who waits for it
            ended.put((key, error))

    with ThreadPoolExecutor(room.threads, thread_name_prefix="apply") as pool:
        while sorter.is_active():
            for key in sorter.get_ready():
                if stop.is_set() or needs.get(key, frozenset()) & blocked:
                    blocked.add(key)
                    sorter.done(key)
                else:
                    waiting.setdefault(room.lane(key), deque()).append(key)
            if stop.is_set():
                for key in (k for queue in waiting.values() for k in queue):
                    blocked.add(key)
                    sorter.done(key)
                waiting.clear()
            for lane, queue in waiting.items():
                for key in _admitted(lane, queue, room):
                    running[key] = None
                    pool.submit(carry_out, key)
            if not running:
                continue
            over = dict(_all(ended))
            for key in [k for k in running if k in over]:  # in the order they began
                del running[key]
                room.give(key)
                came_off = over[key]
                if isinstance(came_off, BaseException):
                    raise came_off
                if not came_off:
                    blocked.add(key)
                sorter.done(key)
    return blocked


def _all(queue: SimpleQueue[T]) -> Iterator[T]:
    """Wait for one, and give all that are there by then."""
    yield queue.get()
    with suppress(Empty):
        while True:
            yield queue.get_nowait()


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
