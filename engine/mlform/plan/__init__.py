"""Wanted against recorded → steps with reasons. Pure: no clock, no random, no network."""

from mlform.plan.build import Unplanned, build, walk
from mlform.plan.codec import dump, parse
from mlform.plan.decide import Decision, Facts, decide, severity
from mlform.plan.model import (
    QUIET,
    Accuracy,
    Action,
    Condition,
    Deferred,
    Estimate,
    Note,
    Output,
    Plan,
    Reason,
    Step,
)

__all__ = [
    "QUIET",
    "Accuracy",
    "Action",
    "Condition",
    "Decision",
    "Deferred",
    "Estimate",
    "Facts",
    "Note",
    "Output",
    "Plan",
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
