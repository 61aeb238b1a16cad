"""The graph that apply walks: steps and what goes at a time of its own, and what each waits for.

Beside a step by its address there is one for each object that an earlier replacement left behind,
by its folder, and one for what a replacement takes the place of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from mlform.address import Address
from mlform.plan.model import Step

Node: TypeAlias = tuple[Address, str]
"""A step by its address, with the folder of what it is about where that is left behind; or what
a replacement takes the place of."""
OLD: Final = "/old"
"""No folder is called so."""


def step_of(nodes: Mapping[Node, Step], node: Node) -> Step:
    """Return the step that a node is a half of."""
    address, part = node
    return nodes[address, "" if part == OLD else part]


def asking(nodes: Mapping[Node, Step], node: Node) -> Step | None:
    """Return the step that asks for what it declares; what goes asks for nothing."""
    return None if node[1] == OLD else step_of(nodes, node)


def waits(steps: Iterable[Step]) -> dict[Node, frozenset[Node]]:
    """Return what each node waits for."""
    nodes = {(s.address, s.deposed): s for s in steps}
    swaps = {s.address for s in nodes.values() if s.old is not None}
    behind: dict[Address, list[Node]] = {}
    for address, part in nodes:
        if part:
            behind.setdefault(address, []).append((address, part))

    def gone(address: Address) -> Sequence[Node]:
        return [(address, OLD)] if address in swaps else behind.get(address, ())

    def over(needs: Iterable[Address], cleared: Iterable[Address]) -> set[Node]:
        made = {(a, "") for a in needs if (a, "") in nodes}
        return made.union(*map(gone, cleared))

    found: dict[Node, frozenset[Node]] = {}
    for (address, part), step in nodes.items():
        itself = over(step.needs, step.cleared)
        if step.old is not None:
            going = over(step.old.needs, step.old.cleared)
            if step.create_first:
                going.add((address, part))
            else:
                itself.add((address, OLD))
            found[address, OLD] = frozenset(going)
        found[address, part] = frozenset(itself)
    return found
