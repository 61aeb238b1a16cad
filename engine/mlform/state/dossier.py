"""One resource at one moment and everything that led to it; and whether a state can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlform.lazy import dataclass, field
from mlform.state.lineage import Made
from mlform.state.model import AlarmEvent, Entry
from mlform.state.past import Fold


@dataclass(frozen=True)
class Verified:
    """What checking a state came to."""

    entries: int
    head: str
    """The hash of the last journal entry: kept elsewhere, it shows that nothing was cut off."""
    records: int
    problems: Sequence[str]


@dataclass(frozen=True)
class Agreed:
    """One approval as the journal has it, and whether its signature fits the key it names."""

    statement: Mapping[str, Any]
    signature: str
    key: str
    sequence: int
    valid: bool


@dataclass(frozen=True)
class Dossier:
    """One resource at one moment, and everything that led to it."""

    address: str
    lineage: str
    fold: Fold
    chain: Sequence[Made]
    """The resource first; then what it was made from, nearest first."""
    alarms: Sequence[AlarmEvent]
    """Raised since it was applied, by monitors that look at it."""
    approvals: Sequence[Agreed]
    """Given to the resource, or to what it was made from, about what they are in this dossier."""
    entries: Sequence[Entry] = field(repr=False)
    """The journal up to that moment, whole."""
