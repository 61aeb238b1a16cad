"""A dossier: one resource, and everything that led to it, for people and machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlform.diagnostics import counted
from mlform.render.style import Styled
from mlform.render.values import size, value
from mlform.state.dossier import Agreed, Dossier, Verified
from mlform.state.lineage import Made, Version, artifacts
from mlform.values import short, without_marks

FORMAT: Final = 1
"""Version of a dossier. Raised with any change that is no addition."""
_DATA: Final = frozenset({"dataset", "feature_view"})
_TOLD: Final = frozenset({"run", "by", "at", "commit", "dirty", "imported", "adopted", "made"})


def dossier_data(it: Dossier) -> dict[str, Any]:
    """Return a dossier as plain data."""
    found = [_made(m) for m in it.chain]
    last = it.entries[-1] if it.entries else None
    return {
        "format": FORMAT,
        "address": it.address,
        "state": {
            "lineage": it.lineage,
            "serial": it.fold.serial,
            "at": it.fold.at and it.fold.at.isoformat(),
            "journal": last and {"entries": last.sequence, "sha256": last.sha256},
        },
        "resource": found[0],
        "made_from": found[1:],
        "approvals": [
            {
                **agreed.statement,
                "signature": agreed.signature,
                "key": agreed.key,
                "entry": agreed.sequence,
                "signature_valid": agreed.valid,
            }
            for agreed in it.approvals
        ],
        "alarms": [
            {
                "id": a.id,
                "monitor": a.monitor,
                "at": a.at.isoformat(),
                "payload": dict(a.payload),
                "consumed_by": dict(a.consumed_by),
            }
            for a in it.alarms
        ],
    }


def _made(it: Made) -> dict[str, Any]:
    record, version = it.version.record, it.version
    return {
        "address": version.address,
        "kind": version.kind,
        "type": record["type"],
        "serial": version.serial,
        "entry": version.sequence,
        "at": version.at.isoformat(),
        "digest": record["digest"],
        "key": record["key"],
        "arguments": without_marks(record["arguments"]),
        "attributes": record["attributes"],
        "artifacts": [dict(a) for a in artifacts(record["attributes"])],
        "parts": record.get("parts", {}),
        "code": record.get("code", {}),
        "environment": record.get("environment", {}),
        "held": record.get("held", []),
        "receipt": record.get("receipt", {}),
        "inputs": {
            a: {"entry": v.sequence, "serial": v.serial, "digest": v.record["digest"]}
            for a, v in sorted(it.inputs.items())
        },
        "missing": dict(it.missing),
    }


def dossier(it: Dossier) -> Styled:
    """Show a dossier."""
    at = "" if it.fold.at is None else f" ({it.fold.at:%Y-%m-%d %H:%M:%S} UTC)"
    said: Styled = [
        ("bold", f"{it.address}\n"),
        ("dim", f"state {it.lineage} at serial {it.fold.serial}{at}\n"),
    ]
    for title, lines in sections(it):
        said.append(("bold", f"\n{title}\n"))
        said += [("", f"  {line}\n") for line in lines] or [("dim", "  none\n")]
    return said


def sections(it: Dossier) -> Iterator[tuple[str, list[str]]]:
    """Give what a dossier says, part by part, in lines."""
    chain = [m.version for m in it.chain]
    first, *rest = chain
    yield "What it is", [*_named(first), *_arguments(first)]
    by_kind: dict[str, list[Version]] = {}
    for version in rest:
        by_kind.setdefault(version.kind, []).append(version)
    models = [v for kind in ("model", "training_job") for v in by_kind.get(kind, [])]
    yield "Model", [line for v in models for line in (*_named(v), *_models(v))]
    data = [v for v in rest if v.kind in _DATA]
    yield "Data", [line for v in data for line in (*_named(v), *_source(v))]
    yield "Code", [line for v in chain for line in _code(v)]
    yield "Environment", [line for v in chain for line in _environment(v)]
    gates = by_kind.get("gate", [])
    yield "Gates", [line for v in gates for line in (*_named(v), *_verdict(v))]
    others = [v for v in rest if v.kind not in {*_DATA, "model", "training_job", "gate"}]
    if others:
        yield "Also made from", [line for v in others for line in _named(v)]
    yield "Approvals", [line for agreed in it.approvals for line in _agreed(agreed)]
    yield "Applied by", [_applied(v) for v in chain]
    yield (
        "Alarms since",
        [f"{a.at:%Y-%m-%d %H:%M} {a.monitor}: {_alarm(a.payload)}" for a in it.alarms],
    )
    lost = [f"{a} @ {short(d)}" for m in it.chain for a, d in m.missing.items()]
    if lost:
        yield "Not in this journal", lost


def _named(it: Version) -> list[str]:
    type_ = f' "{it.record["type"]}"' if it.record["type"] else ""
    return [f"{it.address}  {it.kind}{type_}  {it.record['digest']}"]


def _arguments(it: Version) -> list[str]:
    given = it.record["arguments"]
    return [f"  {n} = {value(v)}" for n, v in given.items() if v not in (None, "", [], {})]


def _models(it: Version) -> list[str]:
    found = artifacts(it.record["attributes"])
    parts = {a["digest"]: f"  artifact {a['digest']} ({size(a['size'])})" for a in found}
    return [*_arguments(it), *parts.values()]


def _source(it: Version) -> list[str]:
    record = it.record
    rows = record["attributes"].get("rows", record.get("receipt", {}).get("rows"))
    said = [] if rows is None else [f"  {rows:,} rows"]
    if (pinned := record["arguments"].get("version")) is not None:
        said.append(f"  version = {value(pinned)}")
    parts = record.get("parts", {})
    said += [f"  {name} {digest}" for name, digest in sorted(parts.items())[:_MOST]]
    return said + ([f"  and {len(parts) - _MOST} more"] if len(parts) > _MOST else [])


_MOST: Final = 12


def _code(it: Version) -> list[str]:
    return [
        line
        for name, fact in sorted(it.record.get("code", {}).items())
        for line in (
            f"{it.address}.{name}  {fact.get('digest', '')}",
            *(f"  {f}: {', '.join(fs)}" for f, fs in sorted(fact.get("files", {}).items())),
        )
    ]


def _environment(it: Version) -> list[str]:
    found = it.record.get("environment", {})
    if not found:
        return []
    return [f"{it.address}  {', '.join(f'{n} {v}' for n, v in sorted(found.items()))}"]


def _verdict(it: Version) -> list[str]:
    attributes = it.record["attributes"]
    said = (
        []
        if "passed" not in attributes
        else [f"  {'passed' if attributes['passed'] else 'failed'}"]
    )
    if summary := attributes.get("summary"):
        said.append(f"  {summary}")
    return said + [f"  evidence {a['digest']} ({size(a['size'])})" for a in artifacts(attributes)]


def _agreed(it: Agreed) -> list[str]:
    said = it.statement
    until = f", until {said['expires']}" if said["expires"] else ""
    comment = f'  "{said["comment"]}"' if said["comment"] else ""
    fits = f"signed with {it.key}" if it.valid else "THE SIGNATURE DOES NOT FIT"
    return [f"{said['address']}  {said['by']} at {said['at']}{until}{comment}", f"  {fits}"]


def _applied(it: Version) -> str:
    receipt: Mapping[str, Any] = it.record.get("receipt", {})
    told = {n: receipt[n] for n in _TOLD if n in receipt}
    commit = f", commit {told['commit']}" if "commit" in told else ""
    dirty = " with uncommitted changes" if told.get("dirty") else ""
    who = f"{told.get('by', '?')} {told.get('at', '')} in {told.get('run', '?')}"
    made = told.get("made")
    again = f"; made first by {made.get('by', '?')} in {made.get('run', '?')}" if made else ""
    return f"{it.address}  {who}{commit}{dirty}{again}"


def _alarm(payload: Mapping[str, Any]) -> str:
    return str(payload.get("summary") or payload.get("name") or value(dict(payload)))


def verified(it: Verified) -> Styled:
    """Say what checking a state came to."""
    if it.problems:
        return [
            (
                "red bold",
                f"The state cannot be believed: {counted(len(it.problems), 'problem')}.\n",
            ),
            *(("", f"  {line}\n") for line in it.problems),
            ("", "Restore it from a backup, and find out who can write to it.\n"),
        ]
    head = f"Its last hash is {it.head}: kept elsewhere, it shows later that nothing was cut off.\n"
    return [
        ("green", f"The state is what its journal says: {it.entries} entries, each chained to "),
        ("green", f"the one before, {counted(it.records, 'record')}.\n"),
        ("dim", head if it.head else "Nothing was ever recorded.\n"),
    ]


def verified_data(it: Verified) -> dict[str, Any]:
    """Return what checking came to as plain data."""
    return {
        "valid": not it.problems,
        "entries": it.entries,
        "sha256": it.head,
        "records": it.records,
        "problems": list(it.problems),
    }
