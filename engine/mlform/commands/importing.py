"""``import``: looks at what exists already, and takes it over without running anything."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from mlform.commands.options import PlanOptions
from mlform.commands.provenance import provenance
from mlform.commands.session import Session
from mlform.commands.working import workers
from mlform.diagnostics import DiagnosedError, did_you_mean, stop
from mlform.lazy import dataclass, replace

if TYPE_CHECKING:
    from mlform.address import Address
    from mlform.apply import Outcome, Reporter
    from mlform.config import Import
    from mlform.execute import Executor
    from mlform.plan import Plan, Step
    from mlform.refresh import ImportFact
    from mlform.refresh.world import Wanted
    from mlform.registry import Offer
    from mlform.sdk import Inputs
    from mlform.state.model import Record, Snapshot

_AT_ONCE: Final = 4


@dataclass(frozen=True)
class Reading:
    """One thing to look at."""

    it: Import
    offer: Offer
    arguments: Wanted | None
    """What its block says; ``None`` where there is none yet."""
    at: Mapping[str, str]


@dataclass(frozen=True)
class _Running:
    executor: Executor


def look(session: Session, snapshot: Snapshot, options: PlanOptions) -> dict[Address, ImportFact]:
    """Read what ``import`` blocks name, as far as it is not recorded yet.

    Raises ``DiagnosedError`` with everything that cannot be imported, and why.
    """
    given = session.configured[0].imports if options.imports is None else options.imports
    wanted = [it for it in given if it.target not in snapshot.records]
    if not wanted or options.destroy:
        return {}
    if options.targets or options.exclude:
        chosen = set(session.graph.needs)
        if options.targets:
            chosen = session.graph.upstream(session.targets(options.targets, snapshot))
        chosen -= session.graph.downstream(session.targets(options.exclude, snapshot))
        wanted = [it for it in wanted if it.target in chosen]
    wanted = [it for it in wanted if _possible(session, it, snapshot)]
    _each_once(session, wanted)
    session.diagnostics.stop_on_errors()
    return _read_all(session, wanted, snapshot) if wanted else {}


def provisional(
    session: Session, snapshot: Snapshot, found: Mapping[Address, ImportFact]
) -> Snapshot:
    """Return what is recorded with what will be, for expressions that refer to it."""
    from mlform.refresh.world import result_digest
    from mlform.state.model import Record

    project, _ = session.configured
    more = {}
    for address, fact in found.items():
        offered = project.resources[address].offer.resource
        content = result_digest(offered, fact.attributes)
        more[address] = Record(
            address, offered.type, "", None, content, fact.arguments, fact.attributes
        )
    return replace(snapshot, records={**snapshot.records, **more}) if more else snapshot


def _possible(session: Session, it: Import, snapshot: Snapshot) -> bool:
    """Note what stands in the way of an import before anything is looked at."""
    project, _ = session.configured
    if project.rests.is_later(it.target.config):
        return False  # it is deferred, and imported in the round that makes it known
    resource = project.resources.get(it.target)
    if resource is None and it.target.config in project.declared:
        instances = project.instances(it.target.config)
        listed = ", ".join(map(str, instances[:8])) or "none"
        detail = f"{it.target} is no instance of its block. Its instances: {listed}."
        session.diagnostics.error("Invalid import", detail, at=it.to, of=str(it.target))
        return False
    if resource is None:
        known = map(str, project.declared)
        alone = it.target.key is None and not it.target.module
        written = ", or have it written: `mlform plan -generate-config-out=FILE`" if alone else ""
        detail = (
            f"There is no block for {it.target}.{did_you_mean(str(it.target), known)} Write "
            f"it{written}."
        )
        session.diagnostics.error("No block for the import", detail, at=it.to, of=str(it.target))
        return False
    if (owner := _owner(it, resource.type, snapshot)) is not None:
        detail = (
            f"{it.id} is under management already, as {owner.address}. If its address is to "
            "change, write a `moved` block."
        )
        session.diagnostics.error("Already managed", detail, at=it.at, of=str(it.target))
        return False
    return True


def _each_once(session: Session, wanted: Sequence[Import]) -> None:
    """Note what is to come under management at more than one address."""
    resources = session.configured[0].resources
    first: dict[tuple[str, str, str], Import] = {}
    for it in wanted:
        earlier = first.setdefault((it.target.kind, resources[it.target].type, it.id), it)
        if earlier is not it:
            detail = (
                f"{it.id} is imported as {earlier.target} already, at {earlier.span}. Keep one."
            )
            session.diagnostics.error("Invalid import", detail, at=it.at, of=str(it.target))


def _owner(it: Import, type_: str, snapshot: Snapshot) -> Record | None:
    """Return the record that has the same thing under another address."""
    for record in snapshot.records.values():
        same = (record.address.kind, record.type) == (it.target.kind, type_)
        if same and record.receipt.get("imported") == it.id:
            return record
    return None


def _read_all(
    session: Session, wanted: Sequence[Import], snapshot: Snapshot
) -> dict[Address, ImportFact]:
    """Look at everything to import, at several at once; after what it takes values from."""
    from concurrent.futures import ThreadPoolExecutor

    from mlform.refresh import unwatched

    resources = session.configured[0].resources
    count = min(len(wanted), _AT_ONCE)
    found: dict[Address, ImportFact] = {}
    looked, looking = 0, session.looking or unwatched
    looking("", 0, len(wanted))
    left = {it.target: it for it in wanted}
    with (
        workers([resources[it.target].offer for it in wanted], count) as executor,
        ThreadPoolExecutor(count, thread_name_prefix="import") as pool,
    ):
        while left:
            ready = [a for a in left if not session.graph.upstream([a]) & left.keys() - {a}]
            known = provisional(session, snapshot, found)
            readings = _readings(session, [left.pop(a) for a in ready], known)
            read = partial(_read, session, known, executor)
            for address, fact in zip(ready, pool.map(read, readings), strict=True):
                looked += 1
                looking(str(address), looked, len(wanted))
                if fact is not None:
                    found[address] = fact
    session.diagnostics.stop_on_errors()
    return found


def _readings(session: Session, wanted: Sequence[Import], snapshot: Snapshot) -> list[Reading]:
    from mlform.diagnostics import Diagnostics
    from mlform.refresh.observe import recorded_values
    from mlform.refresh.recorded import Recorded
    from mlform.refresh.world import wanted as normalised

    project, registry = session.configured[0], session.registry
    known = {a: r for a, r in snapshot.records.items() if registry.find(a.kind, r.type)}
    full = Recorded(known, registry).full
    resources = [project.resources[it.target] for it in wanted]
    values = recorded_values(project, snapshot, Diagnostics(), resources)
    return [
        Reading(
            it,
            r.offer,
            normalised(r.offer.resource, values[r.address], full),
            {n: str(a.value_span) for n, a in r.arguments.items()},
        )
        for it, r in zip(wanted, resources, strict=True)
    ]


def _read(
    session: Session, snapshot: Snapshot, executor: Executor, reading: Reading
) -> ImportFact | None:
    """Look at one thing. Notes why it cannot be imported."""
    from mlform.apply.provider import StepFailed, call
    from mlform.refresh import ImportFact
    from mlform.refresh.world import told
    from mlform.sdk import CancelledError, Inputs, ResourceError

    it, resource = reading.it, reading.offer.resource
    given = reading.arguments
    if given is not None and given.problems:
        return None  # planning tells of it, with its place
    known = given is not None and not given.open and given.model is not None
    inputs = Inputs()
    try:
        if known and given is not None and given.model is not None:
            inputs = resource.inputs(session.looker.at(it.target), given.model)
        said = call(
            _Running(executor),
            reading.offer,
            "import",
            given.given if given is not None and known else None,
            None,
            _context(session, it.target, snapshot, inputs),
            lambda _event: None,
            threading.Event(),
            it.target,
            reading.at,
            it.id,
            secrets=() if given is None else given.secrets,
        )
    except CancelledError:
        _refuse(session, reading, "Interrupted", "Looking at it was stopped.", "")
        return None
    except (StepFailed, ResourceError) as error:
        at = error.at if isinstance(error, StepFailed) else reading.at.get(error.argument or "", "")
        _refuse(session, reading, error.summary, error.detail, at)
        return None
    found: Mapping[str, Any] | None = said["found"]
    if found is None:
        detail = f'There is nothing known as "{it.id}" to {resource.kind} "{resource.type}".'
        _refuse(session, reading, "Nothing to import", detail)
        return None
    arguments, wrong = told(resource, found["arguments"])
    if wrong:
        detail = f"{'; '.join(wrong)}. This is a bug in the provider."
        _refuse(session, reading, "Provider error", detail)
        return None
    parts = dict(inputs.parts) if known else None
    return ImportFact(it.id, found["attributes"], arguments, parts, str(it.at or ""))


def _refuse(session: Session, reading: Reading, summary: str, detail: str, at: str = "") -> None:
    place = reading.it.at
    if at:
        resource = session.configured[0].resources[reading.it.target]
        spans = (a.value_span for a in resource.arguments.values())
        place = next((s for s in spans if str(s) == at), place)
    session.diagnostics.error(summary, detail, at=place, of=str(reading.it.target))


def _context(
    session: Session, address: Address, snapshot: Snapshot, inputs: Inputs
) -> dict[str, Any]:
    from mlform.apply.context import describe
    from mlform.state.model import folder_name, free_home, home_of

    looker, name = session.looker, str(address)
    homes = {home_of(record) for record in snapshot.records.values()}
    return describe(
        address=name,
        doing="import",
        root=looker.root,
        home=looker.homes / free_home(address, homes.__contains__),
        workdir=session.own.resolve() / "work" / folder_name(name),
        store=looker.artifacts.description,
        cache=looker.digests.path,
        inputs=inputs,
        # Equal looks give equal plans: when it was taken over stands in the record.
        receipt={n: v for n, v in provenance(session.root).items() if n != "at"},
    )


def look_without_blocks(
    session: Session, readings: Sequence[Reading], snapshot: Snapshot
) -> dict[Address, ImportFact]:
    """Read what is to get a block. Raises ``DiagnosedError`` with all that cannot be read."""
    with workers([r.offer for r in readings]) as executor:
        facts = {r.it.target: _read(session, snapshot, executor, r) for r in readings}
    session.diagnostics.stop_on_errors()
    return {a: f for a, f in facts.items() if f is not None}


@dataclass(frozen=True)
class Taken:
    """What came of importing one thing: what was done, and what planning says of it now."""

    outcome: Outcome
    plan: Plan


def take(session: Session, text: str, id_: str, report: Reporter) -> Taken:
    """Record what exists under ``id_`` at an address that has a block. Runs nothing.

    Raises ``DiagnosedError`` where it cannot be imported, and why.
    """
    from mlform.commands.applying import carry_out
    from mlform.commands.queries import parsed
    from mlform.config import Import

    with session.lock("import") as lease:
        snapshot = session.store.snapshot()
        address = parsed(text)
        session.know(snapshot)
        _free(session, address, snapshot)
        it = Import(address, id_)
        _possible(session, it, snapshot)
        session.diagnostics.stop_on_errors()
        rests = session.configured[0].rests
        if rests.is_later(address.config):
            raise _not_ready(address, map(str, sorted(rests.of(address))))
        options = PlanOptions(targets=(str(address),), imports=(it,))
        plan = session.plan(snapshot, options)
        if str(address) in plan.deferred:
            raise _not_ready(address, plan.deferred[str(address)])
        step = _alone(next(s for s in plan.steps if s.address == address), snapshot)
        alone = replace(plan, steps=(step,), deferred={}, moves={})
        applied = carry_out(session, alone, snapshot, lease, lambda _plan: True, report, 1)
        assert applied.outcome is not None, "what is approved is carried out"
        if applied.outcome.complete:
            options = PlanOptions(targets=(str(address),), imports=())
            plan = session.plan(session.store.snapshot(), options)
        return Taken(applied.outcome, replace(plan, steps=_only(plan, address)))


def _free(session: Session, address: Address, snapshot: Snapshot) -> None:
    """Refuse an address at which something is recorded, or will be by the next apply."""
    from mlform.diagnostics import Diagnostics
    from mlform.refresh.moves import moves

    coming = {b: a for a, b in moves(session.configured[0], snapshot, Diagnostics()).items()}
    if address in coming:
        detail = (
            f"What is recorded as {coming[address]} moves to {address} with the next apply, so "
            "nothing else can be recorded there."
        )
        raise stop("Already managed", detail)
    if address in snapshot.records:
        detail = (
            f"{address} is recorded already. To record something else there, remove it first: "
            "a `removed` block with `destroy = false` leaves what runs as it is."
        )
        raise stop("Already managed", detail)


def _not_ready(address: Address, waits: Iterable[str]) -> DiagnosedError:
    detail = (
        f"Whether there is a {address}, and as what, is known once {', '.join(waits)} is applied. "
        "Apply that first, or write an `import` block and apply both together."
    )
    return stop("Not ready to import", detail)


def _only(plan: Plan, address: Address) -> tuple[Step, ...]:
    return tuple(s for s in plan.steps if s.address == address)


def _alone(step: Step, snapshot: Snapshot) -> Step:
    """Return a step that records what exists and does no more.

    Raises where upstream must settle arguments that the thing itself does not tell.
    """
    from mlform.plan import Action, Deferred

    if step.action is Action.HELD:
        why = "; ".join(r.subject for r in step.reasons)
        raise stop("Not ready to import", f"{step.address} is held: {why}. Nothing was recorded.")
    assert step.imported is not None, "what cannot be imported has been refused"
    told = step.imported.arguments
    waits = [n for n, v in step.arguments.items() if isinstance(v, Deferred) and n not in told]
    upstream = [str(a) for a in step.refers_to if a not in snapshot.records]
    if waits and upstream:
        detail = (
            f"{step.address} takes {', '.join(waits)} from {', '.join(upstream)}, not applied yet. "
            "Apply that first, or write an `import` block and apply both together."
        )
        raise stop("Not ready to import", detail)
    arguments = {
        n: told.get(n) if isinstance(v, Deferred) else v for n, v in step.arguments.items()
    }
    return replace(step, arguments=arguments, needs=(), imported=replace(step.imported, alone=True))
