"""``watch``: monitors look and triggers act, round after round."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from mlform.commands.reapplying import reapply, run_monitors
from mlform.commands.session import Session
from mlform.diagnostics import DiagnosedError, Severity
from mlform.lazy import dataclass, replace
from mlform.reconcile.rounds import Round

if TYPE_CHECKING:
    from mlform.apply import Reporter
    from mlform.apply.watch import Watched

LONGEST: Final = 900.0
"""Seconds between rounds at most, however often they failed before."""


@dataclass(frozen=True)
class Watch:
    """How to stay: seconds between rounds, where to answer, how many rounds, where to propose."""

    interval: float
    listen: str | None = None
    rounds: int | None = None
    out: Path | None = None
    parallelism: int = 2


def watch(
    begin: Callable[[], Session],
    how: Watch,
    report: Reporter,
    tell: Callable[[Round], None],
    listening: Callable[[str], None],
) -> None:
    """Go round after round until a signal comes; ``begin`` reads the spec anew for each.

    A round that fails, or finds the lock taken, is followed by the next after twice the time, up
    to 15 minutes. Raises ``DiagnosedError`` where it cannot listen.
    """
    from mlform.commands.health import Health, answering

    health = Health()
    place = nullcontext() if how.listen is None else answering(how.listen, health)
    failures = number = 0
    with _told_to_stop() as stopping, place as where:
        if where is not None:
            listening(where)
        while not stopping.is_set():
            number += 1
            health.begin()
            found = _round(begin(), number, how, report)
            failures = failures + 1 if found.failed or found.locked else 0
            last = number == how.rounds
            pause = 0.0 if last else min(how.interval * 2**failures, max(LONGEST, how.interval))
            found = replace(found, wait=pause)
            health.end(found)
            tell(found)
            if last or found.interrupted or stopping.wait(pause):
                return


def _round(session: Session, number: int, how: Watch, report: Reporter) -> Round:
    from mlform.state.lease import LockedError, LostLeaseError

    began = time.monotonic()
    seen: tuple[Watched, ...] = ()
    done, error, locked = None, "", False
    try:
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
    seconds = time.monotonic() - began
    warnings = [d for d in session.diagnostics if d.severity is Severity.WARNING]
    told = tuple(f"{d.summary}: {d.detail}" for d in warnings)
    found = Round(number, seconds, seen, told, error="" if locked else error, locked=locked)
    if done is None:
        return found
    pulls, proposals = tuple(done.pulls), tuple(done.proposals)
    return replace(found, pulls=pulls, outcome=done.applied.outcome, proposals=proposals)


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Give the flag that SIGINT and SIGTERM set: what is under way ends first."""
    stopping = threading.Event()

    def heard(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    before = {s: signal.signal(s, heard) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
