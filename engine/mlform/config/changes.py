"""``moved``, ``removed`` and ``import``: what becomes of what is recorded, or exists already."""

from __future__ import annotations

from typing import Final

from mlform.address import Address
from mlform.config.blocks import Reader
from mlform.config.expand import scopes
from mlform.config.imports import Imports, chain
from mlform.config.model import ModulePath, Move, Project, Removal
from mlform.config.names import Names
from mlform.diagnostics import Diagnostics
from mlform.lazy import replace
from mlform.registry import KINDS
from mlform.syntax.tree import Attribute, Block, Expr, Literal

_WRITTEN: Final = "KIND.NAME or module.NAME, with an instance key if need be"


def changes(
    project: Project,
    names: Names,
    blocks: list[tuple[tuple[str, ...], Block]],
    diagnostics: Diagnostics,
) -> Project:
    """Return the project with what its ``moved``, ``removed`` and ``import`` blocks say."""
    reader = _Changes(project, diagnostics)
    imports = Imports(project, scopes(project, diagnostics), names, diagnostics)
    for path, block in blocks:
        if block.kind == "import":
            imports.read(block)
        else:
            {"moved": reader.moved, "removed": reader.removed}[block.kind](path, block)
    return replace(
        project,
        moves=tuple(reader.moves),
        removals=tuple(reader.removals),
        imports=tuple(imports.found.values()),
    )


class _Changes:
    def __init__(self, project: Project, diagnostics: Diagnostics) -> None:
        self.project, self.diagnostics = project, diagnostics
        self.reader = Reader(diagnostics)
        self.moves: list[Move] = []
        self.removals: list[Removal] = []

    def moved(self, path: tuple[str, ...], block: Block) -> None:
        self.reader.only(block, ("from", "to"))
        given = self.reader.required(block, "from", "to")
        if given is None:
            return
        source, target = (self._written(attribute, path) for attribute in given)
        if source is None or target is None:
            return
        if (_parsed(source) is None) != (_parsed(target) is None):
            detail = (
                f"{source} and {target}: a resource moves to a resource, a module to a module. "
                "Mend `to`."
            )
            self.diagnostics.error("Invalid move", detail, at=block.header_span)
        elif source == target:
            detail = f"{source} would move to where it is. Mend `to`, or take the block away."
            self.diagnostics.error("Invalid move", detail, at=block.header_span)
        elif _kind(source) != _kind(target):
            detail = f"{source} and {target} are of different kinds; what moves keeps its kind."
            self.diagnostics.error("Invalid move", detail, at=block.header_span)
        elif self._still(source, len(path)):
            detail = f"{source} is still declared, so it has not moved. Take one block away."
            self.diagnostics.error("Invalid move", detail, at=given[0].value_span)
        elif clash := next((m for m in self.moves if m.source == source), None):
            detail = f"{source} moves to {clash.target} already, at {clash.span}. Keep one."
            self.diagnostics.error("Invalid move", detail, at=block.header_span)
        else:
            self.moves.append(Move(source, target, block.header_span, len(path)))

    def removed(self, path: tuple[str, ...], block: Block) -> None:
        self.reader.only(block, ("from",), ("lifecycle",))
        given = self.reader.required(block, "from")
        lifecycle = self.reader.once(block, "lifecycle")
        destroy = True
        if lifecycle is not None:
            self.reader.only(lifecycle, ("destroy",))
            written = lifecycle.body.attributes.get("destroy")
            destroy = self.reader.flag(written, default=True)
        source = self._written(given[0], path) if given else None
        if source is None or given is None:
            return
        if "[" in source:
            detail = f"{source}: what is removed is a whole block, so leave the instance key out."
            self.diagnostics.error("Invalid removal", detail, at=given[0].value_span)
        elif self._still(source, len(path)):
            detail = f"{source} is still declared. Take its block away, or this one."
            self.diagnostics.error("Invalid removal", detail, at=given[0].value_span)
        else:
            self.removals.append(Removal(source, destroy, block.header_span))

    def _written(self, attribute: Attribute, path: tuple[str, ...]) -> str | None:
        """Return the address that an expression writes, as seen from the root module."""
        written = chain(attribute.expr, _literal)
        if written is not None:
            written = "".join(f"module.{name}." for name in path) + written
            if _parsed(written) is not None or _path(written) is not None:
                return written
        detail = f"`{attribute.text}` is no address. It is written {_WRITTEN}."
        self.diagnostics.error("Invalid address", detail, at=attribute.value_span)
        return None

    def _still(self, written: str, depth: int) -> bool:
        """Tell whether what an address names is still declared.

        The first ``depth`` modules are those that the block stands in, whatever their instances.
        """
        address = _parsed(written)
        spot = (_path(written) or ()) if address is None else address.module

        def same(path: ModulePath) -> bool:
            plain = tuple((n, None) for n, _ in path[:depth])
            return (*plain, *path[depth:]) == spot

        if address is None:
            return any(same(path) for path in self.project.modules)
        # What had no key may move into an instance of its own block, which is still there.
        mine = (address.kind, address.name, address.key)
        found = self.project.instances(address)
        return any(same(a.module) and (a.kind, a.name, a.key) == mine for a in found)


def _literal(expr: Expr) -> str | int | None:
    value = expr.value if isinstance(expr, Literal) else None
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _parsed(written: str) -> Address | None:
    try:
        found = Address.parse(written)
    except ValueError:
        return None
    return found if found.kind in KINDS else None


def _path(written: str) -> ModulePath | None:
    try:
        found = Address.parse(f"{written}.dataset.x")
    except ValueError:
        return None
    return found.module or None


def _kind(written: str) -> str:
    address = _parsed(written)
    return "module" if address is None else address.kind
