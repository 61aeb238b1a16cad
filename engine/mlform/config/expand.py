"""Module instances and resource instances: the spec with every ``count`` and ``for_each`` done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from mlform.address import Address, Key
from mlform.config.conditions import check_settled
from mlform.config.ephemeral import Ephemerals
from mlform.config.model import (
    ROOT,
    Bindings,
    Call,
    ModuleInstance,
    ModulePath,
    Project,
    ResourceConfig,
)
from mlform.config.names import Names
from mlform.config.repetition import NotYetError, Repetition
from mlform.config.resources import Resources
from mlform.config.scope import ModuleScope
from mlform.diagnostics import Diagnostics
from mlform.lazy import replace
from mlform.registry.places import place
from mlform.syntax.tree import Block
from mlform.values import UNKNOWN, Unknown, Value

Recorded: TypeAlias = Mapping[Address, Value]
"""What resources are worth as they are recorded: some instances may rest on it."""


def unexpanded(
    project: Project, names: Names, diagnostics: Diagnostics, recorded: Recorded | None = None
) -> ModuleScope:
    """Return the scope of the root module; which instances calls make is worked out by need."""

    def instances(scope: ModuleScope, call: Call) -> Mapping[Key, Bindings] | None:
        inside = names.at(scope.module.path)
        _fill(scope, recorded or {})
        found = Repetition(inside, scope.roots, diagnostics)
        path = (*scope.path, (call.name, None))
        if needed := found.needed(call.block):
            project.rests.calls[path] = needed
        try:
            return dict(found.instances(f"module.{call.name}", call.block))
        except NotYetError:
            project.rests.later.add(path)
            return None

    return ModuleScope(project.module, project.variables, project.where, instances, diagnostics)


def _fill(scope: ModuleScope, recorded: Recorded) -> None:
    """Put what is recorded where expressions look for it, and UNKNOWN for the rest."""
    for block in scope.module.blocks:
        kind = scope.roots[block.kind]
        assert isinstance(kind, dict)
        kind.setdefault(block.name, UNKNOWN)
    for address, value in recorded.items():
        declared = scope.module.blocks.get(address.config)
        if (
            address.module == scope.path
            and declared is not None
            and _fits(address, value, declared)
        ):
            kind = scope.roots[address.kind]
            assert isinstance(kind, dict)
            if isinstance(kind.get(address.name), Unknown):
                del kind[address.name]
            place(scope.roots, address, value)


def _fits(address: Address, value: Value, block: Block) -> bool:
    """Tell whether a record is of the shape that its block has now: one, by number or by name.

    Both may be recorded, where the change from one to the other was cut short. A block without
    instances has an empty collection.
    """
    if isinstance(value, dict | list):
        return True
    if "count" in block.body.attributes:
        return isinstance(address.key, int)
    if "for_each" in block.body.attributes:
        return isinstance(address.key, str)
    return address.key is None


def expand(
    project: Project,
    names: Names,
    root: ModuleScope,
    reader: Resources,
    diagnostics: Diagnostics,
    recorded: Recorded | None = None,
) -> Project:
    """Return a project with its instances. Notes what is wrong with any block on the way."""
    _references(names, Ephemerals(diagnostics))
    modules: dict[ModulePath, ModuleInstance] = {}
    resources: dict[Address, ResourceConfig] = {}

    def enter(scope: ModuleScope, bindings: Bindings, call: Call | None) -> None:
        modules[scope.path] = ModuleInstance(scope.module, bindings, call)
        _fill(scope, recorded or {})
        for address, block in scope.module.blocks.items():
            resources.update(reader.read(address, block, scope, project.rests))
        check_settled(scope, names.at(scope.module.path), diagnostics)
        for name, inner in scope.module.calls.items():
            for child in scope.children(name).values():
                assert child.caller is not None, "a called module has a caller"
                enter(child, child.caller[3], inner)

    enter(root, {}, None)
    return replace(project, modules=modules, resources=resources, disabled=reader.disabled)


def _references(names: Names, ephemerals: Ephemerals) -> None:
    """Look at every reference outside resource blocks, so that a wrong one is noted."""
    module = names.module
    ephemerals.module(names)
    for local in module.locals.values():
        names.needed(local)
    for output in module.outputs.values():
        names.needed(output.value)
        list(names.waited(output.depends_on))
        for rule in output.preconditions:
            names.needed(rule.condition)
            names.needed(rule.message)
    rules = [r for v in module.variables.values() for r in v.rules]
    rules += [r for c in module.checks.values() for r in c.rules]
    for rule in rules:
        names.needed(rule.condition)
        names.needed(rule.message)
    for name, call in module.calls.items():
        repeated = {"for_each": "each", "count": "count"}
        bound = frozenset(repeated[n] for n in repeated if n in call.block.body.attributes)
        for given in call.inputs.values():
            names.needed(given, bound)
        list(names.waited(call.depends_on))
        _references(names.children[name], ephemerals)


def scopes(project: Project, diagnostics: Diagnostics) -> ModuleScope:
    """Return a fresh scope of the root module, its instances as the project has them."""
    made: dict[tuple[ModulePath, str], dict[Key, Bindings]] = {}
    for path, instance in project.modules.items():
        if path != ROOT:
            name, key = path[-1]
            made.setdefault((path[:-1], name), {})[key] = instance.bindings

    def instances(scope: ModuleScope, call: Call) -> Mapping[Key, Bindings] | None:
        later = (*scope.path, (call.name, None)) in project.rests.later
        return None if later else made.get((scope.path, call.name), {})

    return ModuleScope(project.module, project.variables, project.where, instances, diagnostics)
