"""A plan as people read it: what would be done, why, and for how long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlform.plan import Action, Plan, Reason, Step
from mlform.render.style import Style, Styled
from mlform.render.values import seconds, value
from mlform.values import handle_in, short

_SIGNS: Final[dict[Action, tuple[Style, str]]] = {
    Action.CREATE: ("green", "+"),
    Action.RUN: ("green", "▸"),
    Action.ROLL: ("green", "»"),
    Action.MAYBE: ("yellow", "?"),
    Action.REUSE: ("cyan", "="),
    Action.DECIDE: ("cyan", "~"),
    Action.UPDATE: ("yellow", "~"),
    Action.REPLACE: ("red", "±"),
    Action.DESTROY: ("red", "-"),
    Action.FORGET: ("red", "-"),
    Action.HELD: ("magenta", "!"),
    Action.NO_OP: ("", " "),
}
_LEGEND: Final[dict[Action, str]] = {
    Action.MAYBE: "runs only if what it takes from upstream comes out different",
    Action.REUSE: "this result was made before: nothing is computed",
    Action.DECIDE: "judged anew from what is measured: nothing is computed",
    Action.HELD: "not done, on purpose; what serves keeps serving",
}
_ORDER: Final = [a for a in Action if a is not Action.NO_OP]
_MOST_REASONS = 8


def plan(it: Plan) -> Styled:
    """Show every step that does something or is held, and the totals."""
    said: Styled = []
    shown = [s for s in it.steps if s.action is not Action.NO_OP]
    width = max((len(str(s.address)) for s in shown), default=0)
    for step in shown:
        said += _step(step, width)
    for before, after in it.moves.items():
        said += [("cyan", "  → "), ("", f"{before} has moved to {after}: nothing is made anew\n")]
    if it.moves:
        said.append(("", "\n"))
    for address, waits in it.deferred.items():
        said += [
            ("yellow", f"? {address}"),
            ("", f"  deferred until {', '.join(waits)} is applied\n"),
        ]
    if it.deferred:
        text = "  How many there are is known once that is applied; then they are planned.\n\n"
        said.append(("dim", text))
    for note in it.notes:
        said += [("yellow", "  · "), ("", f"{note.address}: {note.text}\n")]
    if it.notes:
        said.append(("", "\n"))
    if not it.changes:
        said += _nothing(it)
    else:
        said += _totals(it)
    head = f"state serial {it.serial} · spec {short(it.spec)} · observations "
    head += f"{short(it.observations)} · lock {short(it.lock)}"
    head += f" · as of {it.as_of}" if it.as_of else ""
    return [*said, ("dim", f"{head}\n")]


def _nothing(it: Plan) -> Styled:
    if it.moves:
        return [("bold", "Moves only. "), ("", "Applying it records the new addresses.\n")]
    if it.held:
        return [
            ("bold", "No changes. "),
            ("", "What is held stays held until its cause is gone.\n"),
        ]
    return [("bold", "No changes. "), ("", "Everything declared is applied and up to date.\n")]


def _step(step: Step, width: int) -> Styled:
    style, sign = _SIGNS[step.action]
    last = f"  {seconds(step.seconds)} last time" if _timed(step) and step.seconds else ""
    said: Styled = [
        (style, f"{sign} "),
        ("bold", f"{step.address!s:<{width}}"),
        (style, f"  {step.action.value:<7}" if last else f"  {step.action.value}"),
        ("dim", f"{last}\n"),
    ]
    if any(r.what == "new" for r in step.reasons):
        said += [("", f"    {n} = {value(step.arguments[n])}\n") for n in step.at]
    else:
        said += [("", f"    {line}\n") for line in reasons(step.reasons)]
    return [*said, ("", "\n")]


def reasons(found: tuple[Reason, ...]) -> Iterator[str]:
    """Say why, a line a reason."""
    for item in found[:_MOST_REASONS]:
        yield reason(item)
    if len(found) > _MOST_REASONS:
        yield f"… and {len(found) - _MOST_REASONS} more"


def reason(it: Reason) -> str:
    """Say one reason."""
    where = f"   ({it.at})" if it.at else ""
    match it.what:
        case "new":
            return "not applied yet"
        case "again":
            return "asked for, whatever its key says"
        case "trigger":
            return "what it is to be replaced by has changed"
        case "gone":
            return "what was made is not there any more"
        case "drift":
            return f"{it.subject} is {value(it.after)}, recorded {value(it.before)}"
        case "code":
            return f"code changed: {it.subject}{where}"
        case "environment":
            return f"package {it.subject}: {it.before or 'none'} → {it.after or 'none'}"
        case "input":
            how = "new" if it.before is None else "gone" if it.after is None else "changed"
            return f"data {how}: {it.subject}"
        case "upstream":
            return f"if {it.subject} comes out different"
        case "held":
            return it.subject
        case "removed":
            return "not declared any more"
        case "version":
            return "the type computes differently since it was last applied"
        case "type":
            return f'type "{it.before}" → "{it.after}"'
        case _:
            return _change(it, where)


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


def _timed(step: Step) -> bool:
    return step.action in {Action.RUN, Action.MAYBE, Action.ROLL}


def _totals(it: Plan) -> Styled:
    counts = Counter(s.action for s in it.steps)
    said: Styled = [
        ("dim", f"{_SIGNS[a][1]} {a.value}: {text}\n") for a, text in _LEGEND.items() if counts[a]
    ]
    listed = ", ".join(f"{counts[a]} {a.value}" for a in _ORDER if counts[a])
    unchanged = counts[Action.NO_OP]
    said += [("bold", "Plan: "), ("", f"{listed}; {unchanged} unchanged.")]
    certain = [s for s in it.changes if s.action in {Action.RUN, Action.ROLL}]
    maybe = [s for s in it.changes if s.action is Action.MAYBE]
    known = [s.seconds for s in certain if s.seconds is not None]
    if known or any(s.seconds for s in maybe):
        least = sum(known)
        most = least + sum(s.seconds or 0.0 for s in maybe)
        text = f" From the last runs: {seconds(least)}"
        said.append(("", f"{text} … {seconds(most)}." if most > least else f"{text}."))
    return [*said, ("", "\n")]
