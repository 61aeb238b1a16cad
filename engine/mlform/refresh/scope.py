"""What the roots of expressions are worth: variables, locals, modules, resources and ``prior``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from mlform.address import Address
from mlform.config import ModuleScope, Project, ResourceConfig, scopes
from mlform.config.lazy import Lazy
from mlform.config.model import ROOT, ModulePath
from mlform.diagnostics import Diagnostics
from mlform.refresh.addressed import addressed
from mlform.refresh.world import absent, recorded_handle
from mlform.registry import KINDS
from mlform.registry.places import place
from mlform.sdk.fields import Written, written_as
from mlform.state.model import Snapshot
from mlform.syntax.tree import Attribute
from mlform.values import UNKNOWN, Value


class Scope:
    """The scope of one walk over a project: resources are put in as the walk reaches them."""

    def __init__(self, project: Project, snapshot: Snapshot, diagnostics: Diagnostics) -> None:
        self.project, self.diagnostics = project, diagnostics
        root = scopes(project, diagnostics)
        self.modules = {path: root.at(path) for path in project.modules}
        for path, scope in self.modules.items():
            scope.roots["prior"] = Lazy(KINDS, partial(self._prior, snapshot, path))
        self._empty()
        for block in project.rests.later:
            if isinstance(block, Address) and block.module in self.modules:
                self.put(block, UNKNOWN)

    def put(self, address: Address, value: Value) -> None:
        """Say what a resource is worth from now on."""
        place(self.modules[address.module].roots, address, value)

    def of(self, resource: ResourceConfig) -> ModuleScope:
        """Return the scope of the module instance that a resource stands in."""
        return self.modules[resource.address.module]

    def arguments(self, resource: ResourceConfig) -> dict[str, Value]:
        """Return what a resource's arguments are worth, as far as that is known."""
        written = written_as(resource.offer.resource.arguments, Written.ADDRESS)
        scope = self.of(resource)
        return {
            name: addressed(argument, resource, scope, self.project, self.diagnostics)
            if name in written
            else scope.value(argument, resource.bindings)
            for name, argument in resource.arguments.items()
        }

    def value(self, attribute: Attribute, path: ModulePath = ROOT) -> Value:
        """Return what an expression outside any resource is worth."""
        return self.modules[path].value(attribute)

    def _empty(self) -> None:
        """Say what blocks without any instance are worth: no elements, or null."""
        made = {(a.kind, a.name, a.module) for a in self.project.resources}
        for path, scope in self.modules.items():
            for block, written in scope.module.blocks.items():
                if (block.kind, block.name, path) not in made:
                    kind = scope.roots[block.kind]
                    assert isinstance(kind, dict)
                    repeats = written.body.attributes
                    none: Value = [] if "count" in repeats else None
                    kind[block.name] = {} if "for_each" in repeats else none
        if self.project.disabled:
            from mlform.config.standing import holes  # noqa: PLC0415 - most specs have none

            for address, value in holes(self.project):
                self.put(address, value)

    def _prior(self, snapshot: Snapshot, path: ModulePath, kind: str) -> Value:
        """Return what the resources of a kind were worth before, in one module instance."""
        found: dict[str, Value] = {kind: {}}
        for address, resource in self.project.resources.items():
            if address.kind == kind and address.module == path:
                offered = resource.offer.resource
                known = recorded_handle(snapshot, address, offered)
                place(found, address, known or absent(offered))
        return found[kind]


def roots_of(scope: ModuleScope, bindings: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return the roots that one instance of a block sees."""
    return {**scope.roots, **bindings} if bindings else scope.roots
