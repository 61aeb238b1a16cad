"""What a plan deletes for good, and what it keeps although it was asked to."""

from __future__ import annotations

from collections.abc import Iterator

from mlform.diagnostics import counted
from mlform.plan import Plan, Step
from mlform.plan.lineage import Hold
from mlform.render.values import size

_DAY = 86_400


def purge_lines(step: Step) -> Iterator[str]:
    """Say what goes for good with a step, and what is kept because of what, a line each."""
    if step.purge is None:
        return
    goes = step.purge.artifacts
    if goes:
        yield f"deletes {counted(len(goes), 'artifact')} ({size(sum(goes.values()))})"
    kept: dict[str, set[str]] = {}
    for hold in step.purge.held:
        kept.setdefault(held_by(hold), set()).add(hold.artifact)
    for why, digests in kept.items():
        yield f"keeps {counted(len(digests), 'artifact')}: {why}"


def held_by(hold: Hold) -> str:
    """Say why something is kept."""
    way = f" ({' → '.join(hold.through)})" if len(hold.through) > 1 else ""
    match hold.how:
        case "serves":
            return f"{hold.by} serves what was made from it{way}"
        case "served":
            return f"{hold.by} served what was made from it until {hold.until}{way}"
        case _:
            return f"{hold.by} has it among its own"


def purge_consequences(it: Plan) -> Iterator[str]:
    """Say in whole sentences what deleting means."""
    if it.purging is None:
        return
    steps = [s.purge for s in it.steps if s.purge is not None]
    goes = {a: n for p in steps for a, n in p.artifacts.items()}
    if not steps:
        yield "Nothing leaves, so nothing is deleted (-purge)."
        return
    many = "no artifacts"
    if goes:
        many = f"{counted(len(goes), 'artifact')}, {size(sum(goes.values()))}"
    yield (
        f"Deleted for good (-purge): {many}, and the folders of what is destroyed. To have them "
        "again is to make them again."
    )
    if it.purging.shared and goes:
        yield (
            "The artifact store is shared: `mlform store gc` deletes them there, unless another "
            "state has them."
        )
    if any(p.held for p in steps):
        yield (
            "Kept is what something that serves, or has served within the last "
            f"{_lasting(it.purging.window)}, was made from (retention.audit_window)."
        )


def _lasting(seconds: float) -> str:
    days, hours = seconds / _DAY, seconds / 3_600
    return f"{days:g} d" if days >= 1 else f"{hours:g} h" if hours >= 1 else f"{seconds:g} s"
