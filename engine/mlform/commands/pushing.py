"""``state pull`` and ``state push``: a whole state out of the backend, and back into it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlform.commands.holding import telling
from mlform.commands.provenance import new_run, provenance
from mlform.commands.session import Session
from mlform.diagnostics import stop
from mlform.lazy import replace
from mlform.state.differences import Past, Pushed, compared
from mlform.state.document import Document, dump, parse
from mlform.state.model import Revision

if TYPE_CHECKING:
    from mlform.state.model import Realisation, Snapshot


def pull(session: Session) -> str:
    """Return the state as one document."""
    snapshot = session.snapshot()
    return dump(snapshot, _results(session, snapshot), session.cipher)


def _results(session: Session, snapshot: Snapshot) -> list[Realisation]:
    """Return what the recorded keys have selected, with and without their decisions."""
    from mlform.plan.decide import full_key

    if not snapshot.records:
        return []
    keys = {k for r in snapshot.records.values() for k in (r.key, full_key(r.key, r.decision_key))}
    return list(session.store.realisations(sorted(keys)).values())


def push(session: Session, file: Path, *, force: bool = False, dry_run: bool = False) -> Pushed:
    """Make a document the state. Refuses one of another state, and what is older than this one.

    ``force`` takes either, and one that was edited. Raises ``DiagnosedError``; nothing is written
    then.
    """
    if not file.is_file():
        why = f"There is no file {file}. `mlform state pull > {file}` writes one."
        raise stop("No such document", why)
    try:
        document = parse(file.read_text(encoding="utf-8"), str(file), session.cipher)
    except UnicodeDecodeError:
        raise stop("Invalid state document", f"{file} is not UTF-8. Nothing was changed.") from None
    if dry_run:
        return _checked(document, session.snapshot(), file, force=force)
    from mlform.plan.lineage import named

    with session.lock("state push") as lease:
        now = session.store.snapshot()
        told = _checked(document, now, file, force=force)
        if not told.differences:
            return replace(told, serial=now.serial)
        given = document.snapshot
        digests = [named(r.arguments, r.attributes) for r in document.snapshot.records.values()]
        digests += [named(r.attributes) for r in document.results]
        telling(session)(set().union(*digests))
        for result in document.results:  # before the records that name them
            session.store.realise(lease, result)
        source = {"lineage": given.lineage, "serial": given.serial, "forced": force}
        detail = {"action": "push", "by": provenance(session.root)["by"], "from": source}
        same_past = given.lineage == now.lineage
        records = {**dict.fromkeys(now.records), **given.records}
        changed = {a: r for a, r in records.items() if now.records.get(a) != r}
        least = given.serial + 1 if same_past else 0
        revision = Revision(detail, changed, given.outputs, least)
        serial = session.store.revise(lease, new_run(), revision)
    return replace(told, serial=serial)


def _checked(document: Document, now: Snapshot, file: Path, *, force: bool) -> Pushed:
    """Return what pushing would change. Raises ``DiagnosedError`` where it must not."""
    given = document.snapshot
    differences = compared(Past(now, None), Past(given, None))
    nothing = "Nothing was changed. -force makes it the state all the same."
    if force:
        return Pushed(differences)
    if not document.whole:
        detail = f"{file} is not as it was pulled: its sha256 does not fit. {nothing}"
        raise stop("State document was altered", detail)
    if not now.serial:
        return Pushed(differences)
    if given.lineage != now.lineage:
        detail = (
            f"{file} is of state {given.lineage}; this is {now.lineage}. It belongs to another "
            f"folder or workspace. {nothing}"
        )
        raise stop("Document is of another state", detail)
    if given.serial < now.serial and differences:
        detail = (
            f"{file} is of serial {given.serial}; the state is at {now.serial} now. See what it "
            f"would take back: `mlform state diff {given.serial} now`. {nothing}"
        )
        raise stop("Document is older than the state", detail)
    return Pushed(differences)
