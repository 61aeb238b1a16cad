"""What a test puts in the stead of parts of a spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from mlform.config.model import Module, Output
from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.syntax.tree import Attribute, Block, Literal


def providers(blocks: Iterable[Block], given: Iterable[Block]) -> list[Block]:
    """Return provider blocks, those given instead of others of their name and alias."""
    others = list(given)
    taken = {_name(block) for block in others}
    return [*(block for block in blocks if _name(block) not in taken), *others]


def _name(block: Block) -> tuple[str, str]:
    alias = block.body.attributes.get("alias")
    return block.labels[0].text if block.labels else "", "" if alias is None else alias.text


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
