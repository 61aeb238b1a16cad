"""What a plan leaves out, or did not look at, and what follows from that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlform.plan import Plan
from mlform.render.purge import purge_consequences

_NAMED = 3


def consequences(it: Plan) -> Iterator[str]:
    """Say in whole sentences why a plan is not about everything there is."""
    yield from _left_out(it)
    yield from purge_consequences(it)
    match it.refresh:
        case "none" if not it.destroy:
            yield (
                "Not looked at (-refresh=false): what was made. What was changed from outside is "
                "not in this plan."
            )
        case "stale" if it.unseen:
            yield (
                f"Not looked at anew (-refresh=stale): {_listed(it.unseen)}, seen less than their "
                "age limit ago."
            )
        case "only":
            yield (
                "Only what is out there is recorded (-refresh-only): nothing runs, and changes of "
                "the spec are not in this plan."
            )
        case _:
            pass


def _left_out(it: Plan) -> Iterator[str]:
    if not it.targets and not it.excluded:
        return
    if it.destroy:
        for option, what, named in (
            ("-target", "only {} and what needs them", it.targets),
            ("-exclude", "{} and what they need stay", it.excluded),
        ):
            if named:
                yield f"Incomplete ({option}): {what.format(_listed(named))}."
        return
    needing = [a for a, why in it.left_out.items() if why]
    rest = [a for a in it.left_out if a not in needing and a not in it.excluded]
    if it.excluded:
        more = f", and with it what needs it: {_listed(needing)}" if needing else ""
        yield f"Incomplete (-exclude): {_listed(it.excluded)} left out{more}."
    if it.targets:
        more = f"; {len(rest)} left out: {_listed(rest)}" if rest else "; that is everything"
        yield f"Incomplete (-target): only {_listed(it.targets)} and what they need{more}."
    yield "Outputs and checks are left as they are. Plan without these options to see the rest."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def counted(it: Plan, actions: str) -> str:
    """Return the totals with what is only recorded before what is done."""
    first = [f"{len(it.imports)} to import"] if it.imports else []
    first += [f"{len(it.adoptions)} to adopt"] if it.adoptions else []
    return ", ".join([*first, actions or "0 actions"]) if first else actions
