"""Evaluating texts in tests."""

from __future__ import annotations

from collections.abc import Mapping

from mlform.diagnostics import Diagnostic, Diagnostics
from mlform.lang import evaluate
from mlform.syntax import parse_expression
from mlform.values import Value


def ask(text: str, scope: Mapping[str, Value]) -> tuple[Value, list[Diagnostic]]:
    """Return what a text is worth, and what was noted."""
    diagnostics = Diagnostics()
    expr, source = parse_expression(text, "test.hcl", diagnostics)
    assert not diagnostics.errors, (text, diagnostics.errors)
    return evaluate(expr, scope, diagnostics, source), list(diagnostics)


def value(text: str, scope: Mapping[str, Value] | None = None) -> Value:
    """Return what a sound text is worth."""
    found, problems = ask(text, scope or {})
    assert not problems, (text, problems)
    return found


def problem(text: str, scope: Mapping[str, Value] | None = None) -> Diagnostic:
    """Return the one problem of a text."""
    _, problems = ask(text, scope or {})
    assert len(problems) == 1, (text, problems)
    return problems[0]


def marked(text: str, item: Diagnostic) -> str:
    """Return the part of a one-line text that a problem is shown at."""
    assert item.subject is not None
    return text[item.subject.column - 1 : item.subject.end_column - 1]
