"""Project → graph: who needs whom. The one room that knows networkx."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import networkx as nx

from mlform.address import Address
from mlform.config import Names, Project, ResourceConfig
from mlform.diagnostics import Diagnostics
from mlform.sdk.fields import Written, written_as


@dataclass(frozen=True)
class Graph:
    """For each resource instance, the instances it takes values from or waits for. No cycles."""

    needs: Mapping[Address, frozenset[Address]]
    mentions: Mapping[Address, frozenset[Address]] = field(default_factory=dict)
    """For each instance the blocks it takes values from or rests on, even if without instances."""

    def order(self) -> list[Address]:
        """Return the addresses, needed ones first, ties by name, so that plans are stable."""
        return list(nx.lexicographical_topological_sort(_digraph(self.needs)))

    def upstream(self, targets: Iterable[Address]) -> set[Address]:
        """Return the targets and everything they need, directly or not."""
        return _reached(targets, self.needs)

    def downstream(self, sources: Iterable[Address]) -> set[Address]:
        """Return the sources and everything that needs them, directly or not."""
        needed_by: dict[Address, list[Address]] = {}
        for address, needs in self.needs.items():
            for needed in needs:
                needed_by.setdefault(needed, []).append(address)
        return _reached(sources, needed_by)


def _reached(starts: Iterable[Address], edges: Mapping[Address, Iterable[Address]]) -> set[Address]:
    found: set[Address] = set()
    waiting = list(starts)
    while waiting:
        address = waiting.pop()
        if address not in found:
            found.add(address)
            waiting.extend(edges.get(address, ()))
    return found


def build(project: Project, names: Names, diagnostics: Diagnostics) -> Graph:
    """Connect every resource to those its arguments mention. Notes cycles."""
    mentions = {a: frozenset(_blocks(r, project, names)) for a, r in project.resources.items()}
    needs = {
        a: frozenset(_instances(r, mentions[a], project)) for a, r in project.resources.items()
    }
    cyclic = False
    for cycle in _cycles(needs):
        cyclic = True
        path = " → ".join(map(str, [*cycle, cycle[0]]))
        detail = (
            f"{path}. Each waits for the next. To compare with what served before, refer to it "
            "through `prior.`, which makes no edge."
        )
        at = project.resources[cycle[0]].span
        diagnostics.error("Cycle", detail, at=at, of=cycle[0])
    return Graph({}) if cyclic else Graph(needs, mentions)


def _blocks(resource: ResourceConfig, project: Project, names: Names) -> set[Address]:
    written = written_as(resource.offer.resource.arguments, Written.ADDRESS)
    bound, here = frozenset(resource.bindings), names.of(resource.address)
    blocks = {*resource.depends_on, *project.rests.of(resource.address)}
    for name, argument in resource.arguments.items():
        if name not in written:
            blocks |= here.needed(argument, bound)
    lifecycle = resource.lifecycle
    for argument in lifecycle.triggers:
        blocks |= here.needed(argument, bound)
    for rule in (*lifecycle.preconditions, *lifecycle.postconditions):
        blocks |= here.needed(rule.condition, bound | {"self"})
        blocks |= here.needed(rule.message, bound | {"self"})
    return blocks


def _instances(
    resource: ResourceConfig, blocks: Iterable[Address], project: Project
) -> Iterator[Address]:
    for block in blocks:
        for instance in project.instances(block, near=resource.address.module):
            if instance != resource.address or not resource.lifecycle.postconditions:
                yield instance


def _cycles(needs: Mapping[Address, Iterable[Address]]) -> Iterator[list[Address]]:
    """Yield one cycle of each group of resources that wait for each other, always the same one."""
    graph = _digraph(needs)
    for group in sorted(map(sorted, nx.strongly_connected_components(graph))):
        if len(group) > 1 or graph.has_edge(group[0], group[0]):
            edges = nx.find_cycle(graph.subgraph(group), source=group)
            cycle = [edge[0] for edge in edges]
            first = cycle.index(min(cycle))
            yield cycle[first:] + cycle[:first]


def _digraph(needs: Mapping[Address, Iterable[Address]]) -> nx.DiGraph[Address]:
    graph: nx.DiGraph[Address] = nx.DiGraph()
    graph.add_nodes_from(needs)
    graph.add_edges_from((n, a) for a, needed in needs.items() for n in sorted(needed))
    return graph
