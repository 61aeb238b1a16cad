"""What a test puts in the stead of parts of a spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlform.config.model import Module, Output
from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.lazy import replace
from mlform.syntax.tree import Attribute, Block, Literal


def providers(blocks: Iterable[Block], given: Iterable[Block]) -> list[Block]:
    """Return provider blocks, those given instead of others of their name and alias."""
    others = list(given)
    taken = set(map(full_name, others))
    return [*(block for block in blocks if full_name(block) not in taken), *others]


def full_name(block: Block) -> str:
    """Return what a resource calls a provider block: ``provider`` or ``provider.alias``."""
    alias = block.body.attributes.get("alias")
    name = block.labels[0].text if block.labels else ""
    if alias is None:
        return name
    return f"{name}.{alias.expr.value if isinstance(alias.expr, Literal) else alias.text}"


def renamed(block: Block, full: str) -> Block:
    """Return a provider block under another name, with its alias if it has one."""
    name, _, alias = full.partition(".")
    kept = {n: a for n, a in block.body.attributes.items() if n != "alias"}
    if alias:
        start, end = block.start, block.header_end
        kept["alias"] = Attribute(start, end, "alias", Literal(start, end, alias), block.source)
    label = block.labels[0]._replace(text=name)
    return block._replace(labels=(label,), body=block.body._replace(attributes=kept))


def module(it: Module, outputs: Mapping[str, Attribute], diagnostics: Diagnostics) -> Module:
    """Return a module that makes nothing, and whose outputs are those given, or null."""
    for name in outputs.keys() - it.outputs.keys():
        detail = f'Module "{it.path[-1]}" has no output "{name}".{did_you_mean(name, it.outputs)}'
        diagnostics.error("Unknown output", detail, at=outputs[name].name_span)
    made = {name: _given(output, outputs.get(name)) for name, output in it.outputs.items()}
    return replace(it, locals={}, outputs=made, checks={}, blocks={}, calls={}, unread=frozenset())


def _given(output: Output, value: Attribute | None) -> Output:
    written = output.value
    nothing = written._replace(expr=Literal(written.expr.start, written.expr.end, None))
    return replace(output, value=value or nothing, depends_on=None, preconditions=())
