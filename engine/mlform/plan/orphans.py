"""Steps for what is recorded and not wanted any more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from mlform.address import Address
from mlform.config import Project
from mlform.diagnostics import Diagnostics
from mlform.graph import reached
from mlform.plan.model import Action, Note, Reason, Step
from mlform.refresh.model import Observation, Observations
from mlform.registry import Registry
from mlform.sdk import AnyResource, Resource
from mlform.state.model import Record, Snapshot, home_of


def leaving(
    snapshot: Snapshot,
    declared: AbstractSet[Address],
    targets: Sequence[Address],
    excluded: Collection[Address],
    *,
    destroy: bool,
) -> list[Record]:
    """Return the records to let go of: not declared any more, or all of them on destroy.

    What is destroyed by name takes along what needs it; what is excluded keeps what it needs.
    """
    needs = {a: r.needs for a, r in snapshot.records.items()}
    stays = reached(excluded, needs)
    chosen = set(targets)
    if destroy and targets:
        users: dict[Address, list[Address]] = {}
        for address, needed in needs.items():
            for other in needed:
                users.setdefault(other, []).append(address)
        chosen = reached(targets, users)
    return [
        record
        for address, record in sorted(snapshot.records.items())
        if address not in stays
        and (not targets or address in chosen)
        and (destroy or address not in declared)
    ]


def orphans(
    records: Sequence[Record],
    observations: Observations,
    registry: Registry,
    removal: Callable[[Address], bool | None],
    project: Project,
    diagnostics: Diagnostics,
    *,
    purging: bool = False,
) -> Iterator[Step]:
    """Yield a step for each record to let go of; with ``purging`` data are deleted, too.

    ``removal`` says whether a ``removed`` block destroys what it names (``None``: no block does).
    """
    for record in records:
        gone = not observations.get(record.address, Observation()).present
        kept = removal(record.address) is False
        if (purging or not gone) and not kept:
            _protect(record, project, diagnostics)
        offer = registry.find(record.address.kind, record.type)
        if offer is None:
            detail = registry.missing(record.address.kind, record.type)
            diagnostics.error("Unknown resource type", detail, of=record.address)
            continue
        destroyed = takes_down(offer.resource) and not kept and not gone
        yield Step(
            address=record.address,
            type=record.type,
            provider=str(record.receipt.get("provider") or offer.provider),
            action=Action.DESTROY if destroyed else Action.FORGET,
            arguments={},
            reasons=(Reason("gone") if gone else _unwanted(record.address, project),),
            recorded=record.arguments,
            protected=record.protected,
        )


def _unwanted(address: Address, project: Project) -> Reason:
    """Say why what is recorded and there is to go."""
    if address in project.resources:  # what is declared goes only where all is destroyed
        return Reason("asked")
    if (at := project.disabled.get(address)) is not None:
        return Reason("disabled", at=str(at))
    return Reason("removed")


def unused(
    steps: Iterable[Step],
    waiting: AbstractSet[Address],
    records: Mapping[Address, Record],
    notes: list[Note],
) -> Iterator[Step]:
    """Yield the steps but for those that destroy what something uses that is held or deferred.

    That lets go of it first, in the plan that goes on with it. Until then a note says so.
    """
    used = reached(waiting, {a: r.needs for a, r in records.items()}) if waiting else set()
    for step in steps:
        if step.action is not Action.DESTROY or step.address not in used:
            yield step
            continue
        users = [str(a) for a in sorted(waiting) if step.address in records[a].needs]
        who = ", ".join(users) or "what uses it"
        off = any(r.what == "disabled" for r in step.reasons)
        why = "is not enabled" if off else "is declared no more"
        text = f"{why}, and stays until {who}, held or deferred now, lets go of it"
        notes.append(Note("stays", str(step.address), text))


def _protect(record: Record, project: Project, diagnostics: Diagnostics) -> None:
    """Refuse to let go of what is protected, by its block or, whatever that says, by its record."""
    address = record.address
    block, off = project.resources.get(address), project.disabled.get(address)
    at = off if block is None else block.span
    if record.protected:
        doing = "destroying it" if block else "disabling it" if off else "removing the block"
        detail = (
            f"{address} has lifecycle.prevent_destroy, recorded when it was last applied. Set it "
            f"to false and apply before {doing}."
        )
    elif block is not None and block.lifecycle.prevent_destroy:
        detail = f"{address} has lifecycle.prevent_destroy. Set it to false to have it destroyed."
    else:
        return
    diagnostics.error("Protected from destruction", detail, at=at, of=address)


def left_behind(
    snapshot: Snapshot,
    planned: AbstractSet[Address],
    removal: Callable[[Address], bool | None],
) -> Iterator[Step]:
    """Yield a step for each object that an earlier replacement left behind.

    What a ``removed`` block lets go without destroying it takes these along.
    """
    records = (r for r in snapshot.records.values() if r.deposed and r.address in planned)
    for record, old in sorted(((r, d) for r in records for d in r.deposed), key=_place):
        kept = removal(record.address) is False
        yield Step(
            address=record.address,
            type=old.type,
            provider=str(old.receipt.get("provider", "")),
            action=Action.FORGET if kept else Action.DESTROY,
            arguments={},
            reasons=(Reason("deposed"),),
            recorded=old.arguments,
            deposed=home_of(old),
        )


def _place(pair: tuple[Record, Record]) -> tuple[Address, str]:
    return pair[0].address, home_of(pair[1])


def takes_down(resource: AnyResource) -> bool:
    """Tell whether destroying takes something down; otherwise content is kept and forgotten."""
    if resource.reusable or resource.keeps_content:
        return False
    return type(resource).destroy is not Resource.destroy
