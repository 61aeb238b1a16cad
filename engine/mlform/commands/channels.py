"""``promote``, ``rollback``, ``quarantine``, ``history``: what channels have, moved by people."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mlform.address import Address
from mlform.commands.options import PlanOptions
from mlform.commands.provenance import new_run, provenance
from mlform.commands.queries import not_recorded, parsed
from mlform.commands.session import Session
from mlform.diagnostics import stop
from mlform.lazy import dataclass, field, replace
from mlform.state.channels import Asked, Move, Turn
from mlform.values import handles

if TYPE_CHECKING:
    from mlform.apply import Outcome, Reporter
    from mlform.commands.applying import Applied
    from mlform.plan.model import Plan
    from mlform.sdk import ChannelledResource, Order, Standing
    from mlform.sdk.channels import Ordered
    from mlform.state.model import Entry, Record, Snapshot

FIRST: Final = "champion"
"""The channel that is meant where none is named."""


_BANS: Final = frozenset({"rollback", "quarantine"})
"""The orders after which a version must not serve."""


@dataclass(frozen=True)
class Done:
    """What came of an order."""

    asked: Asked
    approved: bool = True
    applied: Applied | None = None
    """Of the deployments; ``None`` where there were none to roll."""
    warnings: Sequence[str] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome | None:
        """What came of the deployments."""
        return None if self.applied is None else self.applied.outcome


def order(
    session: Session,
    text: str,
    what: Ordered,
    approve: Callable[[Asked], bool],
    report: Reporter,
    *,
    channel: str | None = None,
    version: str = "",
    why: str = "",
    roll: bool = True,
) -> Done:
    """Carry out an order, and with ``roll`` bring the deployments of moved channels along.

    Nothing upstream of them is looked at or run: they are rolled to what is recorded. A rollback
    that was recorded and rolled nothing (it was killed, or failed) is gone on with: nothing moves
    a second time. Where they cannot be planned, nothing is done. Raises ``DiagnosedError``.
    """
    from mlform.apply.orders import published, said
    from mlform.commands.applying import carry_out
    from mlform.sdk import Order

    with session.lock(what) as lease:
        snapshot = session.store.snapshot()
        record, found = _meant(session, snapshot, text)
        named = channel or found or (FIRST if what in {"promote", "rollback"} else "")
        resource = _channelled(session, record)
        who = provenance(session.root)
        given = Order(what, who["by"], who["at"], named, version, why)
        run = new_run()
        behind = _behind(session, snapshot.records, record, resource) if what in _BANS else {}
        goes_on = what == "rollback" and not version and named in behind.values()
        new = record if goes_on else _obeyed(session, resource, record, given, run)
        moves = list(_moves(_standing(resource, record), _standing(resource, new)))
        names = {m.channel for m in moves}
        served = _taking(session, snapshot.records, record.address, names) if roll else []
        served = _declared(session, snapshot, {*served, *behind})
        number = None if not version else _number(new, version)
        options = PlanOptions(tuple(map(str, served)), alone=True)
        if served:
            then = replace(snapshot, records={**snapshot.records, record.address: new})
            _refuse_losses(session.plan(then, options))
        asked = Asked(record.address, given, number, moves, served)
        if not approve(asked):
            return Done(asked, approved=False)
        if not goes_on:
            session.store.put(lease, run, new, said(given))
        wrong = published(new, resource, session.looker.at(record.address, record))
        warnings = [wrong] if wrong else []
        if not served:
            return Done(asked, warnings=warnings)
        snapshot = session.store.snapshot()
        plan = session.plan(snapshot, options)
        applied = carry_out(session, plan, snapshot, lease, lambda _plan: True, report, 1)
    return Done(asked, applied=applied, warnings=warnings)


def _obeyed(
    session: Session,
    resource: ChannelledResource[Any, Any],
    record: Record,
    given: Order,
    run: str,
) -> Record:
    from mlform.apply.orders import obeyed
    from mlform.sdk import ResourceError

    try:
        return obeyed(record, resource, session.looker.at(record.address, record), given, run)
    except ResourceError as error:
        raise stop(error.summary, f"{record.address}: {error.detail}") from error


def _declared(session: Session, snapshot: Snapshot, served: Collection[Address]) -> list[Address]:
    """Return where deployments are by the spec of now: a ``moved`` block may wait for an apply."""
    from mlform.diagnostics import Diagnostics
    from mlform.refresh.moves import moves

    if not served:
        return []
    session.know(snapshot)
    moved = moves(session.configured[0], snapshot, Diagnostics())
    return sorted(moved.get(a, a) for a in served)


def _refuse_losses(plan: Plan) -> None:
    """Refuse to take down what is to be rolled: nobody asked for that."""
    from mlform.plan.model import Action

    gone = [s.address for s in plan.steps if s.action in {Action.DESTROY, Action.FORGET}]
    if gone:
        names = ", ".join(map(str, gone))
        detail = (
            f"The spec does not declare {names}, so it would be taken down, not rolled. Nothing "
            "was done: declare it as it was applied, or let an apply take it down first "
            f"(-target {gone[0]})."
        )
        raise stop("Deployment is not declared", detail)


def history(session: Session, text: str, channel: str | None = None) -> list[Turn]:
    """Return every move of the channels of a model, or of one, oldest first."""
    from mlform.commands.past import history as entries_of
    from mlform.state.codec import parse_record

    snapshot = session.snapshot()
    record, found = _meant(session, snapshot, text)
    resource, wanted = _channelled(session, record), channel or found
    turns: list[Turn] = []
    before: Mapping[str, Standing] = {}
    entries = entries_of(session, str(record.address))
    names = _names(str(record.address), entries)
    for entry in entries:
        data = _recorded(entry.detail, names)
        made = None if data is None else parse_record(data)
        if made is not None and made.type == record.type:
            now = _standing(resource, made)
            turns += [_turn(move, entry, made) for move in _moves(before, now)]
            before = now
    return [t for t in turns if wanted in {None, t.move.channel}]


def _turn(move: Move, entry: Entry, made: Record) -> Turn:
    how = str(entry.detail.get("action") or entry.operation)
    by_hand = how in _BY_HAND
    told: Mapping[str, Any] = entry.detail if entry.detail.get("by") else made.receipt
    return Turn(
        move,
        entry.at,
        by=str(told.get("by", "")),
        how=how if by_hand else "apply",
        why=str(entry.detail.get("why", "")),
        run=entry.run,
        plan="" if by_hand else str(made.receipt.get("plan", "")),
        commit="" if by_hand else str(made.receipt.get("commit", "")),
    )


_BY_HAND: Final = frozenset({"promote", "rollback", "quarantine", "adopt", "import"})


def _names(name: str, entries: Sequence[Entry]) -> set[str]:
    """Return the addresses that something had by its history."""
    found = {name}
    for entry in reversed(entries):
        if entry.operation == "moved":
            found |= {a for a, it in entry.detail["records"].items() if it["address"] in found}
    return found


def _recorded(detail: Mapping[str, Any], names: set[str]) -> Mapping[str, Any] | None:
    """Return the record that an entry of a history wrote, if it did."""
    if "record" in detail:
        found: Mapping[str, Any] = detail["record"]
        return found
    inside: Mapping[str, Any] = detail.get("records") or {}
    return next((it for a, it in inside.items() if it and a in names), None)


def _meant(session: Session, snapshot: Snapshot, text: str) -> tuple[Record, str | None]:
    """Return the record of a model, and the channel, that an address means.

    A deployment means the channel that it serves.
    """
    records = snapshot.records
    address = parsed(text)
    if address not in records:
        raise not_recorded(text, records)
    record = records[address]
    if address.kind != _SERVING:
        return record, None
    taken = _taken(record.arguments.get("model"))
    for of, channel, _ in taken:
        giver = records.get(of)
        if giver is not None and _channelled_or_none(session, giver) is not None:
            return giver, channel
    served = ", ".join(f"{of}.{name}" for of, name, _ in taken) or "nothing"
    detail = (
        f"{address} serves {served}: no channel, so there is no version before. Put a model "
        '"registry" between, and have it serve model.NAME.champion.'
    )
    raise stop("Nothing to roll back", detail)


_SERVING: Final = "deployment"


def _taken(values: object) -> list[tuple[Address, str, str]]:
    """Return whose models recorded values are: the resource, what of it, and the digest."""
    return [
        (Address.parse(h.address), (h.attribute or FIRST).removeprefix("channels."), str(h.digest))
        for h in handles(values)
    ]


def _taking(
    session: Session, records: Mapping[Address, Record], address: Address, channels: set[str]
) -> list[Address]:
    """Return the deployments that answer by one of these channels, be it as a variant."""
    return sorted(
        a
        for a, r in records.items()
        if a.kind == _SERVING
        and any(of == address and n in channels for of, n, _ in _taken(_answering(session, r)))
    )


def _behind(
    session: Session,
    records: Mapping[Address, Record],
    record: Record,
    resource: ChannelledResource[Any, Any],
) -> dict[Address, str]:
    """Return the deployments that a channel has left behind, each with that channel.

    They are recorded with a version that is quarantined, and the channel has another.
    """
    attributes = resource.attributes.model_validate(dict(record.attributes))
    barred, standing = resource.quarantined(attributes), resource.standing(attributes)
    return {
        a: channel
        for a, r in records.items()
        if a.kind == _SERVING
        for of, channel, digest in _taken(_answering(session, r))
        if of == record.address and channel in standing and digest in barred
    }


def _answering(session: Session, record: Record) -> dict[str, object]:
    offer = session.registry.find(record.address.kind, record.type)
    beside = () if offer is None else offer.resource.beside
    return {n: v for n, v in record.arguments.items() if n not in beside}


def _channelled(session: Session, record: Record) -> ChannelledResource[Any, Any]:
    found = _channelled_or_none(session, record)
    if found is None:
        detail = f'{record.address} is a {record.address.kind} "{record.type}": it has no channels.'
        raise stop("No channels", detail)
    return found


def _channelled_or_none(session: Session, record: Record) -> ChannelledResource[Any, Any] | None:
    from mlform.sdk import ChannelledResource

    offer = session.registry.find(record.address.kind, record.type)
    if offer is None:
        raise stop(
            "Unknown resource type", session.registry.missing(record.address.kind, record.type)
        )
    return offer.resource if isinstance(offer.resource, ChannelledResource) else None


def _standing(resource: ChannelledResource[Any, Any], record: Record) -> Mapping[str, Standing]:
    return resource.standing(resource.attributes.model_validate(dict(record.attributes)))


def _moves(before: Mapping[str, Standing], after: Mapping[str, Standing]) -> Iterator[Move]:
    for name in sorted({*before, *after}, key=lambda n: (n != FIRST, n)):
        if before.get(name) != after.get(name):
            yield Move(name, before.get(name), after.get(name))


def _number(record: Record, text: str) -> int | None:
    versions: Mapping[str, int] = record.attributes.get("versions") or {}
    bare = text.removeprefix("v").removeprefix("sha256:")
    found = (
        n for d, n in versions.items() if bare in {str(n), d.removeprefix("sha256:")[: len(bare)]}
    )
    return next(found, None)
