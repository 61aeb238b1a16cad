"""Preconditions, postconditions, checks and validations: judged now, or left for applying."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlform.address import Address
from mlform.config import Names, ResourceConfig
from mlform.config.blocks import Rule
from mlform.config.conditions import check_variable, judge, waits
from mlform.config.model import ROOT
from mlform.diagnostics import Diagnostics
from mlform.lazy import dataclass
from mlform.plan.deferred import Deferrer
from mlform.plan.model import Condition
from mlform.refresh.scope import Scope, roots_of
from mlform.values import Value, is_sensitive


@dataclass(frozen=True)
class Conditions:
    """Judges the conditions of a project against one walk over it."""

    scope: Scope
    deferrer: Deferrer
    names: Names
    diagnostics: Diagnostics

    def before(self, resource: ResourceConfig) -> tuple[Condition, ...]:
        """Judge the preconditions of a resource; return those that cannot be yet."""
        rules = resource.lifecycle.preconditions
        return self._rules("Precondition failed", rules, resource, resource.bindings)

    def after(self, resource: ResourceConfig, itself: Value) -> tuple[Condition, ...]:
        """Judge the postconditions of a resource; ``itself`` is ``None`` until it is applied."""
        rules = resource.lifecycle.postconditions
        if itself is None:
            path = resource.address.module
            return tuple(self.deferrer.condition(r, path, resource.bindings) for r in rules)
        bound = {**resource.bindings, "self": itself}
        return self._rules("Postcondition failed", rules, resource, bound)

    def _rules(
        self,
        summary: str,
        rules: Sequence[Rule],
        resource: ResourceConfig,
        bound: Mapping[str, Value],
    ) -> tuple[Condition, ...]:
        roots = roots_of(self.scope.of(resource), bound)
        kept = []
        for rule in rules:
            verdict = judge(rule, roots, self.diagnostics)
            if verdict.holds is None:
                path = resource.address.module
                kept.append(self.deferrer.condition(rule, path, resource.bindings))
            elif not verdict.holds:
                at, address = rule.condition.value_span, resource.address
                detail = f"{address}: {verdict.said}"
                self.diagnostics.error(summary, detail, at=at, of=address)
        return tuple(kept)

    def output(self, name: str) -> tuple[Condition, ...]:
        """Judge the preconditions of an output; return those that cannot be yet."""
        output, scope = self.scope.project.outputs[name], self.scope.modules[ROOT]
        value = self.scope.value(output.value)
        if is_sensitive(value) and not output.sensitive:
            detail = (
                f'Output "{name}" is worked out from sensitive values, so it would show them. '
                "Write `sensitive = true`, or nonsensitive(…) if it may be seen."
            )
            at = output.value.value_span
            self.diagnostics.error("Output shows sensitive values", detail, at=at)
        kept = []
        for rule in output.preconditions:
            verdict = judge(rule, scope.roots, self.diagnostics)
            if verdict.holds is None:
                kept.append(self.deferrer.condition(rule, ROOT, {}))
            elif not verdict.holds:
                detail = f"output.{name}: {verdict.said}"
                at = rule.condition.value_span
                self.diagnostics.error("Precondition failed", detail, at=at, of=f"output.{name}")
        return tuple(kept)

    def checks(self) -> dict[str, tuple[Condition, ...]]:
        """Judge every check block, with a warning for each that fails; return what is left."""
        left: dict[str, tuple[Condition, ...]] = {}
        for path, scope in self.scope.modules.items():
            for check in scope.module.checks.values():
                name = f"{Address('', '', module=path).spot}check.{check.name}"
                kept = []
                for rule in check.rules:
                    verdict = judge(rule, scope.roots, self.diagnostics)
                    if verdict.holds is None:
                        kept.append(self.deferrer.condition(rule, path, {}))
                    elif not verdict.holds:
                        at = rule.condition.value_span
                        detail = f"{name}: {verdict.said}"
                        self.diagnostics.warning("Check failed", detail, at=at, of=name)
                if kept:
                    left[name] = tuple(kept)
        return left

    def validations(self) -> None:
        """Judge the validations of variables that look at resources."""
        for path, scope in self.scope.modules.items():
            names = self.names.at(tuple(name for name, _ in path))
            for variable in scope.module.variables.values():
                for rule in variable.rules:
                    if waits(rule.condition, names):
                        check_variable(variable, rule, scope, self.diagnostics)
