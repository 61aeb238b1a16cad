"""What came of making results again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from mlform.apply import Reproduced
from mlform.render.style import Style, Styled
from mlform.render.values import seconds
from mlform.values import short

_VERDICTS: Final[dict[str, tuple[Style, str]]] = {
    "equal": ("green", "bitwise equal"),
    "within": ("green", "equal within tolerance"),
    "different": ("red", "different"),
    "failed": ("red", "not made again"),
}
_MOST: Final = 12


def reproduced(found: Sequence[Reproduced]) -> Styled:
    """Say of each whether it came out the same, and if not in what it differs."""
    said: Styled = []
    for it in found:
        style, verdict = _VERDICTS[it.verdict]
        took = f", made again in {seconds(it.seconds)}" if it.after else ""
        said += [("bold", str(it.address)), ("", f" of {it.run}: "), (style, verdict)]
        said.append(("", f"{took}\n"))
        said += [("dim", f"    {line}\n") for line in _lines(it)]
    return said


def _lines(it: Reproduced) -> Iterator[str]:
    if it.problem:
        yield it.problem
    if it.after:
        same = it.after == it.before
        yield short(it.before) if same else f"{short(it.before)} → {short(it.after)}, kept beside"
    if it.code:
        yield f"code {it.code}"
    for difference in it.differences[:_MOST]:
        allowed = " (tolerated)" if difference["within"] else ""
        yield f"{difference['what']}: {difference['text']}{allowed}"
    if (more := len(it.differences) - _MOST) > 0:
        yield f"… and {more} more"
    for name, (before, after) in it.environment.items():
        yield f"environment: {name} {before or 'none'} → {after or 'none'}"
    if it.after and not it.kept and it.determinism != "none":
        yield f'its lifecycle promises determinism = "{it.determinism}"'


def reproduced_data(it: Reproduced) -> dict[str, Any]:
    """Return the same for machines."""
    return {
        "address": str(it.address),
        "run": it.run,
        "verdict": it.verdict,
        "before": it.before,
        "after": it.after or None,
        "seconds": it.seconds,
        "differences": [dict(d) for d in it.differences],
        "environment": {n: {"before": a, "after": b} for n, (a, b) in it.environment.items()},
        "code": it.code or None,
        "determinism": it.determinism,
        "problem": it.problem or None,
    }
