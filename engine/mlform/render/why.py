"""An explanation as people read it: what ran, because of what, down to the leaf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlform.plan import Reason
from mlform.plan.why import Link
from mlform.render.reasons import reason
from mlform.render.style import Styled


def chain(links: Sequence[Link]) -> Styled:
    """Say why the first ran: each line is caused by the next."""
    said: Styled = []
    for depth, link in enumerate(links):
        pad = "   " * depth
        arrow = "" if depth == 0 else "└─ "
        said += [
            ("", f"{pad[3:]}{arrow}"),
            ("bold", f"{link.address}"),
            ("", f"  {link.action or 'recorded'}"),
            ("dim", f"  {link.at}  {link.run}  {link.by}\n"),
        ]
        for item in link.reasons or ({"what": "metadata", "subject": "nothing changed it"},):
            said.append(("", f"{pad}   {reason(_reason(item))}\n"))
        if link.alarm is not None:
            text = f"alarm {link.alarm.id} of {link.alarm.monitor}: "
            said.append(("yellow", f"{pad}   {text}{link.alarm.payload.get('summary', '')}\n"))
    return said


def _reason(data: Mapping[str, Any]) -> Reason:
    return Reason(
        data["what"],
        data.get("subject", ""),
        data.get("before"),
        data.get("after"),
        data.get("at", ""),
    )


def chain_data(links: Sequence[Link]) -> list[dict[str, Any]]:
    """Return an explanation as plain data."""
    return [
        {
            "address": str(link.address),
            "action": link.action,
            "run": link.run,
            "at": link.at,
            "by": link.by,
            "reasons": [dict(r) for r in link.reasons],
            "alarm": None if link.alarm is None else link.alarm.id,
        }
        for link in links
    ]
