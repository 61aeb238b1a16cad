"""The types of values, as Terraform has them (and HCL's cty beneath it)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, TypeAlias

from mlform.lazy import dataclass, field


@dataclass(frozen=True)
class Primitive:
    """``string``, ``number``, ``bool``, ``any``; or ``resource``, of which no one can write.

    ``any`` is the type of what is not known to have one: ``null`` as it is written, and an
    unknown value of which nothing is known (cty calls it dynamic).
    """

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
    """``object({…})``: attributes by name; the optional ones have a default, null if not given.

    Only type constraints have optional attributes; the type of a value has none.
    """

    attributes: Mapping[str, Type]
    optional: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def _identity(self) -> tuple[object, ...]:
        return (frozenset(self.attributes.items()), frozenset(self.optional))

    def __hash__(self) -> int:
        return hash(self._identity)

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
RESOURCE: Final = Primitive("resource")
"""The type of a handle."""
