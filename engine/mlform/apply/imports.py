"""Recording what exists already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlform.apply.events import Adopted, Imported
from mlform.apply.provider import StepFailed
from mlform.lazy import replace
from mlform.plan import Reason, Step
from mlform.plan.decide import full_key, refreshed
from mlform.refresh import ImportFact
from mlform.refresh.artifacts import artifacts_there
from mlform.refresh.world import held_by
from mlform.registry import Offer
from mlform.state.model import Realisation, Record

if TYPE_CHECKING:
    from mlform.apply.step import Stepper


def take_over(
    stepper: Stepper, step: Step, offer: Offer, record: Record, found: ImportFact
) -> Record:
    """Record what exists already, as a result of what the block declares. Runs nothing."""
    world = stepper.world
    if not artifacts_there(found.attributes, world.looker.artifacts):
        detail = f"What was read of {found.id} is not in the artifact store. Plan again."
        raise StepFailed("Import is out of date", detail, found.at)
    receipt = {
        **world.provenance,
        "run": world.run,
        "changed": True,
        "action": "import",
        "imported": found.id,
        "seconds": None,
        "rows": step.rows,
        "reasons": [Reason("imported", found.id, at=found.at).as_data()],
        "provider": step.provider,
        "home": stepper.home(step),
        "inputs": stepper.records.digests(step.refers_to),
    }
    new = replace(record, needs=step.refers_to, protected=step.protected, receipt=receipt)
    world.hold_for(new)
    if offer.resource.reusable:
        for key in {new.key, full_key(new.key, new.decision_key)}:
            made = Realisation(key, new.digest, new.attributes, receipt)
            world.store.realise(world.lease, made)
    world.keep(new, {"action": "import", "id": found.id})
    stepper.records.put(new)
    stepper.outcome.imported[step.address] = found.id
    stepper.report(Imported(step.address, found.id, new.digest))
    return new


def adopt(stepper: Stepper, step: Step, attributes: Mapping[str, Any]) -> None:
    """Record what was found to have been changed from outside. Runs nothing."""
    world, record = stepper.world, stepper.records.now[step.address]
    offer = world.registry.find(step.address.kind, record.type)
    assert offer is not None, "what was looked at is offered by somebody"
    new = refreshed(offer.resource, record, attributes)
    new = replace(new, held=held_by(offer.resource, attributes))
    drift = [r.as_data() for r in step.reasons if r.what == "drift"]
    receipt = dict(record.receipt)
    if new.digest != record.digest:
        who = {n: world.provenance[n] for n in ("by", "at") if n in world.provenance}
        receipt |= {**world.provenance, "run": world.run, "action": "adopt", "reasons": drift}
        receipt |= {"changed": True, "adopted": {"by": "", "at": "", **who}}
    new = replace(new, receipt=receipt)
    world.keep(new, {"action": "adopt"})
    stepper.records.put(new)
    stepper.outcome.adopted.append(step.address)
    names = tuple(str(r["subject"]) for r in drift)
    stepper.report(Adopted(step.address, names, new.digest))
