"""The shapes of what machines read, as JSON Schema. ``schema/`` is written from here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlform.plan import Action
from mlform.render.document import VERSION

Schema = dict[str, Any]
_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_TEXT: Final[Schema] = {"type": "string"}
_WHOLE: Final[Schema] = {"type": "integer"}
_NUMBER: Final[Schema] = {"type": "number"}
_FLAG: Final[Schema] = {"type": "boolean"}
_ANY: Final[Schema] = {}
_DIGEST: Final[Schema] = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}
_ACTION: Final[Schema] = {"enum": [a.value for a in Action]}


def _object(properties: Mapping[str, Schema], optional: Mapping[str, Schema] = {}) -> Schema:
    return {
        "type": "object",
        "properties": {**properties, **optional},
        "required": sorted(properties),
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _map(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _said(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def _estimate() -> Schema:
    return _object(
        {
            "expected": _said(_or_null(_NUMBER), "p50; null where it never ran."),
            "most": _said(_or_null(_NUMBER), "p90."),
            "runs": _said(_WHOLE, "How many earlier runs it is made from."),
            "rows": _said(_or_null(_WHOLE), "Of the largest dataset it is made from."),
            "changed": _said(_WHOLE, "How often its output changed ..."),
            "compared": _said(_WHOLE, "... of so many times."),
            "chance": _said(_NUMBER, "How likely it is to run at all."),
        }
    )


def _reason() -> Schema:
    return _object(
        {
            "what": _TEXT,
            "subject": _TEXT,
            "before": _ANY,
            "after": _ANY,
            "at": _said(_or_null(_TEXT), "Where it is written: file:line:column."),
            "through": _said(_list(_TEXT), "Resources that the value was taken from."),
            "text": _said(_TEXT, "The reason in words."),
        }
    )


def why() -> Schema:
    """Return the shape of ``why -json``."""
    rows = {"type": "array", "items": _or_null(_WHOLE), "minItems": 2, "maxItems": 2}
    link = _object(
        {
            "address": _TEXT,
            "action": _TEXT,
            "run": _TEXT,
            "at": _TEXT,
            "by": _TEXT,
            "reasons": _list(_reason()),
            "rows": _said(_or_null(rows), "Before and after, where data moved."),
            "alarm": _said(_or_null(_TEXT), "The event whose trigger moved the data."),
            "also": _said(_list(_TEXT), "What else came out different upstream."),
        }
    )
    said = "Each link is caused by the next; the last is the cause of all."
    return {"$schema": _DRAFT, "title": "mlform why", "description": said, **_list(link)}


def why_not() -> Schema:
    """Return the shape of ``why -not -json``."""
    body = _object(
        {
            "address": _TEXT,
            "cause": _said(_TEXT, "One word: unchanged, cutoff, reuse, decide, held, …"),
            "text": _TEXT,
            "does": _said(_FLAG, "Whether it ran, or will, after all."),
            "run": _said(_or_null(_TEXT), "The run it is about; null: a plan."),
            "reasons": _list(_reason()),
            "looked_at": _said(_map(_list(_TEXT)), "What its key is made of, by kind."),
            "details": _list(_TEXT),
        }
    )
    return {"$schema": _DRAFT, "title": "mlform why -not", **body}


def savings() -> Schema:
    """Return the shape of ``savings -json``."""
    saved = _object({"steps": _WHOLE, "seconds": _NUMBER})
    body = _object(
        {
            "runs": _WHOLE,
            "first": _or_null(_TEXT),
            "last": _or_null(_TEXT),
            "worked": _said(_NUMBER, "Seconds of work that was done."),
            "saved": saved,
            "causes": _map(saved),
            "addresses": _map(_NUMBER),
            "untouched": _said(saved, "Steps that plans left alone: not counted as saved."),
        }
    )
    return {"$schema": _DRAFT, "title": "mlform savings", **body}


def plan() -> Schema:
    """Return the shape of ``plan -json`` and ``show -json PLAN``."""
    anything: Schema = {"type": "object"}
    key: Schema = {"type": ["string", "integer", "null"]}
    imported = _object(
        {
            "id": _TEXT,
            "at": _or_null(_TEXT),
            "arguments": _said(anything, "Those that could be read of it."),
            "attributes": anything,
        }
    )
    hold = _object(
        {
            "artifact": _DIGEST,
            "by": _TEXT,
            "how": {"enum": ["serves", "served", "used"]},
            "until": _or_null(_TEXT),
            "through": _said(_list(_TEXT), "From what serves down to what made the artifact."),
            "text": _TEXT,
        }
    )
    purge = _object(
        {"artifacts": _said(_map(_WHOLE), "Bytes by digest."), "size": _WHOLE, "held": _list(hold)}
    )
    purging = _object(
        {
            "window": _said(_NUMBER, "The audit window in seconds."),
            "shared": _said(_FLAG, "The store is shared: `store gc` deletes the artifacts."),
        }
    )
    step = _object(
        {
            "address": _TEXT,
            "module": _said(_or_null(_TEXT), "The module instance; null in the root module."),
            "kind": _TEXT,
            "type": _TEXT,
            "name": _TEXT,
            "key": _said(key, "The key of the instance under count or for_each."),
            "provider": _TEXT,
            "action": _ACTION,
            "reasons": _list(_reason()),
            "needs": _said(_list(_TEXT), "Steps that must be over before."),
            "refers_to": _said(_list(_TEXT), "Resources that its arguments mention."),
            "before": _said(_or_null(anything), "Arguments as recorded; null: nothing is."),
            "after": _said(_or_null(anything), "Arguments as wanted, as far as known; null: gone."),
            "unknown": _said(_map(_TEXT), "Arguments known after apply: their expressions."),
            "written_at": _map(_TEXT),
            "action_key": _or_null(_DIGEST),
            "parts": _said(_or_null(_map(_TEXT)), "What lies at its source, by digest."),
            "rows": _or_null(_WHOLE),
            "protected": _FLAG,
            "estimate": _or_null(_estimate()),
            "adopted": _said(_FLAG, "Recorded as it was found, before anything else is done."),
            "imported": _said(_or_null(imported), "What exists already and is recorded first."),
            "attributes": _said(anything, "What its attributes will be, as far as known."),
            "attributes_unknown": _said(_list(_TEXT), "Attributes known after apply."),
            "create_first": _said(_FLAG, "A replacement is made before the old object goes."),
            "demand": _said(
                {"type": "object"},
                "Where it runs and what it asks for, as far as anything is said: executor, cpu, "
                "gpu, memory (bytes), timeout (seconds), attempts, backoff, retry_on, pools.",
            ),
            "purge": _said(_or_null(purge), "What is deleted for good with it; null: nothing."),
            "deposed": _said(_TEXT, "Its folder, if an earlier replacement left it behind."),
        }
    )
    header = _object(
        {
            "spec": _DIGEST,
            "lineage": _TEXT,
            "serial": _WHOLE,
            "observations": _DIGEST,
            "as_of": _or_null(_TEXT),
            "lock": _DIGEST,
        }
    )
    drift = _object(
        {
            "address": _TEXT,
            "attribute": _said(_or_null(_TEXT), "Null: the thing is gone."),
            "before": _ANY,
            "after": _ANY,
            "counts": _said(_FLAG, "Whether the digest of the resource has it."),
        }
    )
    output = _object({"sensitive": _FLAG, "known": _FLAG, "value": _ANY})
    output_change = _object({"action": {"enum": ["add", "change", "remove"]}, "before": _ANY})
    body = _object(
        {
            "format_version": {"const": VERSION},
            "header": _said(header, "What the plan is a function of: equal inputs, equal plan."),
            "targets": _list(_TEXT),
            "excluded": _list(_TEXT),
            "steps": _said(_list(step), "Needed ones first, then what goes."),
            "outputs": _map(output),
            "output_changes": _said(_map(output_change), "What is certain to be recorded anew."),
            "moved": _list(_object({"from": _TEXT, "to": _TEXT})),
            "deferred": _list(_object({"address": _TEXT, "waits_for": _list(_TEXT)})),
            "checks": _list(_TEXT),
            "destroy": _said(_FLAG, "Everything is taken down, whatever is declared."),
            "left_out": _said(_map(_TEXT), "Not planned: address to the excluded one it needs."),
            "refresh": _said({"enum": ["all", "stale", "none", "only"]}, "What was looked at."),
            "unseen": _said(_list(_TEXT), "Not looked at anew: the last look is young enough."),
            "purging": _said(_or_null(purging), "How data are deleted; null: they are kept."),
            "drift": _said(_list(drift), "Whatever is not as recorded, whether it counts or not."),
            "notes": _list(_object({"what": _TEXT, "address": _TEXT, "text": _TEXT})),
            "diagnostics": _said(_list(_problem()), "What there is to warn of."),
            "totals": _totals(),
        }
    )
    said = (
        'What `plan -json` and `show -json PLAN` print. In values, {"$handle": …} is a resource or '
        'an artifact with its digest, {"$sensitive": true} a secret, {"$unknown": "…"} an '
        "expression that applying settles. Durations are in seconds."
    )
    return {"$schema": _DRAFT, "title": "mlform plan", "description": said, **body}


def _totals() -> Schema:
    length = _object({"work": _NUMBER, "clock": _NUMBER})
    time = _object(
        {
            "parallelism": _WHOLE,
            "certain": _said(length, "What runs for certain, at p50."),
            "likely": _said(length, "With what may run, by how likely that is."),
            "worst": _said(length, "All that may run, at p90."),
            "without_history": _said(_list(_TEXT), "Not counted: nothing like it ran before."),
        }
    )
    accuracy = _object({"steps": _WHOLE, "median": _NUMBER, "worst": _NUMBER, "within": _WHOLE})
    return _object(
        {
            "actions": _map(_WHOLE),
            "imports": _WHOLE,
            "empty": _said(_FLAG, "Whether applying would change nothing."),
            "time": _or_null(time),
            "accuracy": _said(_or_null(accuracy), "How far the last estimates were off."),
        }
    )


def _problem() -> Schema:
    point = _object({"line": _WHOLE, "column": _WHOLE})
    place = _or_null(_object({"file": _TEXT, "start": point, "end": point}))
    return _object(
        {
            "severity": {"enum": ["error", "warning"]},
            "summary": _TEXT,
            "detail": _TEXT,
            "address": _or_null(_TEXT),
            "range": place,
            "context": place,
        }
    )


def _diagnostics() -> Schema:
    counts = {"valid": _FLAG, "error_count": _WHOLE, "warning_count": _WHOLE}
    holder = dict.fromkeys(("id", "owner", "operation", "since"), _TEXT)
    work = {"resources": _list(_TEXT), "more": _WHOLE, "until": _or_null(_TEXT)}
    body = _object({"type": {"const": "diagnostics"}, **counts, "diagnostics": _list(_problem())})
    # Only where the state is locked by someone else.
    body["properties"]["lock"] = _object({**holder, "pid": _WHOLE, **work})
    return body


def diagnostics() -> Schema:
    """Return the shape of the problems a command reports."""
    return {"$schema": _DRAFT, "title": "mlform diagnostics", **_diagnostics()}


def events() -> Schema:
    """Return the shape of one line of ``apply -json``."""
    number: Schema = {"type": "number"}
    reason = _object({"what": _TEXT, "subject": _TEXT, "at": _TEXT})
    kinds: dict[str, dict[str, Schema]] = {
        "started": {
            "action": _ACTION,
            "reasons": _list(reason),
            "expected": _said(_or_null(number), "Seconds it took before, at the median."),
        },
        "progress": {"done": number, "total": _or_null(number), "note": _TEXT},
        "log": {"text": _TEXT},
        "finished": {
            "action": _ACTION,
            "seconds": number,
            "digest": _or_null(_DIGEST),
            "changed": _FLAG,
            "summary": _TEXT,
        },
        "looked": {"done": _WHOLE, "total": _WHOLE},
        "imported": {"id": _TEXT, "digest": _DIGEST},
        "adopted": {"attributes": _list(_TEXT), "digest": _DIGEST},
        "held": {"reasons": _list(_TEXT)},
        "failed": {"summary": _TEXT, "detail": _TEXT, "at": _TEXT},
        "skipped": {"because": _TEXT},
        "interrupted": {},
    }
    shapes = [
        _object({"type": {"const": name}, "address": _TEXT, **fields})
        for name, fields in kinds.items()
    ]
    begun: dict[str, Schema] = {
        "type": {"const": "begun"},
        "run": _TEXT,
        "steps": _WHOLE,
        "expected": _said(_or_null(number), "Seconds on the clock of what runs for certain."),
        "most": _said(_or_null(number), "Seconds on the clock in the worst case."),
    }
    shapes.append(_object(begun))
    shapes.append(
        _object(
            {
                "type": {"const": "outcome"},
                "complete": _FLAG,
                "interrupted": _FLAG,
                "done": _map(_ACTION),
                "imported": _map(_TEXT),
                "adopted": _list(_TEXT),
                "held": _map(_list(_TEXT)),
                "failed": _list(_TEXT),
                "skipped": _list(_TEXT),
                "kept": _list(_TEXT),
                "purged": _or_null(_object({"objects": _WHOLE, "size": _WHOLE, "left": _WHOLE})),
                "seconds": _said(number, "On the clock."),
                "spent": _said(_map(number), "Seconds that each step took."),
                "spared": _list(_object({"address": _TEXT, "cause": _TEXT, "seconds": number})),
                "warnings": _list(_object({"summary": _TEXT, "detail": _TEXT, "at": _TEXT})),
                "outputs": {"type": "object"},
                "output_changes": _map({"enum": ["add", "change", "remove"]}),
            }
        )
    )
    shapes.append(
        _object(
            {
                "type": {"const": "trigger"},
                "address": _TEXT,
                "alarms": _list(_TEXT),
                "advances": _list(_TEXT),
                "why": _TEXT,
                "consumed": _FLAG,
            }
        )
    )
    shapes.append(_said(_diagnostics(), "Errors, or what there was to warn of."))
    return {"$schema": _DRAFT, "title": "mlform events", "oneOf": shapes}


def state() -> Schema:
    """Return the shape of ``show -json``."""
    record = _object(
        {
            "address": _TEXT,
            "type": _TEXT,
            "digest": _DIGEST,
            "key": _DIGEST,
            "decision_key": _or_null(_DIGEST),
            "arguments": {"type": "object"},
            "attributes": {"type": "object"},
            "parts": _map(_TEXT),
            "environment": _map(_TEXT),
            "needs": _list(_TEXT),
            "held": _list(_TEXT),
            "protected": _FLAG,
            "receipt": {"type": "object"},
            "create_first": _FLAG,
            "deposed": _list({"type": "object"}),
        }
    )
    body = _object(
        {
            "lineage": _TEXT,
            "serial": _WHOLE,
            "outputs": _map(_object({"value": _ANY, "sensitive": _FLAG})),
            "resources": _list(record),
        }
    )
    return {"$schema": _DRAFT, "title": "mlform state", **body}
