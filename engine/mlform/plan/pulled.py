"""What triggers move before a plan is carried out: the plan is made as if it had moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlform.address import Address
from mlform.lazy import dataclass, field, replace
from mlform.refresh.pins import Pin
from mlform.refresh.world import result_digest
from mlform.registry import Registry
from mlform.state.model import Record, Snapshot


@dataclass(frozen=True)
class Pulled:
    """What one trigger moves, and the alarms that are dealt with by it."""

    trigger: Address
    alarms: tuple[str, ...] = ()
    why: str = ""
    datasets: tuple[Address, ...] = ()
    pins: Mapping[Address, Pin] = field(default_factory=dict)
    """Where datasets are pinned then, of those that are."""
    tick: str | None = None
    """The ``as_of`` that its schedule has come to."""

    def as_data(self) -> dict[str, Any]:
        """Return it as a plan's file has it."""
        return {
            "trigger": str(self.trigger),
            "alarms": list(self.alarms),
            "why": self.why,
            "datasets": [str(a) for a in self.datasets],
            "pins": {str(a): dict(vars(p)) for a, p in sorted(self.pins.items())},
            "tick": self.tick,
        }


def read_pulled(data: Mapping[str, Any]) -> Pulled:
    """Read it back."""
    return Pulled(
        Address.parse(data["trigger"]),
        tuple(data["alarms"]),
        data["why"],
        tuple(Address.parse(a) for a in data["datasets"]),
        {Address.parse(a): Pin(**p) for a, p in data["pins"].items()},
        data["tick"],
    )


def pins_after(pins: Mapping[Address, Pin], pulls: Sequence[Pulled]) -> dict[Address, Pin]:
    """Return the pins as triggers move them."""
    found = dict(pins)
    for it in pulls:
        found |= it.pins
    return found


def ticked(record: Record, tick: str, registry: Registry) -> Record:
    """Return the record of a trigger whose schedule has come to a tick."""
    offer = registry.find(record.address.kind, record.type)
    assert offer is not None, "the engine has triggers"
    attributes = {**record.attributes, "as_of": tick}
    digest = result_digest(offer.resource, attributes)
    return replace(record, attributes=attributes, digest=digest)


def after(snapshot: Snapshot, pulls: Sequence[Pulled], registry: Registry) -> Snapshot:
    """Return what is recorded as it is once triggers have ticked."""
    moved = {
        it.trigger: ticked(record, it.tick, registry)
        for it in pulls
        if it.tick is not None and (record := snapshot.records.get(it.trigger)) is not None
    }
    return replace(snapshot, records={**snapshot.records, **moved}) if moved else snapshot
