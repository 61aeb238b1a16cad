"""What is known of a result before there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from mlform.config import ResourceConfig
from mlform.diagnostics import Diagnostics
from mlform.plan.decide import Decision, refreshed
from mlform.plan.model import OPEN, QUIET, Action
from mlform.refresh.problems import spot
from mlform.refresh.world import TRIGGERS, Wanted, arranged, stored
from mlform.sdk import AnyResource, Resource, ResourceError
from mlform.sdk.fields import FieldRule, fields_under
from mlform.state.model import Record
from mlform.values import canonical, concealed


def expected(
    resource: ResourceConfig,
    arguments: Wanted,
    decision: Decision,
    record: Record | None,
    observed: Mapping[str, Any] | None,
    diagnostics: Diagnostics,
    *,
    stays: bool,
) -> dict[str, Any]:
    """Return each attribute of what a step will make, ``OPEN`` where only applying can tell.

    ``stays``: what is there is changed, and not replaced. Empty for a step that makes nothing.
    """
    offered = resource.offer.resource
    if decision.action in QUIET or decision.quiet or decision.action is Action.REUSE:
        return {}
    checked(resource, arguments, diagnostics)
    found: dict[str, Any] = dict.fromkeys(offered.attributes.model_fields, OPEN)
    old = record if stays and record is not None and record.type == offered.type else None
    if old is not None:
        old = refreshed(offered, old, observed) if observed is not None else old
        kept = fields_under(offered.attributes, FieldRule.STABLE) & old.attributes.keys()
        found |= {n: old.attributes[n] for n in kept}
    found |= _told(offered, arguments, old)
    asked = type(offered).predict is not Resource.predict
    # What only triggers can tell is whether it is made anew: settled where that is certain.
    waits = arguments.open - (set() if decision.action is Action.MAYBE else {TRIGGERS})
    if asked and arguments.model is not None and not waits:
        before = None if old is None else stored(offered, old)
        try:
            told = offered.predict(arguments.model, before)
        except ResourceError as error:
            _blame(resource, error, diagnostics)
            return found
        found |= {n: v for n, v in to_jsonable_python(dict(told)).items() if n in found}
    hidden = _hidden(arguments)
    shown = {n: OPEN if _reveals(v, hidden) else v for n, v in found.items()}
    return dict(arranged(offered.attributes, shown))


def checked(resource: ResourceConfig, arguments: Wanted, diagnostics: Diagnostics) -> None:
    """Note what the type says to be wrong with arguments by themselves."""
    offered = resource.offer.resource
    if arguments.model is None or type(offered).check is Resource.check:
        return
    try:
        offered.check(arguments.model)
    except ResourceError as error:
        _blame(resource, error, diagnostics)


def _blame(resource: ResourceConfig, error: ResourceError, diagnostics: Diagnostics) -> None:
    at = resource.arguments.get(error.argument or "")
    span = spot(at, error.detail) if at else resource.span
    diagnostics.error(error.summary, error.detail, at=span, of=resource.address)


def _hidden(arguments: Wanted) -> frozenset[str]:
    """Return the values, as JSON, that no plan may hold: of sensitive and write-only arguments."""
    data = arguments.data
    secret = {n: v for n, v in arguments.given.items() if n not in data or concealed(data[n])}
    return frozenset(canonical(v) for v in _leaves(secret) if v is not None)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(inner)
    else:
        yield value


def _reveals(value: Any, hidden: frozenset[str]) -> bool:
    """Tell whether anything hidden is in a value, or part of a text in it."""
    if not hidden:
        return False
    texts = [canonical(v).strip('"') for v in _leaves(value) if v is not None]
    return any(h.strip('"') in text for h in hidden for text in texts)


def _told(resource: AnyResource, arguments: Wanted, old: Record | None) -> dict[str, Any]:
    """Return the attributes that say what arguments are, of which those are known."""
    chosen = fields_under(resource.arguments, FieldRule.DEFAULTED)
    found = {}
    for name in fields_under(resource.attributes, FieldRule.ACTUAL):
        if name in arguments.open or concealed(arguments.data.get(name, OPEN)):
            continue
        if name not in arguments.data:
            continue
        if name not in chosen or arguments.data[name] is not None:
            found[name] = arguments.data[name]
        elif old is not None:
            found[name] = old.attributes.get(name, OPEN)
    return found


def broken(expected: Mapping[str, Any], attributes: Mapping[str, Any]) -> list[str]:
    """Return what did not come out as it was predicted."""
    return sorted(n for n, v in expected.items() if v != OPEN and attributes.get(n) != v)
