"""What a step is decided by once everything upstream of it is known."""

from __future__ import annotations

from mlform.apply.current import environment_now, is_pinned, opens
from mlform.apply.provider import StepFailed
from mlform.lazy import replace
from mlform.plan import Facts, Step
from mlform.refresh.looker import Looker
from mlform.refresh.pins import source_of
from mlform.refresh.world import Wanted
from mlform.registry import Offer
from mlform.sdk import Resource, ResourceError


def facts_now(step: Step, offer: Offer, arguments: Wanted, looker: Looker) -> Facts:
    """Return the facts of a step; what could not be looked up while planning is looked up now.

    Raises ``StepFailed`` where the type cannot look.
    """
    facts = Facts(
        arguments=arguments.data,
        parts=step.parts,
        code=step.code,
        environment=step.environment,
        present=not step.gone,
        attributes_moved=step.observed,
        ignored=frozenset(step.ignored),
        at=step.at,
    )
    if arguments.model is None:
        return facts
    overrides = type(offer.resource).inputs is not Resource.inputs
    again = overrides and opens(step, step.arguments) and not _pinned(step, offer, arguments)
    if facts.parts is None or again:
        try:
            found = offer.resource.inputs(looker.at(step.address), arguments.model)
        except ResourceError as error:
            raise StepFailed(error.summary, error.detail) from None
        facts = replace(facts, parts=dict(found.parts))
    if facts.environment is None:
        now = environment_now(step, offer.resource, arguments.model, looker)
        facts = replace(facts, environment=now)
    return facts


def _pinned(step: Step, offer: Offer, arguments: Wanted) -> bool:
    """Tell whether its parts are those of a pin, and still of the source that is meant."""
    if not is_pinned(step) or step.recorded is None:
        return False
    here = offer.resource
    return source_of(here, step.recorded) == source_of(here, arguments.data)
