"""``state encrypt``: everything that is recorded, written anew as encryption is configured now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlform.commands.provenance import new_run
from mlform.commands.session import Session

if TYPE_CHECKING:
    from mlform.config.model import Encryption
    from mlform.state.sealed import Cipher


def cipher_of(said: Encryption) -> Cipher:
    """Return what encrypts and decrypts as a spec says."""
    from mlform.state.cipher import AesCipher, Source

    first = said.primary
    primary = None if first is None else Source(first.passphrase, first.command)
    fallback = [Source(it.passphrase, it.command) for it in said.fallback]
    return AesCipher(primary, fallback, enforced=said.enforced)


def encrypt(session: Session) -> tuple[int, bool]:
    """Write every row anew; return how many there are, and whether they are encrypted now."""
    with session.lock("state encrypt") as lease:
        count = session.store.reseal(lease, new_run())
    return count, session.cipher.active
