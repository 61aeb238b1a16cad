"""Instances whose keys are known while what they are given is not: ``for_each = {a = dataset.a}``.

How many there are is no question then, so nothing has to be put off. What such an instance is given
is worked out like anything else that is written: ``each.value`` stands for the element of
``for_each`` that is meant, and takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

from mlform.address import Key
from mlform.config.lazy import Lazy
from mlform.config.model import Bindings, Call, ModulePath, Project
from mlform.config.names import Names
from mlform.config.repetition import NotYetError, Repetition
from mlform.config.scope import ModuleScope
from mlform.diagnostics import Diagnostics
from mlform.lang import references
from mlform.lazy import replace
from mlform.syntax.tree import (
    Attribute,
    Block,
    Expr,
    ForObject,
    ForTuple,
    GetAttr,
    Index,
    Literal,
    Name,
    ObjectExpr,
    Parens,
    Source,
    TemplateFor,
)
from mlform.values import UNKNOWN, Value

_EACH = "each"


class Steady:
    """Tells which instances there are of a block whatever becomes of any resource."""

    def __init__(self, project: Project, names: Names) -> None:
        self._names = names
        self._root = ModuleScope(
            project.module, project.variables, project.where, self._called, Diagnostics()
        )
        self._filled: set[ModulePath] = set()

    def instances(self, path: ModulePath, block: Block) -> dict[Key, Bindings] | None:
        """Return the instances of a block in a module instance, ``None`` if resources say which.

        ``each.value`` is not among what an instance is bound to.
        """
        scope = self._at(path)
        found = None if scope is None else self._repeated(scope, block)
        if found is None:
            return None
        keyed = "for_each" in block.body.attributes
        return {k: {_EACH: {"key": k}} if keyed else b for k, b in found.items()}

    def _at(self, path: ModulePath) -> ModuleScope | None:
        scope = self._root
        self._fill(scope)
        for name, key in path:
            inner = scope.children(name).get(key)
            if inner is None:
                return None
            scope = inner
            self._fill(scope)
        return scope

    def _called(self, scope: ModuleScope, call: Call) -> Mapping[Key, Bindings] | None:
        self._fill(scope)
        return self._repeated(scope, call.block)

    def _repeated(self, scope: ModuleScope, block: Block) -> dict[Key, Bindings] | None:
        problems = Diagnostics()
        names = self._names.at(scope.module.path)
        try:
            found = dict(Repetition(names, scope.roots, problems).instances("", block))
        except NotYetError:
            return None
        return None if problems.errors else found

    def _fill(self, scope: ModuleScope) -> None:
        if scope.path in self._filled:
            return
        self._filled.add(scope.path)
        blocks: dict[str, dict[str, Block]] = {}
        for address, block in scope.module.blocks.items():
            blocks.setdefault(address.kind, {})[address.name] = block
        for kind, named in blocks.items():
            scope.roots[kind] = Lazy(named, partial(self._worth, scope, named))

    def _worth(self, scope: ModuleScope, blocks: Mapping[str, Block], name: str) -> Value:
        """Return what is known of a block before anything is made: which instances it has."""
        repeats = blocks[name].body.attributes.keys() & {"count", "for_each"}
        found = self._repeated(scope, blocks[name]) if repeats else None
        if found is None or (there := _enabled(scope, blocks[name], found)) is None:
            return UNKNOWN
        if "count" in repeats:  # what is not enabled beside others is null, and has its place
            return [UNKNOWN] * (len(found) if there else 0)
        return {str(key): UNKNOWN for key in there}


def _enabled(
    scope: ModuleScope, block: Block, instances: Mapping[Key, Bindings]
) -> list[Key] | None:
    """Return which instances are there, ``None`` if that cannot be told yet."""
    lives = [b for b in block.body.blocks if b.kind == "lifecycle"]
    written = lives[0].body.attributes.get("enabled") if lives else None
    if written is None:
        return [*instances]
    said = {key: scope.value(written, bindings) for key, bindings in instances.items()}
    if not all(isinstance(value, bool) for value in said.values()):
        return None
    return [key for key, value in said.items() if value]


def takes_values(attribute: Attribute) -> bool:
    """Tell whether an expression takes something from ``each.value``."""
    return any(_means_value(r.root, r.steps) for r in references(attribute.expr))


def with_element(attribute: Attribute, for_each: Attribute, key: str) -> Attribute:
    """Return an expression with the element of ``for_each`` in place of ``each.value``."""
    if not takes_values(attribute):
        return attribute
    source = _rewritten(attribute.source)
    return attribute._replace(expr=_put(attribute.expr, for_each.expr, key), source=source)


def _means_value(root: str, steps: tuple[str | int, ...]) -> bool:
    return root == _EACH and (not steps or steps[0] == "value")


@lru_cache(maxsize=64)
def _rewritten(source: Source) -> Source:
    return replace(source, verbatim=False)


def _put(expr: Expr, for_each: Expr, key: str) -> Expr:
    """Return an expression in which an element of ``for_each`` is written for ``each.value``."""
    match expr:
        case GetAttr(start, end, Name(name=root), "value") if root == _EACH:
            return _element(for_each, key, start, end)
        case ForTuple() | ForObject() | TemplateFor() if _EACH in (expr.key, expr.value):
            return expr._replace(collection=_put(expr.collection, for_each, key))  # its own `each`
        case _:
            return type(expr)(*(_inside(part, for_each, key) for part in expr))


def _inside(part: Any, for_each: Expr, key: str) -> Any:
    if isinstance(part, tuple):
        if hasattr(part, "_fields"):
            return _put(part, for_each, key)  # type: ignore[arg-type]
        return tuple(_inside(inner, for_each, key) for inner in part)
    return part


def _element(for_each: Expr, key: str, start: int, end: int) -> Expr:
    if isinstance(for_each, ObjectExpr):
        for name, value in for_each.items:
            # An element that is written here waits for what it mentions alone.
            match name:
                case Name(name=written) | Literal(value=written) if written == key:
                    return Parens(start, end, value)
                case _:
                    pass
    return Index(start, end, Parens(start, end, for_each), Literal(start, end, key))
