"""What the roots of expressions are worth in each instance of each module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from mlform.address import Key
from mlform.config.inputs import Inputs
from mlform.config.lazy import Lazy
from mlform.config.model import ROOT, Bindings, Call, Module, ModulePath, Where
from mlform.diagnostics import Diagnostics
from mlform.lang import evaluate
from mlform.lang.provided import provided_root
from mlform.registry import KINDS
from mlform.syntax.tree import Attribute
from mlform.values import UNKNOWN, Sensitive, Value

Expand: TypeAlias = Callable[["ModuleScope", Call], Mapping[Key, Bindings] | None]
"""Says which instances a call makes in one instance of the module it stands in.

``None`` where that cannot be told yet.
"""


class ModuleScope:
    """The names in reach in one module instance, with values worked out when first asked for.

    ``roots`` has ``var``, ``local``, ``module``, ``path``, ``mlform``, and a place for the
    resources of each kind, which whoever walks over them fills.
    """

    def __init__(
        self,
        module: Module,
        variables: Mapping[str, Value],
        where: Where,
        expand: Expand,
        diagnostics: Diagnostics,
        caller: tuple[ModuleScope, Call, Key, Bindings] | None = None,
    ) -> None:
        self.module, self.where, self.expand = module, where, expand
        self.diagnostics, self.caller = diagnostics, caller
        self.path: ModulePath = ROOT
        if caller is not None:
            self.path = (*caller[0].path, (caller[1].name, caller[2]))
        self.roots: dict[str, Value] = {kind: {} for kind in KINDS}
        self.roots["var"] = (
            dict(variables) if caller is None else Lazy(module.variables, self._input)
        )
        self.roots["local"] = Lazy(module.locals, lambda n: self.value(module.locals[n]))
        self.roots["module"] = Lazy([*module.calls, *module.unread], self._call)
        self.roots["path"] = {"module": module.folder, "root": ".", "cwd": str(where.root)}
        self.roots["mlform"] = self.roots["terraform"] = {"workspace": where.workspace}
        self.roots["plan"] = {"as_of": where.as_of}
        self.roots |= provided_root(where.provided)
        self._children: dict[str, dict[Key, ModuleScope]] = {}
        self.later: set[str] = set()
        """The calls of which it cannot be told yet which instances they make."""

    def value(self, attribute: Attribute, bound: Bindings | None = None) -> Value:
        """Return what an expression is worth here."""
        scope = {**self.roots, **bound} if bound else self.roots
        return evaluate(attribute.expr, scope, self.diagnostics, attribute.source)

    def children(self, name: str) -> Mapping[Key, ModuleScope]:
        """Return the scopes of the instances of one call, by instance key."""
        if name not in self._children:
            self._children[name] = {}  # what asks for itself finds no instances
            call = self.module.calls[name]
            instances = self.expand(self, call)
            if instances is None:
                self.later.add(name)
            self._children[name] = {
                key: ModuleScope(
                    call.module,
                    {},
                    self.where,
                    self.expand,
                    self.diagnostics,
                    (self, call, key, bindings),
                )
                for key, bindings in (instances or {}).items()
            }
        return self._children[name]

    def at(self, path: ModulePath) -> ModuleScope:
        """Return the scope of a module instance further in."""
        found = self
        for name, key in path:
            found = found.children(name)[key]
        return found

    def _input(self, name: str) -> Value:
        assert self.caller is not None, "the root's variables are given"
        scope, call, _, bindings = self.caller
        variable = self.module.variables[name]
        inputs = Inputs(self.diagnostics)
        given = call.inputs.get(name)
        if given is None:
            return UNKNOWN if variable.default is None else inputs.default(variable)
        value = scope.value(given, bindings)
        return inputs.accept(variable, value, f"module.{call.name}", given.value_span)

    def _call(self, name: str) -> Value:
        if name in self.module.unread:
            return UNKNOWN
        made = {
            key: Lazy(scope.module.outputs, scope.output)
            for key, scope in self.children(name).items()
        }
        if name in self.later:
            return UNKNOWN
        attributes = self.module.calls[name].block.body.attributes
        if "count" in attributes:
            return list(made.values())
        if "for_each" in attributes:
            return {str(key): outputs for key, outputs in made.items()}
        return made.get(None, UNKNOWN)

    def output(self, name: str) -> Value:
        """Return what an output of this module is worth to its caller."""
        output = self.module.outputs[name]
        value = self.value(output.value)
        secret = (output.sensitive or output.ephemeral) and not isinstance(value, Sensitive)
        return Sensitive(value) if secret else value
