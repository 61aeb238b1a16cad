"""Why a resource ran: from what the journal or a plan says, cause by cause, down to a leaf."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from mlform.address import Address
from mlform.lazy import dataclass, replace
from mlform.plan.codec import read_reason
from mlform.plan.model import QUIET, Plan, Reason, Step
from mlform.plan.moved import differing, telling
from mlform.refresh.facets import facets_of
from mlform.refresh.pins import Pin
from mlform.state.codec import parse_record
from mlform.state.model import AlarmEvent, Entry, Record
from mlform.values import handles

Made = Callable[[Address, int | None], Entry | None]
"""Address, sequence → the last journal entry before it that tells how the record was made."""
N = TypeVar("N")


@dataclass(frozen=True)
class Link:
    """One step of an explanation: what ran or will, when, by whom and for which reasons.

    ``alarm`` is the event whose trigger moved the data, where that is the cause. ``rows`` are
    those before and after, of a dataset whose data moved, and ``facets`` those of which the values
    did: none where only their encoding did; ``None`` where that is not known. ``person`` is who
    moved its pin there, and when. ``also`` are other resources upstream that came out different as
    well.
    """

    address: Address
    action: str
    run: str
    at: str
    by: str
    reasons: Sequence[Reason]
    alarm: AlarmEvent | None = None
    rows: tuple[int | None, int | None] | None = None
    facets: tuple[str, ...] | None = None
    person: tuple[str, str] | None = None
    also: tuple[str, ...] = ()


def traced(reasons: Iterable[Reason], takes: Mapping[str, tuple[str, ...]]) -> tuple[Reason, ...]:
    """Return reasons that say of each argument which resources its value was taken from."""
    return tuple(replace(r, through=takes[r.subject]) if r.subject in takes else r for r in reasons)


def explain(
    start: Record, sequence: int | None, made: Made, alarms: Sequence[AlarmEvent]
) -> list[Link]:
    """Follow the causes of one run of a resource, by the shortest way to a leaf; it comes last.

    ``sequence`` is that of the journal entry of that run; ``None`` where there is no such entry.
    """
    return _shortest(
        _Made(start, sequence),
        lambda node: node.record.address,
        lambda node: node.causes(made),
        lambda node, also: node.link(made, alarms, also),
    )


def explain_planned(
    plan: Plan,
    start: Step,
    made: Made,
    alarms: Sequence[AlarmEvent],
    pins: Mapping[Address, Pin],
) -> list[Link]:
    """Follow the causes of a step of a plan, into what was applied before where they lead there."""
    steps = {str(s.address): s for s in plan.steps}
    first = _shortest(
        start,
        lambda step: step.address,
        lambda step: _planned_causes(step, steps),
        lambda step, also: _planned_link(step, also, pins.get(step.address)),
    )
    last = steps[str(first[-1].address)]
    if _own(last.reasons):
        return first
    for name in _moved(last.reasons):
        entry = _changing(Address.parse(name), None, made)
        if entry is not None:
            return [*first, *explain(_record(entry), entry.sequence, made, alarms)]
    return first


def _shortest(
    start: N,
    address: Callable[[N], Address],
    causes: Callable[[N], list[N]],
    link: Callable[[N, tuple[str, ...]], Link],
) -> list[Link]:
    """Return the shortest way from a node to one without causes upstream, as links."""
    before: dict[Address, N | None] = {address(start): None}
    upstream: dict[Address, list[Address]] = {}
    waiting = deque([start])
    node = start
    while waiting:
        node = waiting.popleft()
        found = causes(node)
        upstream[address(node)] = [address(n) for n in found]
        if not found:
            break
        for inner in found:
            if address(inner) not in before:
                before[address(inner)] = node
                waiting.append(inner)
    chain: list[N] = []
    current: N | None = node
    while current is not None:
        chain.append(current)
        current = before[address(current)]
    chain.reverse()
    on_it = {address(n) for n in chain}
    return [
        link(n, tuple(str(a) for a in upstream.get(address(n), ()) if a not in on_it))
        for n in chain
    ]


@dataclass(frozen=True)
class _Made:
    """One run of a resource, as its record tells it."""

    record: Record
    sequence: int | None

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return tuple(map(read_reason, self.record.receipt.get("reasons", ())))

    def causes(self, made: Made) -> list[_Made]:
        """Return what upstream made it run; nothing where a cause is its own."""
        if _own(self.reasons):
            return []
        names = _moved(self.reasons) or self._differing(made)
        found = []
        for address in map(Address.parse, names):
            entry = _changing(address, self.sequence, made)
            if entry is not None and address != self.record.address:
                found.append(_Made(_record(entry), entry.sequence))
        return found

    def _differing(self, made: Made) -> list[str]:
        """Return the resources that arguments were taken from and that came out different."""
        through = dict.fromkeys(a for r in self.reasons for a in r.through)
        before = made(self.record.address, self.sequence)
        if before is None:
            return []
        was, now = _inputs(_record(before)), _inputs(self.record)
        return [a for a in through if a in was and was[a] != now.get(a)]

    def link(self, made: Made, alarms: Sequence[AlarmEvent], also: tuple[str, ...]) -> Link:
        receipt, reasons = self.record.receipt, self.reasons
        found = Link(
            self.record.address,
            str(receipt.get("action", "")),
            str(receipt.get("run", "")),
            str(receipt.get("at", "")),
            str(receipt.get("by", "")),
            reasons,
            also=also,
        )
        if not any(_is_data(r) for r in reasons):
            return found
        if (before := made(self.record.address, self.sequence)) is not None:
            was = _record(before)
            rows = was.receipt.get("rows"), receipt.get("rows")
            found = replace(found, rows=rows, facets=_values_moved(was, self.record))
        if pinned := receipt.get("pinned"):
            return replace(found, person=(pinned["by"], pinned["at"]))
        return replace(found, alarm=_alarm_behind(self.record, alarms))


def _values_moved(before: Record, after: Record) -> tuple[str, ...] | None:
    """Return the facets that are others; ``None`` where that is not known."""
    if before.digest == after.digest:
        return ()
    was, now = facets_of(before.attributes), facets_of(after.attributes)
    if was is None or now is None:
        return None
    return tuple(telling(differing(was, now)))


def _changing(address: Address, sequence: int | None, made: Made) -> Entry | None:
    """Return the last entry before a sequence whose output was another than before."""
    last = entry = made(address, sequence)
    while entry is not None and not _record(entry).receipt.get("changed"):
        entry = made(address, entry.sequence)
    return entry or last


def _record(entry: Entry) -> Record:
    return parse_record(entry.detail["record"])


def _inputs(record: Record) -> Mapping[str, str]:
    found: Mapping[str, str] = record.receipt.get("inputs", {})
    return found


def _own(reasons: Sequence[Reason]) -> bool:
    """Tell whether any reason is a cause of its own, and none that lies upstream.

    That there is something to take where there was nothing (``prior``: the first champion) is a
    cause only where nothing else is.
    """
    own = [r for r in reasons if _is_own(r)]
    if len(own) < len(reasons):
        own = [r for r in own if r.before is not None or not handles(r.after)]
    return bool(own)


def _is_own(reason: Reason) -> bool:
    if reason.what in {"upstream", "held"} or reason.through:
        return False
    return not _differ(reason)


def _is_data(reason: Reason) -> bool:
    return reason.what == "input" and not handles(reason.after) and not handles(reason.before)


def _differ(reason: Reason) -> list[str]:
    """Return the resources whose handles differ before and after."""
    before = {(h.address, h.attribute): h.digest for h in handles(reason.before)}
    return [
        h.address
        for h in handles(reason.after)
        if before.get((h.address, h.attribute), h.digest) != h.digest
    ]


def _moved(reasons: Sequence[Reason]) -> list[str]:
    return list(dict.fromkeys(a for r in reasons for a in _differ(r)))


def _planned_causes(step: Step, steps: Mapping[str, Step]) -> list[Step]:
    if _own(step.reasons):
        return []
    names = [r.subject for r in step.reasons if r.what == "upstream"]
    names += _moved(step.reasons) + [a for r in step.reasons for a in r.through]
    found = [steps[n] for n in dict.fromkeys(names) if n in steps and n != str(step.address)]
    return [s for s in found if s.action not in QUIET]


def _planned_link(step: Step, also: tuple[str, ...], pin: Pin | None) -> Link:
    found = Link(step.address, step.action.value, "", "", "", step.reasons, also=also)
    moved = pin is not None and pin.by and dict(pin.parts) == dict(step.parts or {})
    if pin is None or not moved or not any(_is_data(r) for r in step.reasons):
        return found
    return replace(found, person=(pin.by, pin.at))


def _alarm_behind(record: Record, alarms: Sequence[AlarmEvent]) -> AlarmEvent | None:
    """Return the alarm whose trigger moved this dataset, if that is why its data moved."""
    name, at = str(record.address), record.receipt.get("at")
    if not at:
        return None
    made = datetime.fromisoformat(str(at))  # to the second
    for alarm in reversed(alarms):
        said = (word.strip(",") for o in alarm.consumed_by.values() for word in o.split())
        if name in said and alarm.at.replace(microsecond=0) <= made:
            return alarm
    return None
