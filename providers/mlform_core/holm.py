"""Many tests at once, each held to what all of them together may err."""

from __future__ import annotations

from collections.abc import Sequence


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values adjusted so that any false alarm among them is as rare as one (Holm 1979)."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    adjusted = [1.0] * len(ps)
    worst = 0.0
    for rank, at in enumerate(order):
        worst = max(worst, min(1.0, ps[at] * (len(ps) - rank)))
        adjusted[at] = worst
    return adjusted
