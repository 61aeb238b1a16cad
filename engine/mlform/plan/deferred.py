"""Arguments as a plan keeps them: plain where known, else the expression and what it mentions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlform.address import Address
from mlform.config import Output as OutputConfig
from mlform.config import Project, ResourceConfig
from mlform.config.blocks import Rule
from mlform.config.model import ROOT, ModulePath
from mlform.diagnostics import stop
from mlform.lang import Reference, references
from mlform.plan.model import Condition, Deferred
from mlform.plan.typed import keep
from mlform.refresh.scope import Scope
from mlform.refresh.world import TRIGGERS, Wanted
from mlform.registry import KINDS
from mlform.syntax.tree import Attribute
from mlform.syntax.unparse import unparse
from mlform.values import UNKNOWN, Handle, Unknown, Value, conceal, is_known, is_sensitive, plain

_WORLD: Final = ("path", "mlform", "terraform")
_MOST: Final = 10_000
"""Expressions that one argument may have a plan keep, those that it mentions among them."""


class Deferrer:
    """Makes the arguments of steps self-contained, so that applying needs no spec."""

    def __init__(self, project: Project, scope: Scope) -> None:
        self.project, self.scope = project, scope
        self._made: dict[tuple[Any, ...], Any] = {}
        self._sizes: dict[int, tuple[Deferred, int]] = {}

    def arguments(
        self, resource: ResourceConfig, values: Mapping[str, Value], normal: Wanted
    ) -> dict[str, Any]:
        """Return every argument, defaults too, plain or deferred."""
        found: dict[str, Any] = {n: v for n, v in normal.data.items() if n not in normal.open}
        for name, value in values.items():
            if name == TRIGGERS:
                found[name] = self._triggers(resource, value)
            elif not is_known(value) or is_sensitive(value):
                found[name] = self.deferred(
                    resource.arguments[name], resource.address.module, resource.bindings
                )
        return dict(sorted(found.items()))

    def _forget(self) -> None:
        self._made.clear()
        self._sizes.clear()

    def _triggers(self, resource: ResourceConfig, values: Value) -> list[Any]:
        self._forget()
        assert isinstance(values, list), "there is a value for each reference"
        return [
            self._kept(value, written, resource.address.module, resource.bindings)
            for value, written in zip(values, resource.lifecycle.triggers, strict=True)
        ]

    def output(self, output: OutputConfig) -> Any:
        """Return an output's value, plain or deferred."""
        self._forget()
        value = self.scope.value(output.value)
        if output.sensitive and is_known(value):
            return conceal(plain(value, reveal=True))
        return self._kept(value, output.value, ROOT)

    def condition(self, rule: Rule, path: ModulePath, bound: Mapping[str, Value]) -> Condition:
        """Return a condition with its message, to be judged while applying."""
        return Condition(
            self.deferred(rule.condition, path, bound), self.deferred(rule.message, path, bound)
        )

    def deferred(
        self, attribute: Attribute, path: ModulePath, bound: Mapping[str, Value]
    ) -> Deferred:
        """Return an expression with everything that it mentions beside resources."""
        self._forget()
        return self._deferred(attribute, path, bound)

    def _deferred(
        self, attribute: Attribute, path: ModulePath, bound: Mapping[str, Value]
    ) -> Deferred:
        bindings: dict[str, dict[str, Any]] = {}
        secrets: set[str] = set()
        for reference in references(attribute.expr):
            root = reference.root
            if root in bound or not reference.steps:
                continue
            name = str(reference.steps[0])
            if root == "var" and path == ROOT and is_sensitive(self.project.variables[name]):
                secrets.add(name)
            elif root == "var":
                bindings.setdefault("var", {})[name] = self._variable(name, path)
            elif root == "local":
                local = self.scope.modules[path].module.locals[name]
                bindings.setdefault("local", {})[name] = self._named("local", name, local, path)
            elif root == "module":
                called = bindings.setdefault("module", {})
                called[name] = self._module(reference, path, called.get(name))
            elif root == "prior":
                kinds = bindings.setdefault("prior", {}).setdefault(name, {})
                kinds |= self._prior(reference, path)
            elif root in KINDS:
                kind = self.scope.modules[path].roots[root]
                assert isinstance(kind, Mapping)
                if not isinstance(kind.get(name, UNKNOWN), Handle | Unknown) and not kind[name]:
                    bindings.setdefault(root, {})[name] = plain(kind[name])
            elif root in _WORLD:
                bindings[root] = plain(self.scope.modules[path].roots[root])
        for root, value in bound.items():
            bindings[root] = self._bound(value, attribute)
        if "plantimestamp" in attribute.text:
            bindings["plan"] = {"as_of": self.project.as_of}
        spot = Address("", "", module=path).spot
        at = str(attribute.value_span)
        text = attribute.text
        if attribute.source.file.endswith(".json") or not attribute.source.verbatim:
            text = unparse(attribute.expr)
        return self._sized(Deferred(text, bindings, tuple(sorted(secrets)), at, spot), attribute)

    def _sized(self, made: Deferred, attribute: Attribute) -> Deferred:
        """Return an expression that is kept, if it is not too many with those inside it."""
        size = 1 + sum(self._sizes[id(d)][1] for d in _inside(made.bindings))
        if size > _MOST:
            detail = (
                f"`{attribute.text}` can be worked out only while applying, and a plan would have "
                f"to keep more than {_MOST:,} expressions for it: it mentions values that mention "
                "others more than once, at every step. Mention each once."
            )
            raise stop("Expression too large", detail, at=attribute.value_span)
        self._sizes[id(made)] = made, size
        return made

    def _variable(self, name: str, path: ModulePath) -> Any:
        if path == ROOT:
            return keep(self.project.variables[name])
        instance = self.project.modules[path]
        assert instance.call is not None, "only the root module is called by nobody"
        given = instance.call.inputs.get(name)
        scope = self.scope.modules[path]
        if given is None:
            values = scope.roots["var"]
            assert isinstance(values, Mapping)
            return keep(values[name])
        kept = self._named("var", name, given, path[:-1], instance.bindings, of=path)
        if not isinstance(kept, Deferred):
            return kept
        variable = scope.module.variables[name]
        written = "" if variable.type is None else variable.written
        typed = Deferred(
            kept.text, kept.bindings, kept.secrets, kept.at, kept.module, written, variable.secret
        )
        return self._sized(typed, given)

    def _named(
        self,
        root: str,
        name: str,
        attribute: Attribute,
        path: ModulePath,
        bound: Mapping[str, Value] | None = None,
        of: ModulePath | None = None,
    ) -> Any:
        values = self.scope.modules[path if of is None else of].roots[root]
        assert isinstance(values, Mapping)
        # Once for all who mention it: what mentions a thing twice, and is mentioned twice, would
        # otherwise double the work at each step.
        key = (root, name, path, of)
        if key not in self._made:
            self._made[key] = self._typed(values[name], attribute, path, bound)
        return self._made[key]

    def _kept(
        self,
        value: Value,
        attribute: Attribute,
        path: ModulePath,
        bound: Mapping[str, Value] | None = None,
    ) -> Any:
        if is_known(value) and not is_sensitive(value):
            return plain(value)
        return self._deferred(attribute, path, bound or {})

    def _typed(
        self,
        value: Value,
        attribute: Attribute,
        path: ModulePath,
        bound: Mapping[str, Value] | None = None,
    ) -> Any:
        """Return what an expression mentions: here its type counts as well."""
        if is_known(value) and not is_sensitive(value):
            return keep(value)
        return self._deferred(attribute, path, bound or {})

    def _module(self, reference: Reference, path: ModulePath, before: Any) -> Any:
        name = str(reference.steps[0])
        scope = self.scope.modules[path]
        call = scope.module.calls[name]
        repeated = call.block.body.attributes.keys() & {"count", "for_each"}
        wanted = reference.steps[2 if repeated else 1 :][:1]
        outputs = [str(wanted[0])] if wanted else list(call.module.outputs)
        made: dict[Any, dict[str, Any]] = {}
        for key, child in scope.children(name).items():
            inside = child.module.outputs
            made[key] = {
                o: self._typed(child.output(o), inside[o].value, child.path) for o in outputs
            }
        if "count" in repeated:
            counted = list(made.values())
            if before is not None:
                counted = [{**a, **b} for a, b in zip(before, counted, strict=True)]
            return counted
        if "for_each" in repeated:
            return {k: {**(before or {}).get(k, {}), **v} for k, v in made.items()}
        return {**(before or {}), **made[None]}

    def _prior(self, reference: Reference, path: ModulePath) -> dict[str, Any]:
        kind, name = str(reference.steps[0]), str(reference.steps[1])
        prior = self.scope.modules[path].roots["prior"]
        assert isinstance(prior, Mapping)
        kinds = prior[kind]
        assert isinstance(kinds, Mapping)
        return {name: _opened(kinds[name])}

    def _bound(self, value: Value, attribute: Attribute) -> Any:
        assert isinstance(value, Mapping), "each and count are objects"
        if is_sensitive(value) and any(r.root == "each" for r in references(attribute.expr)):
            detail = (
                f"`{attribute.text}` can be worked out only while applying, and `each.value` is "
                "sensitive here, so no plan can hold it. Take the secret from a variable directly."
            )
            raise stop("Sensitive value not kept", detail, at=attribute.value_span)
        return {n: keep(v) for n, v in value.items() if not is_sensitive(v)}


def _inside(data: Any) -> Iterator[Deferred]:
    """Yield the expressions right inside of what is kept."""
    if isinstance(data, Deferred):
        yield data
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from _inside(value)
    elif isinstance(data, list):
        for value in data:
            yield from _inside(value)


def _opened(value: Value) -> Any:
    """Return the attributes of what was recorded before, without a handle around them."""
    match value:
        case Handle(attribute=None, attributes=attributes):
            return {n: plain(v) for n, v in attributes.items()}
        case Handle():
            return plain(value)
        case Mapping():
            return {n: _opened(v) for n, v in value.items()}
        case list() | tuple():
            return [_opened(v) for v in value]
        case _:
            return plain(value)
