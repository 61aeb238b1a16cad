"""Reads the world into observations, in parallel, with token caches. Decides nothing."""

from mlform.refresh.model import CodeFact, ImportFact, Observation, Observations
from mlform.refresh.observe import Looker, Read, every, none, refresh

__all__ = [
    "CodeFact",
    "ImportFact",
    "Looker",
    "Observation",
    "Observations",
    "Read",
    "every",
    "none",
    "refresh",
]
