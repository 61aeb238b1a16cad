"""Plan → state: does what the plan says, journal entry by entry. Knows no spec."""

from mlform.apply.events import (
    Adopted,
    Begun,
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
    StepEvent,
)
from mlform.apply.purging import Purged
from mlform.apply.reproduced import Reproduced
from mlform.apply.run import Outcome, World, apply

__all__ = [
    "Adopted",
    "Begun",
    "Event",
    "Failed",
    "Finished",
    "Held",
    "Imported",
    "Interrupted",
    "Log",
    "Outcome",
    "Progress",
    "Purged",
    "Reporter",
    "Reproduced",
    "Skipped",
    "Started",
    "StepEvent",
    "World",
    "apply",
]
