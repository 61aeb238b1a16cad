"""How high a syntax tree is."""

from __future__ import annotations

from mlform.syntax.tree import Expr


def height(expr: Expr) -> int:
    """Return how many nodes stand one inside the other, without recursion."""
    highest = 0
    waiting: list[tuple[object, int]] = [(expr, 1)]
    while waiting:
        node, level = waiting.pop()
        highest = max(highest, level)
        inner = level + 1 if hasattr(node, "_fields") else level
        if isinstance(node, tuple):
            waiting.extend((child, inner) for child in node if isinstance(child, tuple))
    return highest
