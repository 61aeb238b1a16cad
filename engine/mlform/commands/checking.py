"""Everything about a project that can be checked without running anything."""

from __future__ import annotations

from collections.abc import Sequence

from mlform.address import Address
from mlform.config import Names, Project, ResourceConfig
from mlform.diagnostics import Diagnostics, Span
from mlform.graph import build
from mlform.keys import ClosureCache, CodeError, closure
from mlform.plan.predicted import checked
from mlform.refresh.scope import Scope
from mlform.refresh.world import foretold, pending_handle, wanted
from mlform.sdk.fields import Written, written_as
from mlform.state.model import Snapshot
from mlform.values import Value


def check(project: Project, names: Names, diagnostics: Diagnostics) -> None:
    """Note every argument of the wrong type or value, and code that is not there.

    What lies where something is already known to be wrong is left out: it would be an echo.
    """
    found = Diagnostics()
    _check(project, build(project, names, Diagnostics()).order, found)
    wrong = [d.subject for d in diagnostics.errors if d.subject is not None]
    diagnostics.extend(d for d in found if not any(_overlap(d.subject, w) for w in wrong))


def _overlap(one: Span | None, other: Span) -> bool:
    if one is None or one.file != other.file:
        return False
    start, end = (one.line, one.column), (one.end_line, one.end_column)
    return start < (other.end_line, other.end_column) and (other.line, other.column) < end


def _check(project: Project, order: Sequence[Address], diagnostics: Diagnostics) -> None:
    scope = Scope(project, Snapshot("", 0, {}), diagnostics)
    for address, resource in project.resources.items():
        scope.put(address, pending_handle(address, resource.offer.resource, {}))
    # Of those on a cycle, which are not in the order, nothing is foretold.
    ordered = {a: project.resources[a] for a in order}
    for address, resource in {**ordered, **project.resources, **project.rests.samples}.items():
        offered, values = resource.offer.resource, scope.arguments(resource)
        given = wanted(offered, values)
        if address in ordered and (told := foretold(offered, given.model)):
            scope.put(address, pending_handle(address, offered, {}, told))
        for problem in given.problems:
            at = problem.span(resource.arguments, resource.span)
            detail = f"{address}: {problem.text}"
            diagnostics.error("Invalid argument", detail, at=at, within=resource.span, of=address)
        checked(resource, given, diagnostics)
        for field in written_as(offered.arguments, Written.CODE):
            value: Value = values.get(field)
            if isinstance(value, str):
                _code(project, resource, value, field, diagnostics)
    for path, instance in project.modules.items():
        for output in instance.module.outputs.values():
            scope.value(output.value, path)
        for local in instance.module.locals.values():
            scope.value(local, path)


def _code(
    project: Project, resource: ResourceConfig, value: str, field: str, diagnostics: Diagnostics
) -> None:
    try:
        closure(project.root, value, ClosureCache(None))
    except CodeError as error:
        at = resource.arguments[field].value_span
        diagnostics.error(error.summary, error.detail, at=at, of=resource.address)
