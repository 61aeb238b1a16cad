"""Steps for what is recorded and not wanted any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from mlform.address import Address
from mlform.diagnostics import Diagnostics
from mlform.graph import reached
from mlform.plan.model import Action, Reason, Step
from mlform.refresh.model import Observation, Observations
from mlform.registry import Registry
from mlform.sdk import AnyResource, Resource
from mlform.state.model import Record, Snapshot, home_of


def leaving(
    snapshot: Snapshot,
    declared: AbstractSet[Address],
    targets: Sequence[Address],
    excluded: Sequence[Address],
    *,
    destroy: bool,
) -> list[Record]:
    """Return the records to let go of: not declared any more, or all of them on destroy.

    What is destroyed by name takes along what needs it; what is excluded keeps what it needs.
    """
    needs = {a: r.needs for a, r in snapshot.records.items()}
    stays = reached(excluded, needs)
    chosen = set(targets)
    if destroy and targets:
        users: dict[Address, list[Address]] = {}
        for address, needed in needs.items():
            for other in needed:
                users.setdefault(other, []).append(address)
        chosen = reached(targets, users)
    return [
        record
        for address, record in sorted(snapshot.records.items())
        if address not in stays
        and (not targets or address in chosen)
        and (destroy or address not in declared)
    ]


def orphans(
    records: Sequence[Record],
    observations: Observations,
    registry: Registry,
    removal: Callable[[Address], bool | None],
    diagnostics: Diagnostics,
    *,
    purging: bool = False,
) -> Iterator[Step]:
    """Yield a step for each record to let go of; with ``purging`` data are deleted, too.

    ``removal`` says whether a ``removed`` block destroys what it names (``None``: no block does).
    """
    for record in records:
        gone = not observations.get(record.address, Observation()).present
        kept = removal(record.address) is False
        if record.protected and (purging or not gone) and not kept:
            detail = (
                f"{record.address} has lifecycle.prevent_destroy, recorded when it was last "
                "applied. Set it to false and apply before removing the block."
            )
            diagnostics.error("Protected from destruction", detail, of=record.address)
        offer = registry.find(record.address.kind, record.type)
        if offer is None:
            detail = registry.missing(record.address.kind, record.type)
            diagnostics.error("Unknown resource type", detail, of=record.address)
            continue
        destroyed = takes_down(offer.resource) and not kept and not gone
        yield Step(
            address=record.address,
            type=record.type,
            provider=str(record.receipt.get("provider") or offer.provider),
            action=Action.DESTROY if destroyed else Action.FORGET,
            arguments={},
            reasons=(Reason("gone" if gone else "removed"),),
            recorded=record.arguments,
            protected=record.protected,
        )


def left_behind(snapshot: Snapshot, planned: AbstractSet[Address]) -> Iterator[Step]:
    """Yield a step for each object that an earlier replacement left behind."""
    records = (r for r in snapshot.records.values() if r.deposed and r.address in planned)
    for record, old in sorted(((r, d) for r in records for d in r.deposed), key=_place):
        yield Step(
            address=record.address,
            type=old.type,
            provider=str(old.receipt.get("provider", "")),
            action=Action.DESTROY,
            arguments={},
            reasons=(Reason("deposed"),),
            recorded=old.arguments,
            deposed=home_of(old),
        )


def _place(pair: tuple[Record, Record]) -> tuple[Address, str]:
    return pair[0].address, home_of(pair[1])


def takes_down(resource: AnyResource) -> bool:
    """Tell whether destroying takes something down; otherwise content is kept and forgotten."""
    if resource.reusable or resource.keeps_content:
        return False
    return type(resource).destroy is not Resource.destroy
