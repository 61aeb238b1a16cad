"""``watch``: monitors look and triggers act, round after round."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from mlform.commands.reapplying import reapply, run_monitors
from mlform.commands.session import Session
from mlform.commands.stopping import told_to_stop
from mlform.diagnostics import DiagnosedError, Severity
from mlform.lazy import dataclass, replace
from mlform.reconcile.rounds import Round

if TYPE_CHECKING:
    from mlform.apply import Reporter
    from mlform.apply.watch import Watched
    from mlform.commands.health import Health
    from mlform.state.lease import Lease
    from mlform.state.place import Place

LONGEST: Final = 900.0
"""Seconds between rounds at most, however often they failed before."""
_ASKING: Final = 5.0
"""Seconds at most from one time that who stands by asks for the lead to the next."""


@dataclass(frozen=True)
class Watch:
    """How to stay: seconds between rounds, where to answer, how many rounds, where to propose."""

    interval: float
    listen: str | None = None
    rounds: int | None = None
    out: Path | None = None
    parallelism: int = 2


@dataclass(frozen=True)
class Teller:
    """Who is told of a place that answers, of who leads (``None``: this one), of each round."""

    listening: Callable[[str], None]
    leader: Callable[[Lease | None], None]
    round: Callable[[Round], None]


def watch(begin: Callable[[], Session], how: Watch, report: Reporter, tell: Teller) -> None:
    """Go round after round until a signal comes; ``begin`` reads the spec anew for each.

    One at a time does so for a state: where another leads this one stands by, and takes over once
    that one is gone. A round that fails, or finds the lock taken, is followed by the next after
    twice the time, up to 15 minutes. Raises ``DiagnosedError`` where it cannot listen.
    """
    from mlform.commands.health import Health, answering

    health = Health()
    place = nullcontext() if how.listen is None else answering(how.listen, health)
    failures = number = 0
    with told_to_stop() as stopping, place as where, _Lead([health.led, tell.leader]) as lead:
        if where is not None:
            tell.listening(where)
        while not stopping.is_set():
            found = _round(begin(), number + 1, how, report, lead, health)
            if found is None:
                stopping.wait(min(how.interval, _ASKING))
                continue
            number += 1
            failures = failures + 1 if found.failed or found.locked else 0
            last = number == how.rounds
            pause = 0.0 if last else min(how.interval * 2**failures, max(LONGEST, how.interval))
            found = replace(found, wait=pause)
            health.end(found)
            tell.round(found)
            if last or found.interrupted or stopping.wait(pause):
                return


class _Lead:
    """The lease of the one that goes round among all that watch a state."""

    def __init__(self, heard: Sequence[Callable[[Lease | None], None]]) -> None:
        """``heard`` are told of who leads whenever that is another; ``None``: this process."""
        self._heard = heard
        self._told: str | None = None
        self._lease: Lease | None = None
        self._session: Session | None = None
        self._held = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._resign()

    def taken(self, session: Session) -> bool:
        """Tell whether this process leads; it does from here on if nobody did.

        Raises ``DiagnosedError`` where the state cannot be used.
        """
        from mlform.state.lease import Extent, LockedError

        if self._holds(session.place):
            return True
        self._resign()
        try:
            self._lease = self._held.enter_context(session.lock("watch", Extent.for_duty("watch")))
        except LockedError as error:
            self._tell(error.holder)
            return False
        self._session = session
        self._tell(None)
        return True

    def _holds(self, place: Place) -> bool:
        """Tell whether the lease still holds; the spec may meanwhile name another place."""
        if self._lease is None or self._session is None or self._session.place != place:
            return False
        return self._session.store.renew(self._lease)

    def _resign(self) -> None:
        self._lease = self._session = None
        with suppress(DiagnosedError):  # a state that cannot be reached finds out in time
            self._held.close()

    def _tell(self, leader: Lease | None) -> None:
        name = "" if leader is None else leader.id
        if name != self._told:
            self._told = name
            for hear in self._heard:
                hear(leader)


def _round(
    session: Session, number: int, how: Watch, report: Reporter, lead: _Lead, health: Health
) -> Round | None:
    """Go one round; ``None`` where another leads, and nothing was done."""
    from mlform.state.lease import LockedError, LostLeaseError

    began = time.monotonic()
    seen: tuple[Watched, ...] = ()
    done, error, locked = None, "", False
    try:
        with health.asking():
            leads = lead.taken(session)
        if not leads:
            return None
        health.begin()
        if any(a.kind == "monitor" for a in session.snapshot().records):
            seen = tuple(run_monitors(session, (), report))
        done = reapply(session, report, parallelism=how.parallelism, out=how.out)
    except DiagnosedError as problem:
        first = problem.diagnostics.errors[0]
        error = f"{first.summary}: {first.detail}"
    except LockedError as problem:
        error, locked = str(problem), True
    except (LostLeaseError, OSError) as problem:
        error = str(problem)
    except KeyboardInterrupt:
        error = "stopped while monitors looked"
    seconds = time.monotonic() - began
    warnings = [d for d in session.diagnostics if d.severity is Severity.WARNING]
    told = tuple(f"{d.summary}: {d.detail}" for d in warnings)
    found = Round(number, seconds, seen, told, error="" if locked else error, locked=locked)
    if done is None:
        return found
    pulls, proposals = tuple(done.pulls), tuple(done.proposals)
    return replace(found, pulls=pulls, outcome=done.applied.outcome, proposals=proposals)
