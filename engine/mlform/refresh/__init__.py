"""Reads the world into observations, in parallel, with token caches. Decides nothing."""

from mlform.refresh.looker import Looker
from mlform.refresh.model import CodeFact, ImportFact, Observation, Observations
from mlform.refresh.observe import Looking, Read, every, none, refresh, unwatched

__all__ = [
    "CodeFact",
    "ImportFact",
    "Looker",
    "Looking",
    "Observation",
    "Observations",
    "Read",
    "every",
    "none",
    "refresh",
    "unwatched",
]
