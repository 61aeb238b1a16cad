"""One resource after the other → its step, from what is wanted, recorded and seen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from mlform.address import Address
from mlform.config import Names, Project, ResourceConfig
from mlform.diagnostics import Diagnostics
from mlform.graph import Graph
from mlform.lazy import dataclass, field, replace
from mlform.plan import approvals
from mlform.plan.adopted import given_again
from mlform.plan.conditions import Conditions
from mlform.plan.decide import Decision, Facts, decide, may_replace, refreshed, semantic_action
from mlform.plan.deferred import Deferrer
from mlform.plan.drift import differing
from mlform.plan.given import Unplanned
from mlform.plan.held import blocked, never_made
from mlform.plan.imports import taken_over
from mlform.plan.instances import unknown, waits
from mlform.plan.mentions import Mentions
from mlform.plan.model import OPEN, QUIET, Action, Condition, Note, Output, Reason, Step
from mlform.plan.notes import approval, foreseen, tried, waiting
from mlform.plan.predicted import expected
from mlform.plan.refusals import forgotten, protect, refuse
from mlform.plan.select import made_again
from mlform.plan.stayed import Stayed
from mlform.plan.why import traced
from mlform.refresh import Observation
from mlform.refresh.facets import overrides_uses
from mlform.refresh.recorded import Recorded
from mlform.refresh.scope import Scope
from mlform.refresh.world import (
    TRIGGERS,
    Wanted,
    foretold,
    known_handle,
    pending_handle,
    recorded_handle,
    wanted,
)
from mlform.registry import Registry
from mlform.state.model import Realisation, Record, Snapshot
from mlform.values import Value


@dataclass
class Builder:
    """Decides resource after resource; what each is worth is known to those after it."""

    project: Project
    names: Names
    graph: Graph
    snapshot: Snapshot
    registry: Registry
    given: Unplanned
    diagnostics: Diagnostics
    notes: list[Note] = field(default_factory=list)
    pending: set[str] = field(default_factory=set)
    shifted: set[Address] = field(default_factory=set)
    """What is worth something else than what is recorded."""
    reused: dict[Address, Realisation] = field(default_factory=dict)
    """The results that are taken again."""
    deferred: dict[Address, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scope = Scope(self.project, self.snapshot, self.diagnostics)
        self.deferrer = Deferrer(self.project, self.scope)
        self.conditions = Conditions(self.scope, self.deferrer, self.names, self.diagnostics)
        self.held: dict[str, tuple[str, ...]] = {}
        self.anew: set[str] = set()
        self.mentions = Mentions(self.project, self.names, self.graph)
        self.stayed = Stayed(self.project, self.snapshot, lambda: self.recorded)
        first = [a for a, r in self.project.resources.items() if r.lifecycle.create_before_destroy]
        self.create_first = self.graph.upstream(first)

    def defers(self, resource: ResourceConfig) -> bool:
        """Put a resource off if how many there are of it rests on what is still to be applied.

        What takes a value from one that is put off is put off too.
        """
        address = resource.address
        found = waits(resource, self.project, self.graph, self._moves, self.deferred)
        if not found:
            return False
        self.deferred[address] = tuple(found)
        self.pending.add(str(address))
        self.shifted.add(address)
        self.scope.put(address, pending_handle(address, resource.offer.resource, {}))
        return True

    def defer_blocks(self) -> None:
        """Name the blocks of which not even one instance can be told yet."""
        self.deferred |= dict(unknown(self.project, self._moves))

    def _moves(self, address: Address) -> bool:
        """Tell whether how many there are of what rests on it is told by what it was before."""
        return str(address) in self.pending or address in self.reused or address in self.deferred

    def awaiting(self) -> set[Address]:
        """Return the records of which it cannot be told yet what becomes of them."""
        rests, blocks = self.project.rests, {a.config for a in self.deferred}
        if self.given.destroy or not (rests.later or blocks):
            return set()
        return {a for a in self.snapshot.records if a.config in blocks or rests.is_later(a)}

    def step(self, resource: ResourceConfig) -> Step:
        """Return the step of a resource. All it needs must have had theirs."""
        address, offered = resource.address, resource.offer.resource
        record = self.snapshot.records.get(address)
        before = self.conditions.before(resource)
        seen = self.given.observations.get(address, Observation())
        adopted_: Mapping[str, Any] | None = None
        drift: tuple[Reason, ...] = ()
        if record is not None and address in self.given.adopt and seen.attributes is not None:
            adopted_, drift = seen.attributes, differing(record, seen)
            record, seen = refreshed(offered, record, adopted_), replace(seen, attributes=None)
        if seen.asked is not None and self.shifted.isdisjoint(self.graph.needs[address]):
            values, arguments = seen.asked.values, seen.asked.wanted
        else:
            values = self._values(resource)
            arguments = wanted(offered, values)
            refuse(resource, arguments, self.diagnostics)
        facts = self._facts(resource, values, arguments, seen)
        facts = self._adopting(resource, values, facts, seen)
        if not facts.open:
            self.diagnostics.extend(seen.trouble)
        found, decided = None if record else self.given.imports.get(address), facts
        if found is not None:
            decided, record = taken_over(offered, address, facts, found)
        given = self.deferrer.arguments(resource, values, arguments)
        decision = self._decision(resource, decided, record, values)
        decision = self._approved(resource, decision, record, arguments, given, facts)
        known = self._expected(resource, values, arguments, facts, decision, record, seen)
        told = {} if facts.ignored else {**foretold(offered, arguments.model), **seen.source}
        self._see(resource, decision, record, seen, known, told)
        self.notes += [*waiting(address, seen), *foreseen(address, offered, known)]
        self.notes += tried(offered, arguments, decision, record)
        protect(resource, decision, self.diagnostics)
        forgotten(resource, facts, decision, record, self.diagnostics)
        code = {n: {"digest": f.digest, "files": f.files} for n, f in seen.code.items()}
        takes = {} if decision.action in QUIET else self.mentions.takes(resource)
        needs = tuple(sorted(self.graph.needs[address]))
        return Step(
            address=address,
            type=offered.type,
            provider=resource.offer.provider,
            action=decision.action,
            arguments=given,
            reasons=(*drift, *traced(decision.reasons, takes)),
            refers_to=needs,
            needs=needs,
            at=dict(facts.at),
            key=decision.key if facts.settled else None,
            parts=seen.used,
            rows=seen.rows if seen.pinned is None else seen.pinned_rows,
            code=code,
            environment=seen.environment,
            protected=resource.lifecycle.prevent_destroy,
            takes=takes,
            recorded=record.arguments if record and decision.action is not Action.NO_OP else None,
            gone=not seen.present,
            moved=seen.attributes is not None,
            ignored=tuple(sorted(resource.lifecycle.ignore_changes)),
            quiet=decision.quiet,
            before=before,
            after=self._after(resource, decision, record, known),
            again=any(r.what in {"again", "revert"} for r in decision.reasons),
            create_first=address in self.create_first,
            imported=found,
            observed=None if record is None else seen.attributes,
            adopted=adopted_,
            determinism=resource.lifecycle.determinism,
            expected=known,
            prior=() if decision.action in QUIET else self.mentions.prior(resource),
            demand=resource.demand,
        )

    def _expected(
        self,
        resource: ResourceConfig,
        values: Mapping[str, Value],
        arguments: Wanted,
        facts: Facts,
        decision: Decision,
        record: Record | None,
        seen: Observation,
    ) -> Mapping[str, Any]:
        """Return what is known of the attributes of what a step makes."""
        offered = resource.offer.resource
        stays = decision.action is not Action.REPLACE and seen.present
        if decision.action is Action.MAYBE:
            elsewhere = any(r.what == "identity" for r in decision.reasons)
            stays = stays and not elsewhere and TRIGGERS not in facts.open
        if stays and (kept := given_again(offered, facts, record)):
            revived = {n: self.recorded.revive(v) for n, v in kept.items()}
            arguments = wanted(offered, {**values, **revived})
        known = decision, record, seen.attributes, self.diagnostics
        return expected(resource, arguments, *known, stays=stays)

    def _adopting(
        self, resource: ResourceConfig, values: Mapping[str, Value], facts: Facts, seen: Observation
    ) -> Facts:
        """Return the facts with what is taken of inputs once recorded arguments are kept."""
        offered, record = resource.offer.resource, self.snapshot.records.get(resource.address)
        kept = given_again(offered, facts, record) if overrides_uses(offered) else {}
        if not kept:
            return facts
        again = {**values, **{n: self.recorded.revive(v) for n, v in kept.items()}}
        return self._facts(resource, again, wanted(offered, again), seen)

    @cached_property
    def recorded(self) -> Recorded:
        """What is recorded, of the types that are on offer."""
        offered = self.registry.find
        records = self.snapshot.records.items()
        return Recorded({a: r for a, r in records if offered(a.kind, r.type)}, self.registry)

    def may_replace(self, step: Step) -> bool:
        """Tell whether a step may come to replace its object once all is known."""
        resource = self.project.resources[step.address].offer.resource
        return may_replace(resource, step.action, step.arguments)

    def _values(self, resource: ResourceConfig) -> dict[str, Value]:
        values = self.scope.arguments(resource)
        if triggers := resource.lifecycle.triggers:
            scope = self.scope.of(resource)
            values[TRIGGERS] = [scope.value(t, resource.bindings) for t in triggers]
        return values

    def _after(
        self,
        resource: ResourceConfig,
        decision: Decision,
        record: Record | None,
        known: Mapping[str, Any],
    ) -> tuple[Condition, ...]:
        if decision.action is Action.HELD or not resource.lifecycle.postconditions:
            return ()
        address, offered = resource.address, resource.offer.resource
        if record is None or decision.action is not Action.NO_OP:
            told = {n: v for n, v in known.items() if v != OPEN}
            itself = pending_handle(address, offered, told) if told else None
            return self.conditions.after(resource, itself)
        seen = self.given.observations.get(address, Observation()).attributes
        now = record.attributes if seen is None else seen
        return self.conditions.after(resource, known_handle(address, offered, now))

    def outputs(self) -> dict[str, Output]:
        """Return the outputs of the root module, plain or deferred."""
        return {
            name: Output(
                self.deferrer.output(output), output.sensitive, self.conditions.output(name)
            )
            for name, output in sorted(self.project.outputs.items())
        }

    def _facts(
        self,
        resource: ResourceConfig,
        values: Mapping[str, Value],
        arguments: Wanted,
        seen: Observation,
    ) -> Facts:
        open_ = {n: self._waits_for(resource, n, values) for n in sorted(arguments.open)}
        return Facts(
            arguments={n: v for n, v in arguments.data.items() if n not in arguments.open},
            open=open_,
            by_record=self.stayed.worth(resource, seen.asked, open_),
            parts=seen.used,
            code={n: {"digest": f.digest, "files": f.files} for n, f in seen.code.items()},
            environment=seen.environment,
            present=seen.present,
            attributes_moved=seen.attributes,
            anew=self.anew,
            ignored=resource.lifecycle.ignore_changes,
            at={n: str(a.value_span) for n, a in resource.arguments.items()},
        )

    def _waits_for(
        self, resource: ResourceConfig, name: str, values: Mapping[str, Value]
    ) -> tuple[str, ...]:
        mentioned = self.mentions.of(resource, name)
        return tuple(str(a) for a in mentioned if str(a) in self.pending)

    def _decision(
        self,
        resource: ResourceConfig,
        facts: Facts,
        record: Record | None,
        values: Mapping[str, Value],
    ) -> Decision:
        offered = resource.offer.resource
        upstream = sorted(self.graph.needs[resource.address])
        records = self.snapshot.records
        stops = blocked(offered, values, facts, upstream, self.held, records, self.registry)
        if stops := stops or never_made(upstream, self.held, records):
            return Decision(Action.HELD, tuple(Reason("held", text) for text in stops))
        decision = decide(offered, facts, record, self.given.lookup)
        again = made_again(record, self.given.again) if facts.present else None
        if again is not None:
            action = Action.RUN if offered.reusable else Action.REPLACE
            reasons = (again, *decision.reasons)
            return Decision(action, reasons, decision.key, decision.decision_key)
        if resource.address in self.given.revert and decision.action is Action.NO_OP:
            action = semantic_action(offered)
            return Decision(action, (Reason("revert"),), decision.key, decision.decision_key)
        if decision.action is not Action.NO_OP:
            return decision
        # What is taken over is recorded first, whatever holds it from then on.
        if record is not None and record.held and resource.address in records:
            return Decision(
                Action.HELD, tuple(Reason("held", t) for t in record.held), decision.key
            )
        if inherited := [str(a) for a in upstream if str(a) in self.held]:
            reasons = tuple(Reason("held", f"{a} is held") for a in inherited)
            return Decision(Action.HELD, reasons, decision.key)
        return decision

    def _approved(
        self,
        resource: ResourceConfig,
        decision: Decision,
        record: Record | None,
        arguments: Wanted,
        given: Mapping[str, Any],
        facts: Facts,
    ) -> Decision:
        """Decide anew what is held for want of approvals, if they are there; else say what is."""
        address, offered = resource.address, resource.offer.resource
        asks = approvals.asked(offered, None if arguments.open else arguments.model)
        if not asks.missing(()):
            return decision
        needs = sorted(self.graph.needs[address])
        code = {n: fact["digest"] for n, fact in facts.code.items()}
        parts, environment = dict(facts.parts or {}), dict(facts.environment or {})
        made_of = {"code": code, "parts": parts, "environment": environment}
        subject = approvals.subject(address, offered.type, given, made_of, {}, needs)
        agreed = self.given.approved(address, subject)
        waits = decision.action is not Action.NO_OP
        if waits and (lacking := asks.missing(agreed)):
            self.notes.append(approval(address, lacking))
        held = decision.action is Action.HELD and record is not None and bool(record.held)
        if not held or record is None or not approvals.enough_now(asks, record, agreed):
            return decision
        reason = Reason(approvals.WHAT, ", ".join(sorted({it.by for it in agreed})))
        return Decision(Action.DECIDE, (reason,), decision.key, decision.decision_key)

    def _see(
        self,
        resource: ResourceConfig,
        decision: Decision,
        record: Record | None,
        seen: Observation,
        known: Mapping[str, Any],
        foretold: Mapping[str, Any],
    ) -> None:
        """Say what the resource will be worth to those after it."""
        address, offered = resource.address, resource.offer.resource
        if decision.action is Action.HELD:
            self.held[str(address)] = tuple(r.subject for r in decision.reasons)
        same = recorded_handle(self.snapshot, address, offered)
        quiet = decision.action in QUIET or decision.quiet
        taken = seen.attributes if decision.action is Action.NO_OP else None
        untouched = record is self.snapshot.records.get(address) and taken is None
        if same is not None and quiet and untouched:
            self.scope.put(address, replace(same, behind=seen.foretold) if seen.behind else same)
            return
        self.shifted.add(address)
        if decision.action is Action.REUSE and decision.realisation is not None:
            self.reused[address] = decision.realisation
            self.scope.put(address, known_handle(address, offered, decision.realisation.attributes))
        elif record is not None and quiet:
            now = record.attributes if taken is None else taken
            self.scope.put(address, known_handle(address, offered, now))
        else:
            if decision.action not in QUIET:
                self.pending.add(str(address))
            if decision.action in {Action.CREATE, Action.REPLACE}:
                self.anew.add(str(address))
            told = {n: v for n, v in known.items() if v != OPEN}
            self.scope.put(address, pending_handle(address, offered, told, foretold))
