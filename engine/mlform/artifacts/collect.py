"""Collecting what nothing holds, and checking that everything else is what its name says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from mlform.artifacts.blobs import Blob, Blobs, now
from mlform.artifacts.roots import Collecting
from mlform.lazy import dataclass

_OBJECT: Final = re.compile(r"objects/sha256/([0-9a-f]{2})/([0-9a-f]{62})")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_LARGEST: Final = 1 << 24
"""Bytes up to which a JSON document that an action names is looked into."""
_PAGE: Final = 500


@dataclass(frozen=True)
class Collected:
    """What came of a collection; with ``dry_run`` what would have come of it."""

    objects: tuple[Blob, ...]
    """Those that nothing holds."""
    actions: int
    """Entries of the action cache that lead nowhere any more, or were not used for long."""
    kept: int
    young: int
    """Those that nothing holds and that are younger than the grace time."""


def digest_of(name: str) -> str | None:
    """Return the digest of an object by its name in the store; ``None`` for what is none."""
    found = _OBJECT.fullmatch(name)
    return None if found is None else f"sha256:{found[1]}{found[2]}"


def object_name(digest: str) -> str:
    """Return the name of an object in the store."""
    name = digest.removeprefix("sha256:")
    return f"objects/sha256/{name[:2]}/{name[2:]}"


def collect(
    blobs: Blobs,
    held: Callable[[], AbstractSet[str]],
    *,
    grace: float,
    window: float,
    dry_run: bool = False,
) -> Collected:
    """Delete what nothing holds and what has not been put for ``grace`` seconds.

    ``held`` reads what is held, once everyone knows that a collection goes on. What an action gave
    is kept for ``window`` seconds, and longer while something else holds it.
    """
    if dry_run:
        return _collect(blobs, held(), grace, window, None)
    marker = Collecting(blobs)
    with marker:
        return _collect(blobs, held(), grace, window, marker)


def _collect(
    blobs: Blobs, held: AbstractSet[str], grace: float, window: float, marker: Collecting | None
) -> Collected:
    began = now()
    marks, stale = _actions(blobs, held, began - window)
    objects: list[Blob] = []
    kept = young = 0
    for blob in list(blobs.list("objects")):
        digest = digest_of(blob.name)
        if digest is None or digest in marks:
            kept += digest is not None
        elif blob.modified >= began - grace:
            young += 1
        elif marker is None or blobs.delete(blob.name, began - grace):
            objects.append(blob)
            if marker is not None and len(objects) % _PAGE == 0:
                marker.again()
    if marker is not None:
        for name in stale:
            blobs.delete(name)
    return Collected(tuple(objects), len(stale), kept, young)


def _actions(
    blobs: Blobs, held: AbstractSet[str], since: float
) -> tuple[AbstractSet[str], list[str]]:
    """Return all that is held with what actions hold, and the actions that are to go."""
    marks, old = set(held), list[tuple[str, str, set[str]]]()
    stale = []
    for blob in list(blobs.list("actions")):
        named = _named(blobs, blob.name)
        if named is None:
            stale.append(blob.name)
        elif blob.modified >= since:
            marks |= {named[0], *named[1]}
        else:
            old.append((blob.name, *named))
    for name, document, inside in old:
        if document in marks or (inside and inside <= marks):
            marks.add(document)
        else:
            stale.append(name)
    return marks, stale


def _named(blobs: Blobs, action: str) -> tuple[str, set[str]] | None:
    """Return what an action gave, and all that is named in it; ``None`` where it leads nowhere."""
    try:
        artifact = json.loads(blobs.read(action))
        digest = str(artifact["digest"])
        there = blobs.stat(object_name(digest))
        if there is None:
            return None
        inside: set[str] = set()
        if artifact.get("media_type") == "application/json" and there.size <= _LARGEST:
            text = blobs.read(object_name(digest)).decode(errors="replace")
            inside = {d for d in _DIGEST.findall(text) if blobs.stat(object_name(d))}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return digest, inside


def objects(blobs: Blobs) -> Iterator[tuple[str, Blob]]:
    """Yield every object with its digest."""
    for blob in blobs.list("objects"):
        digest = digest_of(blob.name)
        if digest is not None:
            yield digest, blob
