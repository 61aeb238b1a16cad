"""Which resources the arguments of another take values from."""

from __future__ import annotations

from mlform.address import Address
from mlform.config import Names, Project
from mlform.config.model import ResourceConfig
from mlform.graph import Graph
from mlform.lazy import dataclass
from mlform.refresh.world import TRIGGERS


@dataclass(frozen=True)
class Mentions:
    """Answers for one project, instance by instance."""

    project: Project
    names: Names
    graph: Graph

    def of(self, resource: ResourceConfig, name: str) -> list[Address]:
        """Return the instances that an argument takes values from."""
        bound, here = frozenset(resource.bindings), self.names.of(resource.address)
        written = resource.lifecycle.triggers if name == TRIGGERS else [resource.arguments[name]]
        blocks = sorted({b for w in written for b in here.needed(w, bound)})
        near = resource.address.module
        needs = self.graph.needs[resource.address]
        return [a for b in blocks for a in self.project.instances(b, near) if a in needs]

    def prior(self, resource: ResourceConfig) -> tuple[Address, ...]:
        """Return the instances whose recorded values the arguments take (``prior.KIND.NAME``)."""
        here = self.names.of(resource.address)
        blocks = {b for w in resource.arguments.values() for b in here.priors(w)}
        near = resource.address.module
        return tuple(a for b in sorted(blocks) for a in self.project.instances(b, near))

    def takes(self, resource: ResourceConfig) -> dict[str, tuple[str, ...]]:
        """Return the resources that each argument mentions, of those that mention any."""
        found = {}
        for name in [*resource.arguments, *([TRIGGERS] if resource.lifecycle.triggers else [])]:
            if mentioned := self.of(resource, name):
                found[name] = tuple(str(a) for a in mentioned)
        return found
