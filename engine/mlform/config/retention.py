"""``retention { audit_window = "90d" }``: how long what has served holds its data."""

from __future__ import annotations

from collections.abc import Callable

from mlform.config.blocks import Reader
from mlform.config.quantities import seconds
from mlform.diagnostics import Diagnostics
from mlform.syntax.tree import Attribute, Block
from mlform.values import Value


def audit_window(
    block: Block, settled: Callable[[Attribute], Value], diagnostics: Diagnostics
) -> float | None:
    """Return the audit window in seconds; ``None`` where the block does not say any."""
    Reader(diagnostics).only(block, ("audit_window",))
    written = block.body.attributes.get("audit_window")
    if written is None:
        return None
    errors, value = len(diagnostics.errors), settled(written)
    found = seconds(value)
    if found is None and len(diagnostics.errors) == errors:
        detail = (
            '`audit_window` is a duration such as "90d", "12h" or "0s", and known before anything '
            "is planned."
        )
        diagnostics.error("Invalid argument", detail, at=written.value_span)
    return found
