"""Walk the graph once, deciding as we go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from mlform.address import Address
from mlform.config import Names, Project
from mlform.demand import LOCAL, Declared, Demand, runs_here
from mlform.diagnostics import Diagnostics
from mlform.graph import Graph
from mlform.plan.builder import Builder
from mlform.plan.drift import drifts, recordings, standing
from mlform.plan.estimate import estimated
from mlform.plan.given import Unplanned, spec_digest
from mlform.plan.model import QUIET, Action, Plan, Step
from mlform.plan.ordering import ordered
from mlform.plan.orphans import leaving, left_behind, orphans, unused
from mlform.plan.outputs import changed_outputs
from mlform.plan.purge import purged
from mlform.plan.refusals import left_alone
from mlform.plan.select import chosen, left_out, waited
from mlform.refresh.model import as_data
from mlform.refresh.moves import removed
from mlform.refresh.scope import Scope
from mlform.refresh.world import pending_handle, recorded_handle
from mlform.registry import Registry
from mlform.state.model import Realisation, Snapshot
from mlform.values import digest, plain


def build(
    project: Project,
    names: Names,
    graph: Graph,
    snapshot: Snapshot,
    registry: Registry,
    given: Unplanned,
    diagnostics: Diagnostics,
) -> Plan:
    """Return the plan that turns what the snapshot records into what the project declares."""
    return walk(project, names, graph, snapshot, registry, given, diagnostics)[0]


def walk(
    project: Project,
    names: Names,
    graph: Graph,
    snapshot: Snapshot,
    registry: Registry,
    given: Unplanned,
    diagnostics: Diagnostics,
) -> tuple[Plan, Scope, Mapping[Address, Realisation]]:
    """Return the plan, and what everything will be worth once it is applied, as far as known.

    With it, the results that are taken again.
    """
    builder = Builder(project, names, graph, snapshot, registry, given, diagnostics)
    wanted = waited(project, given.targets)
    within = chosen(graph, wanted, given.exclude, alone=given.alone)
    sure = given.again - builder.awaiting()
    left_alone(sure, set() if given.destroy else within, given, project, diagnostics)
    steps: list[Step] = []
    if given.refresh == "only":
        steps = recordings(snapshot, given.observations, registry, within)
    elif not given.destroy:
        order = (project.resources[a] for a in graph.order if a in within)
        if given.alone:
            for address in graph.order:
                if address not in within:
                    _taken(builder, address)
        steps = [builder.step(r) for r in order if not builder.defers(r)]
        builder.defer_blocks()
    if given.refresh != "only":
        steps = _with_what_goes(builder, steps)
    timed, accuracy = estimated(steps, given.past)
    partly = given.destroy or given.targets or given.exclude or given.refresh == "only"
    whole = not partly
    outputs = builder.outputs() if whole else {}
    checks = builder.conditions.checks() if whole else {}
    if whole:
        builder.conditions.validations()
    used = [s.demand for s in timed if s.action not in QUIET]
    places = project.settings
    plan = Plan(
        lineage=snapshot.lineage,
        serial=snapshot.serial,
        spec=spec_digest(project),
        observations=digest(as_data(given.observations, given.imports)),
        lock=given.lock,
        as_of=given.as_of,
        steps=tuple(timed),
        outputs=outputs,
        output_changes=changed_outputs(outputs, snapshot) if whole else {},
        notes=(*builder.notes, *standing(snapshot)),
        settings={
            n: {k: plain(v) for k, v in s.items()} for n, s in sorted(registry.settings.items())
        },
        targets=tuple(str(t) for t in given.targets),
        excluded=tuple(str(t) for t in given.exclude),
        moves={str(a): str(b) for a, b in sorted(given.moves.items())},
        checks=checks,
        accuracy=accuracy,
        left_out={} if given.destroy else left_out(graph, given.exclude, within),
        destroy=given.destroy,
        refresh=given.refresh,
        unseen=given.unseen,
        drift=tuple(drifts(snapshot, given.observations, registry)),
        purging=None if given.retention is None else given.retention.how,
        executors={n: e for n, e in places.executors.items() if _names(used, n, places.executors)},
        pools={n: s for n, s in places.pools.items() if any(n in d.pools for d in used)},
        deferred={str(a): w for a, w in sorted(builder.deferred.items(), key=str)},
        pulls=given.pulls,
    )
    return plan, builder.scope, builder.reused


def _with_what_goes(builder: Builder, steps: Sequence[Step]) -> list[Step]:
    """Return the steps, with those that let go of something, in order."""
    given, snapshot, declared = builder.given, builder.snapshot, builder.project.resources
    records, blocks = snapshot.records, partial(removed, builder.project)
    later = builder.awaiting()
    held = {s.address for s in steps if s.action is Action.HELD and s.address in records}
    # What needs something excluded stays as it is too, unless all is taken down.
    out = {*given.exclude}
    if out and not given.destroy:
        out = builder.graph.downstream(out)
    gone = leaving(snapshot, declared.keys(), given.targets, out, destroy=given.destroy)
    gone = [r for r in gone if r.address not in later]
    stays = later | held | (set() if given.destroy else out & records.keys())
    used = {n for a in stays for n in records[a].needs}
    purging, seen = given.retention is not None, given.observations
    told = builder.diagnostics
    going = orphans(gone, seen, builder.registry, blocks, builder.project, told, purging=purging)
    goes = [*steps, *unused(going, later | held, records, builder.notes)]
    goes += left_behind(snapshot, {s.address for s in goes} - used, blocks)
    if given.retention is not None:
        spared = {r.address for r in gone if blocks(r.address) is False}
        goes = purged(goes, snapshot, given.retention, given.moves, spared)
    return ordered(goes, records, builder.may_replace, used)


def _taken(builder: Builder, address: Address) -> None:
    """Take a resource as it is recorded, whatever would become of it."""
    offered = builder.project.resources[address].offer.resource
    known = recorded_handle(builder.snapshot, address, offered)
    if known is None:
        builder.pending.add(str(address))
    builder.scope.put(address, known or pending_handle(address, offered, {}))


def _names(demands: Sequence[Demand], executor: str, executors: Mapping[str, Declared]) -> bool:
    """Tell whether a step needs an executor, or the limits that are declared of the local one."""
    here = executor == LOCAL
    return any(d.executor == executor or (here and runs_here(d, executors)) for d in demands)
