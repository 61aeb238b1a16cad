"""How long steps will take, from how long they took: pure, and honest about how little is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Final

from mlform.address import Address
from mlform.lazy import dataclass, field, replace
from mlform.plan.decide import Decision
from mlform.plan.model import Accuracy, Action, Estimate, Step
from mlform.state.model import Spent

LAST: Final = 12
"""How many earlier runs of a step are looked at: older ones ran other code on other machines."""
LOOKED_AT: Final = 100
"""How many destroys are looked at, whatever was destroyed."""
SHORTEST: Final = 0.05
"""Estimates of steps shorter than this many seconds say nothing about the estimator."""

_WORK: Final = frozenset(
    {Action.RUN, Action.CREATE, Action.ROLL, Action.REPLACE, Action.MAYBE, Action.UPDATE}
)
_LIKE: Final[Mapping[str, Action]] = {
    Action.CREATE: Action.RUN,
    Action.REPLACE: Action.RUN,
    Action.ROLL: Action.RUN,
    Action.MAYBE: Action.RUN,
}
"""Actions that do the same work as another."""
_TIMED: Final = _WORK | {Action.DECIDE, Action.DESTROY}

_QUANTILES: Final = (3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397, 1.383, 1.372)
"""The 0.9 quantile of Student's t with 1, 2, … degrees of freedom."""
_PRIOR: Final = 2
"""What is taken for granted weighs as much as this many runs ..."""
_SPREAD: Final = 0.25
"""... that differ by about a quarter, as runs of one thing on one machine do."""
_LINE: Final = 2
"""A line goes through any two runs: only more of them tell of one."""
SHORT: Final = 0.001
"""Shorter times are taken for this, in seconds."""


@dataclass(frozen=True)
class History:
    """What earlier steps took: by address, newest first, and the last ones with an estimate.

    ``destroyed`` is what it took to destroy things of a kind: most are destroyed but once.
    """

    spent: Mapping[str, Sequence[Spent]] = field(default_factory=dict)
    estimated: Sequence[Spent] = ()
    destroyed: Mapping[str, Sequence[Spent]] = field(default_factory=dict)


Past = Callable[[Sequence[str]], History]
"""Addresses → what their steps took up to the serial that a plan is made from."""


def no_past(_addresses: Sequence[str]) -> History:
    """Return no history."""
    return History()


def by_kind(spent: Iterable[Spent]) -> Mapping[str, Sequence[Spent]]:
    """Return lines of the history by the kinds that they are about."""
    found: dict[str, list[Spent]] = {}
    for line in spent:
        found.setdefault(Address.parse(line.address).kind, []).append(line)
    return found


def estimated(steps: Sequence[Step], past: Past) -> tuple[list[Step], Accuracy | None]:
    """Return steps with their estimates. Asks for the past once, and not if nothing is done."""
    timed = [str(s.address) for s in steps if _is_timed(s)]
    if not timed:
        return list(steps), None
    history = past(timed)
    found: list[Step] = []
    rows: dict[str, int] = {}
    made: dict[str, Step] = {}
    for step in steps:
        name = str(step.address)
        known = [rows[str(a)] for a in step.refers_to if str(a) in rows]
        size = step.rows if step.rows is not None else max(known, default=None)
        if size is not None:
            rows[name] = size
        if _is_timed(step):
            expected = _estimate(step, history, size)
            step = replace(step, estimate=replace(expected, chance=_chance(step, made)))  # noqa: PLW2901 - the same step
        if not step.deposed:
            made[name] = step
        found.append(step)
    return found, accuracy(history.estimated)


def _is_timed(step: Step) -> bool:
    return step.action in _TIMED and not step.quiet


def _estimate(step: Step, history: History, rows: int | None) -> Estimate:
    before = history.spent.get(str(step.address), ())
    if step.action is not Action.DESTROY:
        return estimate(before, step.action, rows)
    own = estimate(before, step.action, None)
    like = history.destroyed.get(step.address.kind, ())
    return own if own.runs else estimate(like, step.action, None)


def estimate(spent: Sequence[Spent], action: Action, rows: int | None) -> Estimate:
    """Estimate one step from its earlier runs, newest first.

    ``most`` is a prediction limit: of a hundred such steps about ninety take no longer. With few
    runs it is far off the middle, as what is known of one run's spread is mostly assumed.
    """
    like = _LIKE.get(action, action)
    same = [s for s in spent if _LIKE.get(s.action, s.action) == like][:LAST]
    if action is Action.MAYBE and not same:
        same = [s for s in spent if s.action == Action.UPDATE][:LAST]
    compared = [s for s in spent if s.changed is not None and s.action in _TIMED]
    changed = sum(bool(s.changed) for s in compared)
    if not same:
        return Estimate(rows=rows, changed=changed, compared=len(compared))
    middle, most = _predicted(same, rows)
    return Estimate(round(middle, 3), round(most, 3), len(same), rows, changed, len(compared))


Law = Callable[[float], float]
"""Rows → seconds."""


def _predicted(same: Sequence[Spent], rows: int | None) -> tuple[float, float]:
    """Return the p50 and p90 of the next run.

    Whether time grows with rows is itself not known: each law that may hold is weighed by how well
    it tells the runs there were, and where they disagree the range is wider.
    """
    points = [(float(s.rows or 0), max(s.seconds, SHORT)) for s in same]
    at = float(rows or 0)
    if not rows or any(not s.rows for s in same):
        points, at = [(1.0, t) for _, t in points], 1.0
    laws = _laws(points)
    errors = [_error(law, points) for law in laws]
    scores = [(_PRIOR * _SPREAD**2 + e) ** (-len(points) / 2) for e in errors]
    weights = [s / sum(scores) for s in scores]
    logs = [math.log(max(law(at), SHORT)) for law in laws]
    middle = sum(w * g for w, g in zip(weights, logs, strict=True))
    apart = sum(w * (g - middle) ** 2 for w, g in zip(weights, logs, strict=True))
    lined = weights[2] if len(weights) > 2 else 0.0
    freedom = _PRIOR + len(points) - 1
    noise = _PRIOR * _SPREAD**2 + sum(w * e for w, e in zip(weights, errors, strict=True))
    spread = noise / max(freedom - lined, 1) * (1 + 1 / len(points) + lined * _reach(points, at))
    quantile = _QUANTILES[min(freedom, len(_QUANTILES)) - 1]
    most = middle + quantile * math.sqrt(spread + apart)
    return math.exp(middle), math.exp(min(most, 600.0))


def _laws(points: Sequence[tuple[float, float]]) -> list[Law]:
    """Return how time may depend on rows: not at all, in proportion, on a rising line."""
    level = median(t for _, t in points)
    if len({r for r, _ in points}) == 1 and points[0][0] == 1.0:
        return [lambda _rows: level]
    rate = median(t / r for r, t in points)
    laws: list[Law] = [lambda _rows: level, lambda rows: rate * rows]
    slopes = [(t - u) / (r - q) for (r, t), (q, u) in combinations(points, 2) if r != q]
    if len(points) > _LINE and slopes:
        # The median of slopes (Theil and Sen): one odd run does not turn it.
        slope = max(0.0, median(slopes))
        start = max(0.0, median(t - slope * r for r, t in points))
        laws.append(lambda rows: start + slope * rows)
    return laws


def _error(law: Law, points: Sequence[tuple[float, float]]) -> float:
    """Return the sum of squares by which a law misses runs, as logarithms of factors."""
    return sum(math.log(t / max(law(r), SHORT)) ** 2 for r, t in points)


def _reach(points: Sequence[tuple[float, float]], at: float) -> float:
    """Return how much less sure a line is so far from the runs that it was drawn through."""
    mean = sum(r for r, _ in points) / len(points)
    around = sum((r - mean) ** 2 for r, _ in points)
    return min((at - mean) ** 2 / around, 10.0) if around else 0.0


def _chance(step: Step, before: Mapping[str, Step]) -> float:
    """Return how likely a step is to run: one of what it waits for must come out different."""
    waits = [r.subject for r in step.reasons if r.what == "upstream"]
    if step.action is not Action.MAYBE or not waits:
        return 1.0
    same = 1.0
    for name in waits:
        same *= 1.0 - differs(before.get(name))
    return round(1.0 - same, 3)


def differs(step: Step | None) -> float:
    """Return how likely the output of a step is to change: certain where nothing tells."""
    if step is None or step.estimate is None:
        return 1.0
    it = step.estimate
    return it.chance * (it.changed + 1) / (it.compared + 1)


def spent(step: Step, decision: Decision, seconds: float, *, differs: bool | None) -> Spent | None:
    """Return what a step took beside what was expected of it; ``None`` where nothing was called.

    ``differs`` is whether its output is another than before, ``None`` where there was none.
    """
    if decision.action is Action.REUSE or decision.quiet:
        return None
    estimate = step.estimate or Estimate()
    return Spent(
        address=str(step.address),
        action=decision.action.value,
        seconds=round(seconds, 3),
        rows=step.rows if step.rows is not None else estimate.rows,
        changed=differs,
        expected=estimate.expected,
        most=estimate.most,
    )


def removed(step: Step, seconds: float) -> Spent:
    """Return what it took to destroy what a step removes, or replaces."""
    told = step.estimate if step.action is Action.DESTROY else None
    return Spent(
        address=str(step.address),
        action=Action.DESTROY.value,
        seconds=round(seconds, 3),
        expected=told.expected if told else None,
        most=told.most if told else None,
    )


def median(values: Iterable[float]) -> float:
    """Return the one in the middle. The library for it is loaded only where anything is to run."""
    from statistics import median as middle  # noqa: PLC0415 - it takes longer to load than to plan

    return float(middle(values))


def accuracy(found: Sequence[Spent]) -> Accuracy | None:
    """Return how far the last estimates were off."""
    told = [s for s in found if s.expected and max(s.seconds, s.expected) >= SHORTEST]
    if not told:
        return None
    factors = [max(s.seconds, SHORT) / (s.expected or 1.0) for s in told]
    off = sorted(max(f, 1 / f) for f in factors)
    within = sum(s.seconds <= (s.most or 0.0) for s in told)
    return Accuracy(len(told), round(median(off), 2), round(off[-1], 2), within)
