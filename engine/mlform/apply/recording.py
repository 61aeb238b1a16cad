"""What becomes of a step that was carried out: its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlform.lazy import dataclass, replace
from mlform.plan import Action, Decision, Facts, Step
from mlform.plan.decide import keys
from mlform.refresh.recorded import Recorded
from mlform.refresh.world import Wanted, held_by, result_digest
from mlform.registry import Offer
from mlform.sdk import AnyResource
from mlform.sdk.fields import FieldRule, fields_under
from mlform.state.model import Realisation, Record

if TYPE_CHECKING:
    from mlform.apply.run import World


@dataclass(frozen=True)
class Making:
    """What a step makes, and what it starts from.

    ``last`` is what was recorded, ``old`` what the provider is to change (``None``: it makes
    something new), ``home`` the folder, ``deposed`` what is left behind once this is recorded.
    """

    step: Step
    offer: Offer
    arguments: Wanted
    facts: Facts
    decision: Decision
    home: str = ""
    last: Record | None = None
    old: Record | None = None
    deposed: tuple[Record, ...] = ()


def record_of(
    making: Making,
    attributes: dict[str, Any],
    seconds: float,
    records: Recorded,
    world: World,
) -> Record:
    """Return the record of what was made."""
    step, facts, decision, last = making.step, making.facts, making.decision, making.last
    resource = making.offer.resource
    key, judged, arguments = decision.key, decision.decision_key, making.arguments.data
    assert key is not None, "a step that is carried out has everything known"
    if (chosen := _chosen(resource, arguments, attributes)) != arguments:
        arguments = chosen
        key, judged = keys(resource, replace(facts, arguments=arguments))
    ran = decision.action is not Action.REUSE and not decision.quiet
    before = None if last is None else last.receipt.get("seconds")
    digest = result_digest(resource, attributes)
    receipt = {
        **world.provenance,
        "run": world.run,
        "changed": last is None or last.digest != digest,
        "action": decision.action.value,
        "seconds": round(seconds, 3) if ran else before,
        "rows": step.rows,
        "reasons": [r.as_data() for r in decision.reasons],
        "provider": step.provider,
        "home": making.home,
        "inputs": records.digests(step.refers_to),
    }
    if last is not None and "imported" in last.receipt and _same_object(making):
        receipt["imported"] = last.receipt["imported"]
    if decision.action is Action.REUSE and decision.realisation is not None:
        made = decision.realisation.receipt
        receipt["made"] = {n: made[n] for n in ("run", "by", "at", "commit") if n in made}
    if given := world.approved.get(step.address):
        receipt["approvals"] = [
            {"by": it.by, "roles": list(it.roles), "subject": it.subject} for it in given
        ]
    pin = world.pins.get(step.address)
    if pin is not None and pin.by and dict(pin.parts) == dict(facts.parts or {}):
        receipt["pinned"] = {"by": pin.by, "at": pin.at}
    if step.determinism != "none":
        receipt["determinism"] = step.determinism
    return Record(
        address=step.address,
        type=resource.type,
        key=key,
        decision_key=judged,
        digest=digest,
        arguments=arguments,
        attributes=attributes,
        parts=dict(facts.parts or {}),
        code=facts.code,
        environment=dict(facts.environment or {}),
        needs=step.refers_to,
        held=held_by(resource, attributes),
        protected=step.protected,
        receipt=receipt,
        create_first=step.create_first,
        deposed=making.deposed,
    )


def _same_object(making: Making) -> bool:
    """Tell whether what there is now is what there was, changed at most."""
    changed = {Action.UPDATE, Action.ROLL, Action.DECIDE}
    return making.old is not None and (making.decision.quiet or making.decision.action in changed)


def measured(step: Step, arguments: Wanted, known: Realisation) -> Record:
    """Return as a record what was measured before, to be judged anew."""
    data, given = arguments.data, known.attributes
    return Record(step.address, step.type, known.key, None, known.digest, data, given)


def _chosen(
    resource: AnyResource, arguments: Mapping[str, Any], attributes: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the arguments with what the provider chose for those that are not set."""
    names = fields_under(resource.arguments, FieldRule.DEFAULTED) & attributes.keys()
    chosen = {n: attributes[n] for n in names if arguments.get(n) is None}
    return {**arguments, **chosen} if chosen else arguments
