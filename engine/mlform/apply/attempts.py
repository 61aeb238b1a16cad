"""One step, as often as it is tried: each attempt is journalled before it begins.

An attempt that an earlier apply was killed over is taken up where it is the same work: what it
came to is used, and a job that still runs is waited for. Where it is other work, it is ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any, TypeVar

from mlform.address import Address
from mlform.apply.events import Log, Reporter
from mlform.apply.provider import StepFailed, Trying
from mlform.demand import LOCAL
from mlform.execute import (
    Executors,
    RefusedError,
    UnreachableError,
    new_id,
    succeeded,
)
from mlform.failpoints import failpoint
from mlform.plan import Decision, Step
from mlform.refresh.world import Wanted
from mlform.registry import Offer
from mlform.sdk import CancelledError
from mlform.state.model import Entry, Record, folder_name
from mlform.values import digest

if TYPE_CHECKING:
    from mlform.apply.run import World

T = TypeVar("T")


@dataclass(frozen=True)
class Earlier:
    """An attempt that was begun and is not journalled as over."""

    id: str
    executor: str
    asked: str
    """Digest of what it was to do."""
    handle: Mapping[str, Any] | None

    @classmethod
    def of(cls, entry: Entry, journal: Sequence[Entry]) -> Earlier | None:
        """Read it from an intent, and from what the journal says of its address after that."""
        told = entry.detail.get("attempt")
        if told is None:
            return None
        handle = None
        for later in journal:
            if later.operation == "submitted" and later.sequence > entry.sequence:
                handle = later.detail["handle"]
        return cls(told["id"], told["executor"], told["asked"], handle)


@dataclass
class Attempts:
    """Tries steps. Its methods are called from several threads at once."""

    world: World
    report: Reporter
    stop: Flag
    devices: Callable[[Step], Sequence[str]]
    """Which GPUs of this machine a step has."""
    earlier: dict[Address, Earlier] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for entry in self.world.unfinished:
            assert entry.address is not None, "an intent is about an address"
            address = Address.parse(entry.address)
            if "attempt" in entry.detail:
                found = Earlier.of(entry, list(self.world.store.journal(address)))
                if found is not None:
                    self.earlier[address] = found

    def run(
        self,
        step: Step,
        detail: Mapping[str, Any],
        asked: str,
        once: Callable[[Trying], T],
    ) -> T:
        """Call ``once`` for one attempt after the other, until one comes off or none is left."""
        demand, number = step.demand, 1
        trying = self._taken_up(step, asked)
        while True:
            if trying is None:
                trying = self._begin(step, detail, asked)
            try:
                return once(trying)
            except StepFailed as error:
                if error.open:
                    raise
                self._failed(step.address, str(error))
                last = number >= demand.attempts or trying.partial or self.stop.is_set()
                if last or error.cause not in demand.retry_on:
                    raise _counted(error, number) from None
                pause = demand.backoff * 2 ** (number - 1)
                number += 1
                said = f"{error.summary}: {error.detail}"
                self.say(
                    step, f"{said} Attempt {number} of {demand.attempts} begins in {pause:g} s."
                )
                if self.stop.wait(pause):
                    raise CancelledError from None
            except CancelledError as error:
                self._failed(step.address, str(error))
                raise
            trying = None

    def abandon(self, addresses: Sequence[Address]) -> list[str]:
        """End the jobs of earlier attempts that nobody takes up; say which could not be."""
        wrong = []
        for address in addresses:
            if (earlier := self.earlier.pop(address, None)) is None:
                continue
            try:
                self._end(address, earlier)
            except StepFailed as error:
                wrong.append(f"{address}: {error.detail}")
            else:  # it is over: no later apply need look after it
                self._failed(address, "nobody has any use for it")
        return wrong

    def _begin(self, step: Step, detail: Mapping[str, Any], asked: str) -> Trying:
        id_ = new_id()
        told = {"id": id_, "executor": step.demand.executor, "asked": asked}
        store, lease = self.world.store, self.world.lease
        store.intent(lease, self.world.run, step.address, {**detail, "attempt": told})
        failpoint("apply.intended")
        return self._trying(step, id_, None)

    def _trying(self, step: Step, id_: str, handle: Mapping[str, Any] | None) -> Trying:
        def submitted(handle: Mapping[str, Any]) -> None:
            told = {"attempt": id_, "handle": dict(handle)}
            self.world.store.submitted(self.world.lease, self.world.run, step.address, told)

        return Trying(id_, step.demand, self.devices(step), handle, submitted)

    def _taken_up(self, step: Step, asked: str) -> Trying | None:
        """Return the attempt of an earlier apply, if it is the same work and not lost."""
        earlier = self.earlier.pop(step.address, None)
        if earlier is None:
            return None
        came_off = succeeded(self._folder(step.address, earlier))
        same = earlier.asked == asked and earlier.executor == step.demand.executor
        if same and (came_off or (earlier.executor != LOCAL and came_off is None)):
            what = "came off before" if came_off else "was begun before"
            self.say(step, f"{earlier.id} {what}: it is gone on with")
            return self._trying(step, earlier.id, earlier.handle)
        if came_off is None:
            self._end(step.address, earlier)
        return None

    def _end(self, address: Address, earlier: Earlier) -> None:
        """See to it that an earlier attempt does nothing any more."""
        executors = self.world.executor
        if earlier.executor == LOCAL or not isinstance(executors, Executors):
            return  # a worker of this machine ends with the engine that started it
        try:
            known = executors.end(
                earlier.executor,
                self._folder(address, earlier),
                self.world.looker.root,
                earlier.handle,
            )
        except (UnreachableError, RefusedError) as error:
            detail = (
                f"An earlier apply began {earlier.id} on {earlier.executor}; it is to do other "
                f"work now, and the earlier job could not be ended: {error}"
            )
            raise StepFailed("Earlier job", detail, open_=True) from None
        if not known:
            detail = (
                f"An earlier apply began {earlier.id} on executor {earlier.executor}, which is "
                "not declared any more. Declare it again, or end the job by hand and apply again "
                f"once {self._folder(address, earlier)} is removed."
            )
            if self._folder(address, earlier).exists():
                raise StepFailed("Earlier job", detail, open_=True)

    def _folder(self, address: Address, earlier: Earlier) -> Path:
        return self.world.local / "work" / folder_name(str(address)) / earlier.id

    def _failed(self, address: Address, error: str) -> None:
        told = {"error": error[:500]}
        self.world.store.failed(self.world.lease, self.world.run, address, told)

    def say(self, step: Step, text: str) -> None:
        """Say a line about a step."""
        self.report(Log(step.address, text))


def asked_of(
    offer: Offer, decision: Decision, arguments: Wanted, record: Record | None, home: str
) -> str:
    """Return the digest of what a provider is to do, by which the same work is known again."""
    return digest(
        {
            "provider": offer.target,
            "action": decision.action.value,
            "keys": [decision.key, decision.decision_key],
            "arguments": dict(arguments.data),
            "old": None if record is None else dict(record.attributes),
            "home": home,
        }
    )


def _counted(error: StepFailed, number: int) -> StepFailed:
    """Say after how many attempts, where there was more than one."""
    if number == 1:
        return error
    detail = f"{error.detail} It was tried {number} times."
    return StepFailed(error.summary, detail, error.at, cause=error.cause, rejects=error.rejects)
