"""What goes: orphans, what replacements take the place of, and what they once left behind."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from os.path import join
from pathlib import Path
from threading import Event as Flag
from threading import Lock
from typing import TYPE_CHECKING, Any

from mlform.address import Address
from mlform.apply.context import describe
from mlform.apply.events import Finished, Reporter, Started
from mlform.apply.provider import StepFailed, call
from mlform.apply.purging import clear_folder
from mlform.failpoints import failpoint
from mlform.lazy import replace
from mlform.plan import Action, Step
from mlform.plan.estimate import removed
from mlform.plan.orphans import takes_down
from mlform.refresh.recorded import Recorded
from mlform.registry import ENGINE, Offer
from mlform.sdk import CancelledError, Doing, Inputs, Resource
from mlform.state.model import Record, folder_name, home_of, homes_at

if TYPE_CHECKING:
    from mlform.apply.run import Outcome, World


class Remover:
    """Destroys and forgets. Its methods are called from several threads at once."""

    def __init__(
        self,
        world: World,
        records: Recorded,
        outcome: Outcome,
        report: Reporter,
        stop: Flag,
    ) -> None:
        self.world, self.records, self.outcome = world, records, outcome
        self.report, self.stop = report, stop
        self._guard = Lock()
        self._writing: dict[Address, Lock] = {}
        self._gone: dict[Address, set[str]] = {}
        """Folders of what this run has destroyed or forgotten."""
        self.behind: dict[Address, str] = {}
        """Folders of what this run has replaced and not destroyed yet."""
        self.kept: set[Address] = set()
        """What was replaced and not destroyed, since something that is held uses it."""
        self.purged: list[Step] = []
        """What has left and takes its data along."""

    def remove(self, step: Step) -> None:
        """Destroy or forget what is recorded, or what a replacement left behind."""
        if step.deposed and step.deposed in self._gone.get(step.address, ()):
            return  # its replacement took it down; what was made since may have its folder
        now = self.records.now[step.address]
        record = now
        if step.deposed:
            record = next(d for d in (now, *now.deposed) if home_of(d) == step.deposed)
        began = time.monotonic()
        expected = step.estimate.expected if step.estimate else None
        self.report(Started(step.address, step.action, step.reasons, expected))
        kept = [self._take(step, record)]
        took = time.monotonic() - began
        self._drop(step, record, step.action, took)
        if not step.deposed:
            self.outcome.done[step.address] = step.action
        if step.purge is not None:
            self.purged.append(step)
            if step.action is Action.DESTROY:
                kept += map(clear_folder, self._folders(step.address, record))
        self.outcome.kept += [f"{step.address}: {text}" for text in kept if text]
        seconds = time.monotonic() - began
        self.outcome.spent[step.address] = self.outcome.spent.get(step.address, 0.0) + seconds
        self.report(Finished(step.address, step.action, seconds, None, changed=True))

    def users(self, needs: Iterable[Address], cleared: Iterable[Address]) -> list[Address]:
        """Return what should have let go of something by now and has not, since it is held."""
        held, done = self.outcome.held, self.outcome.done
        return sorted(
            {a for a in needs if a in held and a not in done} | self.kept.intersection(cleared)
        )

    def clear(self, step: Step) -> None:
        """Destroy what a replacement takes the place of."""
        record = self.records.now.get(step.address)
        if step.create_first:
            assert step.old is not None, "only what has a time of its own is cleared then"
            home = self.behind.pop(step.address, None)
            if record is None or home is None:
                return  # in the end nothing was replaced
            if self.users(step.old.needs, step.old.cleared):
                self.kept.add(step.address)
                return
            record = next(d for d in record.deposed if home_of(d) == home)
        elif step.old is not None:
            self.report(Started(step.address, step.action, step.reasons))
        if record is not None:
            began = time.monotonic()
            self.destroy(step, record)
            took = time.monotonic() - began
            self._drop(step, record, Action.DESTROY, took)

    @contextmanager
    def alone(self, address: Address) -> Iterator[None]:
        """Write what is recorded at an address: several objects of it may come and go at once."""
        with self._guard:
            lock = self._writing.setdefault(address, Lock())
        with lock:
            yield

    def still(self, record: Record) -> Record:
        """Return a record with what it left behind, but for what has gone meanwhile."""
        gone = self._gone.get(record.address, set())
        left = tuple(d for d in record.deposed if home_of(d) not in gone)
        return record if len(left) == len(record.deposed) else replace(record, deposed=left)

    def destroy(self, step: Step, record: Record) -> str:
        """Call the provider; return what it kept. Raises ``StepFailed``."""
        store, lease, run = self.world.store, self.world.lease, self.world.run
        store.intent(lease, run, step.address, {"action": Action.DESTROY.value})
        failpoint("apply.going")
        try:
            found = call(
                self.world,
                self.offer(record),
                "destroy",
                dict(record.arguments),
                record,
                lent(self.world, step, "destroy", record.key, home_of(record)),
                self.report,
                self.stop,
                step.address,
            )
        except (StepFailed, CancelledError) as error:
            store.failed(lease, run, step.address, {"error": str(error)[:500]})
            raise
        failpoint("apply.destroyed")
        return str(found.get("kept", ""))

    def offer(self, record: Record) -> Offer:
        """Return what implements the type of a record. Raises ``StepFailed``."""
        given = str(record.receipt.get("provider", ""))
        registry, kind = self.world.registry, record.address.kind
        offer = registry.find(kind, record.type, "" if given == ENGINE else given)
        if offer is None:
            raise StepFailed("Unknown resource type", registry.missing(kind, record.type))
        return offer

    def _take(self, step: Step, record: Record) -> str:
        """Destroy it, or have its provider say what is kept of it."""
        resource = self.offer(record).resource
        silent = type(resource).destroy is Resource.destroy
        if step.action is Action.FORGET and (step.quiet or silent or takes_down(resource)):
            return ""
        return self.destroy(step, record)

    def _folders(self, address: Address, record: Record) -> Iterator[Path]:
        """Yield the folders of what has left, and once nothing is left of it all that it ever had.

        A replacement that failed may have left one that no record names.
        """
        homes = self.world.looker.homes
        yield homes / home_of(record)
        if address not in self.records.now:
            yield self.world.local / "work" / folder_name(str(address))
            names = [path.name for path in homes.iterdir()] if homes.is_dir() else []
            yield from (homes / n for n in homes_at(address, names) if not self.records.lives(n))

    def _drop(self, step: Step, record: Record, action: Action, seconds: float) -> None:
        """Let a record go; what it left behind itself comes to stand in its place."""
        with self.alone(step.address):
            self._drop_alone(step, record, action, seconds)
            self._gone.setdefault(step.address, set()).add(home_of(record))

    def _drop_alone(self, step: Step, record: Record, action: Action, seconds: float) -> None:
        store, lease, run = self.world.store, self.world.lease, self.world.run
        address = step.address
        now, gone = self.records.now[address], home_of(record)
        detail: dict[str, Any] = {"action": action.value, "folder": gone}
        if action is Action.DESTROY:
            detail["spent"] = removed(step, seconds).as_data()
        if step.purge is not None and action is step.action:
            detail["purge"] = list(step.purge.artifacts)
        if home_of(now) != gone:
            left = replace(now, deposed=tuple(d for d in now.deposed if home_of(d) != gone))
        elif now.deposed:
            first, *rest = now.deposed
            receipt = {**first.receipt, "tainted": "a replacement, which left it behind"}
            left = replace(first, deposed=tuple(rest), receipt=receipt)
        else:
            store.forget(lease, run, address, detail)
            self.records.drop(address)
            return
        store.put(lease, run, left, detail)
        self.records.put(left)


def lent(
    world: World,
    step: Step,
    doing: Doing,
    key: str | None,
    home: str,
    quarantined: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the context of one call, as plain data."""
    address = str(step.address)
    closures: Mapping[str, Any] = {n: fact["digest"] for n, fact in step.code.items()}
    receipt = {
        **world.provenance,
        "run": world.run,
        "key": key,
        "code": closures,
        "environment": dict(step.environment or {}),
    }
    return describe(
        address=address,
        doing=doing,
        root=world.looker.root,
        home=join(world.looker.homes, home),  # noqa: PTH118 - for each step
        workdir=join(world.local, "work", folder_name(address)),  # noqa: PTH118 - as above
        store=world.looker.artifacts.description,
        cache=world.looker.digests.path,
        inputs=Inputs(dict(step.parts or {}), step.rows),
        receipt=receipt,
        code_files={name: sorted(fact["files"]) for name, fact in step.code.items()},
        fresh=step.again,
        purge=step.purge is not None,
        approvals=world.approved.get(step.address, ()),
        quarantined=quarantined,
    )
