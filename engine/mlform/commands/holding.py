"""What a state holds in the artifact store, and telling the store of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

from mlform.commands.provenance import provenance
from mlform.commands.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlform.artifacts.roots import Holder
    from mlform.plan.lineage import Lineage
    from mlform.state.model import Entry


def holder(session: Session) -> Holder:
    """Return what tells the store what this state holds; it is made known first if need be.

    Call it under the lock.
    """
    from mlform.artifacts.roots import Holder

    lineage = session.store.snapshot().lineage
    found = Holder(session.artifacts.blobs, lineage)
    if not found.registered:
        import socket

        at = datetime.now(UTC).isoformat(timespec="seconds")
        about = {"folder": str(session.root), "host": socket.gethostname(), "at": at}
        found.register({**about, "by": provenance(session.root)["by"]}, held(session))
    return found


def telling(session: Session) -> Callable[[Iterable[str]], None]:
    """Return what tells the store, once there is anything to tell."""
    made: list[Holder] = []
    guard = Lock()

    def hold(digests: Iterable[str]) -> None:
        wanted = set(digests)
        if not wanted:
            return
        with guard:
            if not made:
                made.append(holder(session))
        made[0].hold(wanted)

    return hold


def held(session: Session) -> set[str]:
    """Return the digests of all that this state holds in the store.

    That is what is recorded, and was within the audit window; what anything that serves or served
    within it was made from; every result of a key; outputs, pins, and what runs have left to be
    taken up. What was deleted with ``-purge`` since it was recorded is not held by the past.
    """
    from mlform.plan.lineage import Lineage, named, window_start
    from mlform.refresh.pins import LOCK_FILE

    now = datetime.now(UTC)
    since = window_start(now, session.audit_window)
    snapshot, journal = session.store.snapshot(), list(session.store.journal())
    lineage = Lineage.of(journal)
    found = set(lineage.holds(since, now)) | _past(lineage, journal, since)
    for record in snapshot.records.values():
        found |= named(record.arguments, record.attributes, record.deposed)
    for result in session.store.results():
        found |= named(result.attributes)
    found |= named(json.dumps(dict(snapshot.outputs), default=str))
    waiting = [session.root / LOCK_FILE, *(session.own / "work").glob("*/*/result.json")]
    for file in waiting:
        if file.is_file():
            found |= named(file.read_text(encoding="utf-8", errors="replace"))
    return found


def _past(lineage: Lineage, journal: Iterable[Entry], since: datetime) -> set[str]:
    """Return what was recorded within the window, but for what was deleted for good since."""
    from mlform.plan.lineage import named

    purged: dict[str, datetime] = {}
    for entry in journal:
        for digest in entry.detail.get("purge", ()) if entry.operation == "forget" else ():
            purged[digest] = entry.at
    found: set[str] = set()
    for versions in lineage.versions.values():
        for version in versions:
            if version.until is None or version.until > since:
                digests = named(version.data["arguments"], version.data["attributes"])
                found |= {d for d in digests if d not in purged or purged[d] < version.since}
    return found
