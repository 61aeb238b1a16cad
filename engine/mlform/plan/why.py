"""Why a resource last ran: from the receipts in the state, cause by cause, down to a leaf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlform.address import Address
from mlform.state.model import AlarmEvent, Record, Snapshot
from mlform.values import handles


@dataclass(frozen=True)
class Link:
    """One step of an explanation: what ran, when, by whom and for which reasons.

    ``reasons`` are plain data, of the shape of ``Reason``. ``alarm`` is the event whose trigger
    moved the data, where that is the cause.
    """

    address: Address
    action: str
    run: str
    at: str
    by: str
    reasons: Sequence[Mapping[str, Any]]
    alarm: AlarmEvent | None = None


def explain(start: Record, snapshot: Snapshot, alarms: Sequence[AlarmEvent]) -> list[Link]:
    """Follow the causes of a record's last run; the leaf comes last."""
    links: list[Link] = []
    seen: set[Address] = set()
    current: Record | None = start
    while current is not None and current.address not in seen:
        seen.add(current.address)
        receipt = current.receipt
        reasons = list(receipt.get("reasons", ()))
        links.append(
            Link(
                current.address,
                str(receipt.get("action", "")),
                str(receipt.get("run", "")),
                str(receipt.get("at", "")),
                str(receipt.get("by", "")),
                reasons,
                _alarm_behind(current, reasons, alarms),
            )
        )
        current = _upstream(current, reasons, snapshot)
    return links


def _upstream(
    current: Record, reasons: Sequence[Mapping[str, Any]], snapshot: Snapshot
) -> Record | None:
    """Return the resource whose new output made this one run, if that is the cause."""
    for reason in reasons:
        before = {(h.address, h.attribute): h.digest for h in handles(reason.get("before"))}
        for handle in handles(reason.get("after")):
            if before.get((handle.address, handle.attribute)) != handle.digest:
                found = snapshot.records.get(Address.parse(handle.address))
                if found is not None and found.address != current.address:
                    return found
    return _changed_with(current, snapshot) if any(map(_taken, reasons)) else None


def _taken(reason: Mapping[str, Any]) -> bool:
    """Tell whether a reason is a value that may have been taken from elsewhere."""
    return reason.get("what") in {"argument", "decision"}


def _changed_with(current: Record, snapshot: Snapshot) -> Record | None:
    """Return an input that came out different in the very run that ran this."""
    for name in current.receipt.get("inputs", {}):
        found = snapshot.records.get(Address.parse(name))
        if found is None or not found.receipt.get("changed"):
            continue
        if found.receipt.get("run") == current.receipt.get("run"):
            return found
    return None


def _alarm_behind(
    current: Record, reasons: Sequence[Mapping[str, Any]], alarms: Sequence[AlarmEvent]
) -> AlarmEvent | None:
    """Return the alarm whose trigger moved this dataset, if that is why its data moved."""
    if not any(r.get("what") == "input" for r in reasons):
        return None
    name, at = str(current.address), str(current.receipt.get("at", ""))
    for alarm in reversed(alarms):
        said = (word.strip(",") for o in alarm.consumed_by.values() for word in o.split())
        advanced = name in said
        if advanced and alarm.at.isoformat() <= at:
            return alarm
    return None
