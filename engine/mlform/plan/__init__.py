"""Wanted against recorded → steps with reasons. Pure: no clock, no random, no network."""

from mlform.plan.build import build, walk
from mlform.plan.codec import dump, parse
from mlform.plan.decide import Decision, Facts, decide, severity
from mlform.plan.given import Unplanned
from mlform.plan.model import (
    OPEN,
    QUIET,
    Accuracy,
    Action,
    Condition,
    Deferred,
    Drift,
    Estimate,
    Going,
    Note,
    Output,
    Plan,
    Purge,
    Purging,
    Reason,
    Step,
)

__all__ = [
    "OPEN",
    "QUIET",
    "Accuracy",
    "Action",
    "Condition",
    "Decision",
    "Deferred",
    "Drift",
    "Estimate",
    "Facts",
    "Going",
    "Note",
    "Output",
    "Plan",
    "Purge",
    "Purging",
    "Reason",
    "Step",
    "Unplanned",
    "build",
    "decide",
    "dump",
    "parse",
    "severity",
    "walk",
]
