"""The shapes of what machines read, as JSON Schema. ``schema/`` is written from here."""

from __future__ import annotations

from mlform.render.document import VERSION
from mlform.render.shapes import (
    ACTION,
    ANY,
    DIGEST,
    DRAFT,
    FLAG,
    NUMBER,
    TEXT,
    WHOLE,
    Schema,
    list_of,
    map_of,
    object_of,
    or_null,
    told,
)


def _estimate() -> Schema:
    return object_of(
        {
            "expected": told(or_null(NUMBER), "p50; null where nothing like it was done before."),
            "most": told(or_null(NUMBER), "p90."),
            "runs": told(WHOLE, "How many earlier runs it is made from."),
            "rows": told(or_null(WHOLE), "Of the largest dataset it is made from."),
            "changed": told(WHOLE, "How often its output changed ..."),
            "compared": told(WHOLE, "... of so many times."),
            "chance": told(NUMBER, "How likely it is to run at all."),
        }
    )


def _reason() -> Schema:
    return object_of(
        {
            "what": TEXT,
            "subject": TEXT,
            "before": ANY,
            "after": ANY,
            "at": told(or_null(TEXT), "Where it is written: file:line:column."),
            "through": told(list_of(TEXT), "Resources that the value was taken from."),
            "text": told(TEXT, "The reason in words."),
        }
    )


def why() -> Schema:
    """Return the shape of ``why -json``."""
    rows = {"type": "array", "items": or_null(WHOLE), "minItems": 2, "maxItems": 2}
    person = object_of({"by": TEXT, "at": TEXT})
    link = object_of(
        {
            "address": TEXT,
            "action": TEXT,
            "run": TEXT,
            "at": TEXT,
            "by": TEXT,
            "reasons": list_of(_reason()),
            "rows": told(or_null(rows), "Before and after, where data moved."),
            "facets": told(
                or_null(list_of(TEXT)),
                "Columns and the like whose values changed, where data moved; none: only their "
                "encoding did.",
            ),
            "alarm": told(or_null(TEXT), "The event whose trigger moved the data."),
            "person": told(or_null(person), "Who moved the pin by `mlform update`, and when."),
            "also": told(list_of(TEXT), "What else came out different upstream."),
        }
    )
    said = "Each link is caused by the next; the last is the cause of all."
    return {"$schema": DRAFT, "title": "mlform why", "description": said, **list_of(link)}


def why_not() -> Schema:
    """Return the shape of ``why -not -json``."""
    body = object_of(
        {
            "address": TEXT,
            "cause": told(TEXT, "One word: unchanged, cutoff, reuse, decide, held, …"),
            "text": TEXT,
            "does": told(FLAG, "Whether it ran, or will, after all."),
            "run": told(or_null(TEXT), "The run it is about; null: a plan."),
            "reasons": list_of(_reason()),
            "looked_at": told(map_of(list_of(TEXT)), "What its key is made of, by kind."),
            "details": list_of(TEXT),
        }
    )
    return {"$schema": DRAFT, "title": "mlform why -not", **body}


def savings() -> Schema:
    """Return the shape of ``savings -json``."""
    saved = object_of({"steps": WHOLE, "seconds": NUMBER})
    body = object_of(
        {
            "runs": WHOLE,
            "first": or_null(TEXT),
            "last": or_null(TEXT),
            "worked": told(NUMBER, "Seconds of work that was done."),
            "saved": saved,
            "causes": map_of(saved),
            "addresses": map_of(NUMBER),
            "untouched": told(saved, "Steps that plans left alone: not counted as saved."),
        }
    )
    return {"$schema": DRAFT, "title": "mlform savings", **body}


def plan() -> Schema:
    """Return the shape of ``plan -json`` and ``show -json PLAN``."""
    anything: Schema = {"type": "object"}
    key: Schema = {"type": ["string", "integer", "null"]}
    imported = object_of(
        {
            "id": TEXT,
            "at": or_null(TEXT),
            "arguments": told(anything, "Those that could be read of it."),
            "attributes": anything,
        }
    )
    hold = object_of(
        {
            "artifact": DIGEST,
            "by": TEXT,
            "how": {"enum": ["serves", "served", "used"]},
            "until": or_null(TEXT),
            "through": told(list_of(TEXT), "From what serves down to what made the artifact."),
            "text": TEXT,
        }
    )
    purge = object_of(
        {
            "artifacts": told(map_of(WHOLE), "Bytes by digest."),
            "size": WHOLE,
            "held": list_of(hold),
        }
    )
    purging = object_of(
        {
            "window": told(NUMBER, "The audit window in seconds."),
            "shared": told(FLAG, "The store is shared: `store gc` deletes the artifacts."),
        }
    )
    step = object_of(
        {
            "address": TEXT,
            "module": told(or_null(TEXT), "The module instance; null in the root module."),
            "kind": TEXT,
            "type": TEXT,
            "name": TEXT,
            "key": told(key, "The key of the instance under count or for_each."),
            "provider": TEXT,
            "action": ACTION,
            "reasons": list_of(_reason()),
            "needs": told(list_of(TEXT), "Steps that must be over before."),
            "refers_to": told(list_of(TEXT), "Resources that its arguments mention."),
            "before": told(or_null(anything), "Arguments as recorded; null: nothing is."),
            "after": told(or_null(anything), "Arguments as wanted, as far as known; null: gone."),
            "unknown": told(map_of(TEXT), "Arguments known after apply: their expressions."),
            "written_at": map_of(TEXT),
            "action_key": or_null(DIGEST),
            "parts": told(or_null(map_of(TEXT)), "What lies at its source, by digest."),
            "rows": or_null(WHOLE),
            "protected": FLAG,
            "estimate": or_null(_estimate()),
            "adopted": told(FLAG, "Recorded as it was found, before anything else is done."),
            "imported": told(or_null(imported), "What exists already and is recorded first."),
            "attributes": told(anything, "What its attributes will be, as far as known."),
            "attributes_unknown": told(list_of(TEXT), "Attributes known after apply."),
            "create_first": told(FLAG, "A replacement is made before the old object goes."),
            "demand": told(
                {"type": "object"},
                "Where it runs and what it asks for, as far as anything is said: executor, cpu, "
                "gpu, memory (bytes), timeout (seconds), attempts, backoff, retry_on, pools.",
            ),
            "purge": told(or_null(purge), "What is deleted for good with it; null: nothing."),
            "deposed": told(TEXT, "Its folder, if an earlier replacement left it behind."),
        }
    )
    header = object_of(
        {
            "spec": DIGEST,
            "lineage": TEXT,
            "serial": WHOLE,
            "observations": DIGEST,
            "as_of": or_null(TEXT),
            "lock": DIGEST,
        }
    )
    drift = object_of(
        {
            "address": TEXT,
            "attribute": told(or_null(TEXT), "Null: the thing is gone."),
            "before": ANY,
            "after": ANY,
            "counts": told(FLAG, "Whether the digest of the resource has it."),
        }
    )
    output = object_of({"sensitive": FLAG, "known": FLAG, "value": ANY})
    output_change = object_of({"action": {"enum": ["add", "change", "remove"]}, "before": ANY})
    body = object_of(
        {
            "format_version": {"const": VERSION},
            "header": told(header, "What the plan is a function of: equal inputs, equal plan."),
            "targets": list_of(TEXT),
            "excluded": list_of(TEXT),
            "steps": told(list_of(step), "Needed ones first, then what goes."),
            "outputs": map_of(output),
            "output_changes": told(map_of(output_change), "What is certain to be recorded anew."),
            "moved": list_of(object_of({"from": TEXT, "to": TEXT})),
            "deferred": list_of(object_of({"address": TEXT, "waits_for": list_of(TEXT)})),
            "checks": list_of(TEXT),
            "destroy": told(FLAG, "Everything is taken down, whatever is declared."),
            "left_out": told(map_of(TEXT), "Not planned: address to the excluded one it needs."),
            "refresh": told({"enum": ["all", "stale", "none", "only"]}, "What was looked at."),
            "unseen": told(list_of(TEXT), "Not looked at anew: the last look is young enough."),
            "purging": told(or_null(purging), "How data are deleted; null: they are kept."),
            "drift": told(list_of(drift), "Whatever is not as recorded, whether it counts or not."),
            "notes": list_of(object_of({"what": TEXT, "address": TEXT, "text": TEXT})),
            "diagnostics": told(list_of(_problem()), "What there is to warn of."),
            "totals": _totals(),
        }
    )
    said = (
        'What `plan -json` and `show -json PLAN` print. In values, {"$handle": …} is a resource or '
        'an artifact with its digest, {"$sensitive": true} a secret, {"$unknown": "…"} an '
        "expression that applying settles. Durations are in seconds."
    )
    return {"$schema": DRAFT, "title": "mlform plan", "description": said, **body}


def _totals() -> Schema:
    length = object_of({"work": NUMBER, "clock": NUMBER})
    time = object_of(
        {
            "parallelism": WHOLE,
            "certain": told(length, "What runs for certain, at p50."),
            "likely": told(length, "With what may run, by how likely that is."),
            "worst": told(length, "All that may run, at p90."),
            "without_history": told(list_of(TEXT), "Not counted: nothing like it ran before."),
        }
    )
    accuracy = object_of({"steps": WHOLE, "median": NUMBER, "worst": NUMBER, "within": WHOLE})
    return object_of(
        {
            "actions": map_of(WHOLE),
            "imports": WHOLE,
            "empty": told(FLAG, "Whether applying would change nothing."),
            "time": or_null(time),
            "accuracy": told(or_null(accuracy), "How far the last estimates were off."),
        }
    )


def _problem() -> Schema:
    point = object_of({"line": WHOLE, "column": WHOLE})
    place = or_null(object_of({"file": TEXT, "start": point, "end": point}))
    return object_of(
        {
            "severity": {"enum": ["error", "warning"]},
            "summary": TEXT,
            "detail": TEXT,
            "address": or_null(TEXT),
            "range": place,
            "context": place,
        }
    )


def _diagnostics() -> Schema:
    counts = {"valid": FLAG, "error_count": WHOLE, "warning_count": WHOLE}
    holder = dict.fromkeys(("id", "owner", "operation", "since"), TEXT)
    work = {"resources": list_of(TEXT), "more": WHOLE, "until": or_null(TEXT)}
    body = object_of(
        {"type": {"const": "diagnostics"}, **counts, "diagnostics": list_of(_problem())}
    )
    # Only where the state is locked by someone else.
    body["properties"]["lock"] = object_of({**holder, "pid": WHOLE, **work})
    return body


def diagnostics() -> Schema:
    """Return the shape of the problems a command reports."""
    return {"$schema": DRAFT, "title": "mlform diagnostics", **_diagnostics()}


def events() -> Schema:
    """Return the shape of one line of ``apply -json``."""
    number: Schema = {"type": "number"}
    reason = object_of({"what": TEXT, "subject": TEXT, "at": TEXT})
    kinds: dict[str, dict[str, Schema]] = {
        "started": {
            "action": ACTION,
            "reasons": list_of(reason),
            "expected": told(or_null(number), "Seconds it took before, at the median."),
        },
        "progress": {"done": number, "total": or_null(number), "note": TEXT},
        "log": {"text": TEXT},
        "finished": {
            "action": ACTION,
            "seconds": number,
            "digest": or_null(DIGEST),
            "changed": FLAG,
            "summary": TEXT,
        },
        "looked": {"done": WHOLE, "total": WHOLE},
        "imported": {"id": TEXT, "digest": DIGEST},
        "adopted": {"attributes": list_of(TEXT), "digest": DIGEST},
        "held": {"reasons": list_of(TEXT)},
        "failed": {"summary": TEXT, "detail": TEXT, "at": TEXT},
        "skipped": {"because": TEXT},
        "interrupted": {},
    }
    shapes = [
        object_of({"type": {"const": name}, "address": TEXT, **fields})
        for name, fields in kinds.items()
    ]
    begun: dict[str, Schema] = {
        "type": {"const": "begun"},
        "run": TEXT,
        "steps": WHOLE,
        "expected": told(or_null(number), "Seconds on the clock of what runs for certain."),
        "most": told(or_null(number), "Seconds on the clock in the worst case."),
    }
    shapes.append(object_of(begun))
    shapes.append(
        object_of(
            {
                "type": {"const": "outcome"},
                "complete": FLAG,
                "interrupted": FLAG,
                "done": map_of(ACTION),
                "imported": map_of(TEXT),
                "adopted": list_of(TEXT),
                "held": map_of(list_of(TEXT)),
                "failed": list_of(TEXT),
                "skipped": list_of(TEXT),
                "kept": list_of(TEXT),
                "purged": or_null(object_of({"objects": WHOLE, "size": WHOLE, "left": WHOLE})),
                "seconds": told(number, "On the clock."),
                "spent": told(map_of(number), "Seconds that each step took."),
                "spared": list_of(object_of({"address": TEXT, "cause": TEXT, "seconds": number})),
                "warnings": list_of(object_of({"summary": TEXT, "detail": TEXT, "at": TEXT})),
                "outputs": {"type": "object"},
                "output_changes": map_of({"enum": ["add", "change", "remove"]}),
            }
        )
    )
    shapes.append(
        object_of(
            {
                "type": {"const": "trigger"},
                "address": TEXT,
                "alarms": list_of(TEXT),
                "advances": list_of(TEXT),
                "why": TEXT,
                "consumed": FLAG,
            }
        )
    )
    shapes.append(told(_diagnostics(), "Errors, or what there was to warn of."))
    return {"$schema": DRAFT, "title": "mlform events", "oneOf": shapes}


def state() -> Schema:
    """Return the shape of ``show -json``."""
    record = object_of(
        {
            "address": TEXT,
            "type": TEXT,
            "digest": DIGEST,
            "key": DIGEST,
            "decision_key": or_null(DIGEST),
            "arguments": {"type": "object"},
            "attributes": {"type": "object"},
            "parts": map_of(TEXT),
            "environment": map_of(TEXT),
            "needs": list_of(TEXT),
            "held": list_of(TEXT),
            "protected": FLAG,
            "receipt": {"type": "object"},
            "create_first": FLAG,
            "deposed": list_of({"type": "object"}),
        }
    )
    body = object_of(
        {
            "lineage": TEXT,
            "serial": WHOLE,
            "outputs": map_of(object_of({"value": ANY, "sensitive": FLAG})),
            "resources": list_of(record),
        }
    )
    return {"$schema": DRAFT, "title": "mlform state", **body}
