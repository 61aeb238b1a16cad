"""What a plan is walked by: its steps, and beside each that replaces what it takes the place of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from mlform.address import Address
from mlform.plan import Plan, Step

Node: TypeAlias = tuple[Address, str]
"""A step by its address, with the folder of what it is about where that is left behind; or what
a replacement takes the place of."""
OLD: Final = "/old"
"""No folder is called so."""


def step_of(nodes: Mapping[Node, Step], node: Node) -> Step:
    """Return the step that a node is of."""
    address, part = node
    return nodes[address, "" if part == OLD else part]


def asking(nodes: Mapping[Node, Step], node: Node) -> Step | None:
    """Return the step that asks for what it declares; what goes asks for nothing."""
    return None if node[1] == OLD else step_of(nodes, node)


def needs_of(plan: Plan, nodes: Mapping[Node, Step]) -> dict[Node, frozenset[Node]]:
    """Return what each node waits for."""
    swaps = {s.address for s in plan.steps if s.old is not None}

    def over(needs: Iterable[Address], cleared: Iterable[Address]) -> set[Node]:
        steps = {(a, "") for a in needs if (a, "") in nodes}
        return steps | {(a, OLD) for a in cleared if a in swaps}

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
