"""Arguments as a plan keeps them: plain where known, else the expression and what it mentions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlform.config import Names, Project, ResourceConfig
from mlform.config import Output as OutputConfig
from mlform.plan.model import Deferred
from mlform.refresh.scope import Scope
from mlform.refresh.world import Wanted
from mlform.syntax.tree import Attribute
from mlform.values import Sensitive, Value, conceal, is_known, is_sensitive, plain


class Deferrer:
    """Makes the arguments of steps self-contained, so that applying needs no spec."""

    def __init__(self, project: Project, names: Names, scope: Scope) -> None:
        self.project, self.names, self.scope = project, names, scope

    def arguments(
        self, resource: ResourceConfig, values: Mapping[str, Value], normal: Wanted
    ) -> dict[str, Any]:
        """Return every argument, defaults too, plain or deferred."""
        found: dict[str, Any] = {n: v for n, v in normal.data.items() if n not in normal.open}
        for name, value in values.items():
            if not is_known(value) or is_sensitive(value):
                found[name] = self._deferred(resource.arguments[name], resource.bindings)
        return dict(sorted(found.items()))

    def output(self, output: OutputConfig) -> Any:
        """Return an output's value, plain or deferred."""
        value = self.scope.value(output.value)
        if output.sensitive and is_known(value):
            return conceal(plain(value, reveal=True))
        if is_known(value) and not is_sensitive(value):
            return plain(value)
        return self._deferred(output.value, {})

    def _deferred(self, attribute: Attribute, bound: Mapping[str, Value]) -> Deferred:
        variables, locals_ = self.names.used(attribute)
        bindings: dict[str, dict[str, Any]] = {}
        secrets: set[str] = set()
        for name in sorted(variables):
            if is_sensitive(self.project.variables[name]):
                secrets.add(name)
            else:
                bindings.setdefault("var", {})[name] = plain(self.project.variables[name])
        for name in sorted(locals_):
            value = self.scope.value(self.project.locals[name])
            settled = is_known(value) and not is_sensitive(value)
            bindings.setdefault("local", {})[name] = (
                plain(value) if settled else self._deferred(self.project.locals[name], {})
            )
        for root, value in bound.items():
            assert not isinstance(value, Sensitive)
            bindings[root] = plain(value)
        at = str(attribute.value_span)
        return Deferred(attribute.text, bindings, tuple(sorted(secrets)), at)
