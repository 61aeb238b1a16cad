"""Work that a run did not do: why, and how long it would have taken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from mlform.address import Address
from mlform.lazy import dataclass
from mlform.plan import Action, Decision, Step
from mlform.state.model import Record


@dataclass(frozen=True)
class Spared:
    """One step that was not computed.

    ``reuse``: its key had a result before; the time is what that result took. ``cutoff``: what it
    takes came out as it was; the time is what the plan expected. ``decide``: it was judged anew
    from what is measured; the time is what measuring took, less the judging.
    """

    address: Address
    cause: Literal["reuse", "cutoff", "decide"]
    seconds: float


def spared(step: Step, decision: Decision, seconds: float, record: Record | None) -> Spared | None:
    """Return what a step that took ``seconds`` was spared; ``None`` if nothing.

    ``record`` is what is recorded of it afterwards.
    """
    earlier = decision.realisation
    match decision.action:
        case Action.REUSE if earlier is not None:
            return Spared(step.address, "reuse", _took(earlier.receipt.get("seconds")))
        case Action.DECIDE if earlier is not None:
            less = _took(earlier.receipt.get("seconds")) - seconds
            return Spared(step.address, "decide", round(max(less, 0.0), 3))
        case Action.NO_OP if step.action is Action.MAYBE:
            expected = step.estimate.expected if step.estimate else None
            last = None if record is None else record.receipt.get("seconds")
            return Spared(step.address, "cutoff", _took(last if expected is None else expected))
        case _:
            return None


def untouched(steps: Iterable[Step], records: dict[Address, Record]) -> tuple[int, float]:
    """Return how many steps the plan already left alone, and what they took when they last ran."""
    found = [records[s.address] for s in steps if s.action is Action.NO_OP and s.address in records]
    return len(found), round(sum(_took(r.receipt.get("seconds")) for r in found), 3)


def _took(seconds: float | None) -> float:
    return seconds or 0.0
