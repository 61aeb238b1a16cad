"""What moved in channels, and what an order of someone comes to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlform.address import Address
from mlform.lazy import dataclass
from mlform.sdk import Order, Standing


@dataclass(frozen=True)
class Move:
    """One channel that has another version than before, or none."""

    channel: str
    before: Standing | None
    after: Standing | None


@dataclass(frozen=True)
class Asked:
    """What an order comes to, before anything is done."""

    address: Address
    order: Order
    version: int | None
    """The version that it is about; ``None`` where it says none."""
    moves: Sequence[Move]
    rolled: Sequence[Address]
    """The deployments that are brought to what their channel has then."""


@dataclass(frozen=True)
class Turn:
    """One line of the history of a channel."""

    move: Move
    at: datetime
    by: str
    how: str
    """``apply``, ``promote``, ``rollback``, ``quarantine``, ``adopt``, ``import``, …"""
    why: str
    run: str
    plan: str
    """The digest of the saved plan that it was applied from; empty where there was none."""
    commit: str
