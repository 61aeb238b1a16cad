"""Plan → state: does what the plan says, journal entry by entry. Knows no spec."""

from mlform.apply.events import (
    Event,
    Failed,
    Finished,
    Held,
    Imported,
    Interrupted,
    Log,
    Progress,
    Reporter,
    Skipped,
    Started,
)
from mlform.apply.run import Outcome, World, apply

__all__ = [
    "Event",
    "Failed",
    "Finished",
    "Held",
    "Imported",
    "Interrupted",
    "Log",
    "Outcome",
    "Progress",
    "Reporter",
    "Skipped",
    "Started",
    "World",
    "apply",
]
