"""What differs between two moments of a state, and what was changed in it by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mlform.diagnostics import counted
from mlform.render.style import Style, Styled
from mlform.render.values import value
from mlform.state.differences import Change, Differences, Past, Revised
from mlform.values import without_marks

_SIGNS: Final[Mapping[str, tuple[Style, str]]] = {
    "added": ("green", "+"),
    "removed": ("red", "-"),
    "changed": ("yellow", "~"),
}
_WHOLE: Final = frozenset({"type", "digest", "tainted", "provider", "held"})
"""What is said of something that came or went; of a change everything is."""


def moment(it: Past) -> str:
    """Say which moment is meant."""
    at = "" if it.at is None else f" ({it.at:%Y-%m-%d %H:%M:%S} UTC)"
    return f"serial {it.snapshot.serial}{at}"


def differences(it: Differences) -> Styled:
    """Show what differs, an attribute a line."""
    title = f"From {moment(it.before)} to {moment(it.after)}:\n"
    if not it:
        return [("bold", title), ("", "nothing differs.\n")]
    said: Styled = [("bold", title)]
    for change in it.resources:
        said += _change(change, change.address)
    for change in it.outputs:
        said += _change(change, f"output.{change.address}")
    counts = ", ".join(f"{n} {how}" for how in _SIGNS if (n := _count(it.resources, how)))
    outputs = f"{counted(len(it.outputs), 'output')} changed" if it.outputs else ""
    return [*said, ("", f"{'; '.join(filter(None, [counts, outputs]))}.\n")]


def _count(changes: Sequence[Change], how: str) -> int:
    return sum(change.how == how for change in changes)


def _change(it: Change, name: str) -> Styled:
    style, sign = _SIGNS[it.how]
    said: Styled = [(style, f"{sign} {name}\n")]
    whole = it.how != "changed"
    shown = [f for f in it.fields if not whole or f[0] in _WHOLE or "." in f[0]]
    width = max((len(field) for field, _, _ in shown), default=0)
    for field, before, after in shown:
        given = {"added": value(after), "removed": value(before)}
        text = given.get(it.how) or f"{_shown(before)} → {_shown(after)}"
        said.append(("", f"    {field:<{width}} = {text}\n"))
    return said


def _shown(data: Any) -> str:
    return "–" if data is None else value(data)


def differences_data(it: Differences) -> dict[str, Any]:
    """Return what differs as plain data."""
    return {
        "before": _moment_data(it.before),
        "after": _moment_data(it.after),
        "resources": [_change_data(c) for c in it.resources],
        "outputs": [_change_data(c) for c in it.outputs],
    }


def _moment_data(it: Past) -> dict[str, Any]:
    at = None if it.at is None else it.at.isoformat()
    return {"serial": it.snapshot.serial, "lineage": it.snapshot.lineage, "at": at}


def _change_data(it: Change) -> dict[str, Any]:
    fields = {n: {"before": before, "after": after} for n, before, after in it.fields}
    return {"name": it.address, "change": it.how, "fields": without_marks(fields)}


def revised(it: Revised, done: str, would: str) -> Styled:
    """Show what was changed by hand, or would be, and what follows."""
    verb = would if it.serial is None else done
    said: Styled = [
        ("bold", f"{verb} {before}{f' → {after}' if after else ''}\n") for before, after in it.what
    ]
    said += [("", f"{line}\n") for line in it.consequences]
    tail = "Nothing was changed." if it.serial is None else f"The state is at serial {it.serial}."
    return [*said, ("dim", f"{tail}\n")]


def revised_data(it: Revised) -> dict[str, Any]:
    """Return what was changed by hand as plain data."""
    return {
        "changes": [{"from": before, "to": after or None} for before, after in it.what],
        "consequences": list(it.consequences),
        "serial": it.serial,
    }
