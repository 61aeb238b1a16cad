"""What keys have given before: in this state, and in a store that several states share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any, Final

from mlform.refresh.artifacts import artifacts_in
from mlform.refresh.claims import Claims
from mlform.refresh.looker import Looker
from mlform.state.model import Realisation, Store
from mlform.values import short

_SHARED: Final = ("run", "by", "at", "commit", "seconds", "rows", "provider")
"""What a shared store is told of how a result was made."""


class Results:
    """Finds the selected realisation of a key, whole or not at all. Safe for several threads.

    ``say`` hears why one that is remembered cannot be taken again.
    """

    def __init__(
        self, store: Store, looker: Looker, say: Callable[[str], None] = lambda _text: None
    ) -> None:
        self.store, self.looker, self.say = store, looker, say
        self.claims = Claims(looker.artifacts.blobs)
        self._guard = Lock()
        self._made: dict[str, Lock] = {}

    def lookup(self, key: str) -> Realisation | None:
        """Return what a key gave before, if every artifact of it is there and whole."""
        found = self.store.realisations([key]).get(key)
        if found is not None and self._whole(found, "remembered here"):
            return found
        if not self.looker.shared:
            return None
        shared = self._shared(key)
        return shared if shared is not None and self._whole(shared, "shared") else None

    def publish(self, realisation: Realisation) -> None:
        """Tell a shared store of a result: the object first, then what names it.

        Who was too slow, so that another made it as well and perhaps first, takes nothing back.
        """
        if not self.looker.shared:
            return
        if self.claims.lost(realisation.key) and self._shared(realisation.key) is not None:
            return
        told = {n: realisation.receipt[n] for n in _SHARED if n in realisation.receipt}
        data = {
            "key": realisation.key,
            "digest": realisation.digest,
            "attributes": dict(realisation.attributes),
            "receipt": told,
        }
        text = json.dumps(data, sort_keys=True, separators=(",", ":"))
        store = self.looker.artifacts
        store.memo_put(_name(realisation.key), store.put_bytes(text.encode(), "application/json"))

    def withdraw(self, key: str) -> None:
        """Let a shared store forget what a key gave."""
        if self.looker.shared:
            self.looker.artifacts.memo_drop(_name(key))

    @contextmanager
    def alone(
        self,
        key: str | None,
        about: Mapping[str, str],
        say: Callable[[str], None],
        stop: Event,
    ) -> Iterator[bool]:
        """Let one step at a time make the result of a key; true if another was at it just now.

        Those of other runs that use the same artifact store count: ``about`` tells them of this
        one (``address``, ``folder``), ``say`` hears whom it waits for. Set, ``stop`` ends that.
        """
        if key is None:
            yield False
            return
        with self._alone_here(key) as waited:
            if waited and self.lookup(key) is not None:
                yield True
                return
            with self.claims.made(key, about, say, stop) as joined:
                yield waited or joined

    @contextmanager
    def _alone_here(self, key: str) -> Iterator[bool]:
        with self._guard:
            lock = self._made.setdefault(key, Lock())
        waited = not lock.acquire(blocking=False)
        if waited:
            lock.acquire()
        try:
            yield waited
        finally:
            lock.release()

    def _shared(self, key: str) -> Realisation | None:
        store = self.looker.artifacts
        try:
            artifact = store.memo_get(_name(key))
            data = None if artifact is None else json.loads(store.read(artifact.digest))
        except (KeyError, ValueError):
            data = None
        if not isinstance(data, Mapping) or data.get("key") != key:
            if store.has_memo(_name(key)):
                self.say(f"The shared result of key {short(key)} is damaged: it is made again.")
            return None
        return Realisation(key, data["digest"], data["attributes"], data["receipt"])

    def _whole(self, found: Realisation, where: str) -> bool:
        missing = [a for a in artifacts_in(found.attributes) if not self._sound(a)]
        if missing:
            names = ", ".join(short(str(a["digest"])) for a in missing)
            text = (
                f"The result of key {short(found.key)} is {where}, but some of its artifacts are "
                f"missing or damaged in the store: {names}. It is made anew."
            )
            self.say(text)
        return not missing

    def _sound(self, artifact: Mapping[str, Any]) -> bool:
        return self.looker.artifacts.sound(str(artifact["digest"]), self.looker.digests)


def _name(key: str) -> str:
    return f"realisation {key}"
