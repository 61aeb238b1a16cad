"""Why a step does what it does, a line a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from mlform.plan import Estimate, Reason
from mlform.plan.model import REACHED
from mlform.render.values import value
from mlform.values import handle_in, short

_MOST_REASONS: Final = 8
_FIXED: Final = {
    "new": "not applied yet",
    "deposed": "left behind when it was replaced",
    "revert": "it was adopted as it was found; what is declared is put back",
    "gone": "what was made is not there any more",
    "removed": "not declared any more",
    "disabled": "not enabled",
    "asked": "asked for with destroy",
    "trigger": "what it is to be replaced by has changed",
    "version": "the type computes differently since it was last applied",
}
"""What needs no subject."""
_CERTAIN: Final = frozenset({"operational", "metadata", "decision"})
"""What is done even if nothing that a step waits for comes out different."""
_MOVED: Final = {(REACHED, None): "no longer reached", (None, REACHED): "newly reached"}
"""What became of a file that only one of two closures has."""


def reasons(
    found: Sequence[Reason], before: Mapping[str, Estimate] = MappingProxyType({})
) -> Iterator[str]:
    """Say why, a line a reason.

    ``before`` is what is known of upstream steps by address, so that it can be said how often
    they came out different.
    """
    yield from reason_lines(found[:_MOST_REASONS], before)
    if len(found) > _MOST_REASONS:
        yield f"… and {len(found) - _MOST_REASONS} more"


def reason_lines(found: Sequence[Reason], before: Mapping[str, Estimate]) -> Iterator[str]:
    """Say every reason, a line each, with how often what is waited for changed before.

    Beside what is waited for stands what is done whatever comes of it.
    """
    waits = any(item.what == "upstream" for item in found)
    for item in found:
        often = frequency(before.get(item.subject)) if item.what == "upstream" else ""
        certain = ", in any case" if waits and item.what in _CERTAIN else ""
        yield reason(item) + (f" ({often})" if often else certain)


def frequency(it: Estimate | None) -> str:
    """Say how often an output changed before; ``""`` where that is not known."""
    if it is None or not it.compared:
        return ""
    last = f"the last {it.compared} times" if it.compared > 1 else "the last time"
    if not it.changed:
        return f"it did not {last}"
    return f"it did {it.changed} of {last}" if it.compared > 1 else f"it did {last}"


def reason(it: Reason) -> str:
    """Say one reason."""
    where = f"   ({it.at})" if it.at else ""
    if it.what in _FIXED:
        return _FIXED[it.what] + where
    match it.what:
        case "again" | "approved" | "order":
            return _of_people(it)
        case "tick":
            return f"its schedule came to {it.after} (before: {it.before or 'none'})"
        case "reproduced":
            return "made again beside the one recorded, to be compared with it"
        case "imported":
            said = f"taken over from {it.subject}, which exists already: nothing is run for it"
            return said + where
        case "drift":
            return f"{it.subject} is {value(it.after)}, recorded {value(it.before)}"
        case "code":
            return f"code {_MOVED.get((it.before, it.after), 'changed')}: {it.subject}{where}"
        case "environment":
            return f"package {it.subject}: {it.before or 'none'} → {it.after or 'none'}"
        case "input":
            how = "new" if it.before is None else "gone" if it.after is None else "changed"
            return f"data {how}: {it.subject}"
        case "upstream":
            return f"if {it.subject} comes out different"
        case "held":
            return it.subject
        case "type":
            return f'type "{it.before}" → "{it.after}"'
        case _:
            return _change(it, where)


def _of_people(it: Reason) -> str:
    """Say what someone decided."""
    if it.what == "approved":
        return f"approved by {it.subject}"
    if it.what == "order":
        return it.subject + (f" ({it.after})" if it.after else "")
    again = "the new result takes the place of the old"
    if it.subject == "tainted":
        return f"tainted by {it.after}: {again}"
    return f"asked for with -replace: {again}"


def _change(it: Reason, where: str) -> str:
    if not it.subject:
        return "its criteria changed"
    before, after = handle_in(it.before), handle_in(it.after)
    if before and after and (before.address, before.attribute) == (after.address, after.attribute):
        name = after.address + (f".{after.attribute}" if after.attribute else "")
        return f"{it.subject}: {name} {short(str(before.digest))} → {short(str(after.digest))}"
    objects = isinstance(it.before, Mapping) and isinstance(it.after, Mapping)
    if objects and not (before or after or "$sensitive" in {**it.before, **it.after}):
        return _inner(it.subject, it.before, it.after) + where
    left = "(none)" if it.before is None else value(it.before)
    right = "(none)" if it.after is None else value(it.after)
    return f"{it.subject}: {left} → {right}{where}"


def _inner(subject: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Name only the entries of an object that differ."""
    names = [n for n in {**before, **after} if before.get(n) != after.get(n)]
    parts = []
    for name in names:
        left = value(before[name]) if name in before else "(none)"
        right = value(after[name]) if name in after else "(none)"
        parts.append(f"{subject}.{name}: {left} → {right}")
    return ", ".join(parts)
