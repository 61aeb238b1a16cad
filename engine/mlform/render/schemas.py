"""The shapes of what machines read, as JSON Schema. ``schema/`` is written from here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlform.plan import Action
from mlform.plan.model import FORMAT

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


def _reason() -> Schema:
    return _object({"what": _TEXT}, {"subject": _TEXT, "before": _ANY, "after": _ANY, "at": _TEXT})


def _estimate() -> Schema:
    return _object(
        {
            "expected": _or_null(_NUMBER),
            "most": _or_null(_NUMBER),
            "runs": _WHOLE,
            "rows": _or_null(_WHOLE),
            "changed": _WHOLE,
            "compared": _WHOLE,
            "chance": _NUMBER,
        }
    )


def plan() -> Schema:
    """Return the shape of a plan file."""
    conditions = _list(_list({"type": "object"}))
    output = _object({"value": _ANY, "sensitive": _FLAG, "before": conditions})
    step = _object(
        {
            "address": _TEXT,
            "type": _TEXT,
            "provider": _TEXT,
            "action": _ACTION,
            "arguments": {"type": "object"},
            "reasons": _list(_reason()),
            "refers_to": _list(_TEXT),
            "needs": _list(_TEXT),
            "at": _map(_TEXT),
            "key": _or_null(_DIGEST),
            "parts": _or_null(_map(_TEXT)),
            "rows": _or_null(_WHOLE),
            "code": {"type": "object"},
            "environment": _or_null(_map(_TEXT)),
            "protected": _FLAG,
            "estimate": _or_null(_estimate()),
            "gone": _FLAG,
            "moved": _FLAG,
            "ignored": _list(_TEXT),
            "quiet": _FLAG,
            "before": conditions,
            "after": conditions,
            "again": _FLAG,
            "create_first": _FLAG,
        }
    )
    body = _object(
        {
            "format": {"const": FORMAT},
            "lineage": _TEXT,
            "serial": _WHOLE,
            "spec": _DIGEST,
            "observations": _DIGEST,
            "lock": _DIGEST,
            "as_of": _or_null(_TEXT),
            "targets": _list(_TEXT),
            "excluded": _list(_TEXT),
            "settings": {"type": "object"},
            "steps": _list(step),
            "outputs": _map(output),
            "moves": _map(_TEXT),
            "deferred": _map(_list(_TEXT)),
            "checks": _map(conditions),
            "accuracy": _or_null(
                _object({"steps": _WHOLE, "median": _NUMBER, "worst": _NUMBER, "within": _WHOLE})
            ),
            "notes": _list(_object({"what": _TEXT, "address": _TEXT, "text": _TEXT})),
        }
    )
    return {"$schema": _DRAFT, "title": "mlform plan", **body}


def diagnostics() -> Schema:
    """Return the shape of the problems a command reports."""
    point = _object({"line": _WHOLE, "column": _WHOLE})
    place = _or_null(_object({"file": _TEXT, "start": point, "end": point}))
    problem = _object(
        {
            "severity": {"enum": ["error", "warning"]},
            "summary": _TEXT,
            "detail": _TEXT,
            "address": _or_null(_TEXT),
            "range": place,
            "context": place,
        }
    )
    counts = {"valid": _FLAG, "error_count": _WHOLE, "warning_count": _WHOLE}
    body = _object({"type": {"const": "diagnostics"}, **counts, "diagnostics": _list(problem)})
    return {"$schema": _DRAFT, "title": "mlform diagnostics", **body}


def events() -> Schema:
    """Return the shape of one line of ``apply -json``."""
    number: Schema = {"type": "number"}
    reason = _object({"what": _TEXT, "subject": _TEXT, "at": _TEXT})
    kinds: dict[str, dict[str, Schema]] = {
        "started": {"action": _ACTION, "reasons": _list(reason)},
        "progress": {"done": number, "total": _or_null(number), "note": _TEXT},
        "log": {"text": _TEXT},
        "finished": {
            "action": _ACTION,
            "seconds": number,
            "digest": _or_null(_DIGEST),
            "changed": _FLAG,
            "summary": _TEXT,
        },
        "held": {"reasons": _list(_TEXT)},
        "failed": {"summary": _TEXT, "detail": _TEXT, "at": _TEXT},
        "skipped": {"because": _TEXT},
        "interrupted": {},
    }
    shapes = [
        _object({"type": {"const": name}, "address": _TEXT, **fields})
        for name, fields in kinds.items()
    ]
    shapes.append(
        _object(
            {
                "type": {"const": "outcome"},
                "complete": _FLAG,
                "interrupted": _FLAG,
                "done": _map(_ACTION),
                "held": _map(_list(_TEXT)),
                "failed": _list(_TEXT),
                "skipped": _list(_TEXT),
                "kept": _list(_TEXT),
                "warnings": _list(_object({"summary": _TEXT, "detail": _TEXT, "at": _TEXT})),
                "outputs": {"type": "object"},
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
