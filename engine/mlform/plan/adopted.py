"""Arguments that keep their recorded value, whatever is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlform.lazy import replace
from mlform.refresh.world import aliased_classes
from mlform.sdk import AnyResource
from mlform.sdk.fields import FieldClass, FieldRule, fields_under
from mlform.state.model import Record
from mlform.values import concealed, handles

if TYPE_CHECKING:
    from mlform.plan.decide import Facts


def adopted(resource: AnyResource, facts: Facts, record: Record | None) -> dict[str, Any]:
    """Return the arguments that keep their recorded value, whatever is written now.

    Those whose changes the user asked to ignore; those that are not set and that the provider
    chose; and a baseline that has become the very thing this resource judged and let through:
    there is nothing to compare it with anew.
    """
    if record is None:
        return {}
    kept = {n: record.arguments[n] for n in facts.ignored if n in record.arguments}
    for name in fields_under(resource.arguments, FieldRule.DEFAULTED) & record.arguments.keys():
        if name not in facts.open and facts.arguments.get(name) is None:
            kept[name] = record.arguments[name]
    classes = aliased_classes(resource)
    for name, field_class in classes.items():
        if field_class is FieldClass.BASELINE and name in record.arguments:
            found = {h.digest for h in handles(facts.arguments.get(name))}
            both = _judged(classes, facts.arguments) & _judged(classes, record.arguments)
            if found and found <= both:
                kept[name] = record.arguments[name]
    return kept


def given_again(resource: AnyResource, facts: Facts, record: Record | None) -> dict[str, Any]:
    """Return which of them a provider is given as they are recorded, whatever is written.

    Of what is secret a hash is recorded. Where that is of what is written, or in no key, what is
    written is given; else the hash is left here, and there is nothing that could be given.
    """
    classes = aliased_classes(resource)
    return {
        n: v
        for n, v in adopted(resource, facts, record).items()
        if not concealed(v)
        or (classes.get(n) is not FieldClass.SECRET and facts.arguments.get(n) != v)
    }


def _judged(classes: Mapping[str, FieldClass], arguments: Mapping[str, Any]) -> set[Any]:
    semantic = (v for n, v in arguments.items() if classes.get(n) is FieldClass.SEMANTIC)
    return {h.digest for value in semantic for h in handles(value)}


def with_adopted(resource: AnyResource, facts: Facts, record: Record | None) -> Facts:
    """Return the facts with the recorded values that ``adopted`` names put in."""
    kept = adopted(resource, facts, record)
    if not kept:
        return facts
    open_ = {n: a for n, a in facts.open.items() if n not in kept}
    return replace(facts, arguments={**facts.arguments, **kept}, open=open_)
