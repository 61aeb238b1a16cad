"""Names in a spec: what stands at a place, where it is declared, and where it is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlform.config.load import CALL
from mlform.lang import Reference, references
from mlform.lazy import dataclass
from mlform.lsp.workspace import Module
from mlform.registry import KINDS
from mlform.syntax.tree import Block, Source

Place = tuple[str, int, int]
"""File, and the offsets where something begins and ends."""


@dataclass(frozen=True)
class Symbol:
    """Something that has a name: ``var``, ``local``, ``module`` or a kind, and its name."""

    root: str
    name: str


def symbol_at(module: Module, file: str, offset: int) -> Symbol | None:
    """Return what the text at a place names, whether it is declared or used there."""
    for symbol, place in declarations(module):
        if place[0] == file and place[1] <= offset <= place[2]:
            return symbol
    for symbol, place in uses(module):
        if place[0] == file and place[1] <= offset <= place[2]:
            return symbol
    return None


def declarations(module: Module) -> Iterator[tuple[Symbol, Place]]:
    """Yield every declared name, and where the name stands."""
    for file, block in module.blocks():
        if block.kind == "locals":
            for name, attribute in block.body.attributes.items():
                start = attribute.start
                yield Symbol("local", name), (file, start, start + len(name))
        elif block.labels and (root := _root(block)):
            label = block.labels[-1]
            inside = 1 if block.source.text[label.start : label.start + 1] == '"' else 0
            yield Symbol(root, label.text), (file, label.start + inside, label.end - inside)


def _root(block: Block) -> str:
    if block.kind in KINDS or block.kind == "module":
        return block.kind
    return {"variable": "var", "output": "output", "check": "check"}.get(block.kind, "")


def uses(module: Module) -> Iterator[tuple[Symbol, Place]]:
    """Yield every use of a name in an expression, and where the name stands."""
    for file, attribute in module.attributes():
        for reference in references(attribute.expr):
            found = _used(reference, attribute.source)
            if found is not None:
                yield found[0], (file, *found[1])


def _used(reference: Reference, source: Source) -> tuple[Symbol, tuple[int, int]] | None:
    root, steps, start = reference.root, list(reference.steps), reference.start
    after = start + len(root)
    if root == "prior" and steps:
        root, after = str(steps.pop(0)), after + 1 + len(str(reference.steps[0]))
    if not steps or not (root in KINDS or root in {"var", "local", "module"}):
        return None
    name = str(steps[0])
    at = source.text.find(name, after, reference.end)
    return (Symbol(root, name), (at, at + len(name))) if at >= 0 else None


def declared(module: Module, symbol: Symbol) -> Block | None:
    """Return the block that declares a name; locals have none of their own."""
    for _, block in module.blocks():
        if block.labels and (_root(block), block.labels[-1].text) == (symbol.root, symbol.name):
            return block
    return None


@dataclass(frozen=True)
class Target:
    """A name, and the module that declares it."""

    module: Module
    symbol: Symbol


def target_at(module: Module, file: str, offset: int) -> Target | None:
    """Return what the text at a place names, in this module or in one that it calls."""
    for call, symbol, place in _across(module):
        if place[0] == file and place[1] <= offset <= place[2]:
            called = module.called(call)
            return Target(called, symbol) if called else None
    symbol_here = symbol_at(module, file, offset)
    return Target(module, symbol_here) if symbol_here else None


def occurrences(target: Target, callers: Sequence[Module]) -> Iterator[tuple[Module, Place, bool]]:
    """Yield every place that has a name, with its module, and whether it is declared there.

    ``callers`` are modules that may call the one that declares it.
    """
    for symbol, place in declarations(target.module):
        if symbol == target.symbol:
            yield target.module, place, True
    for symbol, place in uses(target.module):
        if symbol == target.symbol:
            yield target.module, place, False
    if target.symbol.root not in {"var", "output"}:
        return
    for caller in callers:
        for call, symbol, place in _across(caller):
            if symbol == target.symbol:
                called = caller.called(call)
                if called is not None and called.root == target.module.root:
                    yield caller, place, False


def source_at(module: Module, file: str, offset: int) -> Module | None:
    """Return the module whose `source` stands at a place."""
    for name, block in module.folder.calls.items():
        written = block.body.attributes.get("source")
        if written is None or written.source.file != file:
            continue
        if written.expr.start <= offset <= written.expr.end:
            return module.called(name)
    return None


def _across(module: Module) -> Iterator[tuple[str, Symbol, Place]]:
    """Yield the names that a module uses of those it calls: the call, the name, and where."""
    for name, block in module.folder.calls.items():
        for given, attribute in block.body.attributes.items():
            if given not in CALL:
                start, file = attribute.start, attribute.source.file
                yield name, Symbol("var", given), (file, start, start + len(given))
    for file, attribute in module.attributes():
        for reference in references(attribute.expr):
            if reference.root != "module" or len(reference.steps) < 2:
                continue
            steps = [str(s) for s in reference.steps]
            called = module.folder.calls.get(steps[0])
            repeated = called and {"count", "for_each"} & called.body.attributes.keys()
            at_step = 2 if repeated else 1
            if len(steps) > at_step:
                text, end = attribute.source.text, reference.end
                at = reference.start + len("module.") + len(steps[0])
                at = text.find(f".{steps[at_step]}", at, end) + 1
                if at > 0:
                    yield (
                        steps[0],
                        Symbol("output", steps[at_step]),
                        (file, at, at + len(steps[at_step])),
                    )
