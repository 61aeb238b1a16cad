"""What a plan takes of what was: what earlier steps took, and what is held of what they made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlform.address import Address
from mlform.commands.session import Session

if TYPE_CHECKING:
    from mlform.plan.estimate import History
    from mlform.plan.purge import Retention


def retention(session: Session) -> Retention:
    """Return how long what has served holds its data, and what to work that out from."""
    from mlform.plan import Purging
    from mlform.plan.purge import Retention

    assert session.as_of is not None, "deleting asks for the time"
    how = Purging(session.audit_window, shared=session.shared_store is not None)
    as_of = datetime.fromisoformat(session.as_of)
    return Retention(how, session.store.journal, session.store.all_realisations, as_of)


def past(
    session: Session, moved: Mapping[Address, Address], serial: int, addresses: Sequence[str]
) -> History:
    """Return what earlier steps took, under the addresses that they will have."""
    from mlform.plan.estimate import LAST, LOOKED_AT, History, by_kind

    if session.place.blank:
        return History()
    before = {str(new): str(old) for old, new in moved.items()}
    found = session.store.history([before.get(a, a) for a in addresses], serial, LAST)
    spent = {a: found[old] for a in addresses if (old := before.get(a, a)) in found}
    destroyed = by_kind(session.store.destroyed(serial, LOOKED_AT))
    return History(spent, session.store.estimated(serial, LAST), destroyed)
