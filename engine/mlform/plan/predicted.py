"""What is known of a result before there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from mlform.config import ResourceConfig
from mlform.diagnostics import Diagnostics
from mlform.plan.decide import Decision, refreshed
from mlform.plan.model import OPEN, QUIET, Action
from mlform.refresh.world import Wanted, arranged, stored
from mlform.sdk import AnyResource, Resource, ResourceError
from mlform.sdk.fields import FieldRule, fields_under
from mlform.state.model import Record


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
    found: dict[str, Any] = dict.fromkeys(offered.attributes.model_fields, OPEN)
    old = record if stays and record is not None and record.type == offered.type else None
    if old is not None:
        old = refreshed(offered, old, observed) if observed is not None else old
        kept = fields_under(offered.attributes, FieldRule.STABLE) & old.attributes.keys()
        found |= {n: old.attributes[n] for n in kept}
    found |= _told(offered, arguments, old)
    asked = type(offered).predict is not Resource.predict
    if asked and arguments.model is not None and not arguments.open:
        before = None if old is None else stored(offered, old)
        try:
            told = offered.predict(arguments.model, before)
        except ResourceError as error:
            at = resource.arguments.get(error.argument or "")
            span = at.value_span if at else resource.span
            diagnostics.error(error.summary, error.detail, at=span, of=resource.address)
            return found
        found |= {n: v for n, v in to_jsonable_python(dict(told)).items() if n in found}
    return arranged(offered.attributes, found)


def _told(resource: AnyResource, arguments: Wanted, old: Record | None) -> dict[str, Any]:
    """Return the attributes that say what arguments are, of which those are known."""
    chosen = fields_under(resource.arguments, FieldRule.DEFAULTED)
    found = {}
    for name in fields_under(resource.attributes, FieldRule.ACTUAL):
        if name in arguments.open or name not in arguments.data:
            continue
        if name not in chosen or arguments.data[name] is not None:
            found[name] = arguments.data[name]
        elif old is not None:
            found[name] = old.attributes.get(name, OPEN)
    return found


def broken(expected: Mapping[str, Any], attributes: Mapping[str, Any]) -> list[str]:
    """Return what did not come out as it was predicted."""
    return sorted(n for n, v in expected.items() if v != OPEN and attributes.get(n) != v)
