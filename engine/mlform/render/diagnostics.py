"""Problems as people and machines read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlform.diagnostics import Diagnostic, Severity, Span
from mlform.render.style import Styled

_SHOWN_LINES = 3


def diagnostic(problem: Diagnostic, sources: Mapping[str, str]) -> Styled:
    """Say what is wrong, show the line it is on, and say what to do."""
    error = problem.severity is Severity.ERROR
    said: Styled = [
        ("red bold" if error else "yellow", problem.severity.value.capitalize()),
        ("bold", f": {problem.summary}\n"),
    ]
    if problem.subject is not None:
        said += _excerpt(problem, problem.subject, sources)
    elif problem.address is not None:
        said.append(("", f"\n  {problem.address}\n"))
    return [*said, ("", f"\n{problem.detail}\n")]


def _excerpt(problem: Diagnostic, span: Span, sources: Mapping[str, str]) -> Styled:
    where = f"\n  on {span}" + (f", in {problem.address}" if problem.address else "") + "\n"
    said: Styled = [("", where)]
    lines = sources.get(span.file, "").split("\n")
    if span.line > len(lines) or span.file not in sources:
        return said
    last = min(span.end_line, span.line + _SHOWN_LINES - 1)
    width = len(str(last))
    said += _header(problem.context, span, lines, width)
    for number in range(span.line, last + 1):
        line = lines[number - 1].rstrip("\r")
        said.append(("", f"  {number:>{width}} │ {line.expandtabs(1)}\n"))
        start = span.column if number == span.line else len(line) - len(line.lstrip()) + 1
        end = span.end_column if number == span.end_line else len(line) + 1
        carets = "^" * max(end - start, 1)
        said += [("", f"  {' ' * width} │ {' ' * (start - 1)}"), ("red", f"{carets}\n")]
    return said


def _header(context: Span | None, span: Span, lines: list[str], width: int) -> Styled:
    """Show the line that the surrounding block begins with, if it is another one."""
    if context is None or context.file != span.file or context.line >= span.line:
        return []
    said: Styled = [("", f"  {context.line:>{width}} │ {lines[context.line - 1].rstrip()}\n")]
    if context.line + 1 < span.line:
        said.append(("", f"  {' ' * width} ⋮\n"))
    return said


def document(problems: Iterable[Diagnostic]) -> dict[str, Any]:
    """Return all problems of a command as one object, with whether any is an error."""
    found = list(problems)
    errors = sum(p.severity is Severity.ERROR for p in found)
    return {
        "type": "diagnostics",
        "valid": not errors,
        "error_count": errors,
        "warning_count": len(found) - errors,
        "diagnostics": as_data(found),
    }


def as_data(problems: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Return problems as plain data, of the shape in ``schema/diagnostics.schema.json``."""
    return [
        {
            "severity": p.severity.value,
            "summary": p.summary,
            "detail": p.detail,
            "address": p.address,
            "range": None if p.subject is None else _range(p.subject),
            "context": None if p.context is None else _range(p.context),
        }
        for p in problems
    ]


def _range(span: Span) -> dict[str, Any]:
    return {
        "file": span.file,
        "start": {"line": span.line, "column": span.column},
        "end": {"line": span.end_line, "column": span.end_column},
    }
