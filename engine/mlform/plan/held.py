"""When a step is held: a gate it refers to failed, or what it needs is itself held."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from mlform.address import Address
from mlform.plan.decide import Facts
from mlform.refresh.facets import handles_of
from mlform.sdk import AnyResource
from mlform.values import Handle, Value

GATE = "gate"


def failing_gates(resource: AnyResource, values: Mapping[str, Value]) -> list[str]:
    """Return the reasons to hold the whole step: gates among its arguments that failed."""
    if resource.weighs_gates:
        return []
    failed = [h for h in handles_of(values) if _failed(h)]
    return [f"{h.address} did not pass" for h in failed]


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


def missing_handle(
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
