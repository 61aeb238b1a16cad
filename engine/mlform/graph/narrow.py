"""Which instances of a block an expression takes values from: ``dataset.a[count.index]`` one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from mlform.address import Key
from mlform.config import ResourceConfig
from mlform.lang import references
from mlform.lang.references import nested
from mlform.lazy import dataclass, field
from mlform.syntax.tree import Attribute, Expr, GetAttr, Index, Literal, Name

_Block: TypeAlias = tuple[str, str]
_AROUND: Final = frozenset({"local", "module", "var"})
"""What may lead to a block by another way."""
_MINE: Final = {("count", "index"), ("each", "key")}


@dataclass(frozen=True)
class Narrower:
    """Finds instances by key, reading every expression once."""

    _read: dict[int, Mapping[_Block, list[Expr]]] = field(default_factory=dict)

    def keys(self, resource: ResourceConfig, block: _Block) -> frozenset[Key] | None:
        """Return the keys of the instances a resource takes; ``None``: of all of them."""
        found: set[Key] = set()
        for attribute in _written(resource):
            wanted = self._indexed(attribute)
            if block not in wanted:
                if wanted.get(("", "")) is not None:
                    return None
                continue
            for expr in wanted[block]:
                key = _key(expr, resource.bindings)
                if key is None:
                    return None
                found.add(key)
        return frozenset(found) or None

    def _indexed(self, attribute: Attribute) -> Mapping[_Block, list[Expr]]:
        """Return the keys written behind each block; under no name, that there are other ways."""
        known = self._read.get(id(attribute.expr))
        if known is None:
            known = self._read[id(attribute.expr)] = dict(_index(attribute.expr))
        return known


def _written(resource: ResourceConfig) -> Iterable[Attribute]:
    yield from resource.arguments.values()
    lifecycle = resource.lifecycle
    yield from lifecycle.triggers
    for rule in (*lifecycle.preconditions, *lifecycle.postconditions):
        yield rule.condition
        yield rule.message


def _index(expr: Expr) -> Iterable[tuple[_Block, list[Expr]]]:
    found: dict[_Block, list[Expr]] = {}
    counted: dict[_Block, int] = {}
    for reference in references(expr):
        if reference.root in _AROUND:
            yield ("", ""), []
        elif reference.steps:
            named = (reference.root, str(reference.steps[0]))
            counted[named] = counted.get(named, 0) + 1
    for node in nested(expr):
        match node:
            case Index(target=GetAttr(target=Name(name=kind), name=name), key=key):
                found.setdefault((kind, name), []).append(key)
            case _:
                pass
    for named, count in counted.items():
        keys = found.get(named, [])
        yield named, keys if len(keys) == count else [expr]


def _key(expr: Expr, bindings: Mapping[str, Any]) -> Key:
    found: Any = None
    match expr:
        case Literal(value=value):
            found = value
        case GetAttr(target=Name(name=root), name=name) if (root, name) in _MINE:
            values = bindings.get(root)
            found = values.get(name) if isinstance(values, Mapping) else None
        case _:
            pass
    return found if isinstance(found, int | str) and not isinstance(found, bool) else None
