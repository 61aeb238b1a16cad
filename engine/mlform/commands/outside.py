"""What was changed from outside: how far to look for it, and what the user says of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from mlform.commands.options import PlanOptions
from mlform.commands.session import Session
from mlform.diagnostics import stop
from mlform.lazy import dataclass, field

if TYPE_CHECKING:
    from mlform.address import Address
    from mlform.refresh import Observations
    from mlform.refresh.seen import Look, Looks
    from mlform.state.model import Record, Snapshot


@dataclass
class Ages:
    """Says of each thing that was made whether to look at it: the ``read`` of a refresh."""

    mode: str
    """``all``, ``stale`` or ``none``."""
    limits: Mapping[str, float]
    """Kind → seconds."""
    looks: Looks
    passed: Collection[Address] = ()
    """What is not looked at: it has just been."""
    young: set[str] = field(default_factory=set)
    """What was not looked at, since the last look is young enough."""

    @classmethod
    def of(
        cls,
        refresh: bool | Literal["stale"],  # noqa: FBT001 - as the option has it
        limits: Mapping[str, float],
        looks: Looks,
        passed: Collection[Address],
    ) -> Ages:
        """Return what an option and the spec say."""
        from mlform.refresh.seen import MAX_AGE

        mode = "stale" if refresh == "stale" else "all" if refresh else "none"
        return cls(mode, {**MAX_AGE, **limits}, looks, passed)

    def __call__(self, record: Record) -> bool | Look:
        """Tell whether to look at one thing, or give the look that will do."""
        if self.mode == "none" or record.address in self.passed:
            return False
        if self.mode == "all":
            return True
        look = self.looks.young(record, self.limits.get(record.address.kind, 0.0))
        if look is None:
            return True
        self.young.add(str(record.address))
        return look


def together(options: PlanOptions) -> None:
    """Raise ``DiagnosedError`` where options contradict each other."""
    others = {
        "-destroy": options.destroy,
        "-purge": options.purge,
        "-replace": bool(options.replace),
        "-adopt": bool(options.adopt),
        "-revert": bool(options.revert),
        "-refresh=false": options.refresh is not True,
    }
    if options.refresh_only and (wrong := [n for n, given in others.items() if given]):
        detail = (
            f"-refresh-only records what is out there and does nothing else; {', '.join(wrong)} "
            "asks for more, or for less. Leave one out."
        )
        raise stop("Options contradict each other", detail)
    if (options.adopt or options.revert) and options.refresh is False:
        detail = "-adopt and -revert are about what is seen; -refresh=false looks at nothing."
        raise stop("Options contradict each other", detail)


@dataclass(frozen=True)
class Outside:
    """What is to become of what was changed from outside."""

    adopt: frozenset[Address]
    revert: frozenset[Address]


def out_of_band(
    session: Session, options: PlanOptions, snapshot: Snapshot, observations: Observations
) -> Outside:
    """Return what ``-adopt`` and ``-revert`` name. Raises where there is nothing of the kind."""
    adopt = session.targets(options.adopt, snapshot)
    revert = session.targets(options.revert, snapshot)
    if both := sorted({*adopt} & {*revert}):
        detail = f"{both[0]} cannot be both adopted and reverted. Leave one out."
        raise stop("Options contradict each other", detail)
    seen = {a: observations.get(a) for a in (*adopt, *revert)}
    gone = [a for a in adopt if (look := seen[a]) is not None and not look.present]
    if gone:
        detail = (
            f"{gone[0]} is gone: there is nothing to adopt. Apply makes it again; take its block "
            "away if it is to stay gone."
        )
        raise stop("Nothing to adopt", detail)
    moved = {a for a, look in seen.items() if look is not None and look.attributes is not None}
    if adopt and not moved & {*adopt}:
        names = ", ".join(map(str, adopt[:3]))
        raise stop("Nothing to adopt", f"{names}: what is there is as recorded.")
    _written(session, snapshot, observations, [a for a in adopt if a in moved])
    held = {a for a in revert if a in snapshot.records and _adopted(snapshot.records[a])}
    lost = {a for a in revert if (look := seen[a]) is not None and not look.present}
    if revert and not (held | lost | moved) & {*revert}:
        names = ", ".join(map(str, revert[:3]))
        detail = f"{names}: what is there is as it was made, and nothing else was adopted."
        raise stop("Nothing to revert", detail)
    return Outside(frozenset(adopt) & moved, frozenset(held))


def _adopted(record: Record) -> bool:
    return record.receipt.get("adopted") is not None


def _written(
    session: Session, snapshot: Snapshot, observations: Observations, adopt: Sequence[Address]
) -> None:
    """Refuse to adopt what a block says: there the spec decides."""
    from mlform.plan.decide import drifted
    from mlform.plan.drift import differing

    resources = session.configured[0].resources
    for address in adopt:
        record, seen = snapshot.records[address], observations[address]
        if drifted(resources[address].offer.resource, record, seen.attributes or {}):
            continue
        found = [r for r in differing(record, seen) if r.subject in record.arguments]
        if found:
            names = ", ".join(f"{r.subject} (there: {json.dumps(r.after)})" for r in found)
            detail = f"{address}: its block says {names}. Write what is there, to keep it."
            raise stop("Nothing to adopt", detail)
