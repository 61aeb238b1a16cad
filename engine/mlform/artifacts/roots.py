"""Which states use a store, and what each holds: so that no one else deletes it.

``roots/LINEAGE/about.json`` says whose a root is; every other file there lists digests. A state
adds to its own before it records anything, and only itself makes the list shorter, under its lock,
when it has worked out anew what it holds.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mlform.artifacts.blobs import Blobs, now
from mlform.diagnostics import stop
from mlform.lazy import dataclass

_FOLDER: Final = "roots"
_MARKER: Final = "collecting.json"
_MANY: Final = 256
"""So many digests in a file that is written anew with every addition."""
_PATIENCE: Final = 900
"""Seconds after which a collection is taken to have been killed; it says so as it goes on."""


@dataclass(frozen=True)
class Root:
    """A state that uses a store."""

    lineage: str
    about: Mapping[str, Any]
    """``folder``, ``host``, ``by`` and ``at``: where it was first used from."""
    digests: frozenset[str]
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        """Who it is, for people."""
        where = ":".join(str(self.about[n]) for n in ("host", "folder") if self.about.get(n))
        return f"{self.lineage} ({where})" if where else self.lineage


class Holder:
    """One state's own root, while it has its lock. Safe for several threads."""

    def __init__(self, blobs: Blobs, lineage: str) -> None:
        self.blobs, self.lineage = blobs, lineage
        self._told: set[str] = set()
        self._page: list[str] = []
        self._name = self._next()
        self._guard = threading.Lock()

    @property
    def registered(self) -> bool:
        """Whether the state is known to the store."""
        return self.blobs.stat(f"{_FOLDER}/{self.lineage}/about.json") is not None

    def register(self, about: Mapping[str, Any], digests: Iterable[str]) -> None:
        """Make the state known with all that it holds; the last thing written makes it so."""
        # Nothing is deleted: another run of this state may have just begun to hold.
        self.blobs.write(self._next(), json.dumps(sorted(set(digests))).encode())
        text = json.dumps({"lineage": self.lineage, **about}, indent=1)
        self.blobs.write(f"{_FOLDER}/{self.lineage}/about.json", text.encode())

    def hold(self, digests: Iterable[str]) -> None:
        """Hold some more, before anything that names them is recorded."""
        with self._guard:
            new = [d for d in sorted(set(digests)) if d not in self._told]
            if not new:
                return
            self._page += new
            self.blobs.write(self._name, json.dumps(self._page).encode())
            self._told.update(new)
            if len(self._page) >= _MANY:
                self._page, self._name = [], self._next()
        self._wait()

    def rewrite(self, digests: Iterable[str]) -> None:
        """Hold exactly these from now on."""
        with self._guard:
            before = [b.name for b in self.blobs.list(f"{_FOLDER}/{self.lineage}")]
            self._told = set(digests)
            self._page, self._name = [], self._next()
            self.blobs.write(self._next(), json.dumps(sorted(self._told)).encode())
            for name in before:
                if not name.endswith("/about.json"):
                    self.blobs.delete(name)

    def _next(self) -> str:
        return f"{_FOLDER}/{self.lineage}/{time.time_ns():020d}-{secrets.token_hex(3)}.json"

    def _wait(self) -> None:
        """Let a collection that may have read the roots before end first."""
        while (marker := self.blobs.stat(_MARKER)) and now() - marker.modified < _PATIENCE:
            time.sleep(
                0.2
            )  # another process, perhaps on another machine: nobody tells when it ends


def roots(blobs: Blobs) -> list[Root]:
    """Return the states that use a store. Raises ``DiagnosedError`` where one cannot be read."""
    found: dict[str, list[str]] = {}
    for blob in blobs.list(_FOLDER):
        _, lineage, _ = blob.name.split("/", 2)
        found.setdefault(lineage, []).append(blob.name)
    return [_root(blobs, lineage, names) for lineage, names in sorted(found.items())]


def _root(blobs: Blobs, lineage: str, names: list[str]) -> Root:
    about: Mapping[str, Any] = {}
    digests: set[str] = set()
    for name in names:
        try:
            data = json.loads(blobs.read(name))
            if name.endswith("/about.json"):
                about = dict(data)
            else:
                digests.update(map(str, data))
        except FileNotFoundError:
            # Its state has just written a list that has all that this one had.
            return _root(blobs, lineage, [b.name for b in blobs.list(f"{_FOLDER}/{lineage}")])
        except (ValueError, TypeError):
            detail = (
                f"{name} in {blobs.place} does not say what the state {lineage} holds. Nothing was "
                "deleted. Apply in the folder of that state after deleting the folder "
                f"{_FOLDER}/{lineage} there; or, if the state is no more, delete it alone."
            )
            raise stop("A root of the store cannot be read", detail) from None
    return Root(lineage, about, frozenset(digests), tuple(names))


def drop(blobs: Blobs, root: Root) -> None:
    """Forget a state that is no more; what it alone held may be collected."""
    for name in root.files:
        blobs.delete(name)


class Collecting:
    """Says to every state that a collection is going on, for the length of a ``with`` block."""

    def __init__(self, blobs: Blobs) -> None:
        self.blobs = blobs

    def __enter__(self) -> None:
        marker = self.blobs.stat(_MARKER)
        if marker is not None and now() - marker.modified < _PATIENCE:
            detail = (
                f"Another `store gc` has been at it since {int(now() - marker.modified)} s. If it "
                f"was killed, this one goes on {_PATIENCE // 60} min after it began."
            )
            raise stop("Store is being collected", detail)
        self.again()

    def again(self) -> None:
        """Say that it still goes on."""
        self.blobs.write(_MARKER, b"{}")

    def __exit__(self, *_: object) -> None:
        self.blobs.delete(_MARKER)
