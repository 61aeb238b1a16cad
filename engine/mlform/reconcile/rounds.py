"""One round of the loop: what monitors saw, what triggers did, what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mlform.address import Address
from mlform.apply import Outcome
from mlform.apply.watch import Watched
from mlform.lazy import dataclass
from mlform.plan import Plan
from mlform.reconcile.triggers import Pull

PLAN: Final = "plan.mlfplan"
REPORT: Final = "report.md"


@dataclass(frozen=True)
class Proposal:
    """What one trigger would have done: the plan, where it lies, whether it is another one now."""

    trigger: Address
    plan: Plan
    folder: Path
    """With the files ``PLAN`` and ``REPORT``."""
    fresh: bool


@dataclass(frozen=True)
class Round:
    """One round, or why it did not come off."""

    number: int
    seconds: float
    seen: tuple[Watched, ...] = ()
    warnings: tuple[str, ...] = ()
    pulls: tuple[Pull, ...] = ()
    outcome: Outcome | None = None
    proposals: tuple[Proposal, ...] = ()
    error: str = ""
    locked: bool = False
    """Whether it was left to another that has the lock."""
    wait: float = 0.0
    """Seconds until the next."""

    @property
    def failed(self) -> bool:
        """Whether anything went wrong."""
        broken = self.outcome is not None and bool(self.outcome.failures)
        return bool(self.error) or broken or any(it.error for it in self.seen)

    @property
    def interrupted(self) -> bool:
        """Whether it was told to stop while it carried something out."""
        return self.outcome is not None and self.outcome.interrupted
