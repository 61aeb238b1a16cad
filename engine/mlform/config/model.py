"""A project: what the user wants, checked as far as reading alone can check it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlform.address import Address
from mlform.diagnostics import Span
from mlform.registry import Offer
from mlform.syntax.tree import Attribute
from mlform.values import Value


@dataclass(frozen=True)
class Lifecycle:
    """How changes of one resource are handled."""

    prevent_destroy: bool = False
    ignore_changes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ResourceConfig:
    """One resource instance as declared.

    ``bindings`` are the roots that only this instance sees: ``each`` or ``count``.
    ``depends_on`` are blocks, not instances.
    """

    address: Address
    type: str
    offer: Offer
    arguments: Mapping[str, Attribute]
    span: Span
    depends_on: tuple[Address, ...] = ()
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    bindings: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Output:
    """One ``output`` block."""

    name: str
    value: Attribute
    sensitive: bool
    description: str


@dataclass(frozen=True)
class Settings:
    """The ``mlform`` block: where state lies."""

    backend: str = "sqlite"
    backend_path: str = ".mlform/state.db"


@dataclass(frozen=True)
class Project:
    """All files together, with the values of the variables."""

    root: Path
    settings: Settings
    variables: Mapping[str, Value]
    locals: Mapping[str, Attribute]
    resources: Mapping[Address, ResourceConfig]
    outputs: Mapping[str, Output]
    declared: Mapping[Address, Span]
    """Every resource block by its address without instance key."""

    def base_scope(self) -> dict[str, Value]:
        """Return the roots that mean the same everywhere: ``var``, ``path``, ``mlform``."""
        here = str(self.root)
        return {
            "var": dict(self.variables),
            "path": {"module": ".", "root": ".", "cwd": here},
            "mlform": {"workspace": "default"},
        }

    def instances(self, block: Address) -> list[Address]:
        """Return the instances of one block, in order."""
        return self._by_block.get(block, [])

    @property
    def _by_block(self) -> Mapping[Address, list[Address]]:
        cached: dict[Address, list[Address]] | None = self.__dict__.get("_blocks")
        if cached is None:
            cached = {}
            for address in self.resources:
                cached.setdefault(address.config, []).append(address)
            object.__setattr__(self, "_blocks", cached)
        return cached
