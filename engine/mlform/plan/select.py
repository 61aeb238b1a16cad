"""What the options of a plan choose: all or a part of it, and what is made again."""

from __future__ import annotations

from collections.abc import Collection

from mlform.address import Address
from mlform.config import Project
from mlform.graph import Graph
from mlform.plan.model import Reason
from mlform.state.model import Record


def chosen(
    graph: Graph,
    targets: Collection[Address],
    exclude: Collection[Address],
    *,
    alone: bool = False,
) -> set[Address]:
    """Return the declared resources to plan: targets with what they need, but nothing excluded.

    ``alone``: without what they need.
    """
    if alone:
        return {a for a in targets if a in graph.needs}
    found = graph.upstream(targets) if targets else set(graph.needs)
    return found - graph.downstream(exclude)


def waited(project: Project, targets: Collection[Address]) -> set[Address]:
    """Return targets with what tells how many there are of those of which that is not known yet."""
    later = [t for t in targets if project.rests.is_later(t)]
    blocks = {b for t in later for b in project.rests.of(t)}
    blocks |= {b for t in targets for b in project.beneath(t)}
    return {*targets, *(a for b in blocks for a in project.instances(b))}


def made_again(record: Record | None, again: Collection[Address]) -> Reason | None:
    """Say why what is recorded is made again whatever its key says; ``None`` if it is not."""
    if record is None:
        return None
    if tainted := record.receipt.get("tainted"):
        return Reason("again", "tainted", after=tainted)
    return Reason("again") if record.address in again else None


def left_out(graph: Graph, exclude: Collection[Address], within: set[Address]) -> dict[str, str]:
    """Return what is declared and not planned, each with the excluded resource that it needs.

    Empty where there is none: then it is excluded itself, or no target needs it.
    """
    because: dict[Address, Address] = {}
    for address in sorted(exclude):
        for other in graph.downstream([address]) - {*exclude}:
            because.setdefault(other, address)
    out = sorted(a for a in graph.needs if a not in within)
    return {str(a): str(because[a]) if a in because else "" for a in out}
