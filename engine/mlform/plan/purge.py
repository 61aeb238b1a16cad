"""What is deleted for good with what leaves, and what is kept since something was made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final

from mlform.address import Address
from mlform.lazy import dataclass, replace
from mlform.plan.decide import full_key
from mlform.plan.lineage import Hold, Lineage, Version, named, window_start
from mlform.plan.model import Action, Purge, Purging, Step
from mlform.refresh.artifacts import artifacts_in
from mlform.registry import ENGINE
from mlform.state.model import Entry, Realisation, Snapshot

_LEAVING: Final = frozenset({Action.DESTROY, Action.FORGET})


@dataclass(frozen=True)
class Retention:
    """What deleting must know of the past."""

    how: Purging
    journal: Callable[[], Iterable[Entry]]
    results: Callable[[str], Iterable[Realisation]]
    """Every result that a key has had."""
    as_of: datetime


def purged(
    steps: Sequence[Step],
    snapshot: Snapshot,
    retention: Retention,
    moves: Mapping[Address, Address],
    spared: AbstractSet[Address],
) -> list[Step]:
    """Return the steps, those that leave with what is deleted along with them.

    ``spared`` is what a ``removed`` block lets go without destroying it: its data stay too.
    """
    leaving = {s.address for s in steps if s.action in _LEAVING and not s.deposed}
    leaving -= spared
    if not leaving:
        return list(steps)
    lineage = Lineage.of(retention.journal(), moves)
    as_of = retention.as_of
    held = lineage.holds(window_start(as_of, retention.how.window), as_of, set(map(str, leaving)))
    for address, record in sorted(snapshot.records.items()):
        if address not in leaving:
            for artifact in named(record.arguments, record.attributes, record.deposed):
                held.setdefault(artifact, Hold(artifact, str(address), "used"))
    found: list[Step] = []
    for step in steps:
        if step.address not in leaving or step.action not in _LEAVING:
            found.append(step)
        elif step.deposed:
            found.append(replace(step, purge=Purge()))
        else:
            versions = lineage.versions.get(str(step.address), [])
            found.append(_with(step, versions, held, retention))
    return found


def _with(
    step: Step, versions: Sequence[Version], held: Mapping[str, Hold], retention: Retention
) -> Step:
    keys = _keys(versions)
    sizes = {a: size for v in versions for a, size in v.artifacts.items()}
    for key in keys:
        for result in retention.results(key):
            sizes |= {a["digest"]: int(a["size"]) for a in artifacts_in(result.attributes)}
    goes = {a: sizes[a] for a in sorted(sizes.keys() - held.keys())}
    stays = tuple(held[a] for a in sorted(sizes.keys() & held.keys()))
    purge = Purge(goes, tuple(keys), stays)
    whole = step.provider != ENGINE and (goes or not stays)
    action = Action.DESTROY if whole else step.action
    return replace(step, action=action, purge=purge)


def _keys(versions: Iterable[Version]) -> list[str]:
    """Return the keys that results of these are kept under."""
    pairs = {(v.data["key"], v.data["decision_key"]) for v in versions if v.data["key"]}
    return sorted({k for key, judged in pairs for k in (key, full_key(key, judged))})
