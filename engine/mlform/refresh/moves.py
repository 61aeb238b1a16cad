"""Records at the addresses their blocks have now: ``moved`` blocks, and keys come or gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlform.address import Address, Key
from mlform.config import Project
from mlform.config.model import ModulePath, Move
from mlform.diagnostics import Diagnostics
from mlform.lazy import dataclass, replace
from mlform.refresh.pins import Pin
from mlform.state.model import Record, Snapshot, home_of
from mlform.values import handle_in


def moves(project: Project, snapshot: Snapshot, diagnostics: Diagnostics) -> dict[Address, Address]:
    """Return where each record is now, for those that are not where they were.

    Beside what ``moved`` blocks say: an only instance becomes the one counted 0 when its block
    gets a ``count``, and the other way round.
    """
    found: dict[Address, Address] = {}
    taken = set(snapshot.records)
    for address in sorted(snapshot.records):
        target = _followed(address, project.moves)
        if target == address and address not in project.resources:
            target = _counted(address, project)
        if target == address:
            continue
        if target in taken:
            detail = (
                f"{address} should move to {target}, where something is recorded already. It stays "
                f"where it is. Look at both: `mlform state show {target}`."
            )
            diagnostics.warning("Move not possible", detail, of=address)
            continue
        taken.discard(address)
        taken.add(target)
        found[address] = target
    return found


def _followed(address: Address, declared: Sequence[Move]) -> Address:
    seen = {address}
    while True:
        step = next(
            (t for m in declared if (t := _target(m, address)) not in {None, address}), None
        )
        if step is None or step in seen:
            return address
        seen.add(step)
        address = step


def _counted(address: Address, project: Project) -> Address:
    other = replace(address, key=0) if address.key is None else replace(address, key=None)
    swaps = address.key in {None, 0} and not isinstance(address.key, str)
    return other if swaps and other in project.resources else address


def _target(move: Move, address: Address) -> Address | None:
    """Return where a move takes an address, or ``None`` if it is about another."""
    return placed(move.source, move.target, address, move.depth)


def placed(written: str, wanted: str, address: Address, depth: int = 0) -> Address | None:
    """Return where an address goes if one place, as written, becomes another; ``None``: nowhere.

    ``depth`` is how many of the first modules are meant in each of their instances.
    """
    source, target = _Place.read(written), _Place.read(wanted)
    inside = address.module[: len(source.path)]
    whole = source.name is None
    if whole != (target.name is None):
        return None
    if not _same_path(source.path, inside, depth, whole=whole, target=target.path):
        return None
    path = _moved_path(source.path, target.path, inside, depth, whole=whole)
    if whole:
        return replace(address, module=path + address.module[len(source.path) :])
    if len(address.module) != len(source.path) or (address.kind, address.name) != source.name:
        return None
    assert target.name is not None, "a resource moves to a resource"
    if source.key is None and target.key is None:
        key = address.key
    elif address.key == source.key:
        key = target.key
    else:
        return None
    return Address(target.name[0], target.name[1], key, path)


def _same_path(
    source: ModulePath, inside: ModulePath, depth: int, *, whole: bool, target: ModulePath
) -> bool:
    if len(inside) != len(source):
        return False
    for at, ((ours, key), (theirs, given)) in enumerate(zip(source, inside, strict=True)):
        last = whole and at == len(source) - 1
        any_key = at < depth or (last and key is None and target[-1][1] is None)
        if ours != theirs or (key != given and not any_key):
            return False
    return True


def _moved_path(
    source: ModulePath, target: ModulePath, inside: ModulePath, depth: int, *, whole: bool
) -> ModulePath:
    path = inside[:depth] + target[depth:]
    if whole and source[-1][1] is None and target[-1][1] is None:
        path = (*path[:-1], (path[-1][0], inside[-1][1]))
    return path


@dataclass(frozen=True)
class _Place:
    """An address as ``moved`` writes it: a module (no ``name``), or a resource in one."""

    path: ModulePath
    name: tuple[str, str] | None
    key: Key

    @classmethod
    def read(cls, text: str) -> _Place:
        try:
            found = Address.parse(text)
        except ValueError:
            return cls(Address.parse(f"{text}.x.x").module, None, None)
        return cls(found.module, (found.kind, found.name), found.key)


def relocated(snapshot: Snapshot, moved: Mapping[Address, Address]) -> Snapshot:
    """Return what is recorded, under the new addresses."""
    if not moved:
        return snapshot
    renamed = (rename(r, moved) for r in snapshot.records.values())
    return replace(snapshot, records={r.address: r for r in renamed})


def rename(record: Record, moved: Mapping[Address, Address]) -> Record:
    """Return a record with every address in it as it is now. Its folder stays what it was."""
    names = {str(a): str(b) for a, b in moved.items()}
    receipt = dict(record.receipt)
    if record.address in moved:
        receipt["home"] = home_of(record)
    if "inputs" in receipt:
        receipt["inputs"] = {names.get(n, n): d for n, d in receipt["inputs"].items()}
    return replace(
        record,
        address=moved.get(record.address, record.address),
        needs=tuple(sorted(moved.get(a, a) for a in record.needs)),
        arguments=_renamed(record.arguments, names),
        attributes=_renamed(record.attributes, names),
        receipt=receipt,
        deposed=tuple(rename(d, moved) for d in record.deposed),
    )


def moved_pins(pins: Mapping[Address, Pin], moved: Mapping[Address, Address]) -> dict[Address, Pin]:
    """Return pins under the new addresses, in place of what another left there."""
    stay = {a: pin for a, pin in pins.items() if a not in moved}
    return stay | {moved[a]: pin for a, pin in pins.items() if a in moved}


def removed(project: Project, address: Address) -> bool | None:
    """Return whether a ``removed`` block destroys what is recorded; ``None`` if none is there."""
    for removal in project.removals:
        place = _Place.read(removal.source)
        path = address.config.module[: len(place.path)]
        if path == place.path and place.name in {None, (address.kind, address.name)}:
            return removal.destroy
    return None


def _renamed(data: Any, names: Mapping[str, str]) -> Any:
    if (handle := handle_in(data)) is not None:
        if handle.address not in names:
            return data
        (tag, inner), *_ = data.items()
        return {tag: {**inner, "address": names[handle.address]}}
    if isinstance(data, Mapping):
        return {k: _renamed(v, names) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [_renamed(v, names) for v in data]
    return data
