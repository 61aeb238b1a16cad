"""Which blocks have their instances from results: of a ``count`` or ``for_each`` of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlform.address import Address
from mlform.lazy import dataclass, field, replace

if TYPE_CHECKING:
    from mlform.config.model import ModulePath, ResourceConfig


@dataclass(frozen=True)
class Rests:
    """Blocks whose instances rest on resources: on what their ``count`` or ``for_each`` takes.

    Addresses and paths of blocks have no key of their own, those of the modules around them do.
    """

    blocks: dict[Address, frozenset[Address]] = field(default_factory=dict)
    """Resource block → the blocks whose values say which instances it has."""
    calls: dict[ModulePath, frozenset[Address]] = field(default_factory=dict)
    """Module call → the same."""
    later: set[Address | ModulePath] = field(default_factory=set)
    """Those among both of which it cannot be told yet."""
    samples: dict[Address, ResourceConfig] = field(default_factory=dict)
    """One instance of each such resource block, ``each`` unknown: to check its arguments by."""

    def of(self, address: Address) -> frozenset[Address]:
        """Return the blocks that the being of one instance rests on."""
        if not self.blocks and not self.calls:
            return frozenset()
        found = self.blocks.get(replace(address, key=None), frozenset())
        for depth in range(len(address.module)):
            name = address.module[depth][0]
            found |= self.calls.get((*address.module[:depth], (name, None)), frozenset())
        return found

    def of_block(self, block: Address) -> frozenset[Address]:
        """Return what the instances of a block rest on, whichever module instance it stands in."""
        found: frozenset[Address] = frozenset()
        for address, needed in self.blocks.items():
            if address.config == block.config:
                found |= needed
        inside = _names(block)
        for path, needed in self.calls.items():
            if tuple(n for n, _ in path) == inside[: len(path)]:
                found |= needed
        return found

    def is_later(self, block: Address) -> bool:
        """Tell whether the instances of a block, in any instance of its module, are not known."""
        inside = _names(block)
        for place in self.later:
            if isinstance(place, Address):
                if place.config == block.config:
                    return True
            elif tuple(n for n, _ in place) == inside[: len(place)]:
                return True
        return False

    def of_call(self, module: Address) -> frozenset[Address]:
        """Return what the instances of a module rest on, whichever instance its call stands in."""
        found: frozenset[Address] = frozenset()
        for path, needed in self.calls.items():
            if module.kind == "module" and tuple(n for n, _ in path) == _names(module):
                found |= needed
        return found


def _names(block: Address) -> tuple[str, ...]:
    """Return the names of the modules around a block; of a module with its own."""
    own = (block.name,) if block.kind == "module" else ()
    return (*(name for name, _ in block.module), *own)
