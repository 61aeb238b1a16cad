"""The values of ``locals``."""

from __future__ import annotations

from collections.abc import Mapping

from mlform.diagnostics import Diagnostics
from mlform.lang import evaluate
from mlform.syntax.tree import Attribute
from mlform.values import UNKNOWN, Value


class Locals(dict[str, Value]):
    """Local values, each worked out when first asked for: all it needs is in place by then."""

    def __init__(
        self,
        locals_: Mapping[str, Attribute],
        roots: Mapping[str, Value],
        diagnostics: Diagnostics,
    ) -> None:
        super().__init__()
        self._locals, self._roots, self._diagnostics = locals_, roots, diagnostics

    def __contains__(self, name: object) -> bool:
        return name in self._locals

    def __missing__(self, name: str) -> Value:
        attribute = self._locals[name]
        self[name] = UNKNOWN  # what a value that refers to itself gets; the cycle is told apart
        value = evaluate(attribute.expr, self._roots, self._diagnostics, attribute.source)
        self[name] = value
        return value
