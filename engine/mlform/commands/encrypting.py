"""``state encrypt``: everything that is recorded, written anew as encryption is configured now."""

from __future__ import annotations

from mlform.commands.provenance import new_run
from mlform.commands.session import Session


def encrypt(session: Session) -> tuple[int, bool]:
    """Write every row anew; return how many there are, and whether they are encrypted now."""
    with session.lock("state encrypt") as lease:
        count = session.store.reseal(lease, new_run())
    return count, session.cipher.active
