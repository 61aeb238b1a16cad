"""What a plan deletes for good, and what it keeps although it was asked to."""

from __future__ import annotations

from collections.abc import Iterator

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
        yield f"deletes {_artifacts(len(goes))} ({size(sum(goes.values()))})"
    alike: dict[tuple[str, str, str, tuple[str, ...]], int] = {}
    for hold in step.purge.held:
        why = hold.by, hold.how, hold.until, hold.through
        alike[why] = alike.get(why, 0) + 1
    for why, count in alike.items():
        yield f"keeps {_artifacts(count)}: {held_by(Hold('', *why))}"


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
    many = f"{_artifacts(len(goes))}, {size(sum(goes.values()))}" if goes else "no artifacts"
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


def _artifacts(count: int) -> str:
    return f"{count} artifact{'' if count == 1 else 's'}"


def _lasting(seconds: float) -> str:
    days, hours = seconds / _DAY, seconds / 3_600
    return f"{days:g} d" if days >= 1 else f"{hours:g} h" if hours >= 1 else f"{seconds:g} s"
