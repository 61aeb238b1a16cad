"""The types of values, as type constraints write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from mlform.values import Value


@dataclass(frozen=True)
class Primitive:
    """``string``, ``number``, ``bool``, ``any``; or ``resource``, of which no one can write."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Collection:
    """``list``, ``set`` or ``map`` of one type."""

    name: str
    element: Type

    def __str__(self) -> str:
        return f"{self.name}({self.element})"


@dataclass(frozen=True)
class ObjectType:
    """``object({…})``: attributes by name; the optional ones have a default, null if not given."""

    attributes: Mapping[str, Type]
    optional: Mapping[str, Value] = field(default_factory=dict)

    def __str__(self) -> str:
        shown = [
            f"{k} = optional({t})" if k in self.optional else f"{k} = {t}"
            for k, t in sorted(self.attributes.items())
        ]
        return "object({" + ", ".join(shown) + "})"


@dataclass(frozen=True)
class TupleType:
    """``tuple([…])``."""

    elements: tuple[Type, ...]

    def __str__(self) -> str:
        return "tuple([" + ", ".join(map(str, self.elements)) + "])"


Type: TypeAlias = Primitive | Collection | ObjectType | TupleType

STRING: Final = Primitive("string")
NUMBER: Final = Primitive("number")
BOOL: Final = Primitive("bool")
ANY: Final = Primitive("any")
