"""What a plan refuses to hold."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet

from mlform.address import Address
from mlform.config import Project, ResourceConfig
from mlform.diagnostics import Diagnostics
from mlform.plan.adopted import given_again
from mlform.plan.decide import Decision, Facts
from mlform.plan.given import Unplanned
from mlform.plan.model import QUIET, Action
from mlform.plan.moved import listed
from mlform.refresh.world import Wanted
from mlform.state.model import Record
from mlform.values import concealed


def left_alone(
    again: Collection[Address],
    within: AbstractSet[Address],
    given: Unplanned,
    project: Project,
    diagnostics: Diagnostics,
) -> None:
    """Refuse options by which what is asked for with ``-replace`` is not replaced.

    What goes anyway, as it is not declared or not enabled, gives a warning.
    """
    left = sorted(a for a in again if a not in within)
    if left and given.destroy:
        detail = "-destroy takes down what is recorded; -replace makes it again. Leave one out."
        diagnostics.error("Options contradict each other", detail)
        return
    if declared := [a for a in left if a in project.resources]:
        options = [
            f"{option} {listed([str(a) for a in named])}"
            for option, named in (("-target", given.targets), ("-exclude", given.exclude))
            if named
        ]
        asked, leave = listed([str(a) for a in declared]), " and ".join(options)
        if given.further:  # what there is was not known when it was asked for
            detail = f"{leave} leaves out {asked}: -replace does nothing to it."
            diagnostics.warning("Nothing to replace", detail)
        else:
            detail = (
                f"-replace asks for {asked}, which {leave} leaves out. "
                "Plan with what is to be replaced, or take it out of -replace."
            )
            diagnostics.error("Options contradict each other", detail)
    for address in (a for a in left if a not in project.resources):
        off = project.disabled.get(address)
        why = "is not declared" if off is None else "is not enabled"
        detail = f"{address} {why}, so that it goes: -replace does nothing to it."
        diagnostics.warning("Nothing to replace", detail, at=off, of=address)


def protect(resource: ResourceConfig, decision: Decision, diagnostics: Diagnostics) -> None:
    """Refuse to replace what may not be destroyed."""
    if decision.action is Action.REPLACE and resource.lifecycle.prevent_destroy:
        detail = (
            f"{resource.address} would be replaced, and what is there destroyed, which its "
            "lifecycle.prevent_destroy forbids. Undo the change, or set it to false."
        )
        at, of = resource.span, resource.address
        diagnostics.error("Protected from destruction", detail, at=at, of=of)


def forgotten(
    resource: ResourceConfig,
    facts: Facts,
    decision: Decision,
    record: Record | None,
    diagnostics: Diagnostics,
) -> None:
    """Refuse to make something with a secret of which only a hash is recorded."""
    if decision.action in QUIET or decision.action is Action.REPLACE:
        return
    offered = resource.offer.resource
    kept = given_again(offered, facts, record)
    for name in sorted(n for n, v in kept.items() if concealed(v)):
        detail = (
            f"{resource.address} has work to do, and lifecycle.ignore_changes keeps {name} as it "
            "was. That is secret, so only a hash of it is recorded, and what is written is another "
            f"value. Write the value it had, or take {name} out of ignore_changes."
        )
        at = resource.arguments[name].value_span if name in resource.arguments else resource.span
        of = resource.address
        diagnostics.error("Ignored secret is not known", detail, at=at, within=resource.span, of=of)


def refuse(resource: ResourceConfig, arguments: Wanted, diagnostics: Diagnostics) -> None:
    """Tell what is wrong with the arguments of a resource."""
    for problem in arguments.problems:
        at = problem.span(resource.arguments, resource.span)
        detail = f"{resource.address}: {problem.text}"
        diagnostics.error(
            "Invalid argument", detail, at=at, within=resource.span, of=resource.address
        )
