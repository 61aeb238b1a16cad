"""One step: settle its arguments, decide once more, call the provider, write the record."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Event as Flag
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from mlform.address import Address
from mlform.apply.context import describe
from mlform.apply.current import check_code
from mlform.apply.events import Finished, Reporter, Started
from mlform.apply.imports import take_over
from mlform.apply.provider import StepFailed, call
from mlform.apply.settle import Roots, Settler
from mlform.apply.spared import spared
from mlform.keys import environment
from mlform.plan import Action, Condition, Decision, Deferred, Facts, Step, decide, severity
from mlform.plan.decide import adopted, full_key
from mlform.plan.estimate import spent
from mlform.plan.held import failing_gates, missing_handle
from mlform.plan.imports import taken_over
from mlform.plan.orphans import DESTROYED
from mlform.plan.why import traced
from mlform.refresh.observe import artifacts_there
from mlform.refresh.recorded import Recorded
from mlform.refresh.world import TRIGGERS, Wanted, held_by, result_digest, wanted
from mlform.registry import ENGINE, Offer
from mlform.sdk import CancelledError, Doing, Inputs, Resource, ResourceError
from mlform.state.model import Realisation, Record, Spent, folder_name, free_home, home_of
from mlform.values import Value

if TYPE_CHECKING:
    from mlform.apply.run import Outcome, World

_DOING: Final[Mapping[Action, Doing]] = {
    Action.CREATE: "create",
    Action.REPLACE: "create",
    Action.RUN: "run",
    Action.ROLL: "roll",
    Action.UPDATE: "update",
    Action.DECIDE: "decide",
}

__all__ = ["StepFailed", "Stepper"]


class Stepper:
    """Carries out single steps. Its methods are called from several threads at once."""

    def __init__(
        self,
        world: World,
        records: Recorded,
        settler: Settler,
        outcome: Outcome,
        report: Reporter,
        stop: Flag,
    ) -> None:
        self.world, self.records, self.settler = world, records, settler
        self.outcome, self.report, self.stop = outcome, report, stop
        self.writing = Lock()

    def carry_out(self, step: Step) -> tuple[str, ...]:
        """Do what a step calls for; return why it is held, if it is."""
        offer = self._offer(step)
        record = self.records.now.get(step.address)
        if never := [a for a in step.refers_to if a in self.outcome.held and not self._has(a)]:
            return tuple(f"{a} is held and was never made" for a in never)
        roots = self.settler.resources(step.refers_to)
        self._hold_to("precondition", step, step.before, roots)
        values = self.settler.values(step)
        arguments = self._wanted(step, offer, values)
        facts = self._facts(step, offer, arguments)
        if (found := step.imported if record is None else None) is not None:
            _, record = taken_over(offer.resource, step.address, facts, found)
        if kept := adopted(offer.resource, facts, record):
            values |= {n: self.records.revive(v) for n, v in kept.items()}
            arguments = self._wanted(step, offer, values)
        if blocked := self._blocked(step, offer, values, facts):
            return tuple(blocked)
        if found and record and found.alone:
            return take_over(self, step, offer, record, found).held
        decision = decide(offer.resource, facts, record, self._lookup)
        decision = replace(decision, reasons=traced(decision.reasons, step.takes))
        if step.again:
            decision = replace(decision, action=step.action, reasons=step.reasons, quiet=False)
        if severity(decision.action) > _most(step):
            raise StepFailed(
                "Plan exceeded",
                f"The plan announced {step.action} for {step.address}; with everything upstream "
                f"known it comes to {decision.action}. Nothing was done. Plan again.",
            )
        if found and record:
            record = take_over(self, step, offer, record, found)
            if decision.action is Action.NO_OP:
                self._hold_to(
                    "postcondition", step, step.after, roots, self.records.handle(step.address)
                )
                return record.held
        if decision.action is Action.NO_OP:
            self._finish(step, decision, 0.0, record, changed=False)
            return () if record is None else record.held
        return self._do(step, offer, arguments, facts, decision, record)

    def _hold_to(
        self,
        what: str,
        step: Step,
        conditions: Sequence[Condition],
        roots: Roots,
        itself: Value = None,
    ) -> None:
        if broken := self.settler.broken(conditions, roots, itself):
            message, at = broken
            summary = "Precondition failed" if what == "precondition" else "Postcondition failed"
            raise StepFailed(summary, f"{step.address}: {message}", at)

    def remove(self, step: Step) -> None:
        """Destroy or forget what is recorded."""
        offer, record = self._offer(step), self.records.now[step.address]
        began = time.monotonic()
        self.report(Started(step.address, step.action, step.reasons))
        alone = step.action is Action.FORGET and step.address.kind in DESTROYED
        kept = "" if alone else self._destroy(step, offer, record)
        with self.writing:
            self.world.store.forget(
                self.world.lease, self.world.run, step.address, {"action": step.action.value}
            )
            self.records.drop(step.address)
            self.outcome.done[step.address] = step.action
            if kept:
                self.outcome.kept.append(f"{step.address}: {kept}")
        seconds = time.monotonic() - began
        self.report(Finished(step.address, step.action, seconds, None, changed=True))

    def _do(
        self,
        step: Step,
        offer: Offer,
        arguments: Wanted,
        facts: Facts,
        decision: Decision,
        record: Record | None,
    ) -> tuple[str, ...]:
        began = time.monotonic()
        check_code(step, self.world.looker)
        self.report(Started(step.address, decision.action, decision.reasons))
        if decision.action is Action.REUSE:
            assert decision.realisation is not None, "reuse needs something to take again"
            attributes = dict(decision.realisation.attributes)
        elif decision.quiet:
            assert record is not None, "only what is recorded changes quietly"
            attributes = dict(record.attributes)
        else:
            attributes = self._apply(step, offer, arguments, decision, record)
        seconds = time.monotonic() - began
        new = self._record(step, offer, arguments, facts, decision, attributes, seconds)
        if decision.action is Action.REPLACE and record is not None and step.create_first:
            self._destroy(step, offer, record)
        changed = record is None or record.digest != new.digest
        took = spent(step, decision, seconds, differs=None if record is None else changed)
        with self.writing:
            self._write(step, offer, new, decision, took)
        self._finish(step, decision, seconds, new, changed=changed)
        roots = self.settler.resources(step.refers_to)
        self._hold_to("postcondition", step, step.after, roots, self.records.handle(step.address))
        return new.held

    def _apply(
        self,
        step: Step,
        offer: Offer,
        arguments: Wanted,
        decision: Decision,
        record: Record | None,
    ) -> dict[str, Any]:
        if decision.action is Action.REPLACE and record is not None:
            if not step.create_first:
                self._destroy(step, offer, record)
            record = None
        if decision.action is Action.DECIDE and decision.realisation is not None:
            measured = decision.realisation.attributes
            if record is not None:
                record = replace(record, arguments=arguments.data, attributes=measured)
        detail = {"action": decision.action.value, "key": decision.key}
        with self.writing:
            self.world.store.intent(self.world.lease, self.world.run, step.address, detail)
        try:
            return call(
                self.world,
                offer,
                "apply",
                arguments.given,
                None if record is None or not _same_type(record, offer) else record,
                self._context(step, _DOING[decision.action], decision.key, self.home(step)),
                self.report,
                self.stop,
                step.address,
                step.at,
            )
        except (StepFailed, CancelledError) as error:
            with self.writing:
                self.world.store.failed(
                    self.world.lease, self.world.run, step.address, {"error": str(error)[:500]}
                )
            raise

    def _destroy(self, step: Step, offer: Offer, record: Record) -> str:
        with self.writing:
            self.world.store.intent(
                self.world.lease, self.world.run, step.address, {"action": "destroy"}
            )
        context = self._context(step, "destroy", record.key, home_of(record))
        found = call(
            self.world,
            offer,
            "destroy",
            dict(record.arguments),
            record,
            context,
            self.report,
            self.stop,
            step.address,
        )
        return str(found.get("kept", ""))

    def home(self, step: Step) -> str:
        """Return the folder of a resource: the one it has, else one that no other has."""
        record = self.records.now.get(step.address)
        if record is not None and not (step.action is Action.REPLACE and step.create_first):
            return home_of(record)
        return free_home(step.address, self.records.lives)

    def _context(self, step: Step, doing: Doing, key: str | None, home: str) -> dict[str, Any]:
        world, address = self.world, str(step.address)
        closures = {n: fact["digest"] for n, fact in step.code.items()}
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
            home=world.looker.homes / home,
            workdir=world.local / "work" / folder_name(address),
            store=world.looker.artifacts.root,
            cache=world.looker.digests.path,
            inputs=Inputs(dict(step.parts or {}), step.rows),
            receipt=receipt,
        )

    def _record(
        self,
        step: Step,
        offer: Offer,
        arguments: Wanted,
        facts: Facts,
        decision: Decision,
        attributes: dict[str, Any],
        seconds: float,
    ) -> Record:
        assert decision.key is not None, "a step that is carried out has everything known"
        last = self.records.now.get(step.address)
        ran = decision.action is not Action.REUSE and not decision.quiet
        before = None if last is None else last.receipt.get("seconds")
        digest = result_digest(offer.resource, attributes)
        receipt = {
            **self.world.provenance,
            "run": self.world.run,
            "changed": last is None or last.digest != digest,
            "action": decision.action.value,
            "seconds": round(seconds, 3) if ran else before,
            "rows": step.rows,
            "reasons": [r.as_data() for r in decision.reasons],
            "provider": step.provider,
            "home": self.home(step),
            "inputs": self.records.digests(step.refers_to),
        }
        return Record(
            address=step.address,
            type=offer.resource.type,
            key=decision.key,
            decision_key=decision.decision_key,
            digest=digest,
            arguments=arguments.data,
            attributes=attributes,
            parts=dict(facts.parts or {}),
            code=facts.code,
            environment=dict(facts.environment or {}),
            needs=step.refers_to,
            held=held_by(offer.resource, attributes),
            protected=step.protected,
            receipt=receipt,
        )

    def _write(
        self, step: Step, offer: Offer, new: Record, decision: Decision, took: Spent | None
    ) -> None:
        store, lease, run = self.world.store, self.world.lease, self.world.run
        if offer.resource.reusable and decision.action in {Action.RUN, Action.DECIDE}:
            for key in {new.key, full_key(new.key, new.decision_key)}:
                store.realise(lease, Realisation(key, new.digest, new.attributes, new.receipt))
        detail = {"action": decision.action.value, "spent": took and took.as_data()}
        store.put(lease, run, new, detail)
        self.records.put(new)
        self.outcome.done[step.address] = decision.action

    def _finish(
        self,
        step: Step,
        decision: Decision,
        seconds: float,
        record: Record | None,
        *,
        changed: bool,
    ) -> None:
        digest = None if record is None else record.digest
        summary = "" if record is None else str(record.attributes.get("summary") or "")
        self.outcome.spent[step.address] = seconds
        if (saving := spared(step, decision, seconds, record)) is not None:
            self.outcome.spared.append(saving)
        done = Finished(step.address, decision.action, seconds, digest, changed, summary)
        self.report(done)

    def _offer(self, step: Step) -> Offer:
        provider = "" if step.provider == ENGINE else step.provider
        offer = self.world.registry.find(step.address.kind, step.type, provider)
        if offer is None:
            detail = self.world.registry.missing(step.address.kind, step.type)
            raise StepFailed("Unknown resource type", detail)
        return offer

    def _wanted(self, step: Step, offer: Offer, values: Mapping[str, Value]) -> Wanted:
        arguments = wanted(offer.resource, values, self.records.full)
        if arguments.problems and not self._held_upstream(step):
            problem = arguments.problems[0]
            at = step.at.get(problem.argument, "")
            raise StepFailed("Invalid argument", problem.text, at)
        return arguments

    def _facts(self, step: Step, offer: Offer, arguments: Wanted) -> Facts:
        facts = Facts(
            arguments=arguments.data,
            parts=step.parts,
            code=step.code,
            environment=step.environment,
            present=not step.gone,
            attributes_moved={} if step.moved else None,
            ignored=frozenset(step.ignored),
            at=step.at,
        )
        if arguments.model is None:
            return facts
        overrides = type(offer.resource).inputs is not Resource.inputs
        was_open = any(isinstance(v, Deferred) for v in step.arguments.values())
        if facts.parts is None or (overrides and was_open):
            try:
                found = offer.resource.inputs(self.world.looker.at(step.address), arguments.model)
            except ResourceError as error:
                raise StepFailed(error.summary, error.detail) from None
            facts = replace(facts, parts=dict(found.parts))
        if facts.environment is None:
            named = offer.resource.distributions(arguments.model)
            facts = replace(facts, environment=environment(named) if named else {})
        return facts

    def _blocked(
        self, step: Step, offer: Offer, values: Mapping[str, Value], facts: Facts
    ) -> list[str]:
        held = {str(a): r for a, r in self.outcome.held.copy().items()}
        return failing_gates(offer.resource, values) or missing_handle(
            offer.resource, facts, step.refers_to, held
        )

    def _has(self, address: Address) -> bool:
        return address in self.records.now

    def _held_upstream(self, step: Step) -> bool:
        return any(a in self.outcome.held for a in step.refers_to)

    def _lookup(self, key: str) -> Realisation | None:
        found = self.world.store.realisations([key]).get(key)
        if found is None or not artifacts_there(found.attributes, self.world.looker.artifacts):
            return None
        return found


def _most(step: Step) -> int:
    """Return how severe a step may come out: one that waits for a trigger may replace."""
    waits = step.action is Action.MAYBE and TRIGGERS in step.arguments
    return severity(Action.REPLACE if waits else step.action)


def _same_type(record: Record, offer: Offer) -> bool:
    return record.type == offer.resource.type
