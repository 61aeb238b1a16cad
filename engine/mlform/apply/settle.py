"""Arguments once everything upstream is applied: deferred expressions get their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlform.address import Address
from mlform.diagnostics import Diagnostics, stop
from mlform.lang import evaluate
from mlform.plan import Deferred, Step
from mlform.refresh.recorded import Recorded
from mlform.refresh.world import place
from mlform.registry import KINDS
from mlform.syntax import parse_expression
from mlform.values import Value, handle_in


class Settler:
    """Turns the arguments of a step into values."""

    def __init__(self, records: Recorded, secrets: Mapping[str, Value]) -> None:
        self.records, self.secrets = records, secrets

    def values(self, step: Step) -> dict[str, Value]:
        """Return every argument's value. Raises ``DiagnosedError`` where there is none."""
        roots = self.resources(step.refers_to)
        return {n: self.value(v, roots) for n, v in step.arguments.items()}

    def resources(self, addresses: tuple[Address, ...]) -> dict[str, Value]:
        """Return the roots of expressions that may refer to these resources."""
        roots: dict[str, Value] = {kind: {} for kind in KINDS}
        for address in addresses:
            if (handle := self.records.handle(address)) is not None:
                place(roots, address, handle)
        return roots

    def value(self, argument: Any, roots: Mapping[str, Value]) -> Value:
        """Return the value of one argument, plain or deferred."""
        if isinstance(argument, Deferred):
            return self._deferred(argument, roots)
        return self.revive(argument)

    def revive(self, data: Any) -> Value:
        """Return plain data as a value, its handles with their attributes."""
        if handle := handle_in(data):
            if handle.attribute is None:
                known = self.records.handle(Address.parse(handle.address))
                return known if known is not None and known == handle else handle
            return handle
        if isinstance(data, Mapping):
            return {k: self.revive(v) for k, v in data.items()}
        if isinstance(data, list):
            return [self.revive(v) for v in data]
        known_value: Value = data
        return known_value

    def _deferred(self, argument: Deferred, roots: Mapping[str, Value]) -> Value:
        scope: dict[str, Value] = dict(roots)
        scope["path"] = {"module": ".", "root": ".", "cwd": "."}
        for root, names in argument.bindings.items():
            scope[root] = {n: self.value(v, roots) for n, v in names.items()}
        variables: dict[str, Value] = {}
        for name in argument.secrets:
            if name not in self.secrets:
                detail = (
                    f'The plan needs the sensitive variable "{name}", which no plan file holds. '
                    f"Give it again: set MLF_VAR_{name}, or pass -var or -var-file."
                )
                raise stop("Sensitive variable missing", detail)
            variables[name] = self.secrets[name]
        if variables:
            given = scope.get("var", {})
            assert isinstance(given, dict)
            scope["var"] = {**given, **variables}
        diagnostics = Diagnostics()
        expr, source = parse_expression(argument.text, argument.at or "plan", diagnostics)
        diagnostics.stop_on_errors()
        value = evaluate(expr, scope, diagnostics, source)
        diagnostics.stop_on_errors()
        return value
