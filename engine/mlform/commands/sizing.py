"""Whether what stages ask for is there at all."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING

from mlform.demand import LOCAL, Capacity, Declared, Demand, runs_here
from mlform.diagnostics import Diagnostics

if TYPE_CHECKING:
    from mlform.config import Project


def refuse_oversized(project: Project, diagnostics: Diagnostics) -> None:
    """Note each stage that asks this machine for more than it has: it would wait for ever."""
    executors = project.settings.executors
    asking = [r for r in project.resources.values() if _asks(r.demand, executors)]
    if not asking:
        return
    from mlform.execute import capacity

    said = executors.get(LOCAL)
    declared = {} if said is None else said.settings
    there = Capacity(**{**vars(capacity()), **declared})
    for resource in asking:
        local = resource.demand.executor == LOCAL
        # Of the local executor, what the spec says there is has been looked at; of others no GPU
        # is set apart.
        passed = declared.keys() if local else {"gpu"}
        for lack in there.lacks(resource.demand):
            name = lack.partition(" ")[0]
            if name in passed:
                continue
            detail = f"{resource.address} asks for more than this machine has: {lack}."
            if name == "gpu":
                detail += ' GPUs that mlform does not see are declared: executor "local" "local" { '
                detail += f"gpu = {ceil(resource.demand.gpu)} }}."
            at, address = resource.asks[f"resources.{name}"].value_span, resource.address
            diagnostics.error("More than there is", detail, at=at, within=resource.span, of=address)


def _asks(demand: Demand, executors: Mapping[str, Declared]) -> bool:
    return bool(demand.cpu or demand.gpu or demand.memory) and runs_here(demand, executors)
