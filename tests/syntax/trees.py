"""Reading trees in tests: without positions, and failing loudly on errors."""

from __future__ import annotations

from mlform.diagnostics import Diagnostics
from mlform.syntax import parse, parse_expression, tree


def body(text: str, file: str = "spec.hcl") -> tree.Body:
    diagnostics = Diagnostics()
    found = parse(text, file, diagnostics)
    assert problems(diagnostics) == []
    return found


def expression(text: str) -> tree.Expr:
    diagnostics = Diagnostics()
    found, _ = parse_expression(text, "expression", diagnostics)
    assert problems(diagnostics) == []
    return found


def problems(diagnostics: Diagnostics) -> list[str]:
    """Each problem as ``line:col-line:col summary: detail``."""
    shown = []
    for found in diagnostics:
        at = found.subject
        assert at is not None, "a syntax problem has a place"
        where = f"{at.line}:{at.column}-{at.end_line}:{at.end_column}"
        shown.append(f"{where} {found.summary}: {found.detail}")
    return shown


def errors(text: str) -> list[str]:
    diagnostics = Diagnostics()
    parse(text, "spec.hcl", diagnostics)
    return problems(diagnostics)


def bare(node: object) -> object:
    """A tree as nested tuples of names and values, without any position.

    What stands around a whole argument without changing it is left out: ``"${ }"`` and ``( )``.
    """
    match node:
        case tree.Attribute():
            expr = node.expr
            while isinstance(expr, tree.TemplateWrap | tree.Parens):
                expr = expr.inner
            return ("Attribute", node.name, bare(expr))
        case tree.Block():
            return ("Block", node.kind, tuple(x.text for x in node.labels), bare(node.body))
        case tree.Body():
            attributes = tuple(bare(x) for x in node.attributes.values())
            return ("Body", attributes, tuple(bare(x) for x in node.blocks))
        case tuple() if hasattr(node, "_fields"):
            return (type(node).__name__, *(bare(x) for x in node[2:]))
        case tuple():
            return tuple(bare(x) for x in node)
        case _:
            return (type(node).__name__, node)


def nodes(node: object) -> list[tuple[int, int]]:
    """The positions of all nodes of an expression."""
    if not isinstance(node, tuple):
        return []
    own = [(node[0], node[1])] if hasattr(node, "_fields") else []
    return own + [x for inner in node for x in nodes(inner)]
