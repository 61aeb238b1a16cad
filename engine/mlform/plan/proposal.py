"""What a trigger proposes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mlform.address import Address
from mlform.lazy import dataclass
from mlform.plan.model import Plan

PLAN: Final = "plan.mlfplan"
REPORT: Final = "report.md"


@dataclass(frozen=True)
class Proposal:
    """What one trigger would have done: the plan, where it lies, whether it is another one now."""

    trigger: Address
    plan: Plan
    folder: Path
    fresh: bool
