"""Plan → state: does what the plan says, journal entry by entry. Knows no spec."""

from mlform.apply.events import (
    Adopted,
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
from mlform.apply.purging import Purged
from mlform.apply.reproduced import Reproduced
from mlform.apply.run import Outcome, World, apply

__all__ = [
    "Adopted",
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
    "World",
    "apply",
]
