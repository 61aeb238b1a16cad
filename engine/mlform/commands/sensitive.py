"""The sensitive values that carrying out a plan needs: no plan holds any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mlform.commands.session import Session
from mlform.values import conceal, is_sensitive, plain

if TYPE_CHECKING:
    from mlform.plan import Plan
    from mlform.values import Value


def secrets_of(session: Session, plan: Plan) -> Mapping[str, Value]:
    """Return the sensitive variables; none where nothing of the plan needs any."""
    if next(_needed(plan), None) is None:
        return {}
    return {n: v for n, v in session.configured[0].variables.items() if is_sensitive(v)}


def marks(session: Session, plan: Plan) -> dict[str, str]:
    """Return a slow hash of each sensitive variable that a plan needs, but for ephemeral ones."""
    if not (names := set(_needed(plan))):
        return {}
    project, _ = session.configured
    known = {n: project.module.variables[n] for n in sorted(names & project.variables.keys())}
    lasting = [n for n, variable in known.items() if not variable.ephemeral]
    given = {n: plain(project.variables[n], reveal=True) for n in lasting}
    return {n: conceal(v)["$sensitive"] for n, v in given.items()}


def _needed(plan: Plan) -> Iterator[str]:
    for step in plan.steps:
        yield from _names(step.arguments)
        yield from _names([*step.before, *step.after])
    for output in plan.outputs.values():
        yield from _names([output.value, *output.before])
    for conditions in plan.checks.values():
        yield from _names([*conditions])


def _names(value: object) -> Iterator[str]:
    """Yield the sensitive variables that anything inside needs."""
    from mlform.plan import Condition, Deferred

    match value:
        case Deferred(secrets=secrets, bindings=bindings):
            yield from secrets
            yield from _names(bindings)
        case Condition(condition=condition, message=message):
            yield from _names([condition, message])
        case Mapping():
            for inner in value.values():
                yield from _names(inner)
        case list() | tuple():
            for inner in value:
                yield from _names(inner)
        case _:
            pass
