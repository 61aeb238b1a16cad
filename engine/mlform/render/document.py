"""A plan as machines read it: of the shape in ``schema/plan.schema.json``, stable and documented.

The file that ``plan -out`` writes is another thing: all that ``apply`` needs, for mlform's eyes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mlform.diagnostics import Diagnostic
from mlform.plan import OPEN, Action, Deferred, Drift, Estimate, Plan, Purge, Reason, Step
from mlform.plan.times import Length, times
from mlform.refresh import ImportFact
from mlform.render.diagnostics import as_data
from mlform.render.purge import held_by
from mlform.render.reasons import reason_lines
from mlform.values import concealed

VERSION: Final = "1.0"
"""Of the document. The second number grows with every addition, the first with any other change."""


def plan(it: Plan, parallelism: int = 2, problems: Iterable[Diagnostic] = ()) -> dict[str, Any]:
    """Return a plan as plain data, with what its making warned of; durations are in seconds."""
    before = {str(s.address): s.estimate for s in it.steps if s.estimate is not None}
    return {
        "format_version": VERSION,
        "header": {
            "spec": it.spec,
            "lineage": it.lineage,
            "serial": it.serial,
            "observations": it.observations,
            "as_of": it.as_of,
            "lock": it.lock,
        },
        "targets": list(it.targets),
        "excluded": list(it.excluded),
        "steps": [_step(s, before) for s in it.steps],
        "outputs": {n: _output(o.value, sensitive=o.sensitive) for n, o in it.outputs.items()},
        "output_changes": {
            n: {"action": c.action, "before": shown(c.before)} for n, c in it.output_changes.items()
        },
        "moved": [{"from": a, "to": b} for a, b in it.moves.items()],
        "deferred": [{"address": a, "waits_for": list(w)} for a, w in it.deferred.items()],
        "checks": list(it.checks),
        "left_out": dict(it.left_out),
        "destroy": it.destroy,
        "refresh": it.refresh,
        "unseen": list(it.unseen),
        "drift": [_drift(d) for d in it.drift],
        "purging": None if it.purging is None else dict(vars(it.purging)),
        "notes": [{"what": n.what, "address": n.address, "text": n.text} for n in it.notes],
        "diagnostics": as_data(problems),
        "totals": _totals(it, parallelism),
    }


def _step(step: Step, before: Mapping[str, Estimate]) -> dict[str, Any]:
    address = step.address
    known = {n: shown(v) for n, v in step.arguments.items() if not isinstance(v, Deferred)}
    removed = step.action in {Action.DESTROY, Action.FORGET}
    recorded = known if step.action is Action.NO_OP else step.recorded
    recorded = None if step.imported is not None else recorded
    return {
        "address": str(address),
        "module": address.spot.rstrip(".") or None,
        "kind": address.kind,
        "type": step.type,
        "name": address.name,
        "key": address.key,
        "provider": step.provider,
        "action": step.action.value,
        "reasons": [
            reason_data(r, text)
            for r, text in zip(step.reasons, reason_lines(step.reasons, before), strict=True)
        ],
        "needs": [str(a) for a in step.needs],
        "refers_to": [str(a) for a in step.refers_to],
        "before": None if recorded is None else shown(recorded),
        "after": None if removed else known,
        "unknown": {n: v.text for n, v in step.arguments.items() if isinstance(v, Deferred)},
        "written_at": dict(step.at),
        "action_key": step.key,
        "parts": None if step.parts is None else dict(step.parts),
        "rows": step.rows,
        "protected": step.protected,
        "attributes": shown({n: v for n, v in step.expected.items() if v != OPEN}),
        "attributes_unknown": sorted(n for n, v in step.expected.items() if v == OPEN),
        "create_first": step.create_first,
        "demand": step.demand.as_data(),
        "deposed": step.deposed,
        "estimate": None if step.estimate is None else dict(vars(step.estimate)),
        "adopted": step.adopted is not None,
        "imported": None if step.imported is None else _imported(step.imported),
        "purge": None if step.purge is None else _purge(step.purge),
    }


def _drift(it: Drift) -> dict[str, Any]:
    return {
        "address": it.address,
        "attribute": it.attribute or None,
        "before": shown(it.before),
        "after": shown(it.after),
        "counts": it.counts,
    }


def _purge(it: Purge) -> dict[str, Any]:
    held = [
        {**vars(h), "until": h.until or None, "through": list(h.through), "text": held_by(h)}
        for h in it.held
    ]
    return {"artifacts": dict(it.artifacts), "size": sum(it.artifacts.values()), "held": held}


def _imported(it: ImportFact) -> dict[str, Any]:
    return {
        "id": it.id,
        "at": it.at or None,
        "arguments": shown(it.arguments),
        "attributes": shown(it.attributes),
    }


def reason_data(it: Reason, text: str) -> dict[str, Any]:
    """Return a reason as plain data, beside what it is in words."""
    return {
        "what": it.what,
        "subject": it.subject,
        "before": shown(it.before),
        "after": shown(it.after),
        "at": it.at or None,
        "through": list(it.through),
        "text": text,
    }


def _output(value: Any, *, sensitive: bool) -> dict[str, Any]:
    known = not isinstance(value, Deferred)
    visible = known and not sensitive
    return {"sensitive": sensitive, "known": known, "value": shown(value) if visible else None}


def _totals(it: Plan, parallelism: int) -> dict[str, Any]:
    counts = Counter(s.action for s in it.steps)
    found = times(it, parallelism)
    return {
        "actions": {a.value: counts[a] for a in Action if counts[a]},
        "imports": len(it.imports),
        "empty": it.empty,
        "time": None
        if found is None
        else {
            "parallelism": found.parallelism,
            "certain": _length(found.certain),
            "likely": _length(found.likely),
            "worst": _length(found.worst),
            "without_history": [str(a) for a in found.unknown],
        },
        "accuracy": None if it.accuracy is None else dict(vars(it.accuracy)),
    }


def _length(it: Length) -> dict[str, float]:
    return {"work": it.work, "clock": it.clock}


def shown(value: Any) -> Any:
    """Return plain data without what only stands for a secret, and with types left out."""
    if concealed(value):
        return {"$sensitive": True}
    if isinstance(value, Deferred):
        return {"$unknown": value.text}
    if isinstance(value, Mapping):
        return {n: shown(v) for n, v in value.items()}
    if isinstance(value, list | tuple):
        return [shown(v) for v in value]
    return value
