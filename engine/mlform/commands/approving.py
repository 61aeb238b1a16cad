"""``approve`` and ``approvals``: who agreed to what, signed, and whether it counts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlform.commands.provenance import authors, new_run, user
from mlform.commands.session import Session
from mlform.diagnostics import did_you_mean, stop
from mlform.lazy import dataclass
from mlform.sdk import Approval

if TYPE_CHECKING:
    from mlform.address import Address
    from mlform.config.model import Approver
    from mlform.plan import Plan
    from mlform.plan.approvals import Approved
    from mlform.state.model import Entry
    from mlform.state.signing import Signer

KEY: Final = "MLF_SIGNING_KEY"
PASSPHRASE: Final = "MLF_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable


@dataclass(frozen=True)
class Given:
    """An approval as it stands in the journal. ``why`` says why it does not count, if so."""

    address: str
    subject: str
    by: str
    roles: tuple[str, ...]
    at: datetime
    expires: datetime | None
    comment: str
    sequence: int
    why: str = ""


@dataclass(frozen=True)
class People:
    """Who may not approve: who wrote the last change, by each of their names, and who applies."""

    wrote: Sequence[str]
    applies: str


def new_key(file: Path) -> str:
    """Write a new private key, readable by its owner alone; return the public half."""
    from mlform.state.signing import Signer

    signer = Signer.new()
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        detail = f"{file} exists already. Name another file: a key is never written over."
        raise stop("File exists", detail) from None
    with os.fdopen(descriptor, "wb") as out:
        out.write(signer.dump(os.environ.get(PASSPHRASE)))
    return signer.public


def signing_key(given: Path | None) -> Path:
    """Return where the private key of this person lies."""
    if given is not None or (named := os.environ.get(KEY)) is None:
        return given or Path.home() / ".config" / "mlform" / "signing.pem"
    return Path(named)


def approve(
    session: Session,
    plan: Plan,
    text: str,
    wanted: Sequence[str],
    *,
    key: Path | None = None,
    expires: str | None = None,
    comment: str = "",
) -> list[Given]:
    """Sign steps of a plan, whose file is ``text``, and journal that. Raises ``DiagnosedError``."""
    from mlform.plan.approvals import step_subject
    from mlform.state.lease import Extent
    from mlform.state.signing import Signer

    signer = Signer.read(signing_key(key), os.environ.get(PASSPHRASE))
    approver = _approver(session, signer)
    until = _until(expires)
    steps = _steps(session, plan, wanted)
    by_address = {s.address: s for s in plan.steps}
    digest = hashlib.sha256(text.encode()).hexdigest()
    made: list[Given] = []
    with session.lock("approve", Extent.of(steps)) as lease:
        snapshot = session.store.snapshot()
        if plan.lineage != snapshot.lineage:
            detail = f"The plan was made from state {plan.lineage}; this is {snapshot.lineage}."
            raise stop("Plan is for another state", detail)
        now = datetime.now(UTC)
        for address in steps:
            subject = step_subject(by_address[address], by_address)
            statement = {
                "lineage": snapshot.lineage,
                "address": str(address),
                "subject": subject,
                "by": approver.name,
                "at": now.isoformat(),
                "expires": until and until.isoformat(),
                "comment": comment,
                "plan": f"sha256:{digest}",
                "serial": plan.serial,
            }
            signature = signer.sign(statement)
            entry = {"statement": statement, "signature": signature, "key": signer.public}
            session.store.approve(lease, new_run(), address, entry)
            roles = approver.roles
            made.append(Given(str(address), subject, approver.name, roles, now, until, comment, 0))
    return made


def _approver(session: Session, signer: Signer) -> Approver:
    """Return whose key it is. Raises ``DiagnosedError`` if that person may not approve."""
    approvers = session.approvers
    found = next((it for it in approvers if it.key == signer.public), None)
    if found is None:
        names = ", ".join(it.name for it in approvers) or "none"
        detail = (
            f"No approver of the spec has this key ({signer.public}). Approvers: {names}. Add one "
            f'to the mlform block: approver "NAME" {{ key = "{signer.public}" }}.'
        )
        raise stop("Not an approver", detail)
    if own := _own(found, authors(session.root)):
        detail = f"{own} wrote the last change of the spec, and nobody approves their own."
        raise stop("Author cannot approve", detail)
    return found


def _own(approver: Approver, people: Sequence[str]) -> str:
    """Return the name under which an approver is one of these people, if they are."""
    names = {it.casefold() for it in approver.users}
    return next((p for p in people if p.casefold() in names), "")


def _until(text: str | None) -> datetime | None:
    from mlform.commands.saving import moment

    if text is None:
        return None
    now = datetime.now(UTC)
    found = moment(text, now)
    if found < now and text[-1] in "dhm" and text[:-1].isdecimal():
        try:
            found = now + (now - found)
        except OverflowError:
            found = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)
    if found <= now:
        raise stop("Invalid time", f'"{text}" is over already. Write 7d, 12h or 2026-01-31.')
    return found


def _steps(session: Session, plan: Plan, wanted: Sequence[str]) -> list[Address]:
    """Return the steps to approve: those asked for, or all that take approvals."""
    from mlform.plan.approvals import takes_approvals

    able = []
    for step in plan.steps:
        offer = session.registry.find(step.address.kind, step.type)
        if offer is not None and takes_approvals(offer.resource):
            able.append(step)
    if not wanted:
        waiting = [s.address for s in able if s.action not in _NOTHING]
        if not waiting:
            detail = "No step of this plan waits for an approval."
            raise stop("Nothing to approve", detail)
        return waiting
    known = [str(s.address) for s in able]
    found: list[Address] = []
    for text in wanted:
        chosen = [s.address for s in able if s.address.within(text)]
        if not chosen:
            names = ", ".join(known) or "none"
            detail = f"{text} is no step of this plan that takes approvals."
            hint = did_you_mean(text, known)
            raise stop("Nothing to approve", f"{detail}{hint} There are: {names}.")
        found += chosen
    return list(dict.fromkeys(found))


_NOTHING: Final = frozenset({"no-op", "destroy", "forget"})


def approvals(session: Session) -> list[Given]:
    """Return every approval ever given, oldest first, each with why it does not count.

    That is for who runs this: nobody's own approval counts for what they apply.
    """
    found = session.store.approvals()
    if not found:
        return []
    people = People(authors(session.root), user())
    snapshot = session.snapshot()
    approvers = {it.name: it for it in session.approvers}
    now = datetime.now(UTC)
    return [judged(e, approvers, snapshot.lineage, people, now) for e in found]


def judged(
    entry: Entry,
    approvers: Mapping[str, Approver],
    lineage: str,
    people: People,
    now: datetime,
) -> Given:
    """Return an approval, and whether it counts: by key, signature, date and person."""
    from mlform.state.signing import signed

    statement: dict[str, Any] = dict(entry.detail["statement"])
    by, expires = str(statement["by"]), statement["expires"]
    approver, why = approvers.get(by), ""
    until = None if expires is None else datetime.fromisoformat(expires)
    if approver is None:
        why = f"{by} is no approver of the spec"
    elif approver.key != entry.detail["key"]:
        why = f"signed with a key that is not {by}'s now"
    elif statement["lineage"] != lineage or statement["address"] != entry.address:
        why = "given for another state or resource"
    elif not signed(statement, str(entry.detail["signature"]), approver.key):
        why = "the signature does not fit"
    elif until is not None and until <= now:
        why = f"expired {until:%Y-%m-%d %H:%M} UTC"
    elif own := _own(approver, people.wrote):
        why = f"{own} wrote the last change of the spec"
    elif own := _own(approver, [people.applies]):
        why = f"it is {own}'s own, unless another applies"
    return Given(
        address=str(entry.address),
        subject=str(statement["subject"]),
        by=by,
        roles=() if approver is None else approver.roles,
        at=datetime.fromisoformat(statement["at"]),
        expires=until,
        comment=str(statement["comment"]),
        sequence=entry.sequence,
        why=why,
    )


def approved(session: Session) -> Approved:
    """Return who has agreed to what, of those whose approval counts for who plans or applies."""
    counting: list[Given] | None = None

    def ask(address: Address, subject: str) -> list[Approval]:
        nonlocal counting
        if counting is None:
            counting = [it for it in approvals(session) if not it.why]
        name = str(address)
        found = {
            it.by: Approval(it.by, it.roles, subject)
            for it in counting
            if (it.address, it.subject) == (name, subject)
        }
        return [found[by] for by in sorted(found)]

    return ask


def agreed(session: Session, plan: Plan) -> dict[Address, tuple[Approval, ...]]:
    """Return who has agreed to each step of a plan that takes approvals."""
    from mlform.plan.approvals import step_subject, takes_approvals

    asked = approved(session)
    by_address = {s.address: s for s in plan.steps}
    found: dict[Address, tuple[Approval, ...]] = {}
    for step in plan.steps:
        if step.action.value in _NOTHING:
            continue
        offer = session.registry.find(step.address.kind, step.type)
        if offer is not None and takes_approvals(offer.resource):
            found[step.address] = tuple(asked(step.address, step_subject(step, by_address)))
    return {a: given for a, given in found.items() if given}
