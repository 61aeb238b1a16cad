"""Where in a file a place is: in which blocks and objects, however unfinished the text is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from mlform.config.load import BLOCKS
from mlform.config.sources import JSON_SUFFIX, parse_file
from mlform.diagnostics import Diagnostics
from mlform.lazy import dataclass
from mlform.syntax.tree import Block, Body, Expr, Literal, ObjectExpr, TupleExpr

_SKIPPED: Final = re.compile(
    r'"(?:\\.|[^"\\\n])*"?|#[^\n]*|//[^\n]*|/\*.*?(?:\*/|\Z)|<<-?(\w+)\n.*?(?:\n\s*\1\b|\Z)',
    re.DOTALL,
)
_CLOSE: Final = {"{": "}", "[": "]", "(": ")"}


@dataclass(frozen=True)
class Spot:
    """The blocks around a place, outermost first; ``path`` leads on into objects.

    ``path`` are the names of inner blocks, arguments and keys, from the outermost block inwards;
    ``written`` are the names that stand in the innermost of all already. ``open`` tells whether
    a name may begin there: not in the middle of some other expression.
    """

    around: Sequence[Block]
    path: tuple[str, ...]
    written: frozenset[str]
    open: bool


def spot(name: str, text: str, offset: int) -> Spot:
    """Return where a place is; what was begun there must have been taken out of the text."""
    found = _spot(_parsed(name, text), offset)
    if name.endswith(JSON_SUFFIX):
        return found
    begun = _unclosed(text[:offset])
    if len(found.around) < begun.count("{") and not found.path:
        # Braces are missing: everything after the place is left away, and all is closed there.
        closed = text[:offset] + " " + "\n".join(_CLOSE[b] for b in reversed(begun)) + "\n"
        return _spot(_parsed(name, closed), offset)
    return found


def _parsed(name: str, text: str) -> Body:
    return parse_file(name, text, Diagnostics(), BLOCKS)


def _unclosed(text: str) -> str:
    """Return the brackets that a text leaves open, outermost first."""
    stack: list[str] = []
    for found in re.finditer(r"[{}\[\]()]", _SKIPPED.sub(" ", text)):
        bracket = found[0]
        if bracket in _CLOSE:
            stack.append(bracket)
        elif stack and _CLOSE[stack[-1]] == bracket:
            stack.pop()
    return "".join(stack)


def _spot(body: Body, offset: int) -> Spot:
    around: list[Block] = []
    path: list[str] = []
    while inner := next((b for b in body.blocks if b.header_end < offset <= b.end), None):
        if around and inner.kind != "content":
            dynamic = inner.kind == "dynamic" and bool(inner.labels)
            path.append(inner.labels[0].text if dynamic else inner.kind)
        around.append(inner)
        body = inner.body
    for attribute in body.attributes.values():
        if attribute.expr.start < offset <= attribute.expr.end:
            steps = list(_steps(attribute.expr, offset))
            inside = isinstance(steps[-1], ObjectExpr)
            keys = [s for s in steps if isinstance(s, str)]
            last = steps[-1]
            written = _keys(last) if isinstance(last, ObjectExpr) else frozenset()
            return Spot(around, (*path, attribute.name, *keys), written, inside)
    names = frozenset({*body.attributes, *(b.kind for b in body.blocks)})
    return Spot(around, tuple(path), names, open=True)


def _steps(expr: Expr, offset: int) -> Iterator[Expr | str]:
    """Yield the way from an expression inwards: objects, their keys, what stands there."""
    yield expr
    if isinstance(expr, ObjectExpr):
        for key, value in expr.items:
            if value[0] < offset <= value[1]:
                if isinstance(key, Literal):
                    yield str(key.value)
                yield from _steps(value, offset)
    elif isinstance(expr, TupleExpr):
        for item in expr.items:
            if item[0] < offset <= item[1]:
                yield from _steps(item, offset)


def _keys(expr: ObjectExpr) -> frozenset[str]:
    return frozenset(str(key.value) for key, _ in expr.items if isinstance(key, Literal))
