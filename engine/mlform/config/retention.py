"""``retention { audit_window = "90d" }``: how long what has served holds its data."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from mlform.config.blocks import Reader
from mlform.diagnostics import Diagnostics
from mlform.syntax.tree import Attribute, Block
from mlform.values import Value

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds(text: object) -> float | None:
    """Return a duration such as ``"30s"`` or ``"90d"`` in seconds; ``None`` if it is none."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    return None if match is None else float(match[1]) * _UNITS[match[2]]


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
