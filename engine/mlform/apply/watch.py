"""One look of one monitor: what it saw is recorded, its alarms become events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

from mlform.address import Address
from mlform.apply.context import describe
from mlform.apply.events import Reporter
from mlform.apply.provider import StepFailed, call
from mlform.apply.settle import Settler
from mlform.diagnostics import stop
from mlform.lazy import dataclass, replace
from mlform.refresh.world import result_digest, wanted
from mlform.registry import Offer
from mlform.sdk import Inputs
from mlform.state.model import AlarmEvent, Record, folder_name
from mlform.values import handles

if TYPE_CHECKING:
    from mlform.apply.run import World


@dataclass(frozen=True)
class Watched:
    """What one monitor saw: its attributes now and the alarms it raised, or why it could not."""

    monitor: Address
    attributes: Mapping[str, Any]
    alarms: Sequence[AlarmEvent]
    error: str = ""


def watch(
    world: World,
    record: Record,
    offer: Offer,
    settler: Settler,
    report: Reporter,
    stopping: Flag,
) -> tuple[Mapping[str, Any], list[AlarmEvent]]:
    """Run one recorded monitor. Raises ``DiagnosedError`` where it cannot look."""
    named = dict.fromkeys(h.address for h in handles(record.arguments))
    if missing := [name for name in named if Address.parse(name) not in settler.records.now]:
        detail = (
            f"{record.address} looks at {', '.join(missing)}, which the state has no more: apply "
            "what the spec declares, or remove the monitor."
        )
        raise stop("Not in the state", detail, of=record.address)
    values = {n: settler.records.revive(v) for n, v in record.arguments.items()}
    arguments = wanted(offer.resource, values, settler.records.full)
    address = str(record.address)
    context = describe(
        address=address,
        doing="run",
        root=world.looker.root,
        home=world.looker.at(record.address, record).home,
        workdir=world.local / "work" / folder_name(address),
        store=world.looker.artifacts.description,
        cache=world.looker.digests.path,
        inputs=Inputs(dict(record.parts)),
        receipt={**world.provenance, "run": world.run},
    )
    try:
        result = call(
            world,
            offer,
            "run",
            arguments.given,
            replace(record, arguments=arguments.given),
            context,
            report,
            stopping,
            record.address,
        )
    except StepFailed as error:
        raise stop(error.summary, error.detail, of=record.address) from None
    attributes = dict(result["attributes"])
    seen = replace(record, attributes=attributes, digest=result_digest(offer.resource, attributes))
    raised = []
    for alarm in result["alarms"]:
        event = world.store.raise_alarm(world.lease, world.run, record.address, alarm)
        if event is not None:
            raised.append(event)
    if dict(record.attributes) != attributes:
        world.keep(seen, {"action": "watch"})
    return attributes, raised
