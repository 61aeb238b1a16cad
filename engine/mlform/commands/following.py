"""Planning beyond results that are taken again: what they are is known, so what takes them is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlform.diagnostics import Diagnostics
from mlform.lazy import replace

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mlform.address import Address
    from mlform.commands.session import Session
    from mlform.plan import Plan, Unplanned
    from mlform.refresh import Observation
    from mlform.refresh.pins import Pin
    from mlform.refresh.scope import Scope
    from mlform.state.model import Realisation, Snapshot


def planned(
    session: Session,
    snapshot: Snapshot,
    seen: Snapshot,
    given: Unplanned,
    pins: Mapping[Address, Pin],
) -> tuple[Plan, Scope]:
    """Plan, and look at the inputs of what takes a result that was made before, until all is told.

    ``seen`` is what the world was looked at with. Where nothing is taken again, or all inputs are
    known, that is one walk.
    """
    from mlform.plan import walk

    project, names = session.configured
    known: dict[str, Realisation | None] = {}

    def lookup(key: str) -> Realisation | None:
        if key not in known:
            known[key] = session.lookup(key)
        return known[key]

    given = replace(given, lookup=lookup)
    while True:
        problems = Diagnostics()
        plan, scope, reused = walk(
            project, names, session.graph, snapshot, session.registry, given, problems
        )
        waits = {a for a, o in given.observations.items() if o.parts is None}
        behind = waits & session.graph.downstream(reused) if waits and reused else set()
        more = _look(session, seen, pins, reused, behind) if behind else {}
        more = {a: o for a, o in more.items() if o.parts is not None}
        if not more:
            session.diagnostics.extend(problems)
            return plan, scope
        found = {a: _with_inputs(given.observations[a], o) for a, o in more.items()}
        given = replace(given, observations={**given.observations, **found})


def _look(
    session: Session,
    seen: Snapshot,
    pins: Mapping[Address, Pin],
    reused: Mapping[Address, Realisation],
    behind: Collection[Address],
) -> Mapping[Address, Observation]:
    from mlform.commands.importing import provisional
    from mlform.refresh import ImportFact, none, refresh

    facts = {a: ImportFact("", it.attributes) for a, it in reused.items()}
    told = Diagnostics()
    found = refresh(
        session.configured[0],
        provisional(session, seen, facts),
        session.registry,
        session.looker,
        pins,
        told,
        read=none,
        only=behind,
    )
    session.diagnostics.extend(told.errors)  # what it warns of was said at the first look
    session.diagnostics.stop_on_errors()
    return found


def _with_inputs(first: Observation, later: Observation) -> Observation:
    return replace(
        first,
        parts=later.parts,
        rows=later.rows,
        pinned=later.pinned,
        pinned_rows=later.pinned_rows,
        environment=later.environment,
        trouble=later.trouble,
        asked=None,
    )
