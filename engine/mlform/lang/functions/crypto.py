"""Hashes, UUIDs, and decryption with an RSA key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import uuid
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

from mlform.lang.functions.encoding import from_base64
from mlform.lang.functions.filesystem import read
from mlform.lang.operations import OperationError, shorten
from mlform.lang.registry import World, function, string, whole_number
from mlform.types import STRING
from mlform.values import Unknown, Value

_ALGORITHMS: Final = ("md5", "sha1", "sha256", "sha512")
_NAMESPACES: Final = {
    "dns": uuid.NAMESPACE_DNS,
    "url": uuid.NAMESPACE_URL,
    "oid": uuid.NAMESPACE_OID,
    "x500": uuid.NAMESPACE_X500,
}
_BCRYPT_COST: Final = 10
_LEAST_BCRYPT: Final = 4
"""What is below takes the default instead, as in Terraform."""
_MOST_BCRYPT: Final = 17
"""Each more takes twice the time; this one some ten seconds."""
_LONGEST_PASSWORD: Final = 72


def _digest(name: str, content: bytes) -> bytes:
    return hashlib.new(name, content, usedforsecurity=False).digest()


def _of_text(name: str, show: Callable[[bytes], str]) -> Callable[[str], Value]:
    def run(value: str) -> Value:
        return show(_digest(name, value.encode(errors="surrogatepass")))

    run.__doc__ = f"Return the {name.upper()} digest of a text, in {_FORMS[show]}."
    return run


def _of_file(name: str, show: Callable[[bytes], str]) -> Callable[[World, str], Value]:
    def run(world: World, path: str) -> Value:
        return show(_digest(name, read(world, path)))

    run.__doc__ = f"Return the {name.upper()} digest of a file, in {_FORMS[show]}."
    return run


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


_FORMS: Final = {bytes.hex: "hexadecimal", _base64: "Base64"}

for _name in _ALGORITHMS:
    function(_name, string("str"), result=STRING)(_of_text(_name, bytes.hex))
    function(f"file{_name}", string("path"), result=STRING, world=True)(_of_file(_name, bytes.hex))
for _name in ("sha256", "sha512"):
    function(f"base64{_name}", string("str"), result=STRING)(_of_text(_name, _base64))
    function(f"filebase64{_name}", string("path"), result=STRING, world=True)(
        _of_file(_name, _base64)
    )


@function("uuid", result=STRING, world=True)
def uuid_(world: World) -> Value:
    """Return a random UUID; nothing known in a plan, which must come out the same each time."""
    return str(uuid.uuid4()) if world.live else Unknown(STRING)


@function("bcrypt", string("str"), rest=whole_number("cost"), result=STRING, world=True)
def bcrypt(world: World, password: str, *cost: int) -> Value:
    """Return a hash of a password; nothing known in a plan, as its salt is random."""
    if len(cost) > 1:
        raise OperationError("a text and at most one cost are taken")
    rounds = cost[0] if cost else _BCRYPT_COST
    if rounds > _MOST_BCRYPT:
        raise OperationError(f"the cost is at most {_MOST_BCRYPT}, not {rounds}", 1)
    if len(password.encode()) > _LONGEST_PASSWORD:
        raise OperationError(f"the text has more than {_LONGEST_PASSWORD} bytes", 0)
    if not world.live:
        return Unknown(STRING)
    library: Any = import_module("bcrypt")
    salt = library.gensalt(rounds if rounds >= _LEAST_BCRYPT else _BCRYPT_COST, b"2a")
    return str(library.hashpw(password.encode(), salt).decode())


@function("uuidv5", string("namespace"), string("name"), result=STRING)
def uuidv5(namespace: str, name: str) -> Value:
    """Return the UUID of a name in a namespace (RFC 9562, version 5)."""
    try:
        space = _NAMESPACES.get(namespace) or uuid.UUID(namespace)
    except ValueError:
        raise OperationError(
            f'"{shorten(namespace)}" is no namespace; use dns, url, oid, x500 or a UUID', 0
        ) from None
    return str(uuid.uuid5(space, name))


_PEM: Final = re.compile(r"-----BEGIN ([A-Z ]+)-----\s(.*?)-----END \1-----", re.DOTALL)


@function("rsadecrypt", string("ciphertext"), string("privatekey"), result=STRING)
def rsadecrypt(ciphertext: str, key: str) -> Value:
    """Decrypt Base64 text with an RSA private key in PEM (PKCS #1 v1.5, RFC 8017)."""
    modulus, exponent = _private_key(key)
    size = (modulus.bit_length() + 7) // 8
    sealed = int.from_bytes(from_base64(ciphertext))
    if sealed >= modulus:
        raise OperationError("the text was not encrypted for this key", 0)
    block = pow(sealed, exponent, modulus).to_bytes(size)
    end = block.find(b"\0", 2)
    if not hmac.compare_digest(block[:2], b"\0\2") or end < 10:
        raise OperationError("the text was not encrypted for this key", 0)
    try:
        return block[end + 1 :].decode()
    except UnicodeDecodeError:
        raise OperationError("what is encrypted is no UTF-8 text", 0) from None


def _private_key(pem: str) -> tuple[int, int]:
    found = _PEM.search(pem)
    wrong = (
        "the key is no RSA private key in PEM, of PKCS #1, PKCS #8 or OpenSSH, without a password"
    )
    if found is None or found[1] not in _READERS:
        raise OperationError(wrong, 1)
    try:
        content = base64.b64decode("".join(found[2].split()), validate=True)
        modulus, exponent = _READERS[found[1]](content)
    except (ValueError, IndexError):
        raise OperationError(wrong, 1) from None
    if not 0 < exponent < modulus or modulus.bit_length() > 16_384:
        raise OperationError(wrong, 1)
    return modulus, exponent


def _sequence(content: bytes) -> list[tuple[int, bytes]]:
    """Return the fields of a DER sequence: tag and content. Raises ``ValueError``."""
    [(tag, inner)] = _fields(content)
    if tag != 0x30:
        raise ValueError("no sequence")
    return _fields(inner)


def _fields(content: bytes) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(content):
        tag, length = content[at], content[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(content[at : at + count])
            at += count
        if at + length > len(content):
            raise ValueError("cut short")
        found.append((tag, content[at : at + length]))
        at += length
    return found


def _pkcs1(content: bytes) -> tuple[int, int]:
    numbers = [int.from_bytes(value) for tag, value in _sequence(content) if tag == 0x02]
    return numbers[1], numbers[3]


def _pkcs8(content: bytes) -> tuple[int, int]:
    return _pkcs1(_sequence(content)[2][1])


def _openssh(content: bytes) -> tuple[int, int]:
    head = b"openssh-key-v1\0"
    if not content.startswith(head):
        raise ValueError("no OpenSSH key")
    cipher, _, _, after = _strings(content[len(head) :], 3)
    _, private, _ = _strings(after[4:], 2)
    kind, modulus, _, exponent, _ = _strings(private[8:], 4)
    if cipher != b"none" or kind != b"ssh-rsa":
        raise ValueError("encrypted, or no RSA key")
    return int.from_bytes(modulus), int.from_bytes(exponent)


def _strings(content: bytes, count: int) -> list[bytes]:
    """Return some length-prefixed strings (RFC 4251, section 5), and what is left."""
    found: list[bytes] = []
    for _ in range(count):
        length = int.from_bytes(content[:4])
        if len(content) < length + 4:
            raise ValueError("cut short")
        found.append(content[4 : 4 + length])
        content = content[4 + length :]
    return [*found, content]


_READERS: Final[Mapping[str, Callable[[bytes], tuple[int, int]]]] = {
    "RSA PRIVATE KEY": _pkcs1,
    "PRIVATE KEY": _pkcs8,
    "OPENSSH PRIVATE KEY": _openssh,
}
