"""``graph``: blocks, instances, or a plan, as nodes and edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlform.address import Address
from mlform.commands.options import PlanOptions
from mlform.commands.session import Session

if TYPE_CHECKING:
    from mlform.render.graph import Drawing

TYPES: Final = ("instances", "config", "plan")


def drawn(session: Session, type_: str) -> Drawing:
    """Return a graph: ``config`` of blocks, ``instances`` of what they make, ``plan`` of steps."""
    from mlform.render.graph import Drawing

    if type_ == "plan":
        made = session.plan(session.snapshot(), PlanOptions())
        nodes = {str(s.address): s.action.value for s in made.steps}
        nodes |= dict.fromkeys(made.deferred, "deferred")
        edges = [(str(n), str(s.address)) for s in made.steps for n in s.refers_to]
        groups = {str(s.address): s.address.spot.rstrip(".") for s in made.steps}
        return Drawing(nodes, [e for e in edges if e[0] in nodes], groups)
    graph = session.graph
    project, _ = session.configured
    if type_ == "config":
        pairs = {(n, a.config) for a, ns in graph.mentions.items() for n in ns}
        return _of({*project.declared}, {(n, a) for n, a in pairs if n in project.declared})
    return _of({*graph.needs}, {(n, a) for a, ns in graph.needs.items() for n in ns})


def _of(addresses: set[Address], edges: set[tuple[Address, Address]]) -> Drawing:
    from mlform.render.graph import Drawing

    return Drawing(
        {str(a): "" for a in sorted(addresses)},
        [(str(n), str(a)) for n, a in sorted(edges) if n != a],
        {str(a): a.spot.rstrip(".") for a in addresses},
    )
