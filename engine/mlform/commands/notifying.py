"""Telling others what the loop does: a POST for each event to each webhook that wants it."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from mlform.commands.session import Session
from mlform.diagnostics import DiagnosedError, counted
from mlform.lazy import dataclass, field

if TYPE_CHECKING:
    from mlform.apply.watch import Watched
    from mlform.commands.applying import Applied
    from mlform.commands.reapplying import Reapplied
    from mlform.config.model import Webhook

SIGNATURE: Final = "X-Mlform-Signature"
_PATIENCE: Final = 10.0
"""Seconds that one try may take."""
_PAUSES: Final = (0.5, 2.0)
"""Seconds between one try and the next: there is one more try than pauses."""
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Notice:
    """One event to tell of: its name, what it is about, a sentence for people, the rest."""

    event: str
    subject: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


def looked(seen: Sequence[Watched]) -> Iterator[Notice]:
    """Yield what there is to tell of monitors that looked."""
    for it in seen:
        for alarm in it.alarms:
            event = "incident" if alarm.payload.get("incident") else "alarm"
            text = f"{alarm.monitor}: {alarm.payload.get('summary', '')}"
            yield Notice(event, alarm.monitor, text, {"id": alarm.id, **alarm.payload})
        if it.error:
            yield Notice("failed", str(it.monitor), f"{it.monitor} could not look: {it.error}")


def failed(error: DiagnosedError) -> Notice:
    """Return what there is to tell of a reapply that did not come off."""
    first = error.diagnostics.errors[0]
    return Notice("failed", "reapply", f"reapply failed: {first.summary}", {"detail": first.detail})


def reapplied(done: Reapplied) -> Iterator[Notice]:
    """Yield what there is to tell of triggers that acted, and of what was applied."""
    for it in done.proposals:
        if it.fresh:
            why = ", ".join(p.why for p in it.plan.pulls)
            steps = {str(s.address): s.action.value for s in it.plan.changes}
            text = f"{it.trigger} proposes: {why}. To approve: {counted(len(steps), 'step')}."
            data = {"folder": it.folder.name, "steps": steps}
            yield Notice("proposed", str(it.trigger), text, data)
    yield from _applied(done.applied, [str(it.trigger) for it in done.pulls if it.moves])


def _applied(applied: Applied, triggers: Sequence[str]) -> Iterator[Notice]:
    outcome = applied.outcome
    if outcome is None:
        return
    done = {str(a): action.value for a, action in outcome.done.items()}
    because = f" for {', '.join(triggers)}" if triggers else ""
    if done:
        data = {"steps": done, "seconds": round(outcome.seconds, 3)}
        yield Notice("applied", "reapply", f"{counted(len(done), 'step')} applied{because}.", data)
    if done and outcome.held:
        held = {str(a): list(reasons) for a, reasons in outcome.held.items()}
        text = f"Held: {', '.join(held)}. What serves goes on serving."
        yield Notice("held", "reapply", text, {"held": held})
    for it in outcome.failures:
        text = f"{it.address} failed: {it.summary}"
        yield Notice("failed", str(it.address), text, {"detail": it.detail})


def notify(session: Session, notices: Sequence[Notice]) -> None:
    """Tell every webhook what it wants to hear. One that cannot be told is warned of, no more.

    What one could not be told is not followed by more: it would be waited for each time.
    """
    if not notices or not session.webhooks:
        return
    at = datetime.now(UTC).isoformat(timespec="seconds")
    where = {"workspace": session.workspace, "lineage": session.store.snapshot().lineage}
    for hook in session.webhooks:
        wanted = [it for it in notices if it.event in hook.events]
        for told, it in enumerate(wanted):
            body = {"event": it.event, "subject": it.subject, "text": it.text, "at": at, **where}
            data = json.dumps({**body, "data": dict(it.data)}, ensure_ascii=False).encode()
            if why := _post(hook, data):
                events = ", ".join(f"{n.event} of {n.subject}" for n in wanted[told:])
                detail = f'The webhook "{hook.name}" was not told of {events}: {why}.'
                session.diagnostics.warning("Webhook not told", detail)
                break


def _post(hook: Webhook, data: bytes) -> str:
    """Send one body; return why that did not come off, ``""`` if it did."""
    why = ""
    for pause in (*_PAUSES, None):
        why, again = _try(hook, data)
        if not why or not again or pause is None:
            break
        time.sleep(pause)
    return why


def _try(hook: Webhook, data: bytes) -> tuple[str, bool]:
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    headers = {"Content-Type": "application/json", "User-Agent": "mlform", **hook.headers}
    if hook.secret is not None:
        signed = hmac.new(hook.secret.encode(), data, hashlib.sha256).hexdigest()
        headers[SIGNATURE] = f"sha256={signed}"
    try:
        request = Request(hook.url, data, headers)  # noqa: S310 - http and https alone are read
        with urlopen(request, timeout=_PATIENCE):  # noqa: S310 - as above
            return "", False
    except HTTPError as error:
        error.close()
        return f"status {error.code}", error.code in _AGAIN
    except (OSError, HTTPException, ValueError) as error:
        # The text of some of these has the address in it, which may be secret.
        reason = getattr(error, "reason", None)
        return type(reason if isinstance(reason, OSError) else error).__name__, True
