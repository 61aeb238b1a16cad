"""How many there are of a block may rest on results: what a plan puts off until they are known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from mlform.address import Address
from mlform.config import Project, ResourceConfig
from mlform.config.model import ModulePath
from mlform.graph import Graph
from mlform.lazy import replace


def waits(
    resource: ResourceConfig,
    project: Project,
    graph: Graph,
    moves: Callable[[Address], bool],
    deferred: Collection[Address],
) -> list[str]:
    """Return what must be applied before it is known whether there is such an instance.

    Or whether there are others of what it takes values from. ``moves`` tells what comes out
    different, as far as is known; what takes a value from what is put off is put off too.
    """
    mentioned = graph.mentions[resource.address]
    found = [str(b) for b in sorted(mentioned) if project.rests.is_later(b)]
    rests = project.rests.of(resource.address)
    for block in mentioned:
        rests |= project.rests.of_call(block) | project.beneath(block)
    needs = sorted(graph.needs[resource.address])
    open_ = (a for a in needs if a in deferred or (a.config in rests and moves(a)))
    return [*found, *map(str, open_)]


def unknown(
    project: Project, moves: Callable[[Address], bool]
) -> Iterator[tuple[Address, tuple[str, ...]]]:
    """Yield blocks of which no instance can be told yet, with what must be applied before.

    Or of which there is none, and may be one after that.
    """
    rests = project.rests
    for place in rests.later:
        if isinstance(place, Address):
            yield place, tuple(map(str, sorted(rests.blocks.get(place, ()))))
        else:
            needed = tuple(map(str, sorted(rests.calls.get(place, ()))))
            yield from ((block, needed) for block in _inside(project, place))
    called = (b for path in rests.calls if path not in rests.later for b in _inside(project, path))
    for block in (*(b for b in rests.blocks if b not in rests.later), *called):
        if needed := tuple(str(a) for a in _needed(project, block) if moves(a)):
            yield block, needed


def _inside(project: Project, path: ModulePath) -> Iterator[Address]:
    """Yield the blocks of a module that is called there."""
    names = [name for name, _ in path]
    for block in project.declared:
        if [name for name, _ in block.module[: len(path)]] == names:
            yield replace(block, module=path + block.module[len(path) :])


def _needed(project: Project, block: Address) -> list[Address]:
    beneath = project.beneath(block)
    return sorted(a for b in beneath for a in project.instances(b, near=block.module))
