"""Arguments that are read as they are written: types, addresses, names. In JSON they are text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlform.diagnostics import Diagnostics
from mlform.registry import KINDS
from mlform.syntax import parse_expression
from mlform.syntax.tree import Attribute, Body, Expr, Literal, ObjectExpr, Source, TupleExpr

_READ: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(KINDS, ("depends_on", "provider")),
    "trigger": ("depends_on", "on", "advance"),
    "variable": ("type",),
    "output": ("depends_on",),
    "module": ("depends_on", "providers"),
    "moved": ("from", "to"),
    "removed": ("from",),
    "import": ("to", "provider"),
    "lifecycle": ("ignore_changes", "replace_triggered_by"),
    "dynamic": ("iterator",),
    "run": ("command", "expect_failures"),
    "plan_options": ("target", "replace"),
    "override_resource": ("target",),
}
"""Block → its arguments that are no values but are read as they are written."""


def as_written(body: Body) -> Body:
    """Return what a JSON file says, such arguments read from the text in their place.

    ``"depends_on": ["dataset.a"]`` says what ``depends_on = [dataset.a]`` says. Positions stay
    those of the file.
    """
    blocks = []
    for block in body.blocks:
        inner = as_written(block.body)
        names = [n for n in _READ.get(block.kind, ()) if n in inner.attributes]
        changed = {n: _read(inner.attributes[n]) for n in names}
        if changed:
            inner = inner._replace(attributes={**inner.attributes, **changed})
        blocks.append(block._replace(body=inner))
    return body._replace(blocks=tuple(blocks))


def _read(attribute: Attribute) -> Attribute:
    literals = [e for e in _values(attribute.expr) if isinstance(e, Literal)]
    texts = [e for e in literals if isinstance(e.value, str)]
    if not texts:
        return attribute
    text = list(_blank(attribute.source.text[: attribute.expr.start]))
    text += attribute.source.text[attribute.expr.start : attribute.expr.end]
    for literal in texts:
        width = literal.end - literal.start
        inside = f" {literal.value}".ljust(width)[:width]
        text[literal.start : literal.end] = inside
    problems = Diagnostics()
    expr, source = parse_expression("".join(text), attribute.source.file, problems)
    if problems.errors:
        return attribute
    whole = Source(attribute.source.file, source.text.ljust(len(attribute.source.text)))
    return Attribute(attribute.start, attribute.end, attribute.name, expr, whole)


def _values(expr: Expr) -> list[Expr]:
    match expr:
        case TupleExpr(items=items):
            return list(items)
        case ObjectExpr(items=items):
            return [value for _, value in items]
        case _:
            return [expr]


def _blank(text: str) -> str:
    return "".join(c if c == "\n" else " " for c in text)
