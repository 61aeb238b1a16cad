"""Steps for what is recorded and not wanted any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from mlform.address import Address
from mlform.diagnostics import Diagnostics
from mlform.plan.model import Action, Reason, Step
from mlform.registry import Registry
from mlform.state.model import Record, Snapshot

DESTROYED: Final = frozenset({"deployment"})
"""Kinds that have something running to take down; the others are forgotten, content kept."""


def orphans(
    records: Sequence[Record],
    snapshot: Snapshot,
    registry: Registry,
    steps: Sequence[Step],
    removal: Callable[[Address], bool | None],
    diagnostics: Diagnostics,
) -> list[Step]:
    """Return a step for each record to let go of, those that others need last.

    ``removal`` says whether a ``removed`` block destroys what it names (``None``: no block does).
    """
    going = {r.address for r in records}
    planned = {s.address for s in steps}
    dependants: dict[Address, set[Address]] = {a: set() for a in going}
    for record in snapshot.records.values():
        for needed in record.needs:
            if needed in going and (record.address in going or record.address in planned):
                dependants[needed].add(record.address)
    found = []
    for record in _outermost_first(records, dependants):
        if record.protected:
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
        destroyed = record.address.kind in DESTROYED and removal(record.address) is not False
        found.append(
            Step(
                address=record.address,
                type=record.type,
                provider=str(record.receipt.get("provider") or offer.provider),
                action=Action.DESTROY if destroyed else Action.FORGET,
                arguments={},
                reasons=(Reason("removed"),),
                recorded=record.arguments,
                needs=tuple(sorted(dependants[record.address])),
                protected=record.protected,
            )
        )
    return found


def _outermost_first(
    records: Sequence[Record], dependants: dict[Address, set[Address]]
) -> Iterable[Record]:
    by_address = {r.address: r for r in records}
    done: list[Record] = []
    seen: set[Address] = set()
    for start in sorted(by_address):
        waiting = [(start, False)]
        while waiting:
            address, expanded = waiting.pop()
            if expanded:
                done.append(by_address[address])
            elif address not in seen:
                seen.add(address)
                waiting.append((address, True))
                inner = sorted(d for d in dependants[address] if d in by_address)
                waiting.extend((d, False) for d in inner)
    return done
