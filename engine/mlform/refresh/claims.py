"""Who is making the result of a key just now, in a store that several runs use.

A claim keeps nothing safe: results go by their content, and made twice they are kept twice. It is
there so that nobody waits for nothing and works for nothing: it is gone as soon as its holder has
ended, seen to be dead on this machine, and elsewhere once its beat has stopped for a while.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any, Final

from mlform.artifacts.blobs import Blobs
from mlform.diagnostics import DiagnosedError
from mlform.failpoints import failpoint
from mlform.state.holder import Holder

BEAT: Final = 5.0
"""Seconds between two beats of a claim."""
QUIET: Final = 20.0
"""Seconds without a beat, by the clock of who waits, after which a claim is taken over."""
_LONGEST_PAUSE: Final = 1.0
_FOLDER: Final = "claims"


class Claims:
    """The claims that this process holds and waits for. Safe for several threads."""

    def __init__(self, blobs: Blobs) -> None:
        self.blobs = blobs
        self._guard = threading.Lock()
        self._held: dict[str, dict[str, Any]] = {}
        self._lost: set[str] = set()
        self._beating: threading.Thread | None = None

    @contextmanager
    def made(
        self, key: str, about: Mapping[str, str], say: Callable[[str], None], stop: threading.Event
    ) -> Iterator[bool]:
        """Have the claim on a key for the length of a ``with`` block; true if another had it.

        ``say`` hears whom this waits for. Set, ``stop`` ends the waiting: the claim is not had.
        """
        mine = {"holder": self._me, "beat": 0, **about}
        waited, taken = self._take(_name(key), mine, say, stop), time.monotonic()
        failpoint("claims.taken")
        try:
            yield waited
        finally:
            self._release(_name(key), mine, surely=time.monotonic() - taken < BEAT)

    def lost(self, key: str) -> bool:
        """Tell whether another took the claim on a key from this process while it had it."""
        return _name(key) in self._lost

    def _take(
        self,
        name: str,
        mine: dict[str, Any],
        say: Callable[[str], None],
        stop: threading.Event,
    ) -> bool:
        seen, since, told, pause, waited = "", time.monotonic(), "", 0.05, False
        while not self.blobs.claim(name, json.dumps(mine).encode()):
            found, waited = self._read(name), True
            if found is None:
                continue  # it has just gone
            text, modified, claim = found
            if text != seen:
                seen, since = text, time.monotonic()
            dead = time.monotonic() - since > QUIET or _dead(claim)
            if dead and self.blobs.delete(name, math.nextafter(modified, math.inf)):
                say(f"{_who(claim)} ended without a result: it is made here")
                continue
            if claim is not None and claim["holder"] != told:
                told = claim["holder"]
                say(f"{_who(claim)} is making the same result: waiting for it")
            if stop.wait(pause):
                return True
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        with self._guard:
            self._held[name] = mine
            if self._beating is None:
                self._beating = threading.Thread(target=self._beat, name="claims", daemon=True)
                self._beating.start()
        return waited

    def _read(self, name: str) -> tuple[str, float, dict[str, Any] | None] | None:
        """Return a claim as it stands, when it was last put, and what it says if that is whole."""
        there = self.blobs.stat(name)
        if there is None:
            return None
        try:
            text = self.blobs.read(name).decode(errors="replace")
        except FileNotFoundError:
            return None
        try:
            claim = json.loads(text)
            Holder.parse(claim["holder"])
        except (ValueError, TypeError, KeyError, DiagnosedError):
            claim = None  # it is just being written, or was cut off in that
        return text, there.modified, claim

    @cached_property
    def _me(self) -> str:
        return Holder.me("claim").dump()

    def _release(self, name: str, mine: Mapping[str, Any], *, surely: bool) -> None:
        """Give a claim back, if this process has it: ``surely`` if too young to be lost."""
        with self._guard:
            held = self._held.pop(name, None) is not None
        # One that cannot be given back goes when this process does.
        with suppress(OSError, DiagnosedError):
            if held and (surely or (name not in self._lost and self._is(name, mine))):
                self.blobs.delete(name)

    def _beat(self) -> None:
        while True:
            time.sleep(BEAT)
            with self._guard:
                if not self._held:
                    self._beating = None
                    return
                held = dict(self._held)
            for name, mine in held.items():
                with suppress(OSError, DiagnosedError):
                    if not self._is(name, mine):
                        self._lost.add(name)
                        continue
                    mine["beat"] += 1
                    with self._guard:
                        if name in self._held:
                            self.blobs.write(name, json.dumps(mine).encode())

    def _is(self, name: str, mine: Mapping[str, Any]) -> bool:
        found = self._read(name)
        return found is not None and found[2] is not None and found[2]["holder"] == mine["holder"]


def _name(key: str) -> str:
    return f"{_FOLDER}/{hashlib.sha256(key.encode()).hexdigest()}"


def _dead(claim: Mapping[str, Any] | None) -> bool:
    return claim is not None and not Holder.parse(claim["holder"]).alive()


def _who(claim: Mapping[str, Any] | None) -> str:
    """Say who has a claim, for people."""
    if claim is None:
        return "another run"
    holder = Holder.parse(claim["holder"])
    where = f" in {claim['folder']}" if claim.get("folder") else ""
    who = f"{holder.user}@{holder.host}, process {holder.pid}"
    return f"{claim.get('address', 'another run')}{where} ({who})"
