"""Explanations as people and machines read them: what ran because of what, and what did not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mlform.plan.moved import listed
from mlform.plan.why import Link
from mlform.plan.whynot import WhyNot
from mlform.render.document import reason_data
from mlform.render.reasons import reason
from mlform.render.style import Styled

_MOST: Final = 6


def chain(links: Sequence[Link]) -> Styled:
    """Say why the first ran: each line is caused by the next."""
    said: Styled = []
    for depth, link in enumerate(links):
        pad = "   " * depth
        when = "  ".join(t for t in (link.at, link.run, link.by) if t)
        said += [
            ("", f"{pad[3:]}{'└─ ' if depth else ''}"),
            ("bold", f"{link.address}"),
            ("", f"  {link.action or 'recorded'}"),
            ("dim", f"  {when}\n" if when else "\n"),
        ]
        for line in _lines(link):
            said.append(("", f"{pad}   {line}\n"))
        if link.alarm is not None:
            by = ", ".join(link.alarm.consumed_by)
            text = f"alarm {link.alarm.id} of {link.alarm.monitor}, acted on by {by}: "
            said.append(("yellow", f"{pad}   {text}{link.alarm.payload.get('summary', '')}\n"))
        if link.person is not None:
            by, at = link.person
            said.append(("yellow", f"{pad}   {by} moved the pin there by `mlform update`, {at}\n"))
        if link.also:
            named = ", ".join(link.also[:_MOST])
            more = f" and {len(link.also) - _MOST} more" if len(link.also) > _MOST else ""
            said.append(("dim", f"{pad}   also upstream: {named}{more}\n"))
    return said


def _lines(link: Link) -> list[str]:
    lines = [reason(r) for r in link.reasons] or ["nothing changed it"]
    if link.rows is not None and None not in link.rows:
        before, after = link.rows
        assert before is not None
        assert after is not None
        lines.append(f"rows: {before:,} → {after:,} ({after - before:+,})")
    if link.facets:
        lines.append(f"values changed: {listed(list(link.facets))}")
    elif link.facets is not None:
        lines.append("the values are what they were: only how they are encoded has changed")
    return lines


def chain_data(links: Sequence[Link]) -> list[dict[str, Any]]:
    """Return an explanation as plain data; the last is the cause of all before it."""
    return [
        {
            "address": str(link.address),
            "action": link.action,
            "run": link.run,
            "at": link.at,
            "by": link.by,
            "reasons": [reason_data(r, reason(r)) for r in link.reasons],
            "rows": None if link.rows is None else list(link.rows),
            "facets": None if link.facets is None else list(link.facets),
            "person": None if link.person is None else {"by": link.person[0], "at": link.person[1]},
            "alarm": None if link.alarm is None else link.alarm.id,
            "also": list(link.also),
        }
        for link in links
    ]


def why_not(it: WhyNot) -> Styled:
    """Say why something did not run, or will not."""
    when = f"in {it.run}: " if it.run else ""
    said: Styled = [("bold", f"{it.address}"), ("", f"  {when}{it.text}.\n")]
    said += [("", f"   {reason(r)}\n") for r in it.reasons]
    said += [("yellow", f"   {line}\n") for line in it.details]
    if it.looked_at:
        said.append(("", "Looked at:\n"))
    for kind, names in it.looked_at.items():
        more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
        listed = "; ".join(names[:_MOST]) if kind == "code" else ", ".join(names[:_MOST])
        said += [("dim", f"   {kind:<10}"), ("", f"{listed}{more}\n")]
    return said


def why_not_data(it: WhyNot) -> dict[str, Any]:
    """Return the answer as plain data."""
    return {
        "address": str(it.address),
        "cause": it.cause,
        "text": it.text,
        "does": it.does,
        "run": it.run or None,
        "reasons": [reason_data(r, reason(r)) for r in it.reasons],
        "looked_at": {n: list(v) for n, v in it.looked_at.items()},
        "details": list(it.details),
    }
