"""What triggers move, before anything else is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlform.failpoints import failpoint
from mlform.lazy import replace
from mlform.plan import Plan, Reason
from mlform.plan.pulled import Pulled, pins_after, ticked
from mlform.refresh.pins import read_pins, write_pins
from mlform.state.model import Record, Snapshot

if TYPE_CHECKING:
    from mlform.apply.run import World

TICK = "tick"


def pulled(plan: Plan, snapshot: Snapshot, world: World) -> Snapshot:
    """Move pins and ticks, and mark alarms as acted on: last, so that none is lost by a crash."""
    if not plan.pulls:
        return snapshot
    pins = read_pins(world.looker.root)
    if (fresh := pins_after(pins, plan.pulls)) != pins:
        write_pins(world.looker.root, fresh)
        failpoint("apply.pulling")
    records = dict(snapshot.records)
    for it in plan.pulls:
        record = records.get(it.trigger)
        if it.tick is not None and record is not None:
            records[it.trigger] = _tick(record, it, world)
        detail = {"why": it.why, "moved": [str(a) for a in it.datasets], "tick": it.tick}
        world.store.pull(world.lease, world.run, it.trigger, it.alarms, detail)
    return replace(snapshot, records=records)


def _tick(record: Record, pull: Pulled, world: World) -> Record:
    assert pull.tick is not None, "the schedule has come to something"
    reason = Reason(TICK, "as_of", record.attributes.get("as_of"), pull.tick)
    receipt = {
        **world.provenance,
        "run": world.run,
        "changed": True,
        "action": TICK,
        "reasons": [reason.as_data()],
        "provider": record.receipt.get("provider", ""),
        "home": record.receipt.get("home", ""),
        "inputs": record.receipt.get("inputs", {}),
    }
    now = replace(ticked(record, pull.tick, world.registry), receipt=receipt)
    world.keep(now, {"action": TICK})
    return now
