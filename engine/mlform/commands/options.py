"""What a user may say about planning."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from mlform.address import Address
from mlform.diagnostics import Span, did_you_mean, stop
from mlform.lazy import dataclass

if TYPE_CHECKING:
    from mlform.config import Import
    from mlform.plan.pulled import Pulled


@dataclass(frozen=True)
class PlanOptions:
    """What a user may say about planning."""

    targets: Sequence[str] = ()
    refresh: bool | Literal["stale"] = True
    """Whether to look at what was made; ``stale``: where the last look is too old."""
    destroy: bool = False
    as_of: str | None = None
    exclude: Sequence[str] = ()
    replace: Sequence[str] = ()
    refresh_only: bool = False
    """Plan no more than to record what is out there."""
    adopt: Sequence[str] = ()
    revert: Sequence[str] = ()
    imports: Sequence[Import] | None = None
    """What to import instead of what the spec's ``import`` blocks say."""
    purge: bool = False
    """Delete the data of what leaves, as far as nothing that serves was made from them."""
    pulls: tuple[Pulled, ...] = ()
    """What triggers move before anything else."""
    generate: Path | None = None
    """Where to write blocks for imports that have none."""
    further: bool = False
    """Whether this goes on after a round: with what was known at first it was judged then."""
    alone: bool = False
    """Targets without what they need: that is taken as it is recorded."""


def named(
    texts: Sequence[str],
    known: Collection[Address],
    disabled: Mapping[Address, Span] = MappingProxyType({}),
) -> list[Address]:
    """Return the instances that ``-target`` options name. Raises where one names nothing.

    ``disabled`` are those that are declared and not enabled, with where that is written.
    """
    found: list[Address] = []
    for text in texts:
        chosen = [a for a in sorted(known) if a.within(text)]
        if not chosen and (off := [a for a in disabled if a.within(text)]):
            detail = f"{text} is not enabled: enable it, or name something else."
            raise stop("Invalid target", detail, at=disabled[off[0]])
        if not chosen:
            detail = (
                f"There is no {text} in the spec or the state."
                f"{did_you_mean(text, map(str, sorted(known)))} An address is written "
                "KIND.NAME or module.NAME, with an instance key if need be."
            )
            raise stop("Invalid target", detail)
        found += chosen
    return found
