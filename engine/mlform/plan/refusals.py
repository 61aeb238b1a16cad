"""What a plan refuses to hold."""

from __future__ import annotations

from mlform.config import ResourceConfig
from mlform.diagnostics import Diagnostics
from mlform.plan.decide import Decision
from mlform.plan.model import Action
from mlform.refresh.world import Wanted


def protect(resource: ResourceConfig, decision: Decision, diagnostics: Diagnostics) -> None:
    """Refuse to replace what may not be destroyed."""
    if decision.action is Action.REPLACE and resource.lifecycle.prevent_destroy:
        detail = (
            f"{resource.address} would be replaced, and what is there destroyed, which its "
            "lifecycle.prevent_destroy forbids. Undo the change, or set it to false."
        )
        at, of = resource.span, resource.address
        diagnostics.error("Protected from destruction", detail, at=at, of=of)


def refuse(resource: ResourceConfig, arguments: Wanted, diagnostics: Diagnostics) -> None:
    """Tell what is wrong with the arguments of a resource."""
    for problem in arguments.problems:
        at = problem.span(resource.arguments, resource.span)
        detail = f"{resource.address}: {problem.text}"
        diagnostics.error(
            "Invalid argument", detail, at=at, within=resource.span, of=resource.address
        )
