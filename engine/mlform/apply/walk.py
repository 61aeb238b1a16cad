"""Run functions in dependency order on a few threads. Knows nothing of plans."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from threading import Event
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


def walk(
    needs: Mapping[K, AbstractSet[K]],
    run: Callable[[K], bool],
    *,
    workers: int,
    stop: Event,
) -> set[K]:
    """Call ``run`` for each key once all it needs returned true. Return the keys that did not."""
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    blocked: set[K] = set()
    running: dict[Future[bool], K] = {}
    with ThreadPoolExecutor(workers, thread_name_prefix="apply") as pool:
        while sorter.is_active():
            for key in sorter.get_ready():
                if stop.is_set() or needs.get(key, frozenset()) & blocked:
                    blocked.add(key)
                    sorter.done(key)
                else:
                    running[pool.submit(run, key)] = key
            if not running:
                continue
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in [f for f in running if f in finished]:  # in the order they began
                key = running.pop(future)
                if not future.result():
                    blocked.add(key)
                sorter.done(key)
    return blocked
