"""What was applied, remembered. Knows addresses and values; knows no spec and no plan.

Only the types are here; the database behind them is ``mlform.state.store``, loaded when needed.
"""

from mlform.state.lease import Extent, Lease, LockedError, LostLeaseError, Work
from mlform.state.model import (
    AlarmEvent,
    Entry,
    Realisation,
    Record,
    Revision,
    Snapshot,
    Spent,
    Store,
    damaged,
)

__all__ = [
    "AlarmEvent",
    "Entry",
    "Extent",
    "Lease",
    "LockedError",
    "LostLeaseError",
    "Realisation",
    "Record",
    "Revision",
    "Snapshot",
    "Spent",
    "Store",
    "Work",
    "damaged",
]
