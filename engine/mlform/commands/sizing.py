"""Whether what stages ask for is there at all."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from mlform.demand import LOCAL, Demand
from mlform.diagnostics import Diagnostics

if TYPE_CHECKING:
    from mlform.config import Project


def refuse_oversized(project: Project, diagnostics: Diagnostics) -> None:
    """Note each stage that asks this machine for more than it has: it would wait for ever."""
    asking = [r for r in project.resources.values() if _asks(r.demand)]
    if not asking:
        return
    from mlform.execute import capacity

    said = project.settings.executors.get(LOCAL)
    there = capacity()
    for resource in asking:
        declared = {} if said is None else said.settings
        for lack in there.lacks(resource.demand):
            name = lack.partition(" ")[0]
            if name in declared:
                continue  # what the spec says there is has been looked at
            detail = f"{resource.address} asks for more than this machine has: {lack}."
            if name == "gpu":
                detail += ' GPUs that mlform does not see are declared: executor "local" "local" { '
                detail += f"gpu = {ceil(resource.demand.gpu)} }}."
            at, address = resource.asks[f"resources.{name}"].value_span, resource.address
            diagnostics.error("More than there is", detail, at=at, within=resource.span, of=address)


def _asks(demand: Demand) -> bool:
    return demand.executor == LOCAL and bool(demand.cpu or demand.gpu or demand.memory)
