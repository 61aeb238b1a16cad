"""Which recorded values ``count`` and ``for_each`` may rest on: those of what is declared still."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlform.address import Address
from mlform.config.model import Project
from mlform.lazy import replace
from mlform.values import Value


def standing(project: Project, recorded: Mapping[Address, Value]) -> dict[Address, Value]:
    """Leave out instances that the spec has no more: what rests on them goes in the same plan.

    Of blocks whose instances cannot be told yet all stay. One that has no instance gets what it is
    worth, under the address of the block: an empty collection, or null where it is not enabled.
    In a counted block null stands for what is not enabled beside others.
    """
    kept = {
        address: value
        for address, value in recorded.items()
        if address in project.resources or project.rests.is_later(address.config)
    }
    return kept | dict(_none(project))


def _none(project: Project) -> Iterator[tuple[Address, Value]]:
    there = {replace(a, key=None) for a in project.resources}
    off = {replace(a, key=None) for a in project.disabled}
    for path, instance in project.modules.items():
        for config, block in instance.module.blocks.items():
            address = replace(config, module=path)
            if address in there or project.rests.is_later(config):
                continue
            if "count" in block.body.attributes:
                yield address, []
            elif "for_each" in block.body.attributes:
                yield address, {}
            elif address in off:
                yield address, None
    yield from holes(project)


def holes(project: Project) -> Iterator[tuple[Address, Value]]:
    """Yield what is not enabled of counted blocks that have other instances: null in its place."""
    there = {replace(a, key=None) for a in project.resources if isinstance(a.key, int)}
    for address in project.disabled:
        if isinstance(address.key, int) and replace(address, key=None) in there:
            yield address, None
