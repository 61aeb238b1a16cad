"""How long things take, in words: of a step, of a plan, and how far that was off before."""

from __future__ import annotations

from collections.abc import Sequence

from mlform.address import Address
from mlform.diagnostics import counted
from mlform.plan import Action, Plan, Step
from mlform.plan.times import Times, times
from mlform.render.values import between, seconds


def lasting(step: Step) -> str:
    """Say how long a step is expected to take, and how likely it is to run; ``""`` if unknown."""
    it = step.estimate
    if it is None or it.expected is None or it.most is None:
        return ""
    likely = "" if it.chance >= 1 else f", {it.chance:.0%} likely"
    return f"{between(it.expected, it.most)}{likely}"


def together(steps: Sequence[Step]) -> str:
    """Say how much work several steps are expected to be; ``""`` if none ran before."""
    known = [s.estimate for s in steps if s.estimate is not None and s.estimate.runs]
    if not known:
        return ""
    least = sum((e.expected or 0.0) * e.chance for e in known)
    length = between(least, sum(e.most or 0.0 for e in known))
    return (
        f"{length} together" if len(known) == len(steps) else f"{length} for {len(known)} of them"
    )


def totals(plan: Plan, parallelism: int) -> list[str]:
    """Say how long a plan takes, what that leaves out, and how good such words were before."""
    it = times(plan, parallelism)
    if it is None:
        return []
    if not it.timed:
        if reused := sum(step.action is Action.REUSE for step in plan.steps):
            taken = f"{counted(reused, 'result')} of before {'is' if reused == 1 else 'are'} taken"
            rest = f"of which nothing was done before: {_named(it.unknown)}"
            return [
                f"Time: {taken} again, which takes none; there is no estimate of the rest, {rest}."
            ]
        return ["Time: nothing of this was done before, so there is no estimate."]
    clock = between(it.certain.clock, it.worst.clock) + _likely(it)
    work = between(it.certain.work, it.worst.work)
    lines = [f"Time: {clock}."]
    if work != between(it.certain.clock, it.worst.clock):
        lines = [f"Time: {clock} with {it.parallelism} at once; {work} of work."]
    if it.unknown:
        lines.append(f"Not counted, for want of a history: {_named(it.unknown)}.")
    if (was := plan.accuracy) is not None:
        many = f"{was.steps} estimates were" if was.steps > 1 else "estimate was"
        half = f", half of them within ×{was.median:g}" if was.steps > 1 else ""
        lines.append(f"The last {many} within ×{was.worst:g}{half}.")
    return lines


def _named(addresses: Sequence[Address]) -> str:
    more = f" and {len(addresses) - 3} more" if len(addresses) > 3 else ""
    return ", ".join(map(str, addresses[:3])) + more


def _likely(it: Times) -> str:
    text = seconds(it.likely.clock)
    return "" if text == seconds(it.certain.clock) else f" (likely {text})"
