"""Parts: what lies at a source, name → digest. There may be 100,000 of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Final

_MANY: Final = 1000
"""Of more parts than this a key has the digest of all instead of each."""


class Parts(dict[str, str]):
    """Parts of which the digest of all is worked out once. They must not change any more."""

    @cached_property
    def content(self) -> str:
        """The digest of all of them."""
        return _content(self)


class LateParts(Mapping[str, str]):
    """Parts that are read when somebody asks for one; the digest of all is known before."""

    def __init__(self, content: str, read: Callable[[], Mapping[str, str]]) -> None:
        """``read`` may be called twice, by two threads at once."""
        self.content: Final = content
        self._read = read

    @cached_property
    def _parts(self) -> Mapping[str, str]:
        return self._read()

    def __getitem__(self, name: str) -> str:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __repr__(self) -> str:
        return repr(dict(self))


def content(parts: Mapping[str, str]) -> str:
    """Return the digest of parts: equal ones have equal digests, on every machine."""
    return parts.content if isinstance(parts, Parts | LateParts) else _content(parts)


def same(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Tell whether parts are equal, reading none that were not."""
    if isinstance(one, LateParts) or isinstance(other, LateParts):
        return content(one) == content(other)
    return one == other


def in_key(parts: Mapping[str, str]) -> dict[str, str]:
    """Return parts as a digest counts them: each, or, where there are many, all in one."""
    many = isinstance(parts, LateParts) or len(parts) > _MANY
    return {"": content(parts)} if many else dict(parts)


def _content(parts: Mapping[str, str]) -> str:
    names = sorted(parts)
    whole = f"{len(names)} {_hashed(names)} {_hashed(map(parts.__getitem__, names))}"
    return "sha256:" + hashlib.sha256(whole.encode()).hexdigest()


def _hashed(texts: Iterable[str]) -> str:
    # Each on a line as JSON has it would take five times as long; what has no zero byte, as no
    # path has, can be told apart without.
    listed = [*texts]
    whole = "\0".join(listed)
    if whole.count("\0") != max(len(listed) - 1, 0):
        whole = json.dumps(listed)
    return hashlib.sha256(whole.encode(errors="surrogatepass")).hexdigest()
