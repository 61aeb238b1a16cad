"""When a step is held: a gate it refers to failed, or what it needs is itself held."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from mlform.address import Address
from mlform.plan.decide import Facts
from mlform.refresh.facets import handles_of
from mlform.registry import Registry
from mlform.sdk import AnyResource, ChannelledResource
from mlform.state.model import Record
from mlform.values import Handle, Value

GATE = "gate"
MODEL = "model"
DEPLOYMENT = "deployment"


def blocked(
    resource: AnyResource,
    values: Mapping[str, Value],
    facts: Facts,
    upstream: Iterable[Address],
    held: Mapping[str, tuple[str, ...]],
    records: Mapping[Address, Record],
    registry: Registry,
) -> list[str]:
    """Return the reasons to hold a whole step, of the first kind that there are any of."""
    return (
        _failing_gates(resource, values)
        or _quarantined(resource, values, records, registry)
        or _missing_handle(resource, facts, upstream, held)
    )


def _failing_gates(resource: AnyResource, values: Mapping[str, Value]) -> list[str]:
    """Return the reasons to hold the whole step: gates among its arguments that failed."""
    if resource.weighs_gates:
        return []
    failed = [h for h in handles_of(values) if _failed(h)]
    return [f"{h.address} did not pass" for h in failed]


def _quarantined(
    resource: AnyResource,
    values: Mapping[str, Value],
    records: Mapping[Address, Record],
    registry: Registry,
) -> list[str]:
    """Return the reasons to hold what would serve a version that is quarantined."""
    if resource.kind != DEPLOYMENT:
        return []
    answering = {n: v for n, v in values.items() if n not in resource.beside}
    wanted = {str(h.digest) for h in handles_of(answering)}
    return [why for digest, why in _barred(records, registry).items() if digest in wanted]


def _barred(records: Mapping[Address, Record], registry: Registry) -> dict[str, str]:
    """Return the digests that are quarantined anywhere, each with who says so, and why."""
    found: dict[str, str] = {}
    for address, record in records.items():
        if address.kind != MODEL:
            continue
        offer = registry.find(address.kind, record.type)
        if offer is not None and isinstance(offer.resource, ChannelledResource):
            attributes = offer.resource.attributes.model_validate(dict(record.attributes))
            said = offer.resource.quarantined(attributes)
            found |= {digest: f"{address}: {why}" for digest, why in said.items()}
    return found


def _failed(handle: Handle) -> bool:
    is_gate = Address.parse(handle.address).kind == GATE
    return is_gate and handle.attribute is None and handle.attributes.get("passed") is False


def never_made(
    upstream: Iterable[Address], held: Container[str], recorded: Container[Address]
) -> list[str]:
    """Return the reasons to hold a step since something it needs is held, and is not there."""
    return [
        f"{a} is held and was never made" for a in upstream if str(a) in held and a not in recorded
    ]


def _missing_handle(
    resource: AnyResource,
    facts: Facts,
    upstream: Iterable[Address],
    held: Mapping[str, tuple[str, ...]],
) -> list[str]:
    """Return the reasons to hold a step that lacks an argument because its giver is held."""
    holders = [str(a) for a in upstream if str(a) in held]
    if not holders:
        return []
    absent = [
        info.alias or name
        for name, info in resource.arguments.model_fields.items()
        if info.is_required() and facts.arguments.get(info.alias or name, ...) is None
    ]
    waiting = [n for n, sources in facts.open.items() if set(sources) <= set(holders)]
    if not absent and not waiting:
        return []
    names = ", ".join([*absent, *waiting])
    return [f"{holder} is held, so there is no {names}" for holder in holders]
