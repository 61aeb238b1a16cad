"""What a reference names: resolves the roots of expressions against what is declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlform.address import Address
from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.lang import Reference, references
from mlform.registry import KINDS
from mlform.syntax.tree import Attribute, Source

_FREE = frozenset({"path", "mlform", "self"})


class Names:
    """The names of one module. Notes every reference that names nothing, once."""

    def __init__(
        self,
        variables: Mapping[str, object],
        locals_: Mapping[str, Attribute],
        blocks: Mapping[Address, object],
        diagnostics: Diagnostics,
    ) -> None:
        self.variables, self.locals, self.blocks = variables, locals_, blocks
        self.diagnostics = diagnostics
        self._through: dict[str, frozenset[Address]] = {}
        self._open: list[str] = []

    def needed(self, attribute: Attribute, bound: frozenset[str] = frozenset()) -> set[Address]:
        """Return the resource blocks an expression takes values from, through locals too."""
        found: set[Address] = set()
        for reference in references(attribute.expr):
            found |= self._needed(reference, attribute.source, bound)
        return found

    def addresses(self, attribute: Attribute) -> Iterator[str]:
        """Return what an argument that is written as addresses names, as text."""
        for reference in references(attribute.expr):
            if self._block(reference, attribute.source) is not None:
                yield attribute.source.text[reference.start : reference.end]

    def used(self, attribute: Attribute) -> tuple[set[str], set[str]]:
        """Return the variables and the locals an expression mentions directly."""
        found = [(r.root, str(r.steps[0])) for r in references(attribute.expr) if r.steps]
        variables = {name for root, name in found if root == "var"}
        return variables, {name for root, name in found if root == "local"}

    def _needed(
        self, reference: Reference, source: Source, bound: frozenset[str]
    ) -> frozenset[Address] | set[Address]:
        root, steps = reference.root, reference.steps
        if root in _FREE or root in bound:
            return frozenset()
        if root == "var":
            self._known(reference, source, "variable", self.variables)
            return frozenset()
        if root == "local":
            if self._known(reference, source, "local value", self.locals):
                return self._local(str(steps[0]), reference, source)
            return frozenset()
        if root == "prior":
            self._prior(reference, source)
            return frozenset()
        block = self._block(reference, source)
        return frozenset() if block is None else {block}

    def _local(self, name: str, reference: Reference, source: Source) -> frozenset[Address]:
        if name in self._open:
            path = " → ".join([*self._open[self._open.index(name) :], name])
            self._error("Cycle", f"Local values refer to each other: {path}.", reference, source)
            return frozenset()
        if name not in self._through:
            self._open.append(name)
            self._through[name] = frozenset(self.needed(self.locals[name]))
            self._open.pop()
        return self._through[name]

    def _known(
        self, reference: Reference, source: Source, what: str, known: Mapping[str, object]
    ) -> bool:
        name = str(reference.steps[0]) if reference.steps else ""
        if name in known:
            return True
        detail = (
            f'There is no {what} "{name}".{did_you_mean(name, known)} Declare it, or mend the name.'
            if name
            else f'"{reference.root}" alone is no value: write {reference.root}.NAME.'
        )
        self._error("Unknown reference", detail, reference, source)
        return False

    def _block(self, reference: Reference, source: Source) -> Address | None:
        root, steps = reference.root, reference.steps
        if root not in KINDS:
            roots = [*KINDS, "var", "local", "prior", "path", "each", "count"]
            detail = f'"{root}" names nothing.{did_you_mean(root, roots)}'
            if root in {"each", "count"}:
                how = "for_each" if root == "each" else "count"
                detail = f'"{root}" has a value only in a block with `{how}`.'
            self._error("Unknown reference", detail, reference, source)
            return None
        if not steps:
            detail = f'"{root}" is a kind: write {root}.NAME.'
            self._error("Unknown reference", detail, reference, source)
            return None
        block = Address(root, str(steps[0]))
        if block not in self.blocks:
            names = [b.name for b in self.blocks if b.kind == root]
            others = f" Declared: {', '.join(f'{root}.{n}' for n in names)}." if names else ""
            detail = (
                f"There is no {block}.{did_you_mean(block.name, names)}{others} A reference is "
                "KIND.NAME, without the type."
            )
            self._error("Unknown reference", detail, reference, source)
            return None
        return block

    def _prior(self, reference: Reference, source: Source) -> None:
        if len(reference.steps) < 2 or reference.steps[0] not in KINDS:
            detail = "`prior` is the state this plan starts from: write prior.KIND.NAME.ATTRIBUTE."
            self._error("Unknown reference", detail, reference, source)
            return
        inner = Reference(
            str(reference.steps[0]), reference.steps[1:], reference.start, reference.end
        )
        self._block(inner, source)

    def _error(self, summary: str, detail: str, reference: Reference, source: Source) -> None:
        at = source.span(reference.start, reference.end)
        self.diagnostics.error(summary, detail, at=at)
