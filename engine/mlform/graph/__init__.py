"""Project → graph: who needs whom. The one room that knows networkx, and only to tell cycles."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from heapq import heapify, heappop, heappush

from mlform.address import Address
from mlform.config import Names, Project, ResourceConfig
from mlform.diagnostics import Diagnostics
from mlform.graph.narrow import Narrower
from mlform.lazy import dataclass, field
from mlform.sdk.fields import Written, written_as


@dataclass(frozen=True)
class Graph:
    """For each resource instance, the instances it takes values from or waits for. No cycles."""

    needs: Mapping[Address, frozenset[Address]]
    mentions: Mapping[Address, frozenset[Address]] = field(default_factory=dict)
    """For each instance the blocks it takes values from or rests on, even if without instances."""

    @cached_property
    def order(self) -> Sequence[Address]:
        """The addresses, needed ones first, ties by name, so that plans are stable."""
        return _ordered(self.needs)

    def upstream(self, targets: Iterable[Address]) -> set[Address]:
        """Return the targets and everything they need, directly or not."""
        return reached(targets, self.needs)

    def downstream(self, sources: Iterable[Address]) -> set[Address]:
        """Return the sources and everything that needs them, directly or not."""
        return reached(sources, _needed_by(self.needs))


def _needed_by(needs: Mapping[Address, Iterable[Address]]) -> dict[Address, list[Address]]:
    found: dict[Address, list[Address]] = {}
    for address, needed in needs.items():
        for one in needed:
            found.setdefault(one, []).append(address)
    return found


def _ordered(needs: Mapping[Address, frozenset[Address]]) -> list[Address]:
    """Return the addresses, needed ones first, the least first; those on a cycle are left out."""
    names = sorted(needs)
    rank = {address: at for at, address in enumerate(names)}
    needed_by, waits = _needed_by(needs), {a: len(n) for a, n in needs.items()}
    free = [rank[a] for a, n in waits.items() if not n]
    heapify(free)
    order = []
    while free:
        address = names[heappop(free)]
        order.append(address)
        for other in needed_by.get(address, ()):
            waits[other] -= 1
            if not waits[other]:
                heappush(free, rank[other])
    return order


def reached(starts: Iterable[Address], edges: Mapping[Address, Iterable[Address]]) -> set[Address]:
    """Return some addresses and all that is reached from them."""
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
    narrower = Narrower()
    needs = {
        a: frozenset(_instances(r, mentions[a], project, narrower))
        for a, r in project.resources.items()
    }
    graph = Graph(needs, mentions)
    if len(graph.order) == len(needs):
        return graph
    for cycle in _cycles(needs):
        path = " → ".join(map(str, [*cycle, cycle[0]]))
        detail = (
            f"{path}. Each waits for the next. To compare with what served before, refer to it "
            "through `prior.`, which makes no edge."
        )
        at = project.resources[cycle[0]].span
        diagnostics.error("Cycle", detail, at=at, of=cycle[0])
    return Graph({})


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
    return blocks.union(*map(project.beneath, blocks))


def _instances(
    resource: ResourceConfig, blocks: Collection[Address], project: Project, narrower: Narrower
) -> Iterator[Address]:
    whole = {*resource.depends_on, *project.rests.of(resource.address)}
    whole = whole.union(*map(project.beneath, blocks))
    for block in blocks:
        instances = project.instances(block, near=resource.address.module)
        if len(instances) > 1 and block not in whole:
            keys = narrower.keys(resource, (block.kind, block.name))
            chosen = [a for a in instances if keys is not None and a.key in keys]
            instances = chosen if keys is not None and len(chosen) == len(keys) else instances
        for instance in instances:
            if instance != resource.address or not resource.lifecycle.postconditions:
                yield instance


def _cycles(needs: Mapping[Address, frozenset[Address]]) -> Iterator[list[Address]]:
    """Yield one cycle of each group of resources that wait for each other, always the same one."""
    import networkx as nx  # noqa: PLC0415 - takes longer to load than most plans take

    graph: nx.DiGraph[Address] = nx.DiGraph()
    graph.add_nodes_from(needs)
    graph.add_edges_from((n, a) for a, needed in needs.items() for n in sorted(needed))
    for group in sorted(map(sorted, nx.strongly_connected_components(graph))):
        if len(group) > 1 or graph.has_edge(group[0], group[0]):
            edges = nx.find_cycle(graph.subgraph(group), source=group)
            cycle = [edge[0] for edge in edges]
            first = cycle.index(min(cycle))
            yield cycle[first:] + cycle[:first]
