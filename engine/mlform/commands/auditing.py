"""``audit``: what something was made from, who let it through, and whether that can be believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlform.commands.past import end_of
from mlform.commands.queries import not_recorded, parsed
from mlform.commands.session import Session
from mlform.diagnostics import stop
from mlform.state.dossier import Agreed, Dossier, Verified
from mlform.state.lineage import Made, Version, Versions
from mlform.state.past import Fold, until

if TYPE_CHECKING:
    from mlform.state.model import AlarmEvent, Entry


def verify(session: Session) -> Verified:
    """Check the state against its journal, and the journal against itself."""
    problems = list(session.store.verify())
    count, head = 0, ""
    for entry in () if problems else session.store.journal():
        count, head = entry.sequence, entry.sha256
    records = 0 if problems else len(session.snapshot().records)
    return Verified(count, head, records, problems)


def audit(session: Session, text: str, at: str | None = None) -> Dossier:
    """Return what is known of a resource, as it is now or was at a time."""
    address = str(parsed(text))
    whole = list(session.store.journal())
    entries = whole if at is None else list(until(whole, end_of(at)))
    snapshot, fold = session.snapshot(), Fold()
    for entry in entries:
        fold.follow(entry)
    if address not in fold.records:
        when = "is not recorded" if at is None else f"was not recorded at {at}"
        raise not_recorded(text, fold.records, when)
    versions = Versions(entries)
    first = versions.latest(address, fold.serial)
    if first is None:
        detail = (
            f"The journal up to serial {fold.serial} does not say how {address} was made, so it is "
            "not as it was written. Check it: `mlform audit verify`."
        )
        raise stop("Not in the journal", detail)
    chain = list(_chain(session, versions, first))
    alarms = _alarms(session, fold, first, whole[len(entries) :])
    agreed = _agreed(chain, entries)
    return Dossier(address, snapshot.lineage, fold, chain, alarms, agreed, tuple(entries))


def _chain(session: Session, versions: Versions, first: Version) -> Iterator[Made]:
    seen, waiting = {(first.address, first.sequence)}, [first]
    while waiting:
        version = waiting.pop(0)
        made = versions.made(version, _compared(session, version))
        yield made
        for giver in made.inputs.values():
            if (giver.address, giver.sequence) not in seen:
                seen.add((giver.address, giver.sequence))
                waiting.append(giver)


def _agreed(chain: Sequence[Made], entries: Sequence[Entry]) -> list[Agreed]:
    """Return the approvals that what is in a dossier was done with."""
    from mlform.state.signing import signed

    wanted = {
        (str(given["subject"]), str(given["by"]))
        for made in chain
        for given in made.version.record.get("receipt", {}).get("approvals", ())
    }
    found: dict[tuple[str, str], Agreed] = {}
    for entry in entries if wanted else ():
        if entry.operation != "approve":
            continue
        statement, signature = dict(entry.detail["statement"]), str(entry.detail["signature"])
        name = (str(statement["subject"]), str(statement["by"]))  # its address may be another now
        if name in wanted:
            key = str(entry.detail["key"])
            valid = signed(statement, signature, key)
            found[name] = Agreed(statement, signature, key, entry.sequence, valid)
    return sorted(found.values(), key=lambda it: it.sequence)


def _compared(session: Session, version: Version) -> list[str]:
    """Return the arguments that only name what a result is compared with."""
    from mlform.refresh.world import aliased_classes
    from mlform.sdk.fields import FieldClass

    offer = session.registry.find(version.kind, version.record["type"])
    if offer is None:
        return []
    classes = aliased_classes(offer.resource)
    return [name for name, it in classes.items() if it is FieldClass.BASELINE]


def _alarms(
    session: Session, fold: Fold, first: Version, later: Sequence[Entry]
) -> list[AlarmEvent]:
    """Return what was raised about a resource since it was applied, whatever day is asked about.

    Alarms are by what monitors are called now: ``later`` came after that day.
    """
    watching = {a for a in fold.records if _needs(a, first.address, fold.records)}
    for entry in later:
        if entry.operation == "moved":
            records = entry.detail["records"]
            watching = {records[a]["address"] if a in records else a for a in watching}
    return [a for a in session.store.alarms() if a.monitor in watching and a.at >= first.at]


def _needs(address: str, wanted: str, records: Mapping[str, Mapping[str, Any]]) -> bool:
    seen, waiting = {address}, [address]
    while waiting:
        for need in records.get(waiting.pop(), {}).get("needs", ()):
            if need == wanted:
                return True
            if need not in seen:
                seen.add(need)
                waiting.append(need)
    return False
