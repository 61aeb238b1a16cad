"""The engine's kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

KINDS: Final[Mapping[str, int]] = {
    "dataset": 2,
    "feature_view": 2,
    "training_job": 2,
    "model": 2,
    "gate": 2,
    "deployment": 2,
    "monitor": 2,
    "trigger": 1,
}
"""Kind → how many labels its block takes: type and name, or the name alone."""


SERVING: Final = frozenset({"deployment"})
"""Kinds whose resources answer others: what they were made from is not deleted while they do."""
