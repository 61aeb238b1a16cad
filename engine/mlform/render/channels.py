"""Channels: what an order comes to, and who moved what when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mlform.render.style import Style, Styled
from mlform.sdk import Standing
from mlform.state.channels import Asked, Move, Turn
from mlform.values import short

_WORDS: Final[Mapping[str, str]] = {
    "promote": "promote",
    "rollback": "roll back",
    "quarantine": "quarantine",
    "lift": "lift the quarantine of",
}


def asked(it: Asked) -> Styled:
    """Show what an order comes to."""
    order = it.order
    what = order.channel if order.what == "rollback" else f"version {it.version}"
    to = f" to {order.channel}" if order.what == "promote" else ""
    said: Styled = [("bold", f"{_WORDS[order.what]} {what}{to} of {it.address}\n")]
    said += [("yellow", f"  ~ {move(m)}\n") for m in it.moves]
    if order.what == "rollback":
        had = next((m.before for m in it.moves if m.channel == order.channel), None)
        if had is not None:
            said.append(("", f"    version {had.version} is quarantined\n"))
    if not it.moves:
        before = "it was rolled back before: " if order.what == "rollback" else ""
        said.append(("dim", f"    {before}no channel moves\n"))
    if it.rolled:
        said.append(
            ("", f"    rolled to it, computing nothing: {', '.join(map(str, it.rolled))}\n")
        )
    return said


def move(it: Move) -> str:
    """Say how one channel moved."""
    return f"{it.channel}: {_version(it.before)} → {_version(it.after)}"


def _version(it: Standing | None) -> str:
    return "nothing" if it is None else f"version {it.version} ({short(it.digest)})"


def history(turns: Sequence[Turn]) -> Styled:
    """Show every move, a line each."""
    if not turns:
        return [("dim", "No channel ever moved.\n")]
    said: Styled = []
    for it in turns:
        style: Style = "green" if it.how == "apply" else "yellow"
        told = [f"by {it.by}" if it.by else "", it.run]
        told += [f"plan {short(it.plan)}" if it.plan else ""]
        told += [f"commit {it.commit[:12]}" if it.commit else ""]
        said += [
            ("", f"{it.at:%Y-%m-%d %H:%M:%S}  "),
            (style, f"{it.how:<10}  "),
            ("bold", f"{move(it.move)}\n"),
            ("dim", f"    {', '.join(filter(None, told))}\n"),
        ]
        if it.why:
            said.append(("", f"    {it.why}\n"))
    return said


def asked_data(it: Asked) -> dict[str, Any]:
    """Return what an order comes to as plain data."""
    return {
        "address": str(it.address),
        "order": it.order.what,
        "channel": it.order.channel or None,
        "version": it.version,
        "by": it.order.by,
        "at": it.order.at,
        "why": it.order.why,
        "moves": [_move_data(m) for m in it.moves],
        "rolled": [str(a) for a in it.rolled],
    }


def history_data(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """Return every move as plain data."""
    return [
        {
            **_move_data(it.move),
            "at": it.at.isoformat(),
            "by": it.by,
            "how": it.how,
            "why": it.why,
            "run": it.run,
            "plan": it.plan or None,
            "commit": it.commit or None,
        }
        for it in turns
    ]


def _move_data(it: Move) -> dict[str, Any]:
    return {
        "channel": it.channel,
        "before": None if it.before is None else vars(it.before),
        "after": None if it.after is None else vars(it.after),
    }
