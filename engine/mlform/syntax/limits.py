"""What every reader guards against: texts too large, nesting too deep, a busy collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mlform.diagnostics import Diagnostics
from mlform.syntax.problems import MAX_DEPTH, MAX_SIZE, TOO_DEEP, TOO_LARGE, SyntaxProblem
from mlform.syntax.tree import Source

_LARGE: Final = 1_000_000


@contextmanager
def uncollected(size: int = 0) -> Iterator[None]:
    """Suspend the cyclic garbage collector: it would walk over what grows, and find nothing.

    The tree of a large text (``size`` characters) is also taken out of the collector's sight:
    it has no cycles, and reference counts free it all the same.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if size > _LARGE:
            gc.freeze()
        if enabled:
            gc.enable()


def too_large(source: Source, diagnostics: Diagnostics) -> bool:
    """Tell whether a text is longer than what is read, and note it if so."""
    size = len(source.text)
    if size <= MAX_SIZE:
        return False
    diagnostics.error(
        TOO_LARGE,
        f"{source.file} has {size:,} characters; at most {MAX_SIZE:,} are read. Keep data in data "
        "files and split large configurations into several files.",
        at=source.span(0, 0),
    )
    return True


def too_deep(start: int, end: int) -> SyntaxProblem:
    """Return the problem of a text that nests deeper than this parser goes."""
    return SyntaxProblem(
        TOO_DEEP,
        f"Brackets, blocks and templates may be nested at most {MAX_DEPTH} levels deep.",
        start,
        end,
    )
