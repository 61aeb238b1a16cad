"""Arguments once everything upstream is applied: deferred expressions get their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from mlform.address import Address
from mlform.diagnostics import Diagnostics, stop
from mlform.lang import ConversionError, convert, evaluate, parse_type
from mlform.lang.provided import Provided, provided_root
from mlform.lang.registry import LIVE, LIVELY
from mlform.lang.worth import worth
from mlform.plan import Condition, Deferred, Step
from mlform.plan.typed import Typed
from mlform.refresh.recorded import Recorded
from mlform.registry import KINDS
from mlform.registry.places import place
from mlform.syntax import parse_expression
from mlform.values import Sensitive, Value, handle_in

Roots: TypeAlias = Mapping[str, Mapping[str, Value]]
"""Module instance, as in ``module.a.``, empty for the root → the kinds of its resources."""


class Settler:
    """Turns the arguments of a step into values."""

    def __init__(self, records: Recorded, secrets: Mapping[str, Value]) -> None:
        self.records, self.secrets = records, secrets
        self.provided = Provided(records.registry.providers, records.registry.functions)
        self.lively: dict[str, Value] = {}

    def values(self, step: Step) -> dict[str, Value]:
        """Return every argument's value. Raises ``DiagnosedError`` where there is none."""
        roots = self.resources(step.refers_to)
        return {n: self.value(v, roots) for n, v in step.arguments.items()}

    def resources(self, addresses: Iterable[Address]) -> Roots:
        """Return the roots of expressions that may refer to these resources, by module."""
        roots: dict[str, dict[str, Value]] = {}
        for address in addresses:
            if (handle := self.records.handle(address)) is not None:
                spot = roots.setdefault(address.spot, {kind: {} for kind in KINDS})
                place(spot, address, handle)
        return roots

    def value(self, argument: Any, roots: Roots) -> Value:
        """Return the value of one argument: plain, typed or deferred."""
        if isinstance(argument, Deferred):
            return self._deferred(argument, roots)
        if isinstance(argument, Typed):
            return convert(self.records.revive(argument.data), argument.type)
        if isinstance(argument, Mapping) and handle_in(argument) is None:
            return {k: self.value(v, roots) for k, v in argument.items()}
        if isinstance(argument, list):
            return [self.value(v, roots) for v in argument]
        return self.records.revive(argument)

    def broken(
        self, conditions: Sequence[Condition], roots: Roots, itself: Value = None
    ) -> tuple[str, str] | None:
        """Return the message of the first condition that does not hold, and where it stands."""
        for it in conditions:
            bound: dict[str, Value] = {} if itself is None else {"self": itself}
            held = self._deferred(it.condition, roots, bound)
            held = held.value if isinstance(held, Sensitive) else held
            if held is False:
                said = self._deferred(it.message, roots, bound)
                shown = said if isinstance(said, str) else "(The message is sensitive.)"
                return shown + self._worth(it.condition, roots, bound), it.condition.at
        return None

    def _worth(self, argument: Deferred, roots: Roots, bound: Mapping[str, Value]) -> str:
        expr, source = parse_expression(argument.text, argument.at or "plan", Diagnostics())
        return worth(expr, source, self._scope(argument, roots, bound))

    def _deferred(
        self, argument: Deferred, roots: Roots, bound: Mapping[str, Value] | None = None
    ) -> Value:
        diagnostics = Diagnostics()
        expr, source = parse_expression(argument.text, argument.at or "plan", diagnostics)
        diagnostics.stop_on_errors()
        value = evaluate(expr, self._scope(argument, roots, bound), diagnostics, source)
        diagnostics.stop_on_errors()
        value = self._as_variable(argument, value)
        if LIVELY(argument.text):
            # It has one value in a run, whoever asks and however often.
            named = (argument.at, argument.module, argument.bindings.get("each"))
            key = repr((*named, argument.bindings.get("count")))
            value = self.lively.setdefault(key, value)
        return value

    def _scope(
        self, argument: Deferred, roots: Roots, bound: Mapping[str, Value] | None
    ) -> Mapping[str, Value]:
        scope: dict[str, Value] = {"path": {"module": ".", "root": ".", "cwd": "."}}
        scope |= roots.get(argument.module) or {kind: {} for kind in KINDS}
        for root, names in argument.bindings.items():
            beside = scope.get(root) if root in KINDS else None
            more = {n: self.value(v, roots) for n, v in names.items()}
            scope[root] = {**beside, **more} if isinstance(beside, Mapping) else more
        if argument.secrets:
            given = scope.get("var", {})
            assert isinstance(given, dict)
            scope["var"] = {**given, **{n: self._secret(n) for n in argument.secrets}}
        return {**scope, **provided_root(self.provided), LIVE: True, **(bound or {})}

    def _secret(self, name: str) -> Value:
        if name not in self.secrets:
            detail = (
                f'The plan needs the sensitive variable "{name}", which no plan file holds. '
                f"Give it again: set MLF_VAR_{name}, or pass -var or -var-file."
            )
            raise stop("Sensitive variable missing", detail)
        return self.secrets[name]

    def _as_variable(self, argument: Deferred, value: Value) -> Value:
        """Return what was given to a variable of a module as that variable has it."""
        if argument.type:
            diagnostics = Diagnostics()
            expr, source = parse_expression(argument.type, argument.at, diagnostics)
            type_ = parse_type(expr, source, diagnostics)
            diagnostics.stop_on_errors()
            assert type_ is not None, "a type that cannot be read is an error"
            try:
                value = convert(value, type_)
            except ConversionError as error:
                detail = f"`{argument.text}` is no {argument.type}: {error}."
                if argument.secret:
                    detail = f"`{argument.text}` is no {argument.type}."
                raise stop("Invalid variable value", f"{argument.at}: {detail}") from None
        secret = argument.secret and not isinstance(value, Sensitive)
        return Sensitive(value) if secret else value
