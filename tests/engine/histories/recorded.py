"""What must hold of what a history records: it follows from what it takes, and from its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.engine.histories.hold import hold
from tests.engine.histories.model import NUMBER, Block, Round, by_name
from tests.engine.histories.run import TARGET

from mlform.address import Address
from mlform.refresh.pins import Pin
from mlform.refresh.world import TRIGGERS, aliased_classes
from mlform.registry import Registry
from mlform.sdk.fields import FieldClass
from mlform.state.model import Record, Snapshot
from mlform.values import canonical, identity

_REGISTRY = Registry({"strange": TARGET})


def fingerprint(record: Record, *, triggers: bool = False) -> str:
    """Return all that a result depends on, worked out without the engine's keys."""
    offer = _REGISTRY.find(record.address.kind, record.type)
    assert offer is not None
    classes = aliased_classes(offer.resource)
    counted = {FieldClass.SEMANTIC, FieldClass.IDENTITY}
    arguments = {n: v for n, v in record.arguments.items() if classes.get(n) in counted}
    if triggers and TRIGGERS in record.arguments:
        arguments[TRIGGERS] = record.arguments[TRIGGERS]
    code = {n: c["digest"] for n, c in record.code.items()}
    rest = [dict(record.parts), code, dict(record.environment)]
    return canonical(
        [
            record.address.kind,
            record.type,
            identity({k: v for k, v in arguments.items() if k not in code}),
            *rest,
        ]
    )


def keyed(snapshot: Snapshot, keys: dict[str, str]) -> None:
    """Equal keys have equal inputs, and the other way round, all through a history."""
    for record in snapshot.records.values():
        if record.address.kind == "trigger":
            continue
        print_ = fingerprint(record)
        hold(keys.setdefault(record.key, print_) == print_, "equal keys, equal inputs", record)
        hold(keys.setdefault(print_, record.key) == record.key, "equal inputs, equal keys", record)


def consistent(round_: Round, snapshot: Snapshot, pins: Mapping[Address, Pin]) -> None:
    """Everything recorded follows from what is recorded of what it takes, by our own reckoning."""
    blocks = by_name(round_)
    for address, record in snapshot.records.items():
        block = blocks.get(address.name)
        if block is None or record.held or "ignore_changes = all" in block.life:
            continue
        uses = _uses(block, round_, snapshot)
        if uses is None or waits(address, snapshot):
            continue
        pin = pins.get(address) if "version" in block.values else None
        lines = round_.files.get(block.values.get("path", "").strip('"'), ())
        if pin is not None:
            lines = tuple(pin.parts[n] for n in sorted(pin.parts, key=int))
        _follows(block, record, lines, uses)


def waits(address: Address, snapshot: Snapshot) -> bool:
    """Tell whether a record may rightly be behind: it is held, or something it needs is."""
    record = snapshot.records.get(address)
    if record is None or record.held:
        return True
    gates = [n for n in record.needs if n.kind == "gate"]
    failed = any(
        snapshot.records[g].attributes["passed"] is False for g in gates if g in snapshot.records
    )
    if failed and address.kind != "model":
        return True
    return any(waits(n, snapshot) for n in record.needs)


def _uses(block: Block, round_: Round, snapshot: Snapshot) -> list[int] | None:
    """Return the numbers a job should have; ``None`` where that cannot be told."""
    found: list[int] = []
    for name in block.uses:
        if name == "m" or block.inside:
            return None
        used = by_name(round_)[name]
        records = [r for a, r in sorted(snapshot.records.items()) if a.name == name]
        if not records and not (used.repeat or used.later):
            return None
        found += [int(r.attributes[NUMBER[used.kind]]) for r in records]
    return found


def _follows(block: Block, record: Record, lines: Sequence[str], uses: list[int]) -> None:
    given, gives = record.arguments, record.attributes
    values = block.values
    match block.type:
        case "node" | "odd":
            if not block.inside:
                hold(
                    given["uses"] == uses,
                    "a job has the numbers it uses",
                    record.address,
                    given["uses"],
                    uses,
                )
            parity = (given["value"] + sum(given["uses"]) + gives.get("noise", 0)) % 2
            hold(gives["parity"] == parity, "a job's result is that of its arguments", record)
            value = values["value"]
            written = not value.isdigit() or given["value"] == int(value)
            hold(written, "a job has its value", record)
        case "lines":
            hold(gives["rows"] == len(lines), "a dataset has the rows of its file", record, lines)
            enough = len(lines) >= int(values.get("least", "0"))
            hold(gives["enough"] == enough, "a dataset is judged by its threshold", record)
        case "grid":
            halves = {"even": lines[0::2], "odd": lines[1::2]}
            cells = {name: [*map(int, some)] for name, some in halves.items()}
            hold(gives["cells"] == cells, "a grid has the lines of its file", record, lines)
        case "sum" | "half":
            pass
        case "most":
            hold(str(given["candidate"]) == gives["judged"], "a gate judges its candidate", record)
            passed = given["candidate"] <= int(values.get("most", "1"))
            hold(gives["passed"] == passed, "a verdict is that of the threshold", record)
        case "file":
            hold(gives["shown"] == given["shows"], "a service shows what it is given", record)
    if block.uses and block.type in {"most", "file"} and not block.inside:
        name = "shows" if block.type == "file" else "candidate"
        hold([given[name]] == uses[:1], "what is taken is what is given", record, uses)
