"""Plan ⇄ text: one file, complete, versioned, sealed; equal plans are equal bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlform.address import Address
from mlform.demand import Declared, Demand
from mlform.diagnostics import stop
from mlform.plan.lineage import Hold
from mlform.plan.model import (
    FORMAT,
    Accuracy,
    Action,
    Condition,
    Deferred,
    Drift,
    Estimate,
    Going,
    Note,
    Output,
    OutputChange,
    Plan,
    Purge,
    Purging,
    Reason,
    Step,
)
from mlform.plan.pulled import read_pulled
from mlform.plan.typed import Typed, read_type, write_type
from mlform.refresh.model import ImportFact

_DEFERRED = "$deferred"
_TYPED = "$typed"


def dump(plan: Plan, where: Mapping[str, Any] | None = None) -> str:
    """Write a plan as JSON. ``where`` says where its state and artifacts lie; see ``where_of``."""
    data = {
        "format": FORMAT,
        "lineage": plan.lineage,
        "serial": plan.serial,
        "spec": plan.spec,
        "observations": plan.observations,
        "lock": plan.lock,
        "as_of": plan.as_of,
        "targets": list(plan.targets),
        "excluded": list(plan.excluded),
        "settings": plan.settings,
        "steps": [_step(s) for s in plan.steps],
        "outputs": {
            n: {
                "value": write_argument(o.value),
                "sensitive": o.sensitive,
                "before": _conditions(o.before),
            }
            for n, o in plan.outputs.items()
        },
        "output_changes": {
            n: {"action": c.action, "before": c.before} for n, c in plan.output_changes.items()
        },
        "moves": dict(plan.moves),
        "deferred": {a: list(w) for a, w in plan.deferred.items()},
        "checks": {n: _conditions(c) for n, c in plan.checks.items()},
        "accuracy": None if plan.accuracy is None else dict(vars(plan.accuracy)),
        "left_out": dict(plan.left_out),
        "destroy": plan.destroy,
        "refresh": plan.refresh,
        "unseen": list(plan.unseen),
        "drift": [dict(vars(d)) for d in plan.drift],
        "executors": {n: dict(vars(e)) for n, e in plan.executors.items()},
        "pools": dict(plan.pools),
        "pulls": [it.as_data() for it in plan.pulls],
        "notes": [{"what": n.what, "address": n.address, "text": n.text} for n in plan.notes],
        "purging": None if plan.purging is None else dict(vars(plan.purging)),
    }
    data |= {} if where is None else {"where": dict(where)}
    return _lines({**data, "sha256": _seal(data)})


def _lines(data: Mapping[str, Any]) -> str:
    """Write a JSON object with a line for each of its items and of theirs, for ``diff``.

    Indented throughout it would be written by Python, not by C: at ten times the cost.
    """

    def text(it: object) -> str:
        return json.dumps(it, ensure_ascii=False)

    def item(it: object) -> str:
        if isinstance(it, dict) and it:
            return "{\n" + ",\n".join(f"  {text(n)}: {text(v)}" for n, v in it.items()) + "\n }"
        if isinstance(it, list) and it:
            return "[\n" + ",\n".join(f"  {text(v)}" for v in it) + "\n ]"
        return text(it)

    return "{\n" + ",\n".join(f" {text(n)}: {item(v)}" for n, v in data.items()) + "\n}\n"


def parse(text: str, name: str = "the plan") -> Plan:
    """Read a plan back. Raises where the text is none, or of a newer format."""
    try:
        data = json.loads(text)
        format_ = data["format"]
    except (ValueError, KeyError, TypeError):
        raise stop(
            "Invalid plan file", f"{name} is not a plan written by `mlform plan -out`."
        ) from None
    if format_ != FORMAT:
        detail = f"{name} has plan format {format_}; this mlform reads {FORMAT}. Plan anew."
        raise stop("Invalid plan file", detail)
    if data.pop("sha256", None) != _seal(data):
        raise stop(
            "Invalid plan file",
            f"{name} is damaged or was edited: its sha256 is not that of what it says. Plan anew.",
        )
    try:
        return _plan(data)
    except (KeyError, TypeError, ValueError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise stop("Invalid plan file", f"{name} is damaged: {why}. Plan anew.") from None


def where_of(text: str) -> Mapping[str, Any]:
    """Return what a plan that can be parsed says of where its state and artifacts lie."""
    found: Mapping[str, Any] = json.loads(text).get("where") or {}
    return found


def _seal(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plan(data: Mapping[str, Any]) -> Plan:
    return Plan(
        lineage=data["lineage"],
        serial=data["serial"],
        spec=data["spec"],
        observations=data["observations"],
        lock=data["lock"],
        as_of=data["as_of"],
        targets=tuple(data["targets"]),
        excluded=tuple(data["excluded"]),
        settings=data["settings"],
        steps=tuple(_read_step(s) for s in data["steps"]),
        outputs={
            n: Output(_read(o["value"]), o["sensitive"], _read_conditions(o["before"]))
            for n, o in data["outputs"].items()
        },
        output_changes={n: OutputChange(**c) for n, c in data["output_changes"].items()},
        moves=data["moves"],
        deferred={a: tuple(w) for a, w in data["deferred"].items()},
        checks={n: _read_conditions(c) for n, c in data["checks"].items()},
        accuracy=None if data["accuracy"] is None else Accuracy(**data["accuracy"]),
        left_out=data["left_out"],
        destroy=data["destroy"],
        refresh=data["refresh"],
        unseen=tuple(data["unseen"]),
        drift=tuple(Drift(**d) for d in data["drift"]),
        executors={n: Declared(**e) for n, e in data.get("executors", {}).items()},
        pools=data.get("pools", {}),
        pulls=tuple(map(read_pulled, data.get("pulls", ()))),
        notes=tuple(Note(n["what"], n["address"], n["text"]) for n in data["notes"]),
        purging=None if data["purging"] is None else Purging(**data["purging"]),
    )


def _step(step: Step) -> dict[str, Any]:
    return {
        "address": str(step.address),
        "type": step.type,
        "provider": step.provider,
        "action": step.action.value,
        "arguments": {n: write_argument(v) for n, v in step.arguments.items()},
        "reasons": [r.as_data() for r in step.reasons],
        "refers_to": [str(a) for a in step.refers_to],
        "needs": [str(a) for a in step.needs],
        "at": dict(step.at),
        "key": step.key,
        "parts": None if step.parts is None else dict(step.parts),
        "rows": step.rows,
        "code": step.code,
        "environment": None if step.environment is None else dict(step.environment),
        "protected": step.protected,
        "estimate": None if step.estimate is None else dict(vars(step.estimate)),
        "takes": {n: list(a) for n, a in step.takes.items()},
        "recorded": None if step.recorded is None else dict(step.recorded),
        "gone": step.gone,
        "moved": step.moved,
        "ignored": list(step.ignored),
        "quiet": step.quiet,
        "before": _conditions(step.before),
        "after": _conditions(step.after),
        "again": step.again,
        "create_first": step.create_first,
        "imported": None if step.imported is None else dict(vars(step.imported)),
        "cleared": [str(a) for a in step.cleared],
        "old": None if step.old is None else _going(step.old),
        "deposed": step.deposed,
        "observed": step.observed,
        "adopted": None if step.adopted is None else dict(step.adopted),
        "determinism": step.determinism,
        "expected": dict(step.expected),
        "prior": [str(a) for a in step.prior],
        "purge": None if step.purge is None else purge_data(step.purge),
        "demand": step.demand.as_data(),
    }


def _read_step(data: Mapping[str, Any]) -> Step:
    return Step(
        address=Address.parse(data["address"]),
        type=data["type"],
        provider=data["provider"],
        action=Action(data["action"]),
        arguments={n: _read(v) for n, v in data["arguments"].items()},
        reasons=tuple(map(read_reason, data["reasons"])),
        refers_to=tuple(Address.parse(a) for a in data["refers_to"]),
        needs=tuple(Address.parse(a) for a in data["needs"]),
        at=data["at"],
        key=data["key"],
        parts=data["parts"],
        rows=data["rows"],
        code=data["code"],
        environment=data["environment"],
        protected=data["protected"],
        estimate=None if data["estimate"] is None else Estimate(**data["estimate"]),
        takes={n: tuple(a) for n, a in data["takes"].items()},
        recorded=data["recorded"],
        gone=data["gone"],
        moved=data["moved"],
        ignored=tuple(data["ignored"]),
        quiet=data["quiet"],
        before=_read_conditions(data["before"]),
        after=_read_conditions(data["after"]),
        again=data["again"],
        create_first=data["create_first"],
        imported=None if data["imported"] is None else ImportFact(**data["imported"]),
        cleared=tuple(Address.parse(a) for a in data["cleared"]),
        old=None if data["old"] is None else _read_going(data["old"]),
        deposed=data["deposed"],
        observed=data["observed"],
        adopted=data["adopted"],
        determinism=data["determinism"],
        expected=data["expected"],
        prior=tuple(Address.parse(a) for a in data.get("prior", ())),
        purge=None if data["purge"] is None else _read_purge(data["purge"]),
        demand=Demand.of(data.get("demand", {})),
    )


def purge_data(purge: Purge) -> dict[str, Any]:
    """Return what goes for good as plain data."""
    held = [{**vars(h), "through": list(h.through)} for h in purge.held]
    return {"artifacts": dict(purge.artifacts), "keys": list(purge.keys), "held": held}


def _read_purge(data: Mapping[str, Any]) -> Purge:
    held = (Hold(**{**h, "through": tuple(h["through"])}) for h in data["held"])
    return Purge(data["artifacts"], tuple(data["keys"]), tuple(held))


def _going(going: Going) -> dict[str, Any]:
    return {
        "needs": [str(a) for a in going.needs],
        "cleared": [str(a) for a in going.cleared],
    }


def _read_going(data: Mapping[str, Any]) -> Going:
    return Going(
        tuple(Address.parse(a) for a in data["needs"]),
        tuple(Address.parse(a) for a in data["cleared"]),
    )


def read_reason(data: Mapping[str, Any]) -> Reason:
    """Read a reason back from what ``Reason.as_data`` returned."""
    return Reason(**{**data, "through": tuple(data.get("through", ()))})


def _conditions(conditions: Sequence[Condition]) -> list[Any]:
    return [[write_argument(c.condition), write_argument(c.message)] for c in conditions]


def _read_conditions(data: Sequence[Any]) -> tuple[Condition, ...]:
    return tuple(Condition(_read(condition), _read(message)) for condition, message in data)


def write_argument(value: Any) -> Any:
    """Return an argument, deferred or typed or plain, as JSON-ready data."""
    if isinstance(value, Deferred):
        return {
            _DEFERRED: {
                "text": value.text,
                "bindings": write_argument(value.bindings),
                "secrets": list(value.secrets),
                "at": value.at,
                "module": value.module,
                "type": value.type,
                "secret": value.secret,
            }
        }
    if isinstance(value, Typed):
        return {_TYPED: {"type": write_type(value.type), "value": value.data}}
    if isinstance(value, Mapping):
        return {n: write_argument(v) for n, v in value.items()}
    if isinstance(value, list | tuple):
        return [write_argument(v) for v in value]
    return value


def _read(data: Any) -> Any:
    if isinstance(data, Mapping):
        if data.keys() == {_TYPED}:
            return Typed(data[_TYPED]["value"], read_type(data[_TYPED]["type"]))
        if data.keys() != {_DEFERRED}:
            return {n: _read(v) for n, v in data.items()}
        inner = data[_DEFERRED]
        return Deferred(
            inner["text"],
            _read(inner["bindings"]),
            tuple(inner["secrets"]),
            inner["at"],
            inner["module"],
            inner["type"],
            inner["secret"],
        )
    if isinstance(data, list):
        return [_read(v) for v in data]
    return data
