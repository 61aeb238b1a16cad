"""What those who call a model rely on, and whether another model keeps to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from pydantic import Field

from mlform.sdk import Arguments, Artifact, Handle

ColumnType: TypeAlias = Literal["int64", "float64", "string", "bool", "timestamp"]
_MEGABYTE = 1_000_000
_WIDER = {("int64", "float64"), ("bool", "int64"), ("bool", "float64")}
"""What is sent as the first is taken as the second."""


class Contract(Arguments):
    """What a model must keep to before a channel has it.

    ``signature = "compatible"``: it takes what the channel's model before took, so that no caller
    has to send more or other columns, and answers in the same way.
    """

    signature: Literal["compatible", "any"] = "compatible"
    inputs: dict[str, ColumnType] | None = None
    """What callers send: column → type. The model may need no other column."""
    max_mb: float | None = Field(default=None, gt=0)
    """How large the model may be, in millions of bytes."""
    p99_ms: float | None = Field(default=None, gt=0)
    """How long one row in a hundred may take at least, as measured by a gate of the channel."""


def broken(
    rules: Contract, candidate: Artifact, before: Artifact | None, gates: Sequence[Handle]
) -> list[str]:
    """Return how a model breaks a contract: each difference, in words. Pure."""
    found = list(_signature(rules, candidate.about, before))
    if rules.max_mb is not None and candidate.size > rules.max_mb * _MEGABYTE:
        found.append(
            f"it has {candidate.size / _MEGABYTE:.3g} MB, and {rules.max_mb:g} are allowed"
        )
    if rules.p99_ms is not None:
        found += _latency(rules.p99_ms, gates)
    return found


def _signature(rules: Contract, about: Mapping[str, Any], before: Artifact | None) -> Iterator[str]:
    needed = _inputs(about)
    if rules.inputs is not None:
        yield from _lacking(rules.inputs, needed, "callers send")
    if rules.signature == "any" or before is None or needed is None:
        return
    sent = _inputs(before.about)
    if sent is not None and rules.inputs is None:
        yield from _lacking(sent, needed, "the model before took")
    for word, name in (("task", "task"), ("classes", "classes"), ("target", "target")):
        was, now = before.about.get(name), about.get(name)
        if was is not None and now is not None and was != now:
            yield f"its {word} is {_said(now)}, not {_said(was)}"


def _inputs(about: Mapping[str, Any]) -> Mapping[str, str | None] | None:
    """Return the columns a model needs with their types, as far as it says them of itself."""
    if "features" not in about:
        return None
    types = about.get("types") or {}
    return {name: types.get(name) for name in about["features"]}


def _lacking(
    sent: Mapping[str, Any], needed: Mapping[str, str | None] | None, who: str
) -> Iterator[str]:
    for name, kind in (needed or {}).items():
        if name not in sent:
            of = f" ({kind})" if kind else ""
            yield f"it needs the column {name}{of}, which is none that {who}"
        elif kind and sent[name] and kind != sent[name] and (sent[name], kind) not in _WIDER:
            yield f"it takes {name} as {kind}, and {who} {sent[name]}"


def _latency(most: float, gates: Sequence[Handle]) -> Iterator[str]:
    measured = [
        (gate.address, found)
        for gate in gates
        if (found := (gate.attributes.get("costs") or {}).get("p99_ms")) is not None
    ]
    if not measured:
        yield "no gate that the channel requires has measured p99_ms"
    for address, found in measured:
        if found > most:
            yield f"{address} measured {found:.3g} ms for p99_ms, and {most:g} are allowed"


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
