"""What someone orders of a channel, carried out on its record: a pointer moves, nothing runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlform.apply.events import Log
from mlform.lazy import replace
from mlform.plan import Reason, Step
from mlform.plan.held import DEPLOYMENT
from mlform.refresh.world import held_by, result_digest, stored
from mlform.sdk import Attributes, ChannelledResource, Looking, Order, ResourceError, Standing
from mlform.state.model import Record

if TYPE_CHECKING:
    from mlform.apply.step import Stepper


def obeyed(
    record: Record,
    resource: ChannelledResource[Any, Any],
    ctx: Looking,
    order: Order,
    run: str,
) -> Record:
    """Return the record once an order is carried out in a run. Raises ``ResourceError``."""
    after = resource.order(ctx, stored(resource, record), order)
    attributes = after.model_dump(mode="json")
    moved = _moved(resource, record, after)
    reason = Reason("order", f"{order.what}: {moved}", after=order.why or None)
    receipt = {
        **{n: v for n, v in record.receipt.items() if n not in {"adopted", "plan"}},
        "action": order.what,
        "by": order.by,
        "at": order.at,
        "run": run,
        "changed": True,
        "reasons": [reason.as_data()],
    }
    return replace(
        record,
        attributes=attributes,
        digest=result_digest(resource, attributes),
        held=held_by(resource, attributes),
        receipt=receipt,
    )


def _moved(resource: ChannelledResource[Any, Any], record: Record, after: Attributes) -> str:
    """Say which channels an order moves, from which version to which."""
    was = resource.standing(resource.attributes.model_validate(dict(record.attributes)))
    now = resource.standing(after)
    said = [
        f"{name} {_version(was.get(name))} → {_version(now.get(name))}"
        for name in sorted({*was, *now})
        if was.get(name) != now.get(name)
    ]
    return ", ".join(said) or "no channel moved"


def _version(it: Standing | None) -> str:
    return "nothing" if it is None else f"version {it.version}"


def said(order: Order) -> dict[str, str]:
    """Return an order as the journal has it."""
    told: Mapping[str, str] = {"action": order.what, **vars(order)}
    return {n: v for n, v in told.items() if v and n != "what"}


def published(record: Record, resource: ChannelledResource[Any, Any], ctx: Looking) -> str:
    """Tell those outside what is recorded; return what went wrong, if anything did."""
    try:
        resource.publish(ctx, resource.attributes.model_validate(dict(record.attributes)))
    except (ResourceError, OSError) as error:
        return f"{record.address}: what its channels have could not be told outside: {error}"
    return ""


def reject(stepper: Stepper, step: Step, digest: str, why: str) -> None:
    """Take a version that proved bad out of the channels that a step takes it from."""
    world, records = stepper.world, stepper.records
    at = datetime.now(UTC).isoformat(timespec="seconds")
    by = f"the rollout of {step.address}"
    order = Order("quarantine", by, at, version=digest, why=why)
    for address in step.refers_to:
        with stepper.remover.alone(address):
            record = records.now.get(address)
            offer = record and world.registry.find(address.kind, record.type)
            if record is None or not offer or not isinstance(offer.resource, ChannelledResource):
                continue
            resource = offer.resource
            before = resource.attributes.model_validate(dict(record.attributes))
            if digest not in {it.digest for it in resource.standing(before).values()}:
                continue
            ctx = world.looker.at(address, record)
            try:
                new = obeyed(record, resource, ctx, order, world.run)
            except ResourceError as error:
                stepper.outcome.warnings.append((error.summary, error.detail, ""))
                continue
            world.keep(new, said(order))
            records.put(new)
            if wrong := published(new, resource, ctx):
                stepper.outcome.warnings.append(("Channels not told", wrong, ""))
        text = f"{digest[:19]} is quarantined: `mlform quarantine {address} VERSION -lift` frees it"
        stepper.report(Log(address, text))


def barred(stepper: Stepper, step: Step) -> Iterator[str]:
    """Yield the digests that the models which a deployment refers to have quarantined."""
    if step.address.kind != DEPLOYMENT:
        return
    for address in step.refers_to:
        record = stepper.records.now.get(address)
        offer = record and stepper.world.registry.find(address.kind, record.type)
        if record is not None and offer and isinstance(offer.resource, ChannelledResource):
            attributes = offer.resource.attributes.model_validate(dict(record.attributes))
            yield from offer.resource.quarantined(attributes)
