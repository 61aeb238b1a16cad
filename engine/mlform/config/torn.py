"""What can be told of a spec whose syntax is wrong in places."""

from __future__ import annotations

from collections.abc import Iterable

from mlform.diagnostics import Diagnostic
from mlform.syntax.tree import Block, Body


def sound(body: Body, problems: Iterable[Diagnostic]) -> Body:
    """Return what of a file is as it was meant: blocks that no problem of it cut short.

    A block in which something is wrong was not read at all. But a brace too many ends a block too
    early, and what was meant to stand inside comes after it, up to the brace that is left over.
    """
    source = body.source
    places = sorted(
        (d.subject.line, d.subject.column)
        for d in problems
        if d.subject is not None and d.subject.file == source.file
    )
    if not places:
        return body
    lines = source.text.split("\n")
    braces = [at for at in places if lines[at[0] - 1][at[1] - 1 : at[1]] == "}"]
    wrong_lines = {line for line, _ in places}
    blocks = [b for b in body.blocks if b.span.end_line not in wrong_lines]
    for brace in braces:
        cut = [b for b in blocks if (b.span.line, b.span.column) < brace]
        while cut and _strayed(cut[-1]):
            blocks.remove(cut.pop())
        if cut:
            blocks.remove(cut.pop())
    return body._replace(attributes={}, blocks=tuple(blocks))


def _strayed(block: Block) -> bool:
    """Tell whether a block is set in, as those inside others are."""
    return block.span.column > 1
