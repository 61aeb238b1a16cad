"""Statements that people sign, and the keys they sign with (ed25519, RFC 8032)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from mlform.diagnostics import stop
from mlform.values import canonical

_PREFIX: Final = "ed25519:"
_TYPE: Final = "application/vnd.mlform.approval+json"


class Signer:
    """A private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def new(cls) -> Signer:
        """Make one."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, file: Path, passphrase: str | None = None) -> Signer:
        """Read one from a file (PEM). Raises ``DiagnosedError``."""
        if not file.is_file():
            detail = f"There is no file {file}. `mlform keys new` makes a key."
            raise stop("No signing key", detail)
        password = None if passphrase is None else passphrase.encode()
        try:
            key = load_pem_private_key(file.read_bytes(), password)
        except TypeError:
            what = "has a passphrase: set MLF_KEY_PASSPHRASE" if password is None else "has none"
            raise stop("Signing key cannot be read", f"{file} {what}.") from None
        except (ValueError, UnsupportedAlgorithm):
            detail = f"{file} is no private key in PEM, or the passphrase is wrong."
            raise stop("Signing key cannot be read", detail) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise stop("Signing key cannot be read", f"{file} is no ed25519 key.")
        return cls(key)

    def dump(self, passphrase: str | None = None) -> bytes:
        """Write it (PEM, PKCS 8), encrypted where there is a passphrase."""
        how: KeySerializationEncryption = NoEncryption()
        if passphrase:
            how = BestAvailableEncryption(passphrase.encode())
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)

    @property
    def public(self) -> str:
        """The public half, as specs have it."""
        raw = self._key.public_key().public_bytes_raw()
        return _PREFIX + base64.b64encode(raw).decode()

    def sign(self, statement: dict[str, Any]) -> str:
        """Return the signature of a statement (base64)."""
        return base64.b64encode(self._key.sign(_encoded(statement))).decode()


def signed(statement: dict[str, Any], signature: str, public: str) -> bool:
    """Tell whether a statement was signed by the private half of a public key."""
    try:
        raw = base64.b64decode(public.removeprefix(_PREFIX), validate=True)
        given = base64.b64decode(signature, validate=True)
        Ed25519PublicKey.from_public_bytes(raw).verify(given, _encoded(statement))
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _encoded(statement: dict[str, Any]) -> bytes:
    """Return what is signed: the statement with its type, as DSSE has it (its "PAE")."""
    body = canonical(statement).encode()
    return b"DSSEv1 %d %s %d %s" % (len(_TYPE), _TYPE.encode(), len(body), body)
