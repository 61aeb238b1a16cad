"""Which model answers which request: the one that serves, a canary, variants; and a shadow."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlform.sdk import ResourceError
from mlform_core.serving import features, revision, settings
from mlform_core.serving.guard import Guard
from mlform_core.serving.revision import Revision
from mlform_core.serving.settings import Serving


@dataclass(frozen=True)
class Choice:
    """The revision that answers a request."""

    revision: Revision
    trial: Trial | None = None
    """The canary that was under way, if the request was part of it."""
    share: float = 0.0
    """The probability with which it went to the canary."""


class Trial:
    """A canary: its guard, its share, and what is to be if it comes off."""

    def __init__(self, fresh: Revision, wanted: Serving) -> None:
        self.revision, self.wanted = fresh, wanted
        self.guard = Guard(wanted.alpha)
        self.share = 0.0
        self.breach: str | None = None
        self.worse = False
        """Whether what it did is the breach, and not that it was called off."""
        self.over = asyncio.Event()
        """Set at a breach."""

    def see(self, choice: Choice, signal: str | None, key: str) -> None:
        """Take note of what became of a request."""
        if self.breach is None:
            canary = choice.revision is self.revision
            self.breach = self.guard.see(choice.share, canary=canary, signal=signal, key=key)
            if self.breach is not None:
                self.worse = True
                self.share = 0.0  # the old model has all requests again, from now on
                self.over.set()

    def told(self) -> dict[str, Any]:
        """Say how it stands."""
        evidence = {name: e.value for name, e in self.guard.evidence.items()}
        return {
            "digest": self.revision.digest,
            "view": self.revision.view,
            "share": self.share,
            "requests": self.guard.requests,
            "evidence": evidence,
        }


class Traffic:
    """All that answers. A swap is one assignment, so that no request sees half of it."""

    def __init__(self, home: Path, serving: Serving) -> None:
        self.home, self.serving = home, serving
        self.current: Revision
        self.variants: list[tuple[float, Revision]] = []
        """Each with the end of its part of [0, 1)."""
        self.shadow: Revision | None = None
        self.trial: Trial | None = None
        self.outcome: dict[str, Any] = {}
        """Of the last canary."""
        self._rolling = asyncio.Lock()
        self._under_way: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start what serves. Raises ``ResourceError``."""
        self.current = await revision.opened(self.home, self.serving, self.serving.digest)
        self.variants, self.shadow = await self._beside(self.serving)

    async def close(self) -> None:
        """Answer what waits, and end the workers."""
        if self.trial is not None:
            self.trial.over.set()
        await asyncio.gather(*self._under_way)
        await asyncio.gather(*(r.pool.close() for r in self.revisions().values()))

    def revisions(self) -> dict[str, Revision]:
        """Return what answers, by the part it plays."""
        found = {"current": self.current}
        found |= {f"variant {r.label}": r for _, r in self.variants}
        if self.shadow is not None:
            found["shadow"] = self.shadow
        if self.trial is not None:
            found["canary"] = self.trial.revision
        return found

    @property
    def split(self) -> bool:
        """Whether more than one model answers."""
        return bool(self.variants) or (self.trial is not None and self.trial.share > 0)

    def choose(self, key: str) -> Choice:
        """Choose who answers: the same for the same key, as long as the shares do not change."""
        trial = self.trial
        if self.variants:
            place = _place(key, self.serving.name)
            for end, found in self.variants:
                if place < end:
                    return Choice(found)
        if trial is None or not trial.share:
            return Choice(self.current)
        canary = _place(key, trial.revision.digest) < trial.share
        return Choice(trial.revision if canary else self.current, trial, trial.share)

    async def take(self, wanted: Serving) -> bool:
        """Take other settings and models in place of what is there; tell whether all is done.

        It is not if a canary has begun. Raises ``ResourceError``, and then all is as it was.
        """
        async with self._rolling:
            if self.trial is not None:
                raise ResourceError("Canary under way", f"{self.trial.revision.digest} is tried.")
            was = self.serving
            current = self.current
            if _runs(was) != _runs(wanted) or _answers(was) != _answers(wanted):
                current = await revision.opened(self.home, wanted, wanted.digest)
            else:
                current = replace(current, number=wanted.revision, label=str(wanted.revision))
            if wanted.steps and self._others(wanted):
                self._begin(Trial(current, wanted))
                return False
            await self._take_over(wanted, current)
        return True

    def _others(self, wanted: Serving) -> bool:
        """Tell whether answers may be others: by another model, or of features made otherwise.

        What a view looks up may have new rows without that. Where there was no view, or is none
        any more, requests have other columns, so that none could be asked of both.
        """
        if self.serving.digest != wanted.digest:
            return True
        one, two = _answers(self.serving)[1], _answers(wanted)[1]
        if one == two or not (one and two):
            return False
        made = [features.read(settings.view(self.home, view))["id"] for view in (one, two)]
        return bool(made[0] != made[1])

    async def abandon(self) -> None:
        """End a canary as if it had not been; what came of the last one has been heard."""
        if self.trial is None:
            self.outcome = {}
        else:
            self.trial.breach = self.trial.breach or "it was called off"
            self.trial.share = 0.0
            self.trial.over.set()
            await asyncio.gather(*self._under_way)

    async def _take_over(self, wanted: Serving, current: Revision) -> None:
        """Have a model serve, with what goes beside it.

        Raises ``ResourceError``, and then all is as it was, and what was started ends.
        """
        started = [current]
        try:
            variants, shadow = await self._beside(wanted)
            started += [r for _, r in variants] + ([] if shadow is None else [shadow])
            if self.trial is not None and self.trial.over.is_set():
                return  # only while what goes beside it was started
            self._settle(wanted, current, variants, shadow)
        finally:
            kept = {r.pool for r in self.revisions().values()}
            for left in started:
                if left.pool not in kept:
                    self._leave(left)

    def _settle(
        self,
        wanted: Serving,
        current: Revision,
        variants: list[tuple[float, Revision]],
        shadow: Revision | None,
    ) -> None:
        """Swap. Raises ``ResourceError``, and then nothing is swapped."""
        before = list(self.revisions().values())
        try:
            # Written before the swap: what starts again after a crash serves what answered last.
            settings.write(self.home, wanted)
        except OSError as error:
            detail = f"{self.home / settings.SETTINGS} cannot be written: {error.strerror}."
            raise ResourceError("Settings not kept", detail) from error
        self.serving, self.current, self.trial = wanted, current, None
        self.variants, self.shadow = variants, shadow
        kept = {r.pool for r in self.revisions().values()}
        for left in before:
            if left.pool not in kept:
                self._leave(left)

    def _begin(self, trial: Trial) -> None:
        self.trial, self.outcome = trial, {}
        self._run(self._bake(trial))

    async def _bake(self, trial: Trial) -> None:
        """Go through the steps, and take over at the end, or go back at a breach."""
        for share in trial.wanted.steps:
            if trial.over.is_set():
                break
            trial.share = share
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(trial.over.wait(), trial.wanted.bake)
        why, told = None, trial.told()
        if not trial.over.is_set():
            try:
                await self._take_over(trial.wanted, trial.revision)
            except ResourceError as error:
                why = str(error)
        if trial.over.is_set():  # perhaps only while what goes beside it was started
            why, told = trial.breach or "the server ended", trial.told()
        if why is not None:
            self.trial = None
            if trial.revision.pool not in {r.pool for r in self.revisions().values()}:
                self._leave(trial.revision)
        self.outcome = {**told, "breach": why, "worse": trial.worse}

    async def _beside(
        self, wanted: Serving
    ) -> tuple[list[tuple[float, Revision]], Revision | None]:
        """Return variants and shadow, those that are there and fresh ones. ``ResourceError``."""
        same = _runs(self.serving) == _runs(wanted)
        there = {r.label: r for r in self.revisions().values()} if hasattr(self, "current") else {}
        opened: list[Revision] = []

        async def one(label: str, digest: str) -> Revision:
            old = there.get(label)
            view = wanted.views.get(digest, "")
            if old is not None and same and (old.digest, old.view) == (digest, view):
                return old
            opened.append(await revision.opened(self.home, wanted, digest, label))
            return opened[-1]

        try:
            end, variants = 0.0, []
            for name, (digest, share) in wanted.variants.items():
                end += share
                variants.append((end, await one(name, digest)))
            shadow = await one("shadow", wanted.shadow) if wanted.shadow else None
        except ResourceError:
            for fresh in opened:
                self._leave(fresh)
            raise
        return variants, shadow

    def _leave(self, left: Revision) -> None:
        self._run(left.pool.close())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


def _runs(serving: Serving) -> tuple[Any, ...]:
    """Return what workers are started with, besides the model."""
    return serving.workers, serving.timeout, serving.allow_pickle, serving.runtime


def _answers(serving: Serving) -> tuple[str, str]:
    """Return what answers: the model, and the feature view that makes its features."""
    return serving.digest, serving.views.get(serving.digest, "")


def _place(key: str, salt: str) -> float:
    """Return where a key lies in [0, 1); with another salt it lies elsewhere."""
    found = hashlib.blake2b(key.encode(), digest_size=8, key=salt.encode()[:64]).digest()
    return int.from_bytes(found) / 2**64


def fresh_key() -> str:
    """Return a key that nobody else has."""
    return secrets.token_hex(8)
