"""The attempts at a step, as people and machines read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mlform.execute.attempts import Attempted, Ending
from mlform.render.style import Style, Styled
from mlform.render.values import size

_STYLES: Final[dict[Ending, Style]] = {
    "done": "green",
    "failed": "red",
    "stopped": "yellow",
    "": "yellow",
}


def attempts(found: Sequence[Attempted]) -> Styled:
    """List attempts, the newest first, by what ``-attempt`` calls them."""
    said: Styled = []
    for back, it in enumerate(reversed(found)):
        said += [("", f"{back:>3}  {it.at:%Y-%m-%d %H:%M:%S}Z  ")]
        said += [(_STYLES[it.ending], f"{it.ending or 'no result':<10}")]
        said += [("dim", f" {size(it.log.stat().st_size):>9}\n")]
    return said


def attempt_data(it: Attempted) -> dict[str, Any]:
    """Return one attempt as plain data; ``ending`` is null while there is no result."""
    return {
        "at": it.at.isoformat(),
        "ending": it.ending or None,
        "log": str(it.log),
        "bytes": it.log.stat().st_size,
    }
