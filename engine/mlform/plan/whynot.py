"""Why a resource did not run, or will not: from a plan, or from what a run journalled. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mlform.address import Address
from mlform.lazy import dataclass, field
from mlform.plan.model import Action, Deferred, Plan, Reason, Step
from mlform.plan.moved import differing, listed, telling
from mlform.refresh.facets import facets_of
from mlform.state.model import Entry, Record
from mlform.values import handles


@dataclass(frozen=True)
class WhyNot:
    """The answer. ``cause`` is one word, ``text`` says it; ``does`` if it ran or will after all.

    ``looked_at`` is what its key is made of, by kind, where that is what decided. ``details`` are
    further lines: what a gate measured, what waits at a source.
    """

    address: Address
    cause: str
    text: str
    does: bool = False
    run: str = ""
    """The run it is about; none if a plan."""
    reasons: tuple[Reason, ...] = ()
    looked_at: Mapping[str, Sequence[str]] = field(default_factory=dict)
    details: tuple[str, ...] = ()


class Moved(NamedTuple):
    """What a run made of a resource, and what there was before; ``None`` where there was none."""

    before: Record | None
    after: Record


def in_plan(
    plan: Plan, address: Address, records: Mapping[Address, Record], origin: str = ""
) -> WhyNot:
    """Say why a plan does not run a resource. ``origin`` is the run that made what is reused."""
    step = next((s for s in plan.steps if s.address == address), None)
    if step is None:
        return _absent(plan, address)
    details = (*_waiting(plan, step), *_gates(step, records))
    record = records.get(address)
    by = f" by {origin}" if origin else ""
    match step.action:
        case Action.NO_OP:
            assert record is not None, "what is a no-op is recorded"
            text = f"its key is what it was when {_made(record)}"
            return WhyNot(
                address, "unchanged", text, looked_at=looked_at(record, step), details=details
            )
        case Action.REUSE:
            text = f"this key had a result before, made{by}: it is taken again"
            return WhyNot(address, "reuse", text, reasons=step.reasons, details=details)
        case Action.DECIDE:
            text = f"what it judges was measured before{by}: only the verdict is made anew"
            return WhyNot(address, "decide", text, reasons=step.reasons, details=details)
        case Action.HELD:
            text = "it is held"
            return WhyNot(address, "held", text, reasons=step.reasons, details=details)
        case Action.MAYBE:
            text = "it runs only if what it takes from upstream comes out different"
            return WhyNot(address, "cutoff", text, reasons=step.reasons, details=details)
        case _ if step.quiet:
            text = "only what is recorded of it changes"
            return WhyNot(address, "metadata", text, reasons=step.reasons, details=details)
        case _:
            text = f"it does: {step.action.value}"
            return WhyNot(address, "runs", text, does=True, reasons=step.reasons, details=details)


def _absent(plan: Plan, address: Address) -> WhyNot:
    for name, waits in plan.deferred.items():
        if address.within(name) or str(address) == name:
            text = f"it is deferred until {', '.join(waits)} is applied"
            return WhyNot(address, "deferred", text)
    if plan.excluded:
        text = f"it, or something it needs, was left out with -exclude {', '.join(plan.excluded)}"
        return WhyNot(address, "excluded", text)
    if plan.targets:
        text = f"it is not among -target {', '.join(plan.targets)}, nor needed by them"
        return WhyNot(address, "not targeted", text)
    return WhyNot(address, "not declared", "the spec does not declare it")


def in_run(
    entry: Entry,
    address: Address,
    made: Entry | None,
    record: Record | None,
    upstream: Mapping[str, Moved],
) -> WhyNot:
    """Say why a run did not run a resource.

    ``entry`` tells of the run, ``made`` how it made the resource if it did, ``record`` what was
    recorded of the resource then, ``upstream`` what the run made of what that needs.
    """
    name, told = str(address), entry.detail
    spared = {a: cause for a, cause, _ in told.get("spared", ())}
    if name in told.get("failed", ()):
        return WhyNot(address, "failed", "it began and failed", run=entry.run)
    if made is not None and name not in spared:
        action = str(made.detail.get("action", ""))
        return WhyNot(address, "ran", f"it did: {action}", does=True, run=entry.run)
    if name in spared:
        return _spared(entry, address, spared[name], record, upstream)
    if name in told.get("held", {}):
        reasons = tuple(Reason("held", t) for t in told["held"][name])
        return WhyNot(address, "held", "it was held", run=entry.run, reasons=reasons)
    if name in told.get("skipped", ()):
        failed = ", ".join(told.get("failed", ())) or "the run was stopped"
        return WhyNot(address, "skipped", f"it never began: {failed} failed", run=entry.run)
    for what in ("targets", "excluded"):
        if named := told.get(what):
            option = "-target" if what == "targets" else "-exclude"
            text = f"its key was what it had been, or {option} {', '.join(named)} left it out"
            return WhyNot(address, what, text, run=entry.run)
    if record is None:
        return WhyNot(address, "not declared", "nothing was recorded of it then", run=entry.run)
    text = f"its key was what it was when {_made(record)}"
    details = tuple(_untaken(record, upstream))
    looked = looked_at(record)
    return WhyNot(address, "unchanged", text, run=entry.run, looked_at=looked, details=details)


def _spared(
    entry: Entry,
    address: Address,
    cause: str,
    record: Record | None,
    upstream: Mapping[str, Moved],
) -> WhyNot:
    if cause == "cutoff":
        same = [a for a, it in upstream.items() if not it.after.receipt.get("changed")]
        text = "it was cut off: what it takes from upstream came out as it was"
        details = [f"{a} ran and gave what it had given before" for a in same]
        if record is not None:
            details += _untaken(record, upstream)
        return WhyNot(address, cause, text, run=entry.run, details=tuple(details))
    text = "this key had a result before: it was taken again"
    if cause == "decide":
        text = "what it judges was measured before: only the verdict was made anew"
    return WhyNot(address, cause, text, run=entry.run)


def _untaken(record: Record, upstream: Mapping[str, Moved]) -> Iterator[str]:
    """Name what moved of each input without being among what a resource takes of it."""
    taken = {h.address: h.used for h in handles(record.arguments) if h.used is not None}
    for address, it in upstream.items():
        used = taken.get(address)
        old = None if it.before is None else facets_of(it.before.attributes)
        new = facets_of(it.after.attributes)
        if used is None or old is None or new is None:
            continue
        others = [n for n in differing(old, new) if n not in {*used.facets, *used.judged}]
        if others:
            takes = listed(telling([*used.facets, *used.judged]))
            yield f"{address}: what moved is {listed(telling(others))}, and it takes {takes}"


def _made(record: Record) -> str:
    receipt = record.receipt
    who = f" by {receipt['by']}" if receipt.get("by") else ""
    return f"{receipt.get('run') or 'it was recorded'} made it, {receipt.get('at', '')}{who}"


def looked_at(record: Record, step: Step | None = None) -> dict[str, list[str]]:
    """Return what the key of a record is made of, by kind."""
    arguments = step.arguments if step is not None else record.arguments
    given = [n for n, v in arguments.items() if v not in (None, "", [], {})]
    written = given if step is None else list(step.at)
    code = [
        f"{file}: {', '.join(sorted(functions))}" if functions else file
        for fact in record.code.values()
        for file, functions in sorted(fact.get("files", {}).items())
    ]
    found = {
        "arguments": [n for n in written if not isinstance(arguments.get(n), Deferred)],
        "inputs": [f"{a} @ {d.removeprefix('sha256:')[:12]}" for a, d in _inputs(record).items()],
        "data": [f"{n} @ {t.removeprefix('sha256:')[:12]}" for n, t in record.parts.items()],
        "code": code,
        "packages": [f"{n} {v}" for n, v in record.environment.items()],
    }
    return {n: v for n, v in found.items() if v}


def _inputs(record: Record) -> Mapping[str, Any]:
    found: Mapping[str, Any] = record.receipt.get("inputs", {})
    return found


def _waiting(plan: Plan, step: Step) -> list[str]:
    """Return what waits at the source of a step, or of what it is made from."""
    steps = {str(s.address): s for s in plan.steps}
    seen, waiting = {str(step.address)}, [step]
    while waiting:
        for needed in map(str, waiting.pop().refers_to):
            if needed in steps and needed not in seen:
                seen.add(needed)
                waiting.append(steps[needed])
    return [f"{n.address}: {n.text}" for n in plan.notes if n.address in seen]


def _gates(step: Step, records: Mapping[Address, Record]) -> list[str]:
    """Return what the gates that a held step refers to measured."""
    if step.action is not Action.HELD:
        return []
    gates = [records[a] for a in step.refers_to if a.kind == "gate" and a in records]
    return [f"{g.address}: {g.attributes['summary']}" for g in gates if g.attributes.get("summary")]
