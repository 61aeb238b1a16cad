"""What happens while applying: a line for people, an object for machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, assert_never

from mlform.apply import (
    Adopted,
    Begun,
    Event,
    Failed,
    Finished,
    Held,
    Imported,
    Interrupted,
    Log,
    Outcome,
    Progress,
    Purged,
    Skipped,
    Started,
)
from mlform.diagnostics import Diagnostic, Severity, Span
from mlform.plan import Action
from mlform.render.reasons import reason
from mlform.render.spent import spent
from mlform.render.style import Styled
from mlform.render.values import between, seconds, size, value
from mlform.values import handle_in, short

_DONE: Final[dict[Action, str]] = {
    Action.CREATE: "created",
    Action.RUN: "ran",
    Action.ROLL: "rolled",
    Action.REUSE: "reused",
    Action.DECIDE: "decided",
    Action.UPDATE: "updated",
    Action.REPLACE: "replaced",
    Action.DESTROY: "destroyed",
    Action.FORGET: "forgotten",
    Action.NO_OP: "unchanged: nothing upstream came out different",
}


def event(it: Event) -> Styled:
    """Tell one event in one line; what made a step fail is told at the end."""
    if isinstance(it, Begun):
        return _begun(it)
    said: Styled = [("bold", f"{it.address}: ")]
    match it:
        case Started(action=action, reasons=found):
            why = f" ({reason(found[0])})" if found and found[0].what != "new" else ""
            return [*said, ("", f"{action.value}{why} …\n")]
        case Progress(done=done, total=total, note=note):
            share = f"{done:g}" if total is None else f"{done:g}/{total:g}"
            return [*said, ("dim", f"{share} {note}".rstrip() + "\n")]
        case Log(text=text):
            return [*said, ("dim", f"{text}\n")]
        case Finished(action=action, seconds=took, digest=digest, changed=changed, summary=summary):
            text = _DONE.get(action, action.value)
            if action is Action.NO_OP:
                return [*said, ("dim", f"{text}\n")]
            output = ""
            if digest is not None:
                output = f", output {short(digest)}" if changed else ", output unchanged"
            summed = f"\n  {summary}" if summary else ""
            return [*said, ("green", text), ("", f" in {seconds(took)}{output}{summed}\n")]
        case Imported(id=found, digest=digest):
            return [*said, ("green", "imported"), ("", f" from {found}, output {short(digest)}\n")]
        case Adopted(attributes=names):
            listed = ", ".join(names) or "nothing that counts"
            return [*said, ("green", "recorded as it is there"), ("", f": {listed}\n")]
        case Held(reasons=reasons):
            return [*said, ("magenta", "held"), ("", f": {'; '.join(reasons)}\n")]
        case Skipped(because=because):
            return [*said, ("yellow", f"skipped, {because}\n")]
        case Interrupted():
            return [*said, ("yellow", "stopped; nothing of it was recorded\n")]
        case Failed(summary=summary):
            return [*said, ("red", f"failed: {summary}\n")]
        case _:
            assert_never(it)


def _begun(it: Begun) -> Styled:
    steps = "1 step" if it.steps == 1 else f"{it.steps} steps"
    if it.expected is None or it.most is None:
        return [("dim", f"{steps} to do, run {it.run}\n")]
    return [("dim", f"{steps} to do in {between(it.expected, it.most)}, run {it.run}\n")]


def as_data(it: Event) -> dict[str, Any]:
    """Return one event as plain data, of the shape in ``schema/events.schema.json``."""
    data: dict[str, Any] = {"type": type(it).__name__.lower()}
    for name, field in vars(it).items():
        if name == "address":
            data[name] = str(field)
            continue
        if name == "reasons" and isinstance(it, Started):
            data[name] = [{"what": r.what, "subject": r.subject, "at": r.at} for r in it.reasons]
        elif isinstance(field, Action):
            data[name] = field.value
        else:
            data[name] = list(field) if isinstance(field, tuple) else field
    return data


def outcome(it: Outcome) -> Styled:
    """Say what came of it all."""
    said: Styled = []
    counts: dict[str, int] = {"imported": len(it.imported)} if it.imported else {}
    if it.adopted:
        counts["recorded as found"] = len(it.adopted)
    for action in it.done.values():
        text = _DONE.get(action, action.value)
        counts[text] = counts.get(text, 0) + 1
    listed = ", ".join(f"{n} {text}" for text, n in counts.items()) or _only_outputs(it)
    if it.interrupted:
        said += [("yellow", "Interrupted. "), ("", f"Recorded before that: {listed}.\n")]
    elif it.failed:
        failed = ", ".join(map(str, it.failed))
        said += [("red bold", "Failed: "), ("", f"{failed}. Recorded: {listed}.\n")]
        said.append(("", "Mend the cause and apply again: what was done is not done again.\n"))
    else:
        said += [("green", "Applied: "), ("", f"{listed}.\n")]
    for address, reasons in it.held.items():
        said += [("magenta", f"Held: {address}"), ("", f": {'; '.join(reasons)}\n")]
    for text in it.kept:
        said += [("", f"Kept: {text}\n")]
    if it.purged is not None:
        said += [("", f"{_purged(it.purged)}\n")]
    said += spent(it)
    if it.outputs:
        said.append(("", "\n"))
        said += outputs(it.outputs)
    return said


def _purged(it: Purged) -> str:
    many = "1 artifact" if it.objects == 1 else f"{it.objects} artifacts"
    left = f"; {it.left} that other states may use are left to `mlform store gc`" if it.left else ""
    return f"Deleted for good: {many}, {size(it.size)}{left}."


def _only_outputs(it: Outcome) -> str:
    """Say which outputs an apply changed that did nothing else."""
    names: dict[str, list[str]] = {}
    for name, how in it.output_changes.items():
        names.setdefault("removed" if how == "remove" else "recorded", []).append(name)
    listed = [f"outputs {how}: {', '.join(found)}" for how, found in names.items()]
    return "; ".join(listed) or "nothing changed"


def problem(it: Failed, sources: Mapping[str, str]) -> Diagnostic:
    """Return a failure as a problem, pointing at the argument to blame."""
    span = _span(it.at, sources)
    return Diagnostic(Severity.ERROR, it.summary, it.detail, span, address=str(it.address))


def warnings(it: Outcome, sources: Mapping[str, str]) -> list[Diagnostic]:
    """Return what does not hold and stopped nothing, as problems."""
    return [
        Diagnostic(Severity.WARNING, summary, detail, _span(at, sources))
        for summary, detail, at in it.warnings
    ]


def _span(at: str, sources: Mapping[str, str]) -> Span | None:
    """Return where ``file:line:column`` is, up to the end of the line."""
    file, _, place = at.partition(":")
    line, _, column = place.partition(":")
    if not (line.isdecimal() and column.isdecimal()):
        return None
    lines = sources.get(file, "").splitlines()
    text = lines[int(line) - 1] if int(line) <= len(lines) else ""
    end = max(len(text.rstrip()), int(column)) + 1
    return Span(file, int(line), int(column), int(line), end)


def outcome_data(it: Outcome) -> dict[str, Any]:
    """Return what came of it all as plain data."""
    return {
        "type": "outcome",
        "complete": it.complete,
        "interrupted": it.interrupted,
        "done": {str(a): action.value for a, action in it.done.items()},
        "imported": {str(a): found for a, found in it.imported.items()},
        "adopted": [str(a) for a in it.adopted],
        "held": {str(a): list(reasons) for a, reasons in it.held.items()},
        "failed": [str(a) for a in it.failed],
        "skipped": [str(a) for a in it.skipped],
        "kept": it.kept,
        "purged": None if it.purged is None else dict(vars(it.purged)),
        "warnings": [{"summary": s, "detail": d, "at": at} for s, d, at in it.warnings],
        "seconds": round(it.seconds, 3),
        "spent": {str(a): round(s, 3) for a, s in it.spent.items()},
        "spared": [
            {"address": str(s.address), "cause": s.cause, "seconds": s.seconds} for s in it.spared
        ],
        "outputs": it.outputs,
        "output_changes": it.output_changes,
    }


def outputs(found: dict[str, Any]) -> Styled:
    """Show output values."""
    return [("", f"{name} = {value(data)}\n") for name, data in sorted(found.items())]


def outputs_data(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return recorded outputs with their types, as ``terraform output -json`` has them.

    What is recorded is data: of a list it is no more known that it was none of several types.
    """
    return {
        name: {
            "sensitive": it["sensitive"],
            "type": "dynamic" if it["sensitive"] else _type(it["value"]),
            "value": None if it["sensitive"] else it["value"],
        }
        for name, it in sorted(found.items())
    }


def _type(data: Any) -> Any:
    match data:
        case None:
            return "dynamic"
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return ["tuple", [_type(v) for v in data]]
        case _ if handle_in(data) is not None:
            return "dynamic"
        case _:
            return ["object", {k: _type(v) for k, v in data.items()}]
