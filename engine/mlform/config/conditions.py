"""Conditions with messages: whether they hold, and what to say where they do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlform.config.blocks import Rule, Variable
from mlform.config.model import Bindings
from mlform.config.names import Names
from mlform.config.repetition import shown
from mlform.config.scope import ModuleScope
from mlform.diagnostics import Diagnostics
from mlform.lang import evaluate, references
from mlform.lang.worth import worth
from mlform.lazy import dataclass
from mlform.syntax.tree import Attribute
from mlform.values import Sensitive, Unknown, Value, is_known, is_sensitive


@dataclass(frozen=True)
class Verdict:
    """What came of a condition: ``None`` while that cannot be told; and the message if false."""

    holds: bool | None
    message: str = ""
    worth: str = ""
    """What the references of a condition that is false are worth, a line each."""

    @property
    def said(self) -> str:
        """The message, and why."""
        return self.message + self.worth


def judge(
    rule: Rule, roots: Mapping[str, Value], diagnostics: Diagnostics, but: str = ""
) -> Verdict:
    """Evaluate a condition. Notes one that is neither true nor false.

    ``but`` is a reference whose value the caller tells itself.
    """
    condition = rule.condition
    value = evaluate(condition.expr, roots, diagnostics, condition.source)
    value = value.value if isinstance(value, Sensitive) else value
    if isinstance(value, str) and value in {"true", "false"}:
        value = value == "true"
    if isinstance(value, Unknown) or not is_known(value):
        return Verdict(None)
    if not isinstance(value, bool):
        detail = f"A condition is true or false; this is {shown(value)}."
        diagnostics.error("Invalid condition", detail, at=condition.value_span)
        return Verdict(None)
    if value:
        return Verdict(holds=True)
    return Verdict(
        holds=False,
        message=_message(rule.message, roots, diagnostics),
        worth=worth(condition.expr, condition.source, roots, but=but),
    )


def _message(attribute: Attribute, roots: Mapping[str, Value], diagnostics: Diagnostics) -> str:
    said: Any = evaluate(attribute.expr, roots, diagnostics, attribute.source)
    if is_sensitive(said):
        return "(The message holds a sensitive value, so it is not shown.)"
    return said if isinstance(said, str) else "(The message is not known yet.)"


def check_variable(
    variable: Variable, rule: Rule, scope: ModuleScope, diagnostics: Diagnostics
) -> None:
    """Note a value of a variable that one of its validations does not let through."""
    verdict = judge(rule, scope.roots, diagnostics, f"var.{variable.name}")
    if verdict.holds is not False:
        return
    given = scope.roots["var"]
    assert isinstance(given, Mapping)
    value = given[variable.name]
    hidden = is_sensitive(value)
    said = "(sensitive value)" if hidden else shown(value)
    called = "".join(f"module.{name}." for name in scope.module.path)
    detail = f'Variable "{called}{variable.name}" is {said}. {verdict.said}'
    of = f"{called}var.{variable.name}"
    diagnostics.error("Invalid variable value", detail, at=rule.condition.value_span, of=of)


def waits(attribute: Attribute, names: Names, bound: Bindings | None = None) -> bool:
    """Tell whether an expression takes a value from any resource, now or as it was before."""
    if any(r.root == "prior" for r in references(attribute.expr)):
        return True
    return bool(names.needed(attribute, frozenset(bound or ())))


def check_settled(scope: ModuleScope, names: Names, diagnostics: Diagnostics) -> None:
    """Check the validations of variables that can be judged before anything is planned."""
    for variable in scope.module.variables.values():
        for rule in variable.rules:
            if not waits(rule.condition, names):
                check_variable(variable, rule, scope, diagnostics)
