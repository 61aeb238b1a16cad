"""Encryption at rest: AES-256-GCM, with a key from a passphrase or from a command."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import subprocess
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mlform.diagnostics import stop
from mlform.lazy import dataclass, field
from mlform.state.sealed import PREFIX, Unauthentic, encrypted, in_clear

_NONCE: Final = 12
_COST: Final = 2**15
"""Of scrypt (RFC 7914): 32 MiB and some 0.1 s for each key that is made from a passphrase."""
_PATIENCE: Final = 60
_FORM: Final = re.compile(r"mlf1\.([0-9a-f]{16})\.([0-9a-f]{32})\.([A-Za-z0-9+/=]+)")


@dataclass(frozen=True)
class Source:
    """Where a key comes from: a passphrase, or what a command prints."""

    passphrase: str | None = field(default=None, repr=False)
    command: Sequence[str] = ()

    def key(self, salt: bytes) -> bytes:
        """Return the key for one state. Raises ``DiagnosedError`` where the command fails."""
        if self.passphrase is not None:
            secret = self.passphrase.encode()
            memory = 256 * _COST * 8
            return hashlib.scrypt(secret, salt=salt, n=_COST, r=8, p=1, maxmem=memory, dklen=32)
        return hmac.digest(_printed(tuple(self.command)), b"mlform state" + salt, "sha256")


class AesCipher:
    """Encrypts with the first source, and decrypts with whichever of all has the key."""

    def __init__(
        self, primary: Source | None, fallback: Sequence[Source] = (), *, enforced: bool = False
    ) -> None:
        self._primary, self._enforced = primary, enforced
        self._sources = [*([primary] if primary else []), *fallback]
        self._keys: dict[tuple[int, bytes], bytes] = {}

    @property
    def active(self) -> bool:
        """Whether what is written from now on is encrypted."""
        return self._primary is not None

    def seal(self, text: str, about: tuple[object, ...], lineage: str) -> str:
        """Return the text encrypted; as it is, where there are only keys to decrypt with."""
        return self._sealed(text, about, lineage, os.urandom(_NONCE))

    def mark(self, text: str, about: tuple[object, ...], lineage: str) -> str:
        """Return the text encrypted, the same each time; otherwise as ``seal``."""
        return self._sealed(text, about, lineage, None)

    def _sealed(
        self, text: str, about: tuple[object, ...], lineage: str, nonce: bytes | None
    ) -> str:
        if self._primary is None:
            return text
        salt = _salt(lineage)
        key = self._key(0, salt)
        if nonce is None:  # made of the text, so that no two texts have one
            told = b"mlform nonce" + _about((*about, text))
            nonce = hmac.digest(key, told, "sha256")[:_NONCE]
        body = nonce + AESGCM(key).encrypt(nonce, text.encode(), _about(about))
        return f"{PREFIX}{_name(key)}.{salt.hex()}.{base64.b64encode(body).decode()}"

    def open(self, text: str, about: tuple[object, ...]) -> str:
        """Return what was written. Raises ``Unauthentic``, or ``DiagnosedError`` without a key."""
        if not encrypted(text):
            if self._enforced and in_clear(text):
                detail = (
                    "`enforced = true` refuses what is not encrypted, and some of the state is "
                    "not. Encrypt it: set `enforced = false`, run `mlform state encrypt`, and set "
                    "it back."
                )
                raise stop("State is not encrypted", detail)
            return text
        match = _FORM.fullmatch(text)
        if match is None:
            raise Unauthentic
        name, salt = match[1], bytes.fromhex(match[2])
        body = base64.b64decode(match[3])
        for number in range(len(self._sources)):
            key = self._key(number, salt)
            if _name(key) == name:
                try:
                    found = AESGCM(key).decrypt(body[:_NONCE], body[_NONCE:], _about(about))
                except (InvalidTag, ValueError):
                    raise Unauthentic from None
                return found.decode()
        count = len(self._sources)
        tried = "the key" if count == 1 else f"none of the {count} keys"
        fits = "does not fit" if count == 1 else "fits"
        detail = (
            f"It was encrypted with key {name}; {tried} of the encryption block {fits}. Give the "
            "passphrase or key command it was encrypted with, as a `fallback` if it is an old one."
        )
        raise stop("Wrong encryption key", detail)

    def _key(self, number: int, salt: bytes) -> bytes:
        if (number, salt) not in self._keys:
            self._keys[number, salt] = self._sources[number].key(salt)
        return self._keys[number, salt]


def _salt(lineage: str) -> bytes:
    """Return the salt of a state: from its lineage, which no other has."""
    return hashlib.sha256(f"mlform {lineage}".encode()).digest()[:16]


def _about(about: tuple[object, ...]) -> bytes:
    """Return where a text stands, as encryption binds it: each part with its length."""
    return b"".join(b"%d:%s," % (len(p), p) for p in (str(it).encode() for it in about))


def _name(key: bytes) -> str:
    """Return what a key is known by; nothing of the key can be told from it."""
    return hmac.digest(key, b"mlform key name", "sha256")[:8].hex()


_known: Final[dict[tuple[str, ...], bytes]] = {}


def _printed(command: tuple[str, ...]) -> bytes:
    """Return the key that a command prints: 32 bytes, as hex or base64. Asked once a process."""
    if command not in _known:
        _known[command] = _asked(command)
    return _known[command]


def _asked(command: tuple[str, ...]) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - the spec says which
            command, capture_output=True, timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = f"it did not end within {_PATIENCE} s"
        if isinstance(error, OSError):
            why = error.strerror or str(error)
        raise stop("No encryption key", f"The key command {command[0]}: {why}.") from None
    if done.returncode:
        detail = f"The key command {command[0]} ended with exit code {done.returncode}. "
        detail += "Run it yourself to see why."
        raise stop("No encryption key", detail)
    text = done.stdout.decode(errors="replace").strip()
    try:
        found = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        found = b""
    if len(found) != 32:
        detail = f"The key command {command[0]} must print 32 bytes, as 64 hex digits or base64."
        raise stop("No encryption key", detail)
    return found
