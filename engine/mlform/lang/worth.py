"""What the references in an expression are worth, in words: why a condition does not hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.lang.evaluate import evaluate
from mlform.lang.evaluator import UNKNOWN_REFERENCE, Scope
from mlform.lang.operations import kind_of, number_of
from mlform.lang.references import references
from mlform.syntax import parse_expression
from mlform.syntax.tree import Expr, Source
from mlform.values import Handle, Unknown, Value, is_known, is_sensitive, plain

_LONGEST: Final = 100
"""Characters of a value that are shown; of a longer one only what it is."""


def brief(value: Value) -> str:
    """Write a value as the language does if it is short, else say what it is."""
    if isinstance(value, Unknown) or not is_known(value):
        return "known after apply"
    text = json.dumps(plain(value), ensure_ascii=False)
    if len(text) <= _LONGEST and not isinstance(value, Handle):
        return text
    if isinstance(value, list | tuple | dict):
        return f"{kind_of(value)} with {number_of(len(value), 'element')}"
    return f"{kind_of(value)}, {text[:_LONGEST]}…"


def worth(
    expr: Expr,
    source: Source,
    scope: Scope,
    show: Callable[[Value], str] = brief,
    but: str = "",
) -> str:
    """Return a line for each reference in an expression: ``var.n is 3``. Secrets stay hidden.

    ``but`` is a reference whose value is told already.
    """
    lines: list[str] = []
    for reference in references(expr):
        written = source.text[reference.start : reference.end]
        if written == but:
            continue
        problems = Diagnostics()
        inner, text = parse_expression(written, source.file, problems)
        if problems.errors:
            continue
        value = evaluate(inner, scope, problems, text)
        hidden = is_sensitive(value)
        line = f"\n  {written} is {'(sensitive value)' if hidden else show(value)}"
        if not problems.errors and line not in lines:
            lines.append(line)
    return "".join(lines)


def check_names(expr: Expr, source: Source, scope: Scope, diagnostics: Diagnostics) -> None:
    """Note names that stand for nothing, also where ``try`` or a loop leaves them unevaluated."""
    for root, steps, start, end in references(expr):
        if root not in scope:
            detail = f'There is no "{root}" here.{did_you_mean(root, scope)}'
            diagnostics.error(UNKNOWN_REFERENCE, detail, at=source.span(start, end))
            continue
        members = scope[root]
        if steps and isinstance(members, Mapping) and steps[0] not in members:
            hint = did_you_mean(str(steps[0]), members)
            detail = f'There is no "{root}.{steps[0]}" here.{hint}'
            diagnostics.error(UNKNOWN_REFERENCE, detail, at=source.span(start, end))
