"""``store push`` and ``store pull``: artifacts to another store and back, only what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from mlform.commands.holding import held
from mlform.commands.session import Session
from mlform.diagnostics import stop
from mlform.lazy import dataclass

if TYPE_CHECKING:
    from mlform.artifacts.blobs import Blobs

_AT_ONCE: Final = 8

Seen: TypeAlias = Callable[[int, int, int], None]
"""Hears how many of how many were copied, and their bytes."""


@dataclass(frozen=True)
class Copied:
    """What was copied, and what could not be."""

    place: str
    objects: int
    size: int
    there: int
    """Those that were there already."""
    missing: tuple[str, ...] = ()
    """What this state holds of what is recorded and that is in neither store."""
    corrupt: tuple[str, ...] = ()
    """What was not what its name says, and was not copied."""


def push(session: Session, place: str | None, endpoint_url: str | None, seen: Seen) -> Copied:
    """Copy what this state holds to another store, as far as it is not there."""
    from mlform.artifacts import LocalStore
    from mlform.artifacts.collect import object_name

    store, blobs = LocalStore(session.artifacts.root), _there(session, place, endpoint_url)
    wanted = sorted(d for d in held(session) if d in store)
    corrupt: list[str] = []

    def send(digest: str) -> int | None:
        try:
            path = store.path(digest)
        except KeyError:
            corrupt.append(digest)
            return None
        return path.stat().st_size if blobs.create(object_name(digest), path) else None

    return _copied(blobs, wanted, send, seen, (), corrupt)


def pull(session: Session, place: str | None, endpoint_url: str | None, seen: Seen) -> Copied:
    """Copy what this state holds here from another store, as far as it is not here."""
    from mlform.artifacts import LocalStore
    from mlform.artifacts.collect import object_name
    from mlform.commands.storing import recorded

    store, blobs = LocalStore(session.artifacts.root), _there(session, place, endpoint_url)
    known = {d for d in recorded(session) if d not in store}
    wanted = known | {d for d in held(session) if d not in store}
    absent: list[str] = []
    corrupt: list[str] = []

    def take(digest: str) -> int | None:
        try:
            return store.take(digest, lambda fresh: blobs.fetch(object_name(digest), fresh))
        except FileNotFoundError:
            absent.append(digest)
        except KeyError:
            corrupt.append(digest)
        return None

    found = _copied(blobs, sorted(wanted), take, seen, absent, corrupt)
    missing = tuple(sorted(known.intersection(absent)))
    return Copied(found.place, found.objects, found.size, 0, missing, found.corrupt)


def _there(session: Session, place: str | None, endpoint_url: str | None) -> Blobs:
    """Return the other store: the one that is named, or the bucket of this spec."""
    from mlform.artifacts.remote import open_blobs
    from mlform.config.store import wrong_url

    given = session.shared_store
    if place is None:
        if given is None or given.url is None:
            detail = (
                "Say which store: `mlform store push s3://BUCKET/PREFIX`, or the path of a folder. "
                "Without it the bucket of the store block is meant, and there is none."
            )
            raise stop("No other store", detail)
        return open_blobs(given.url, given.endpoint_url)
    if "://" in place and (wrong := wrong_url(place)):
        raise stop("Invalid store", wrong)
    if endpoint_url is None and given is not None and given.url is not None:
        endpoint_url = given.endpoint_url
    folder = Path(place).expanduser()
    return open_blobs(place if "://" in place else str(folder.resolve()), endpoint_url)


def _copied(
    blobs: Blobs,
    wanted: list[str],
    copy: Callable[[str], int | None],
    seen: Seen,
    absent: Iterable[str],
    corrupt: list[str],
) -> Copied:
    count = size = 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for done, sent in enumerate(pool.map(copy, wanted), 1):
            if sent is not None:
                count, size = count + 1, size + sent
            seen(done, len(wanted), size)
    there = len(wanted) - count - len(corrupt) - len(list(absent))
    return Copied(blobs.place, count, size, there, (), tuple(sorted(corrupt)))
