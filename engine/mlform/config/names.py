"""What a reference names: resolves the roots of expressions against what is declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import cached_property

from mlform.address import Address
from mlform.config.blocks import not_references
from mlform.config.model import Call, Module
from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.lang import Reference, references
from mlform.lang.references import nested
from mlform.lazy import replace
from mlform.registry import KINDS
from mlform.syntax.tree import Attribute, Index, Source

_FREE = frozenset({"path", "mlform", "terraform"})
_ROOTS = (*KINDS, "var", "local", "module", "prior", "path", "mlform", "each", "count")
_VALUES = frozenset({"var", "local", "module", "prior", "each", "count"})
_NOTHING: frozenset[Address] = frozenset()
_SHOWN = 10
"""How many names an error lists."""

_REPEATED = frozenset({"each", "count"})


class Names:
    """The names of one module. Notes every reference that names nothing, once.

    A module whose instances rest on resources stands for itself, as if it were a block.
    It follows a value through variables to the module that called, and through outputs into the
    modules that are called: what is needed are resource blocks, wherever they stand.
    """

    def __init__(
        self,
        module: Module,
        diagnostics: Diagnostics,
        caller: tuple[Names, Call] | None = None,
    ) -> None:
        self.module, self.diagnostics, self.caller = module, diagnostics, caller
        self.open: list[str] = [] if caller is None else caller[0].open
        self._seen: dict[tuple[int, frozenset[str]], frozenset[Address]] = {}
        self._priors: dict[int, frozenset[Address]] = {}
        self._through: dict[tuple[str, str], frozenset[Address]] = {}
        self.children = {
            name: Names(call.module, diagnostics, (self, call))
            for name, call in module.calls.items()
        }

    @cached_property
    def ephemeral(self) -> bool:
        """Whether any variable here is ephemeral, or any output of a module called from here."""
        module = self.module
        outputs = (o for c in module.calls.values() for o in c.module.outputs.values())
        variables = (v.ephemeral for v in module.variables.values())
        return any(variables) or any(o.ephemeral for o in outputs)

    def at(self, path: tuple[str, ...]) -> Names:
        """Return the names of a module further in, by the names of the calls to it."""
        found = self
        for name in path:
            found = found.children[name]
        return found

    def of(self, address: Address) -> Names:
        """Return the names of the module that a resource stands in."""
        return self.at(tuple(name for name, _ in address.module))

    def needed(
        self, attribute: Attribute, bound: frozenset[str] = frozenset()
    ) -> AbstractSet[Address]:
        """Return the resource blocks an expression takes values from, through locals too."""
        seen = (id(attribute.expr), bound)
        if seen not in self._seen:
            found: set[Address] = set()
            for reference in references(attribute.expr):
                found |= self._needed(reference, attribute.source, bound)
            if self.open:
                return found  # within a cycle not all of it may be known
            self._seen[seen] = frozenset(found)
        return self._seen[seen]

    def priors(self, attribute: Attribute) -> AbstractSet[Address]:
        """Return the blocks whose recorded values an expression takes (``prior.KIND.NAME``)."""
        key = id(attribute.expr)
        if key not in self._priors:
            self._priors[key] = frozenset()
            self._priors[key] = frozenset(
                block for r in references(attribute.expr) for block in self._prior_in(r, attribute)
            )
        return self._priors[key]

    def _prior_in(self, reference: Reference, attribute: Attribute) -> Iterator[Address]:
        name = str(reference.steps[0]) if reference.steps else ""
        if reference.root == "prior":
            if (block := self._prior(reference, attribute.source)) is not None:
                yield block
        elif reference.root == "local" and name in self.module.locals:
            yield from self.priors(self.module.locals[name])
        elif reference.root == "var" and self.caller is not None:
            names, call = self.caller
            if (given := call.inputs.get(name)) is not None:
                yield from names.priors(given)
        elif reference.root == "module" and name in self.children:
            inside = self.children[name]
            for output in inside.module.outputs.values():
                yield from inside.priors(output.value)

    def addressed(self, attribute: Attribute, bound: frozenset[str]) -> None:
        """Note what is wrong with an argument that is written as addresses."""
        keys = [node.key for node in nested(attribute.expr) if isinstance(node, Index)]
        for reference in references(attribute.expr):
            if any(key.start <= reference.start < key.end for key in keys):
                self._needed(reference, attribute.source, bound)
            elif reference.root in _VALUES:
                detail = (
                    f"`{attribute.name}` takes addresses as they are written, KIND.NAME or "
                    "KIND.NAME[KEY]; only in the brackets may be what is worth something else."
                )
                self._error("Not an address", detail, reference, attribute.source)
            else:
                self._block(reference, attribute.source)

    def waited(self, attribute: Attribute | None) -> Iterator[Address]:
        """Return the blocks that ``depends_on`` names: resources, and all of a module."""
        if attribute is None:
            return
        for at in not_references(attribute):
            detail = (
                f"`{attribute.name}` is a list of references without quotes: KIND.NAME or "
                "module.NAME."
            )
            self.diagnostics.error("Invalid argument", detail, at=at)
        for reference in references(attribute.expr):
            if reference.root == "module":
                call = self._call(reference, attribute.source)
                for module in call.module.tree() if call else ():
                    yield from module.blocks
            elif (block := self._block(reference, attribute.source)) is not None:
                yield block

    def _needed(
        self, reference: Reference, source: Source, bound: frozenset[str]
    ) -> frozenset[Address] | set[Address]:
        root, steps = reference.root, reference.steps
        if root in _FREE or root in bound:
            return _NOTHING
        if root == "var":
            known = self._known(reference, source, "variable", self.module.variables)
            return self._input(str(steps[0]), reference, source) if known else _NOTHING
        if root == "local":
            if self._known(reference, source, "local value", self.module.locals):
                name = str(steps[0])
                attribute = self.module.locals[name]
                return self.followed("local", name, attribute, reference, source)
            return _NOTHING
        if root == "module":
            return self._outputs(reference, source)
        if root == "prior":
            self._prior(reference, source)
            return _NOTHING
        block = self._block(reference, source)
        return _NOTHING if block is None else {block}

    def _input(self, name: str, reference: Reference, source: Source) -> frozenset[Address]:
        if self.caller is None:
            return _NOTHING
        names, call = self.caller
        given = call.inputs.get(name)
        if given is None:
            return _NOTHING
        return self.followed("var", name, given, reference, source, names)

    def _outputs(self, reference: Reference, source: Source) -> frozenset[Address]:
        call = self._call(reference, source)
        if call is None:
            return _NOTHING
        inside = self.children[call.name]
        steps = list(reference.steps[1:])
        if {"count", "for_each"} & call.block.body.attributes.keys():
            del steps[:1]
        found: set[Address] = set()
        for repeats in ("count", "for_each"):
            if (written := call.block.body.attributes.get(repeats)) is not None:
                found |= self.needed(written)
        if found:
            found.add(Address("module", call.name, module=self.module.spot))
        wanted = [str(steps[0])] if steps else list(call.module.outputs)
        if steps and wanted[0] not in call.module.outputs:
            known = call.module.outputs
            detail = (
                f'Module "{call.name}" has no output "{wanted[0]}".'
                f"{did_you_mean(wanted[0], known)} It has {', '.join(known) or 'none'}."
            )
            self._error("Unknown reference", detail, reference, source, missing=True)
            return _NOTHING
        for name in wanted:
            output = call.module.outputs[name]
            found |= inside.followed("output", name, output.value, reference, source)
            found |= set(inside.waited(output.depends_on))
        return frozenset(found)

    def _call(self, reference: Reference, source: Source) -> Call | None:
        if reference.steps and reference.steps[0] in self.module.unread:
            return None
        if self._known(reference, source, "module", self.module.calls):
            return self.module.calls[str(reference.steps[0])]
        return None

    def followed(
        self,
        what: str,
        name: str,
        attribute: Attribute,
        reference: Reference,
        source: Source,
        inside: Names | None = None,
    ) -> frozenset[Address]:
        """Return what a named value needs, worked out once; note a cycle."""
        here = ".".join([*(f"module.{m}" for m in self.module.path), what, name])
        if here in self.open:
            path = " → ".join([*self.open[self.open.index(here) :], here])
            self._error("Cycle", f"Values refer to each other: {path}.", reference, source)
            return _NOTHING
        if (what, name) not in self._through:
            self.open.append(here)
            needed = (inside or self).needed(attribute, _REPEATED if inside else frozenset())
            self._through[what, name] = frozenset(needed)
            self.open.pop()
        return self._through[what, name]

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
        self._error("Unknown reference", detail, reference, source, missing=bool(name))
        return False

    def _block(self, reference: Reference, source: Source) -> Address | None:
        root, steps = reference.root, reference.steps
        if root not in KINDS:
            detail = f'"{root}" names nothing.{did_you_mean(root, _ROOTS)}'
            if root in _REPEATED:
                how = "for_each" if root == "each" else "count"
                detail = f'"{root}" has a value only in a block with `{how}`.'
            elif root == "self":
                detail = '"self" has a value only in a postcondition.'
            elif not steps:
                detail += f' Text is written in quotes: "{root}".'
            self._error("Unknown reference", detail, reference, source)
            return None
        if not steps:
            detail = f'"{root}" is a kind: write {root}.NAME.'
            self._error("Unknown reference", detail, reference, source)
            return None
        block = Address(root, str(steps[0]), module=self.module.spot)
        if block not in self.module.blocks:
            names = [b.name for b in self.module.blocks if b.kind == root]
            shown = [f"{root}.{n}" for n in names[:_SHOWN]]
            more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
            others = f" Declared: {', '.join(shown)}{more}." if names else ""
            detail = (
                f"There is no {replace(block, module=())}.{did_you_mean(block.name, names)}"
                f"{others} A reference is KIND.NAME, without the type."
            )
            if self.module.path:
                detail += f" A module sees its own resources only, those of {self.module.folder}."
            self._error("Unknown reference", detail, reference, source, missing=True)
            return None
        return block

    def _prior(self, reference: Reference, source: Source) -> Address | None:
        if len(reference.steps) < 2 or reference.steps[0] not in KINDS:
            detail = "`prior` is the state this plan starts from: write prior.KIND.NAME.ATTRIBUTE."
            self._error("Unknown reference", detail, reference, source)
            return None
        inner = Reference(
            str(reference.steps[0]), reference.steps[1:], reference.start, reference.end
        )
        return self._block(inner, source)

    def _error(
        self,
        summary: str,
        detail: str,
        reference: Reference,
        source: Source,
        *,
        missing: bool = False,
    ) -> None:
        at = source.span(reference.start, reference.end)
        self.diagnostics.error(summary, detail, at=at, missing=missing)
