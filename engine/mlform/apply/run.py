"""Carry out a plan: walk its steps, tell what happens, keep the state true."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event as Flag
from typing import Any

from mlform.address import Address
from mlform.apply.devices import Devices
from mlform.apply.events import Begun, Failed, Held, Interrupted, Reporter, Skipped
from mlform.apply.imports import adopt
from mlform.apply.orders import reject
from mlform.apply.pulling import pulled
from mlform.apply.purging import Purged, sweep
from mlform.apply.room import room
from mlform.apply.settle import Settler
from mlform.apply.spared import Spared, untouched
from mlform.apply.step import StepFailed, Stepper
from mlform.apply.walk import walk
from mlform.diagnostics import DiagnosedError
from mlform.execute import Executor, capacity, gpus
from mlform.failpoints import failpoint
from mlform.lazy import dataclass, field, replace
from mlform.plan import Action, Plan, Reason, Step
from mlform.plan.approvals import WHAT
from mlform.plan.nodes import OLD, Node, asking, step_of, waits
from mlform.plan.times import times
from mlform.refresh import Looker
from mlform.refresh.artifacts import artifacts_in
from mlform.refresh.moves import moved_pins, relocated, rename
from mlform.refresh.pins import Pin, read_pins, write_pins
from mlform.refresh.recorded import Recorded
from mlform.registry import Registry
from mlform.sdk import Approval, CancelledError
from mlform.state.codec import parse_record
from mlform.state.lease import Lease, LostLeaseError
from mlform.state.model import Entry, Record, Snapshot, Store
from mlform.values import Value, conceal, handles, is_known, plain


@dataclass(frozen=True)
class World:
    """What carrying out a plan needs beside the plan."""

    registry: Registry
    store: Store
    lease: Lease
    executor: Executor
    looker: Looker
    local: Path
    """The folder for local data of the workspace: ``.mlform``, or within it."""
    run: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Who and from which commit."""
    secrets: Mapping[str, Value] = field(default_factory=dict)
    approved: Mapping[Address, Sequence[Approval]] = field(default_factory=dict)
    """Who has agreed to steps that take approvals, each checked to be about exactly that."""
    unfinished: Sequence[Entry] = ()
    """What an earlier run was cut off in: its intents."""
    pins: Mapping[Address, Pin] = field(default_factory=dict)
    """Which versions are pinned, and who moved them there."""
    hold: Callable[[Iterable[str]], None] = lambda _digests: None
    """Tells the artifact store what is to be recorded, before it is."""

    def keep(self, record: Record, detail: Mapping[str, Any]) -> None:
        """Write a record, once the store knows what it holds. Raises ``StepFailed``."""
        self.hold_for(record)
        self.store.put(self.lease, self.run, record, detail)

    def hold_for(self, record: Record) -> None:
        """Hold the artifacts of what is to be recorded."""
        taken = {str(h.digest) for h in handles(record.arguments) if h.attribute is not None}
        self.hold(taken | {a["digest"] for a in artifacts_in(record.attributes)})


@dataclass
class Outcome:
    """What came of a plan."""

    done: dict[Address, Action] = field(default_factory=dict)
    held: dict[Address, tuple[str, ...]] = field(default_factory=dict)
    imported: dict[Address, str] = field(default_factory=dict)
    """What was taken over, each with its id."""
    adopted: list[Address] = field(default_factory=list)
    """What was changed from outside, and is recorded as it was found."""
    failures: list[Failed] = field(default_factory=list)
    skipped: list[Address] = field(default_factory=list)
    interrupted: bool = False
    outputs: dict[str, Any] = field(default_factory=dict)
    output_changes: dict[str, str] = field(default_factory=dict)
    """Which outputs are recorded otherwise than before: ``add``, ``change`` or ``remove``."""
    kept: list[str] = field(default_factory=list)
    """What destroying left in place, in words."""
    purged: Purged | None = None
    """What was deleted for good; ``None`` where nothing was to be."""
    seconds: float = 0.0
    """On the clock, from the first step to the last."""
    spent: dict[Address, float] = field(default_factory=dict)
    """How many seconds each step took whose turn came."""
    spared: list[Spared] = field(default_factory=list)
    """Work that was not done, since its result was there or the same."""
    warnings: list[tuple[str, str, str]] = field(default_factory=list)
    """What does not hold and stopped nothing: summary, detail, ``file:line:column``."""

    @property
    def failed(self) -> list[Address]:
        """The steps that failed."""
        return [f.address for f in self.failures]

    @property
    def complete(self) -> bool:
        """Whether everything planned was done, or held on purpose."""
        return not self.failed and not self.skipped and not self.interrupted


def apply(
    plan: Plan,
    snapshot: Snapshot,
    world: World,
    report: Reporter,
    *,
    parallelism: int = 2,
    stop: Flag | None = None,
) -> Outcome:
    """Carry out ``plan`` on the state it was made from. Setting ``stop`` ends it early.

    Nothing that is not in the plan is done, nor anything more severe than planned.
    """
    began = time.monotonic()
    if plan.changes:
        report(_begun(plan, world, parallelism))
    recorded = pulled(plan, _moved(plan, snapshot, world), world)
    world = replace(world, pins=read_pins(world.looker.root))
    nodes = {(s.address, s.deposed): s for s in plan.steps}
    needs = waits(plan.steps)
    here, asks = (capacity(), gpus()), partial(asking, nodes)
    shared = room(plan, parallelism, *here, asks, world.approved, world.executor.ahead)
    run = _Run(plan, recorded, world, report, stop or Flag(), shared.devices)
    blocked = walk(needs, lambda n: run.node(n, nodes), room=shared, stop=run.stop)
    failpoint("apply.walked")
    run.sweep()
    run.close({a for a, part in blocked if part != OLD}, plan)
    failpoint("apply.closed")
    run.outcome.seconds = time.monotonic() - began
    run.note(parallelism)
    return run.outcome


def _begun(plan: Plan, world: World, parallelism: int) -> Begun:
    expected = times(plan, parallelism)
    if expected is None or not expected.timed:
        return Begun(world.run, len(plan.changes))
    clocks = expected.certain.clock, expected.worst.clock
    return Begun(world.run, len(plan.changes), *clocks)


def _moved(plan: Plan, snapshot: Snapshot, world: World) -> Snapshot:
    """Rename what is recorded, before anything else is done."""
    if not plan.moves:
        return snapshot
    moved = {Address.parse(a): Address.parse(b) for a, b in plan.moves.items()}
    renamed = {a: rename(r, moved) for a, r in snapshot.records.items()}
    changed = {a: r for a, r in renamed.items() if r != snapshot.records[a]}
    pins = read_pins(world.looker.root)
    if (fresh := moved_pins(pins, moved)) != pins:
        # First: where the records are moved already, the next run moves no pins any more.
        write_pins(world.looker.root, fresh)
        failpoint("apply.moving")
    world.store.move(world.lease, world.run, changed)
    return relocated(snapshot, moved)


class _Run:
    def __init__(
        self,
        plan: Plan,
        snapshot: Snapshot,
        world: World,
        report: Reporter,
        stop: Flag,
        devices: Devices[Node],
    ) -> None:
        self.plan, self.world, self.report, self.stop = plan, world, report, stop
        self.fenced = False
        self.records = Recorded(snapshot.records, world.registry, self._past)
        self.outputs = snapshot.outputs
        self.outcome = Outcome()
        self.settler = Settler(self.records, world.secrets)
        self.stepper = Stepper(
            world,
            self.records,
            self.settler,
            self.outcome,
            report,
            stop,
            lambda step: devices.of((step.address, step.deposed)),
        )
        self.begun: set[Address] = set()

    def _past(self, address: Address, digest: str) -> Record | None:
        """Return what was recorded once: an ignored change keeps what was taken then."""
        for entry in reversed(list(self.world.store.journal(address))):
            data = entry.detail.get("record") or {}
            if entry.operation == "done" and data.get("digest") == digest:
                return parse_record(data)
        return None

    def node(self, node: Node, nodes: Mapping[Node, Step]) -> bool:
        _, part = node
        step = step_of(nodes, node)
        self.begun.add(step.address)
        try:
            if part == OLD:
                self.stepper.remover.clear(step)
                return True
            return self._step(step)
        except CancelledError:
            self.outcome.interrupted = True
            self.report(Interrupted(step.address))
        except StepFailed as error:
            self._fail(step, error.summary, error.detail, error.at)
            if error.rejects:
                reject(self.stepper, step, error.rejects, error.detail)
        except DiagnosedError as error:
            first = error.diagnostics.errors[0]
            self._fail(step, first.summary, first.detail, str(first.subject or ""))
        except LostLeaseError as error:
            self._lost(step, str(error))
        return False

    def _step(self, step: Step) -> bool:
        if step.adopted is not None:
            adopt(self.stepper, step, step.adopted)
        if step.action is Action.NO_OP and step.imported is None:
            self.stepper.keep(step)
            return True
        if step.action is Action.HELD and self.stepper.approved(step):
            by = sorted({it.by for it in self.world.approved[step.address]})
            step = replace(step, action=Action.DECIDE, reasons=(Reason(WHAT, ", ".join(by)),))
        if step.action is Action.HELD:
            self._hold(step.address, tuple(r.subject for r in step.reasons))
            return True
        if step.action in {Action.DESTROY, Action.FORGET}:
            remover, destroys = self.stepper.remover, step.action is Action.DESTROY
            if users := remover.users(step.needs, step.cleared) if destroys else []:
                if not step.deposed:
                    self._hold(step.address, tuple(f"{a} is held and uses it" for a in users))
                return True
            remover.remove(step)
            return True
        held = self.stepper.carry_out(step)
        if held:
            self._hold(step.address, held)
        return True

    def _hold(self, address: Address, reasons: tuple[str, ...]) -> None:
        self.outcome.held[address] = reasons
        self.report(Held(address, reasons))

    def _lost(self, step: Step, detail: str) -> None:
        """End the run. That is its failure: nobody interrupted it."""
        self.fenced = True
        self.stop.set()
        self._fail(step, "Lost the lock", detail, "")

    def _fail(self, step: Step, summary: str, detail: str, at: str) -> None:
        failure = Failed(step.address, summary, detail, at)
        self.outcome.failures.append(failure)
        self.report(failure)

    def sweep(self) -> None:
        """Delete the data of what has left for good."""
        how, steps = self.plan.purging, self.stepper.remover.purged
        if how is None or not steps:
            return
        try:
            self.outcome.purged, kept = sweep(self.world, how, steps, self.records)
        except LostLeaseError as error:
            self._lost(steps[-1], f"{error} No data were deleted.")
        except OSError as error:
            detail = (
                f"{error.filename}: {error.strerror}. Not all data are deleted; `mlform store gc` "
                "deletes the rest."
            )
            self._fail(steps[-1], "Data not deleted", detail, "")
        except DiagnosedError as error:
            first = error.diagnostics.errors[0]
            self._fail(steps[-1], first.summary, f"{first.detail} No data were deleted.", "")
        else:
            self.outcome.kept += kept

    def close(self, blocked: set[Address], plan: Plan) -> None:
        """Say what never began, and write the outputs."""
        recorded = {s.address for s in plan.steps if s.imported or s.adopted is not None}
        idle = {s.address for s in plan.steps if s.action is Action.NO_OP} - recorded
        for address in sorted(blocked - self.begun - idle):
            because = "the run was stopped" if self.stop.is_set() else "a step it needs failed"
            self.outcome.skipped.append(address)
            self.report(Skipped(address, because))
        if self.stop.is_set():
            self.outcome.interrupted = not self.fenced
        only = self.plan.refresh == "only"
        partial = self.plan.targets or self.plan.excluded or self.plan.deferred or only
        if self.outcome.complete and not partial:
            self._outputs()
            self._checks()
        self._abandon(blocked, whole=not partial)

    def _abandon(self, blocked: set[Address], *, whole: bool) -> None:
        """End the jobs of an earlier apply that nothing here had any use for."""
        planned, earlier = {s.address for s in self.plan.steps}, self.stepper.attempts.earlier
        useless = [a for a in earlier if a not in blocked and (whole or a in planned)]
        for text in self.stepper.attempts.abandon([] if self.stop.is_set() else useless):
            self.outcome.warnings.append(("Earlier job", text, ""))

    def note(self, parallelism: int) -> None:
        """Journal what came of the run, if it came to anything."""
        it = self.outcome
        if not (it.done or it.spared or it.skipped or it.failures):
            return
        expected = times(self.plan, parallelism)
        detail = {
            "seconds": round(it.seconds, 3),
            "worked": round(sum(it.spent.values()), 3),
            "expected": expected and [expected.certain.clock, expected.worst.clock],
            "spared": [[str(s.address), s.cause, s.seconds] for s in it.spared],
            "untouched": untouched(self.plan.steps, self.records.now),
            "held": {str(a): list(reasons) for a, reasons in it.held.items()},
            "failed": [str(a) for a in it.failed],
            "skipped": [str(a) for a in it.skipped],
            "targets": list(self.plan.targets),
            "excluded": list(self.plan.excluded),
        }
        kept = {n: v for n, v in detail.items() if v or n in {"seconds", "worked"}}
        with suppress(LostLeaseError):
            self.world.store.ran(self.world.lease, self.world.run, kept)

    def _broken_output(self, name: str, message: str, at: str) -> None:
        """Say that an output is not recorded, since its precondition does not hold."""
        self.outcome.warnings.append(("Precondition failed", f"output.{name}: {message}", at))

    def _checks(self) -> None:
        roots = self.settler.resources(self.records.now if self.plan.checks else ())
        for name, conditions in self.plan.checks.items():
            for condition in conditions:
                try:
                    broken = self.settler.broken([condition], roots)
                except DiagnosedError as error:  # it is about something that was never made
                    first = error.diagnostics.errors[0]
                    broken = first.detail, condition.condition.at
                if broken:
                    failed = ("Check failed", f"{name}: {broken[0]}", broken[1])
                    self.outcome.warnings.append(failed)

    def _writes(self, output: str) -> bool:
        return self.world.lease.covers(f"output.{output}")

    def _outputs(self) -> None:
        recorded: dict[str, Any] = {}
        roots = self.settler.resources(self.records.now if self.plan.outputs else ())
        for name, output in self.plan.outputs.items():
            if not self._writes(name):
                if not output.sensitive:
                    self.outcome.outputs[name] = plain(self.settler.value(output.value, roots))
                continue
            try:
                if broken := self.settler.broken(output.before, roots):
                    self._broken_output(name, *broken)
                    continue
                value = self.settler.value(output.value, roots)
            except DiagnosedError:  # it is about something held that was never made
                continue
            if not is_known(value):
                continue
            shown = plain(value)
            if output.sensitive:
                hidden = isinstance(shown, dict) and shown.keys() == {"$sensitive"}
                shown = shown if hidden else conceal(plain(value, reveal=True))
            else:
                self.outcome.outputs[name] = shown
            recorded[name] = {"value": shown, "sensitive": output.sensitive}
        for name in filter(self._writes, sorted({*self.outputs, *recorded})):
            if name not in recorded:
                self.outcome.output_changes[name] = "remove"
            elif self.outputs.get(name) != recorded[name]:
                how = "change" if name in self.outputs else "add"
                self.outcome.output_changes[name] = how
        self.world.store.put_outputs(self.world.lease, self.world.run, recorded)
