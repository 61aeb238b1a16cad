"""One step: settle its arguments, decide once more, call the provider, write the record."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Event as Flag
from typing import TYPE_CHECKING, Any, Final

from mlform.apply.attempts import Attempts, asked_of
from mlform.apply.current import check_code
from mlform.apply.events import Finished, Reporter, Started
from mlform.apply.facts import facts_now
from mlform.apply.imports import take_over
from mlform.apply.orders import barred
from mlform.apply.promises import check_given, keep_promise, still_there
from mlform.apply.provider import StepFailed, Trying, call, compared
from mlform.apply.recording import Making, measured, record_of
from mlform.apply.removal import Remover, lent
from mlform.apply.settle import Roots, Settler
from mlform.apply.spared import spared
from mlform.failpoints import failpoint
from mlform.lazy import replace
from mlform.plan import Action, Condition, Decision, Facts, Step, approvals, decide, severity
from mlform.plan.adopted import given_again
from mlform.plan.decide import full_key, may_replace, refreshed
from mlform.plan.estimate import spent
from mlform.plan.extent import kept
from mlform.plan.held import blocked, never_made
from mlform.plan.imports import taken_over
from mlform.plan.predicted import broken
from mlform.plan.why import traced
from mlform.refresh import ImportFact
from mlform.refresh.recorded import Recorded
from mlform.refresh.results import Results
from mlform.refresh.world import Wanted, arranged, wanted
from mlform.registry import ENGINE, Offer
from mlform.sdk import CancelledError, Doing, Resource
from mlform.state.model import Realisation, Record, Spent, free_home, home_of
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
        devices: Callable[[Step], Sequence[str]],
    ) -> None:
        self.world, self.records, self.settler = world, records, settler
        self.outcome, self.report, self.stop = outcome, report, stop
        self.results = Results(world.store, world.looker, self._not_reused)
        self.attempts = Attempts(world, report, stop, devices)
        self.remover = Remover(world, records, outcome, report, stop)

    def carry_out(self, step: Step) -> tuple[str, ...]:
        """Do what a step calls for; return why it is held, if it is."""
        offer = self._offer(step)
        record = self.records.now.get(step.address)
        known = None if step.action is Action.REPLACE else record
        if never := never_made(step.refers_to, set(map(str, self.outcome.held)), self.records.now):
            return tuple(never)
        if step.before:
            roots = self.settler.resources(step.refers_to)
            self._hold_to("precondition", step, step.before, roots)
        values = self.settler.values(step)
        arguments = self._wanted(step, offer, values)
        facts = facts_now(step, offer, arguments, self.world.looker)
        if (found := step.imported if record is None else None) is not None:
            _, record = taken_over(offer.resource, step.address, facts, found)
            known = record
        # What could not be looked up while planning is known now.
        if facts.parts is not step.parts or facts.environment is not step.environment:
            step = replace(step, parts=facts.parts, environment=facts.environment)
        if unchanged := given_again(offer.resource, facts, known):
            values |= {n: self.records.revive(v) for n, v in unchanged.items()}
            arguments = self._wanted(step, offer, values)
        if stops := self._blocked(step, offer, values, facts):
            return tuple(stops)
        if found and record and found.alone:
            return take_over(self, step, offer, record, found).held
        decision = (decided := partial(self._decide, step, offer, facts, known))()
        joins = decision.action is Action.RUN and offer.resource.reusable and not step.again
        about = {"address": str(step.address), "folder": str(self.world.looker.root)}
        key, say = decision.key if joins else None, partial(self.attempts.say, step)
        with self.results.alone(key, about, say, self.stop) as waited:
            if waited:  # another, of this run or not, has just made what this one is to make
                decision = decided()
            if waited and self.stop.is_set() and decision.action is Action.RUN:
                raise CancelledError
            return self._no_more(step, offer, arguments, facts, decision, record, found)

    def _decide(self, step: Step, offer: Offer, facts: Facts, known: Record | None) -> Decision:
        decision = decide(offer.resource, facts, known, self.results.lookup)
        if step.takes:
            decision = replace(decision, reasons=traced(decision.reasons, step.takes))
        approved = any(r.what == approvals.WHAT for r in step.reasons)
        if step.again or approved or step.action is Action.REPLACE:
            return replace(decision, action=step.action, reasons=step.reasons, quiet=False)
        return decision

    def approved(self, step: Step) -> bool:
        """Tell whether a step that was planned as held for want of approvals has them now."""
        record, given = self.records.now.get(step.address), self.world.approved.get(step.address)
        if record is None or not given:
            return False
        offer = self._offer(step)
        model = self._wanted(step, offer, self.settler.values(step)).model
        return approvals.enough_now(approvals.asked(offer.resource, model), record, given)

    def _no_more(
        self,
        step: Step,
        offer: Offer,
        arguments: Wanted,
        facts: Facts,
        decision: Decision,
        record: Record | None,
        found: ImportFact | None,
    ) -> tuple[str, ...]:
        """Do what was decided, if that is no more than was planned."""
        worse = may_replace(offer.resource, step.action, step.arguments)
        if severity(decision.action) > severity(Action.REPLACE if worse else step.action):
            raise StepFailed(
                "Plan exceeded",
                f"The plan announced {step.action} for {step.address}; with everything upstream "
                f"known it comes to {decision.action}. Nothing was done. Plan again.",
            )
        if decision.action is Action.REPLACE and step.protected:
            detail = f"{step.address} would be replaced; lifecycle.prevent_destroy is set."
            raise StepFailed("Protected from destruction", detail)
        if found and record:
            record = take_over(self, step, offer, record, found)
            if decision.action is Action.NO_OP:
                self._hold_after(step)
                return record.held
        if decision.action is Action.NO_OP:
            record = self.keep(step)
            self._finish(step, decision, 0.0, record, changed=False)
            return () if record is None else record.held
        return self._do(step, offer, arguments, facts, decision, record)

    def keep(self, step: Step) -> Record | None:
        """Record what is so without anything being done: what changed by itself, and settings."""
        record = self.records.now.get(step.address)
        if record is None or not self.world.lease.covers(str(step.address)):
            return record
        now = kept(step, self._offer(step).resource, record)
        if now != record:
            with self.remover.alone(step.address):
                now = self.remover.still(now)
                self.world.keep(now, {"action": Action.NO_OP.value})
                self.records.put(now)
        return now

    def _as_seen(self, step: Step, record: Record) -> Record:
        if step.observed is None:
            return record
        return refreshed(self._offer(step).resource, record, step.observed)

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

    def _hold_after(self, step: Step) -> None:
        if not step.after:
            return
        roots = self.settler.resources(step.refers_to)
        self._hold_to("postcondition", step, step.after, roots, self.records.handle(step.address))

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
        if step.old is None or step.create_first:
            expected = step.estimate.expected if step.estimate else None
            self.report(Started(step.address, decision.action, decision.reasons, expected))
        making = self._making(Making(step, offer, arguments, facts, decision), record)
        if decision.action is Action.REUSE:
            assert decision.realisation is not None, "reuse needs something to take again"
            attributes = dict(decision.realisation.attributes)
        elif decision.quiet:
            assert record is not None, "only what is recorded changes quietly"
            attributes = dict(self._as_seen(step, record).attributes)
        else:

            def made(attributes: dict[str, Any]) -> None:
                self._unfinished(step, offer, self._record(making, attributes, 0.0), making)

            attributes, waited = self._apply(step, offer, arguments, decision, making, made)
            began += waited
        seconds = time.monotonic() - began
        new = self._record(making, attributes, seconds)
        if making.deposed and decision.action is Action.REPLACE:
            self.remover.behind[step.address] = home_of(making.deposed[0])
        wrong = broken(step.expected, arranged(offer.resource.attributes, attributes))
        if wrong and making.old is None:
            new = replace(new, receipt={**new.receipt, "tainted": "a result that was not promised"})
        changed = record is None or record.digest != new.digest
        took = spent(step, decision, seconds, differs=None if record is None else changed)
        self._write(step, offer, new, decision, took)
        if wrong:
            raise StepFailed(
                "Provider error",
                f'{step.address}: provider "{step.provider}" predicted {", ".join(wrong)} while '
                "planning, and applying gave another value. What there is now is recorded. This "
                "is a bug in the provider.",
            )
        self._finish(step, decision, seconds, new, changed=changed)
        self._hold_after(step)
        return new.held

    def _apply(
        self,
        step: Step,
        offer: Offer,
        arguments: Wanted,
        decision: Decision,
        making: Making,
        made: Callable[[dict[str, Any]], None],
    ) -> tuple[dict[str, Any], float]:
        """Return the attributes, and how many seconds there was no room for the call."""
        record = making.old
        if decision.action is Action.DECIDE and decision.realisation is not None:
            record = measured(step, arguments, decision.realisation)
        detail = {"action": decision.action.value, "key": decision.key}
        doing = _DOING[decision.action]
        context = lent(self.world, step, doing, decision.key, making.home, barred(self, step))

        def once(trying: Trying) -> tuple[dict[str, Any], float]:
            given = call(
                self.world,
                offer,
                "apply",
                arguments.given,
                record if record is not None and record.type == offer.resource.type else None,
                context,
                self.report,
                self.stop,
                step.address,
                step.at,
                made=made,
                secrets=arguments.secrets,
                trying=trying,
            )
            failpoint("apply.called")
            check_given(step, offer, decision, given, record, self.world.looker.artifacts)
            told = (self.world, offer, step.address, arguments, context, self.report, self.stop)
            keep_promise(step, offer, decision, given, self.results, partial(compared, *told))
            return given, trying.waited

        asked = asked_of(offer, decision, arguments, record, making.home)
        return self.attempts.run(step, detail, asked, once)

    def _making(self, making: Making, record: Record | None) -> Making:
        """Say what a step starts from; what it replaces goes now, unless it has its own time."""
        step = making.step
        if making.decision.action is not Action.REPLACE:
            home = (
                free_home(step.address, self.records.lives) if record is None else home_of(record)
            )
            deposed = () if record is None else record.deposed
            # What is gone out there is made from nothing; bytes lost from the store are no reason
            # to forget what is recorded beside them (which model is champion).
            resource = making.offer.resource
            outside = type(resource).read is not Resource.read and not resource.keeps_content
            lost = record is None or (step.gone and outside)
            old = None if record is None or lost else self._as_seen(step, record)
            return replace(making, home=home, last=record, old=old, deposed=deposed)
        if record is not None and not step.create_first:
            self.remover.clear(step)
            record = self.records.now.get(step.address)
        making = replace(making, home=free_home(step.address, self.records.lives))
        if record is None:
            return making
        behind = (replace(record, deposed=()), *record.deposed)
        return replace(making, last=record, deposed=behind)

    def _record(self, making: Making, attributes: dict[str, Any], seconds: float) -> Record:
        return record_of(making, attributes, seconds, self.records, self.world)

    def _unfinished(self, step: Step, offer: Offer, new: Record, making: Making) -> None:
        """Record what exists of a step that is not over: made anew unless all of it comes off."""
        if making.old is None:
            new = replace(new, receipt={**new.receipt, "tainted": "a run that did not finish"})
        else:
            new = refreshed(offer.resource, making.old, new.attributes)
        with self.remover.alone(step.address):
            new = self.remover.still(new)
            self.world.keep(new, {"action": "unfinished"})
            failpoint("apply.partly")
            self.records.put(new)

    def home(self, step: Step) -> str:
        """Return the folder of a resource: the one it has, else one that no other has."""
        record = self.records.now.get(step.address)
        if record is not None and not (step.action is Action.REPLACE and step.create_first):
            return home_of(record)
        return free_home(step.address, self.records.lives)

    def _write(
        self, step: Step, offer: Offer, new: Record, decision: Decision, took: Spent | None
    ) -> None:
        self.world.hold_for(new)
        if decision.action is Action.REUSE:
            still_there(step, new.attributes, self.world.looker.artifacts)
        if offer.resource.reusable and decision.action in {Action.RUN, Action.DECIDE}:
            for key in {new.key, full_key(new.key, new.decision_key)}:
                made = Realisation(key, new.digest, new.attributes, new.receipt)
                self.world.store.realise(self.world.lease, made)
                failpoint("apply.realised")
                self.results.publish(made)
                failpoint("apply.published")
        detail = {"action": decision.action.value, "spent": took and took.as_data()}
        with self.remover.alone(step.address):
            new = self.remover.still(new)
            self.world.store.put(self.world.lease, self.world.run, new, detail)
            failpoint("apply.recorded")
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
        if arguments.problems and not any(a in self.outcome.held for a in step.refers_to):
            problem = arguments.problems[0]
            at = step.at.get(problem.argument, "")
            raise StepFailed("Invalid argument", problem.text, at)
        return arguments

    def _blocked(
        self, step: Step, offer: Offer, values: Mapping[str, Value], facts: Facts
    ) -> list[str]:
        held = {str(a): r for a, r in self.outcome.held.copy().items()}
        recorded = self.records.now, self.world.registry
        return blocked(offer.resource, values, facts, step.refers_to, held, *recorded)

    def _not_reused(self, text: str) -> None:
        self.outcome.warnings.append(("Result not reused", text, ""))
