"""Changing by hand what is recorded: nothing that exists is touched by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlform.address import Address
from mlform.commands.provenance import new_run, provenance
from mlform.commands.queries import not_recorded
from mlform.commands.session import Session
from mlform.diagnostics import counted, did_you_mean, stop
from mlform.lazy import replace
from mlform.refresh.moves import moved_pins, placed, rename
from mlform.refresh.pins import read_pins, write_pins
from mlform.state.differences import Revised
from mlform.state.model import Revision

if TYPE_CHECKING:
    from mlform.state.model import Record, Snapshot


def move(session: Session, source: str, target: str, *, dry_run: bool = False) -> Revised:
    """Record at one address what is recorded at another: a resource, an instance, a module."""
    if dry_run:
        return _moving(session.snapshot(), source, target)[0]
    with session.lock("state mv") as lease:
        snapshot = session.store.snapshot()
        told, moved = _moving(snapshot, source, target)
        renamed = {a: rename(r, moved) for a, r in snapshot.records.items()}
        changed = {a: r for a, r in renamed.items() if r != snapshot.records[a]}
        pins = read_pins(session.root)
        if (fresh := moved_pins(pins, moved)) != pins:
            # First: a record that has moved without its pin would take what is new at the source.
            write_pins(session.root, fresh)
        serial = session.store.move(lease, new_run(), changed)
    return replace(told, serial=serial)


def _moving(
    snapshot: Snapshot, source: str, target: str
) -> tuple[Revised, Mapping[Address, Address]]:
    if _is_module(source) != _is_module(target):
        detail = "A resource moves to a resource, a module to a module"
        raise stop("Invalid move", f"{detail}: {source} cannot become {target}.")
    moved = {a: b for a in sorted(snapshot.records) if (b := placed(source, target, a)) is not None}
    if not moved:
        raise not_recorded(source, snapshot.records)
    for old, new in moved.items():
        if old.kind != new.kind:
            detail = f"{old} is a {old.kind} and cannot become a {new.kind}."
            raise stop("Invalid move", f"{detail} Nothing was changed.")
        if new in snapshot.records:
            detail = (
                f"{new} is recorded already. Nothing was changed. Look at it with `mlform state "
                f"show '{new}'`; take it out of the state with `mlform state rm '{new}'`."
            )
            raise stop("Address is taken", detail)
    followers = sorted(
        str(a) for a, r in snapshot.records.items() if a not in moved and set(r.needs) & set(moved)
    )
    consequences = [
        f"The block in the spec must be called {target} too, or the next apply destroys it."
    ]
    if followers:
        consequences.append(f"What needs it names it anew: {', '.join(followers)}.")
    pairs = [(str(a), str(b)) for a, b in moved.items()]
    return Revised(pairs, consequences), moved


def _is_module(text: str) -> bool:
    """Tell whether a text names a module, and no resource. Raises ``DiagnosedError`` on others."""
    for module, attempt in ((False, text), (True, f"{text}.x.x")):
        try:
            Address.parse(attempt)
        except ValueError:
            continue
        return module
    raise stop("Invalid address", f'"{text}" is no address. Write KIND.NAME or module.NAME.')


def remove(session: Session, texts: Sequence[str], *, dry_run: bool = False) -> Revised:
    """Forget what is recorded at these addresses, all at once. What they name is left alone."""
    if dry_run:
        return _removing(session.snapshot(), texts)[0]
    with session.lock("state rm") as lease:
        told, gone = _removing(session.store.snapshot(), texts)
        detail = {"action": "rm", "by": provenance(session.root)["by"]}
        revision = Revision(detail, dict.fromkeys(gone))
        serial = session.store.revise(lease, new_run(), revision)
    return replace(told, serial=serial)


def _removing(snapshot: Snapshot, texts: Sequence[str]) -> tuple[Revised, Sequence[Address]]:
    records, gone = snapshot.records, dict[Address, None]()
    for text in texts:
        chosen = [a for a in sorted(records) if a.within(text)]
        if not chosen:
            _is_module(text)
            raise not_recorded(text, records)
        gone |= dict.fromkeys(chosen)
    told = [line for a in gone for line in _left(records[a])]
    followers = sorted(
        str(a) for a, r in records.items() if a not in gone and not gone.keys().isdisjoint(r.needs)
    )
    if followers:
        told.append(f"Still recorded and made from it: {', '.join(followers)}.")
    told.append(
        "Where the spec has a block for it, the next plan makes it anew or takes a result of the "
        "same key again; `import` takes over what is still there."
    )
    return Revised([(str(a), "") for a in gone], told), list(gone)


def _left(record: Record) -> list[str]:
    said = [f"What {record.address} names is left alone: nothing will look after it."]
    if record.protected:
        said.append(f"{record.address} is protected (prevent_destroy): that is forgotten with it.")
    if record.deposed:
        count = len(record.deposed)
        left = counted(count, "object")
        said.append(f"{record.address} has {left} left behind by replacements, too.")
    return said


def replace_provider(
    session: Session, source: str, target: str, *, dry_run: bool = False
) -> Revised:
    """Say that what one provider made is another's, which offers the same types."""
    if dry_run:
        return _replacing(session, session.snapshot(), source, target)[0]
    with session.lock("state replace-provider") as lease:
        told, changed = _replacing(session, session.store.snapshot(), source, target)
        detail = {"action": "replace-provider", "by": provenance(session.root)["by"]}
        detail |= {"from": source, "to": target}
        serial = session.store.revise(lease, new_run(), Revision(detail, changed))
    return replace(told, serial=serial)


def _replacing(
    session: Session, snapshot: Snapshot, source: str, target: str
) -> tuple[Revised, Mapping[Address, Record]]:
    objects = [one for r in snapshot.records.values() for one in (r, *r.deposed)]
    used = sorted({_provider(r) for r in objects} - {""})
    made = {
        a: r
        for a, r in snapshot.records.items()
        if any(_provider(one) == source for one in (r, *r.deposed))
    }
    if not made:
        detail = f'Nothing recorded was made by provider "{source}".{did_you_mean(source, used)}'
        raise stop("Unknown provider", f"{detail} Providers in the state: {', '.join(used)}.")
    installed = session.registry.providers()
    if target.partition(".")[0] not in installed:
        detail = f'Provider "{target}" is not installed.{did_you_mean(target, installed)}'
        raise stop("Unknown provider", f"{detail} Installed: {', '.join(installed)}.")
    lacking = sorted(
        {
            f'{a.kind} "{one.type}" ({a})'
            for a, r in made.items()
            for one in (r, *r.deposed)
            if _provider(one) == source and session.registry.find(a.kind, one.type, target) is None
        }
    )
    if lacking:
        detail = f'Provider "{target}" does not offer {", ".join(lacking)}. Nothing was changed.'
        raise stop("Provider lacks a type", detail)
    changed = {
        a: replace(
            _given(r, source, target), deposed=tuple(_given(d, source, target) for d in r.deposed)
        )
        for a, r in made.items()
    }
    told = ["Their blocks must name that provider too, where they name one."]
    return Revised([(str(a), target) for a in sorted(made)], told), changed


def _provider(record: Record) -> str:
    return str(record.receipt.get("provider") or "")


def _given(record: Record, source: str, target: str) -> Record:
    """Return a record as made by another provider, if it was made by the one."""
    if _provider(record) != source:
        return record
    return replace(record, receipt={**record.receipt, "provider": target})
