"""That a change of each field of a type does what the class of the field says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlform.address import Address
from mlform.lazy import replace
from mlform.plan import Action, Facts, decide
from mlform.plan.decide import keys
from mlform.refresh.world import aliased_classes, result_digest
from mlform.sdk import AnyResource
from mlform.sdk.fields import FieldClass, FieldRule, fields_under
from mlform.state.model import Record

_CHANGED: Final = {"changed": True}


def check_fields(resource: AnyResource) -> Mapping[str, Action]:
    """Change each argument of a type, and assert that the planned action is that of its class.

    Returns the action for each. Without a change, nothing is planned.
    """
    unset = fields_under(resource.arguments, FieldRule.WRITE_ONLY)
    names = [n for n in aliased_classes(resource) if n not in unset]
    facts = Facts(arguments=dict.fromkeys(names, "as recorded"))
    key, judged = keys(resource, facts)
    record = Record(
        Address(resource.kind, "it"),
        resource.type,
        key,
        judged,
        result_digest(resource, {}),
        facts.arguments,
        {},
    )
    still = decide(resource, facts, record, lambda _: None).action
    assert still is Action.NO_OP, f"nothing changed, and it is {still}"
    found: dict[str, Action] = {}
    for name in names:
        changed = replace(facts, arguments={**facts.arguments, name: _CHANGED})
        decision = decide(resource, changed, record, lambda _: None)
        wanted, quiet = action_of(resource, aliased_classes(resource)[name])
        assert (decision.action, decision.quiet) == (wanted, quiet), f"{name}: {decision.action}"
        assert any(r.subject == name for r in decision.reasons), f"{name} is no reason"
        found[name] = decision.action
    return found


def action_of(resource: AnyResource, class_: FieldClass) -> tuple[Action, bool]:
    """Return what a change of a field of a class comes to, and whether only the record changes."""
    roll = Action.ROLL if resource.kind == "deployment" else Action.UPDATE
    match class_:
        case FieldClass.SEMANTIC:
            return (Action.RUN if resource.reusable else roll), False
        case FieldClass.IDENTITY:
            return (Action.RUN if resource.reusable else Action.REPLACE), False
        case FieldClass.DECISION | FieldClass.BASELINE:
            return Action.DECIDE, False
        case FieldClass.METADATA:
            return Action.UPDATE, True
        case _:
            return Action.UPDATE, False
