"""Reads the world into observations, in parallel, with token caches. Decides nothing."""

from mlform.refresh.model import CodeFact, Observation, Observations
from mlform.refresh.observe import Looker, refresh

__all__ = ["CodeFact", "Looker", "Observation", "Observations", "refresh"]
