"""What is out there and not as recorded: what is made of it, and what only is noted."""

from __future__ import annotations

from collections.abc import Iterator

from mlform.address import Address
from mlform.lazy import replace
from mlform.plan.decide import drifted
from mlform.plan.model import Action, Drift, Note, Reason, Step
from mlform.refresh import Observation, Observations
from mlform.registry import Registry
from mlform.sdk.fields import FieldRule, fields_under
from mlform.state.model import Record, Snapshot
from mlform.values import conceal, concealed


def drifts(snapshot: Snapshot, observations: Observations, registry: Registry) -> Iterator[Drift]:
    """Yield each attribute that is not as recorded, and each thing that is gone."""
    for address in sorted(a for a, seen in observations.items() if _moved(seen)):
        record, seen = snapshot.records.get(address), observations[address]
        if record is None:
            continue
        if not seen.present:
            yield Drift(str(address))
        counted = _counted(record, seen, registry)
        for reason in differing(record, seen):
            name = reason.subject
            yield Drift(str(address), name, reason.before, reason.after, counts=name in counted)


def _moved(seen: Observation) -> bool:
    return not seen.present or seen.attributes is not None or seen.beside is not None


def _counted(record: Record, seen: Observation, registry: Registry) -> set[str]:
    """Return the attributes that change a plan: in themselves, or as what arguments are."""
    offer = registry.find(record.address.kind, record.type)
    if offer is None or seen.attributes is None:
        return set()
    told = fields_under(offer.resource.attributes, FieldRule.ACTUAL) & record.arguments.keys()
    found = drifted(offer.resource, record, seen.attributes)
    return {r.subject for r in found} | told


def differing(record: Record, seen: Observation) -> tuple[Reason, ...]:
    """Return what was seen of a thing that is not as recorded, an attribute each."""
    now = seen.attributes if seen.attributes is not None else seen.beside
    before = record.attributes
    secret = {n for n, v in record.arguments.items() if concealed(v)}
    return tuple(
        Reason("drift", name, conceal(was), conceal(value))
        if name in secret
        else Reason("drift", name, was, value)
        for name, value in sorted((now or {}).items())
        if (was := before.get(name)) != value
    )


def recordings(
    snapshot: Snapshot, observations: Observations, registry: Registry, wanted: set[Address]
) -> list[Step]:
    """Return the steps of ``-refresh-only``: what is there is recorded, what is gone is dropped."""
    found = []
    for address in sorted(a for a, seen in observations.items() if _moved(seen)):
        record, seen = snapshot.records.get(address), observations[address]
        moved = seen.attributes if seen.attributes is not None else seen.beside
        if record is None or address not in wanted or (seen.present and moved is None):
            continue
        offer = registry.find(address.kind, record.type)
        assert offer is not None, "what was looked at is offered by somebody"
        here = Step(
            address=address,
            type=record.type,
            provider=str(record.receipt.get("provider") or offer.provider),
            action=Action.NO_OP,
            arguments={},
            reasons=differing(record, seen),
            protected=record.protected,
            adopted=moved,
        )
        if not seen.present:
            gone = (Reason("gone"),)
            here = replace(here, action=Action.FORGET, reasons=gone, quiet=True, adopted=None)
        found.append(here)
    return found


def standing(snapshot: Snapshot) -> Iterator[Note]:
    """Yield a note for each thing that was changed from outside and is recorded as it was found."""
    found = {a: r.receipt["adopted"] for a, r in snapshot.records.items() if "adopted" in r.receipt}
    for address, adopted in sorted(found.items()):
        text = (
            f"is as it was found on {adopted['at']}, not as it was made; {adopted['by']} took it "
            f"so. `-revert={address}` plans what is declared"
        )
        yield Note("adopted", str(address), text)
