"""What of a state a plan writes, and what it rests on: so that others may write the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from mlform.address import Address
from mlform.diagnostics import Diagnostics
from mlform.lang import references
from mlform.lazy import replace
from mlform.plan.decide import refreshed
from mlform.plan.held import DEPLOYMENT
from mlform.plan.model import Action, Condition, Deferred, Plan, Step
from mlform.registry import ENGINE, KINDS, Registry
from mlform.sdk import AnyResource, ChannelledResource
from mlform.state.lease import Extent
from mlform.state.model import Record, Snapshot
from mlform.syntax import parse_expression


def extent(
    plan: Plan,
    snapshot: Snapshot,
    registry: Registry,
    *,
    others: Collection[str] = (),
    left: Iterable[str] = (),
) -> Extent | None:
    """Return what a lease to carry out a plan is for; ``None``: the whole state.

    The whole is what is needed where addresses, pins or alarms move, where data go for good, and
    where what is to be done is not all known yet. ``left`` are addresses where a run was cut off,
    ``others`` those that have been written since the plan was made: what the plan would only note
    of them is not noted.
    """
    if plan.moves or plan.pulls or plan.deferred or plan.purging is not None:
        return None
    planned = {str(s.address) for s in plan.steps}
    partly = plan.targets or plan.excluded or plan.refresh == "only"
    writes, reads = {a for a in left if a in planned or not partly}, set[str]()
    for step in plan.steps:
        if _writes(step, snapshot, registry, others):
            writes.add(str(step.address))
            reads.update(map(str, (*step.refers_to, *step.prior)))
            writes.update(_may_reject(step, snapshot, registry))
    blocks = _blocks({*map(str, snapshot.records), *planned})
    for name, output in plan.outputs.items():
        if name in plan.output_changes or isinstance(output.value, Deferred) or output.before:
            writes.add(f"output.{name}")
            reads |= _mentioned((output.value, output.before), blocks)
    writes.update(f"output.{n}" for n in plan.output_changes)
    reads |= _mentioned(list(plan.checks.values()), blocks)
    return Extent.of(writes, reads)


def kept(step: Step, resource: AnyResource, record: Record) -> Record:
    """Return what is recorded of a step that does nothing: what changed by itself, and settings."""
    seen = record if step.observed is None else refreshed(resource, record, step.observed)
    return replace(
        seen, needs=step.refers_to, protected=step.protected, create_first=step.create_first
    )


def _writes(step: Step, snapshot: Snapshot, registry: Registry, others: Collection[str]) -> bool:
    if step.action is not Action.NO_OP or step.imported or step.adopted is not None:
        return True
    record = snapshot.records.get(step.address)
    if record is None or str(step.address) in others:
        return False
    provider = "" if step.provider == ENGINE else step.provider
    offer = registry.find(step.address.kind, step.type, provider)
    return offer is None or kept(step, offer.resource, record) != record


def _may_reject(step: Step, snapshot: Snapshot, registry: Registry) -> Iterator[str]:
    """Yield what has the channels that a deployment is taken from: a bad version leaves them."""
    if step.address.kind != DEPLOYMENT:
        return
    for address in step.refers_to:
        record = snapshot.records.get(address)
        offer = record and registry.find(address.kind, record.type)
        if offer and isinstance(offer.resource, ChannelledResource):
            yield str(address)


def _blocks(names: Iterable[str]) -> Mapping[str, set[str]]:
    """Return the instances of each block, by its address without their keys."""
    found: dict[str, set[str]] = {}
    for name in names:
        address = Address.parse(name)
        found.setdefault(_block(address.spot, address.kind, address.name), set()).add(name)
    return found


def _block(module: str, kind: str, name: str) -> str:
    return f"{module}{kind}.{name}"


def _mentioned(value: Any, blocks: Mapping[str, set[str]]) -> set[str]:
    return {name for block in _mentions(value) for name in blocks.get(block, ())}


def _mentions(value: Any) -> Iterator[str]:
    """Yield the blocks that what is still to be settled mentions."""
    match value:
        case Deferred():
            expr, _ = parse_expression(value.text, value.at or "plan", Diagnostics())
            for reference in references(expr):
                if reference.root in KINDS and reference.steps:
                    yield _block(value.module, reference.root, str(reference.steps[0]))
            yield from _mentions(value.bindings)
        case Condition():
            yield from _mentions((value.condition, value.message))
        case Mapping():
            for one in value.values():
                yield from _mentions(one)
        case list() | tuple():
            for one in value:
                yield from _mentions(one)
        case _:
            pass
