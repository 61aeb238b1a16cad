"""Deleting for good, once all that leaves has left: never more than was planned."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlform.artifacts.roots import Collecting, roots
from mlform.lazy import dataclass
from mlform.plan import Purging, Step
from mlform.plan.lineage import Hold, Lineage, named, window_start
from mlform.refresh.artifacts import artifacts_in
from mlform.refresh.recorded import Recorded
from mlform.refresh.results import Results

if TYPE_CHECKING:
    from mlform.apply.run import World


@dataclass(frozen=True)
class Purged:
    """What was deleted: how many artifacts, and their bytes.

    ``left`` are those that other states use, or may use: ``store gc`` deletes them.
    """

    objects: int = 0
    size: int = 0
    left: int = 0

    def __add__(self, more: Purged) -> Purged:
        """Return two rounds as one."""
        return Purged(self.objects + more.objects, self.size + more.size, self.left + more.left)


def sweep(
    world: World, how: Purging, steps: Sequence[Step], records: Recorded
) -> tuple[Purged, list[str]]:
    """Delete the artifacts of what has left; return how many, and in words what was kept.

    What is recorded by now, or what serves, may hold more than the plan saw: a deployment that
    could not be taken down still does.
    """
    now = datetime.now(UTC)
    lineage = Lineage.of(world.store.journal())
    held = lineage.holds(window_start(now, how.window), now)
    for address, record in records.now.items():
        for artifact in named(record.arguments, record.attributes, record.deposed):
            held.setdefault(artifact, Hold(artifact, str(address), "used"))
    wanted = {a for s in steps if s.purge for a in s.purge.artifacts}
    goes = sorted(wanted - held.keys())
    keys = _forgotten(world, steps, set(goes))
    detail = {"artifacts": goes, "addresses": [str(s.address) for s in steps]}
    world.store.purged(world.lease, world.run, keys, detail)
    results = Results(world.store, world.looker)
    for key in keys:
        results.withdraw(key)
    kept = [
        f"artifact {a[7:19]}, after all: {held[a].by} holds it"
        for a in sorted(wanted & held.keys())
    ]
    if how.shared:
        return Purged(left=len(goes)), kept
    blobs, own = world.looker.artifacts.blobs, world.store.snapshot().lineage
    with Collecting(blobs):
        others = {d for r in roots(blobs) if r.lineage != own for d in r.digests}
        sizes = [world.looker.artifacts.remove(a) for a in goes if a not in others]
    there = [size for size in sizes if size is not None]
    return Purged(len(there), sum(there), len(others.intersection(goes))), kept


def _forgotten(world: World, steps: Sequence[Step], goes: set[str]) -> list[str]:
    """Return the keys whose results have nothing left that could be taken again."""
    keys = []
    for key in sorted({k for s in steps if s.purge for k in s.purge.keys}):
        found = world.store.all_realisations(key)
        there = {a["digest"] for r in found for a in artifacts_in(r.attributes)}
        if found and (not there or there & goes):
            keys.append(key)
    return keys


def clear_folder(folder: Path) -> str:
    """Delete the folder of a resource; return in words what could not be deleted."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:  # it never had one
        return ""
    except OSError as error:
        return f"its folder: {error.strerror or error} ({error.filename})"
    return ""
