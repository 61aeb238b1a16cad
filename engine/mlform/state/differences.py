"""What differs between two moments of a state, and what was changed in it by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from mlform.lazy import dataclass, field
from mlform.state.codec import record_data
from mlform.state.model import Record, Snapshot

_ASIDE: Final = frozenset({"receipt", "address"})
"""Of a record: what differs each time, and what it is compared by."""
_PARTS: Final = frozenset({"arguments", "attributes", "parts"})


@dataclass(frozen=True)
class Past:
    """What was recorded at a serial, and when that serial was written."""

    snapshot: Snapshot
    at: datetime | None


@dataclass(frozen=True)
class Change:
    """One resource or output that differs. ``fields`` has (name, before, after)."""

    address: str
    how: str
    """``added``, ``removed`` or ``changed``."""
    fields: Sequence[tuple[str, Any, Any]] = ()


@dataclass(frozen=True)
class Differences:
    """What differs between two moments of one state."""

    before: Past
    after: Past
    resources: Sequence[Change]
    outputs: Sequence[Change]

    def __bool__(self) -> bool:
        return bool(self.resources or self.outputs)


@dataclass(frozen=True)
class Revised:
    """What was changed by hand, or would be (``serial`` is ``None``), and what follows from it."""

    what: Sequence[tuple[str, str]]
    """(Before, after): addresses, or an address and a provider; after is empty for what goes."""
    consequences: Sequence[str] = field(default_factory=list)
    serial: int | None = None


@dataclass(frozen=True)
class Pushed:
    """What pushing a document changes; ``serial`` is the state's after it, if it was done."""

    differences: Differences
    serial: int | None = None


def compared(before: Past, after: Past) -> Differences:
    """Return what differs between two moments."""
    old, new = before.snapshot, after.snapshot
    resources = {str(a): _fields(r) for a, r in old.records.items()}
    now = {str(a): _fields(r) for a, r in new.records.items()}
    outputs = {n: {"value": o["value"]} for n, o in old.outputs.items()}
    given = {n: {"value": o["value"]} for n, o in new.outputs.items()}
    return Differences(before, after, _changes(resources, now), _changes(outputs, given))


def _fields(record: Record) -> dict[str, Any]:
    """Return what of a record can differ in a way that says something, by name."""
    found: dict[str, Any] = {}
    for name, value in record_data(record).items():
        if isinstance(value, Mapping) and name in _PARTS:
            found |= {f"{name}.{inner}": v for inner, v in value.items() if v is not None}
        elif name not in _ASIDE and value not in (None, [], (), {}, False, ""):
            found[name] = value
    if record.tainted:
        found["tainted"] = record.receipt["tainted"]
    if "provider" in record.receipt:
        found["provider"] = record.receipt["provider"]
    return found


def _changes(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> list[Change]:
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        left, right = old or {}, new or {}
        names = [n for n in dict.fromkeys([*left, *right]) if left.get(n) != right.get(n)]
        how = "added" if old is None else "removed" if new is None else "changed"
        found.append(Change(name, how, [(n, left.get(n), right.get(n)) for n in names]))
    return found
