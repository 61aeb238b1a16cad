"""How long a whole plan takes: the certain part, what is likely, the worst case."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from mlform.address import Address
from mlform.lazy import dataclass
from mlform.plan.model import Action, Plan, Step


@dataclass(frozen=True)
class Length:
    """Seconds of work, and seconds on the clock with so many steps at once."""

    work: float
    clock: float


@dataclass(frozen=True)
class Times:
    """What a plan takes. Steps without a history count as nothing and are named.

    ``certain``: each step that runs for certain at its p50. ``likely``: those that may run as
    well, by how likely they are to. ``worst``: every step at its p90.
    """

    certain: Length
    likely: Length
    worst: Length
    parallelism: int
    timed: int
    runs: int
    """How many earlier runs the estimates are made from."""
    unknown: Sequence[Address] = ()
    """Steps of which nothing like them was done before."""


def times(plan: Plan, parallelism: int = 2) -> Times | None:
    """Return how long a plan takes; ``None`` where nothing in it takes time."""
    timed = [s for s in plan.steps if s.estimate is not None]
    if not timed:
        return None
    certain = [0.0 if s.action is Action.MAYBE else _expected(s) for s in plan.steps]
    likely = [_expected(s) * _chance(s) for s in plan.steps]
    worst = [_most(s) for s in plan.steps]
    return Times(
        _length(plan.steps, certain, parallelism),
        _length(plan.steps, likely, parallelism),
        _length(plan.steps, worst, parallelism),
        parallelism,
        sum(s.estimate is not None and s.estimate.runs > 0 for s in timed),
        sum(s.estimate.runs for s in timed if s.estimate is not None),
        tuple(s.address for s in timed if s.estimate is not None and not s.estimate.runs),
    )


def _expected(step: Step) -> float:
    return (step.estimate.expected or 0.0) if step.estimate else 0.0


def _most(step: Step) -> float:
    return (step.estimate.most or 0.0) if step.estimate else 0.0


def _chance(step: Step) -> float:
    return step.estimate.chance if step.estimate else 1.0


def _length(steps: Sequence[Step], seconds: Sequence[float], workers: int) -> Length:
    work = sum(seconds)
    return Length(round(work, 3), round(clock(steps, seconds, workers), 3))


def clock(steps: Sequence[Step], seconds: Sequence[float], workers: int) -> float:
    """Return when the last step is over if they run as apply runs them, each so many seconds.

    Steps begin as soon as what they need is over and a worker is free, in the order of becoming
    ready.
    """
    if not any(seconds):
        return 0.0
    waits, after = _edges(steps)
    free = [0.0] * workers
    ready = [(0.0, n) for n, count in enumerate(waits) if not count]
    heapq.heapify(ready)
    ends = [0.0] * len(steps)
    over = 0.0
    while ready:
        since, number = heapq.heappop(ready)
        lasts = seconds[number]
        end = since
        if lasts:
            end = max(since, heapq.heappop(free)) + lasts
            heapq.heappush(free, end)
        over = max(over, end)
        for later in after[number]:
            ends[later] = max(ends[later], end)
            waits[later] -= 1
            if not waits[later]:
                heapq.heappush(ready, (ends[later], later))
    return over


def _edges(steps: Sequence[Step]) -> tuple[list[int], list[list[int]]]:
    """Return how many steps each waits for, and which wait for it, by position."""
    places = {s.address: n for n, s in enumerate(steps) if not s.deposed}
    needs = [{places[a] for a in s.needs if a in places} for s in steps]
    after: list[list[int]] = [[] for _ in steps]
    for number, needed in enumerate(needs):
        for earlier in needed:
            after[earlier].append(number)
    return [len(n) for n in needs], after
