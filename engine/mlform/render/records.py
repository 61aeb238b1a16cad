"""The state as people read it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlform.render.style import Styled
from mlform.render.values import value
from mlform.state.model import Entry, Record, Snapshot
from mlform.values import short, without_marks


def records(snapshot: Snapshot) -> Styled:
    """List what is recorded: address, type, digest, when it was last applied."""
    found = [snapshot.records[a] for a in sorted(snapshot.records)]
    if not found:
        return [("", "Nothing is recorded.\n")]
    width = max(len(str(r.address)) for r in found)
    said: Styled = []
    for record in found:
        at = str(record.receipt.get("at", ""))
        held = "  held" if record.held else ""
        said += [
            ("bold", f"{record.address!s:<{width}}"),
            ("", f"  {record.type or '–':<11}  {short(record.digest)}"),
            ("dim", f"  {at}"),
            ("magenta", f"{held}\n"),
        ]
    return said


def record(it: Record) -> Styled:
    """Show one record whole."""
    title = f'{it.address.kind} "{it.type}" "{it.address.name}"' if it.type else str(it.address)
    said: Styled = [("bold", f"# {it.address}\n"), ("", f"{title} {{\n")]
    said += _block("arguments", it.arguments.items())
    said += _block("attributes", it.attributes.items())
    said += [("", "}\n"), ("dim", f"digest  {it.digest}\nkey     {it.key}\n")]
    receipt = it.receipt
    if receipt:
        commit = f", commit {str(receipt['commit'])[:10]}" if "commit" in receipt else ""
        dirty = " with uncommitted changes" if receipt.get("dirty") else ""
        taken = receipt.get("action") == "import"
        how = f"imported from {receipt['imported']}" if taken else "applied"
        how = "adopted as it was found" if "adopted" in receipt else how
        text = f"{how} {receipt.get('at')} by {receipt.get('by')} in {receipt.get('run')}"
        said.append(("dim", f"{text}{commit}{dirty}\n"))
    return [*said, *(("magenta", f"held: {reason}\n") for reason in it.held)]


def _block(title: str, items: Iterable[tuple[str, Any]]) -> Styled:
    shown = [(n, v) for n, v in items if v not in (None, "", [], {})]
    if not shown:
        return []
    width = max(len(n) for n, _ in shown)
    return [
        ("dim", f"  # {title}\n"),
        *(("", f"  {n:<{width}} = {value(v)}\n") for n, v in shown),
    ]


def snapshot_data(it: Snapshot) -> dict[str, Any]:
    """Return the state as plain data, of the shape in ``schema/state.schema.json``."""
    return {
        "lineage": it.lineage,
        "serial": it.serial,
        "outputs": without_marks(it.outputs),
        "resources": [record_data(it.records[a]) for a in sorted(it.records)],
    }


def record_data(it: Record) -> dict[str, Any]:
    """Return one record as plain data."""
    return {
        "address": str(it.address),
        "type": it.type,
        "digest": it.digest,
        "key": it.key,
        "decision_key": it.decision_key,
        "arguments": without_marks(it.arguments),
        "attributes": dict(it.attributes),
        "parts": dict(it.parts),
        "environment": dict(it.environment),
        "needs": [str(a) for a in it.needs],
        "held": list(it.held),
        "protected": it.protected,
        "receipt": dict(it.receipt),
        "create_first": it.create_first,
        "deposed": [record_data(d) for d in it.deposed],
    }


def entries(found: Iterable[Entry]) -> Styled:
    """Show the journal, a line an entry."""
    said: Styled = []
    for entry in found:
        serial = f"{entry.serial:>5}" if entry.serial else "     "
        said += [
            ("dim", f"{serial}  {entry.at:%Y-%m-%d %H:%M:%S}  {entry.run or '–':<24}  "),
            ("", f"{entry.operation:<8}  {entry.address or '–'}"),
            ("dim", f"  {note}\n" if (note := _note(entry)) else "\n"),
        ]
    return said or [("", "The journal is empty.\n")]


def _note(entry: Entry) -> str:
    detail = entry.detail
    if entry.operation == "moved":
        pairs = ((old, new["address"]) for old, new in detail["records"].items())
        return ", ".join(f"{old} → {new}" for old, new in pairs if old != new)
    if entry.operation == "revised":
        return ", ".join(detail["records"])
    if entry.operation in {"takeover", "unlock"}:
        held, by = detail["from"], detail["by"]
        who = f"{held['user']}@{held['host']} (process {held['pid']})"
        return f"{by} took the lock of {who}, lease {held['id']}"
    if entry.operation == "failed":
        return str(detail["error"]).partition("\n")[0] or "interrupted"
    return str(detail.get("action", ""))


def entry_data(it: Entry) -> dict[str, Any]:
    """Return one entry of the journal as plain data."""
    return {
        "sequence": it.sequence,
        "serial": it.serial,
        "run": it.run,
        "at": it.at.isoformat(),
        "operation": it.operation,
        "address": it.address,
        "detail": without_marks(it.detail),
        "sha256": it.sha256,
    }
