"""``store gc`` and ``store verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlform.commands.holding import held, holder
from mlform.commands.session import Session
from mlform.diagnostics import did_you_mean, stop
from mlform.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlform.artifacts.collect import Collected
    from mlform.artifacts.roots import Root

GRACE: Final = 86_400.0
_LEAST: Final = 3_600.0
"""Seconds of grace at least, where others may be at work in the same store."""


@dataclass(frozen=True)
class Corrupt:
    """An object that is not what its name says."""

    digest: str
    size: int
    users: tuple[str, ...]
    """The addresses that have it, or take it."""


@dataclass(frozen=True)
class Verified:
    """What checking a store came to."""

    objects: int
    size: int
    corrupt: tuple[Corrupt, ...]
    missing: tuple[Corrupt, ...]
    """What is recorded and is not there at all."""


def users(session: Session) -> list[Root]:
    """Return the states that use the store."""
    from mlform.artifacts.roots import roots

    return roots(session.artifacts.blobs)


def collect(
    session: Session,
    *,
    grace: float = GRACE,
    dry_run: bool = False,
    drop: str | None = None,
) -> tuple[Collected, Sequence[Root]]:
    """Delete what no state holds; return what went, and the other states that were asked.

    ``drop`` names a state that is no more: it holds nothing from now on. Takes the lock of this
    state, so that no apply of it is at work.
    """
    from mlform.artifacts.collect import collect as sweep
    from mlform.artifacts.roots import drop as forget
    from mlform.artifacts.roots import roots

    blobs = session.artifacts.blobs
    with session.lock("store gc"):
        own = holder(session)
        others = [r for r in roots(blobs) if r.lineage != own.lineage]
        gone = None if drop is None else _named(drop, others)
        if others and grace < _LEAST:
            names = ", ".join(r.name for r in others)
            detail = (
                f"The store is used by other states, too: {names}. What they are putting there "
                "just now is not recorded yet, so a grace time of less than 1h would delete it."
            )
            raise stop("Grace time is too short", detail)
        if not dry_run:
            own.rewrite(held(session))
            if gone is not None:
                forget(blobs, gone)

        def marks() -> set[str]:
            found = held(session)
            for root in roots(blobs):
                if root.lineage not in {own.lineage, gone.lineage if gone else ""}:
                    found |= root.digests
            return found

        done = sweep(blobs, marks, grace=grace, window=session.audit_window, dry_run=dry_run)
    return done, [r for r in others if r is not gone]


def _named(lineage: str, others: Sequence[Root]) -> Root:
    found = [r for r in others if r.lineage.startswith(lineage)]
    if len(found) != 1:
        known = [r.lineage for r in others]
        detail = f'There is no other state "{lineage}".{did_you_mean(lineage, known)} '
        detail += f"Those that use the store: {', '.join(r.name for r in others) or 'none'}."
        raise stop("No such state", detail)
    return found[0]


def verify(
    session: Session, seen: Callable[[int, int], None] = lambda _count, _size: None
) -> Verified:
    """Read every object; set aside what is corrupt, and name who uses it.

    ``seen`` hears how many objects and bytes were read so far.
    """
    from mlform.artifacts.collect import objects
    from mlform.plan.lineage import named

    snapshot = session.snapshot()
    using: dict[str, list[str]] = {}
    for address, record in sorted(snapshot.records.items()):
        for digest in named(record.arguments, record.attributes, record.deposed):
            using.setdefault(digest, []).append(str(address))
    corrupt: list[Corrupt] = []
    count = size = 0
    for digest, blob in objects(session.artifacts.blobs):
        if not session.artifacts.check(digest):
            corrupt.append(Corrupt(digest, blob.size, tuple(using.get(digest, ()))))
        count, size = count + 1, size + blob.size
        seen(count, size)
    bad = {c.digest for c in corrupt}
    missing = [
        Corrupt(digest, wanted, tuple(using[digest]))
        for digest, wanted in sorted(recorded(session).items())
        if digest not in session.artifacts and digest not in bad
    ]
    return Verified(count, size, tuple(corrupt), tuple(missing))


def recorded(session: Session) -> dict[str, int]:
    """Return the artifacts of what is recorded, with their bytes."""
    from mlform.refresh.artifacts import artifacts_in

    records = session.snapshot().records.values()
    return {a["digest"]: int(a["size"]) for r in records for a in artifacts_in(r.attributes)}
