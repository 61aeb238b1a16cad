"""``logs``: what a step printed and logged, of its last attempts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from mlform.commands.queries import parsed
from mlform.commands.session import Session
from mlform.diagnostics import did_you_mean, stop
from mlform.execute.attempt import Attempt
from mlform.execute.attempts import Attempted, attempts
from mlform.execute.log import Lines
from mlform.state.model import folder_name

_LOOK: Final = 0.1
"""Seconds between looks at a log that is followed."""
_OFTEN: Final = 1.0
"""Seconds between questions whether anybody is at it."""
_QUIET: Final = 10.0
"""Seconds without a sign of life after which a job is taken to be gone."""


def logged(session: Session, text: str) -> Sequence[Attempted]:
    """Return the attempts at a resource that are kept, oldest first.

    Raises ``DiagnosedError`` where there is none.
    """
    work, found = session.own / "work", _attempts(session, text)
    if not found:
        names = [unquote(f.name) for f in sorted(work.glob("*")) if attempts(f)]
        logs = f" There are logs of {', '.join(names)}." if names else " Nothing ran here yet."
        detail = f"{text} has no log in this folder.{did_you_mean(text, names)}{logs}"
        raise stop("No log", detail)
    return found


def silent_since(session: Session, text: str) -> datetime | None:
    """Return since when a step runs that has printed nothing yet; ``None`` where none does."""
    address = str(parsed(text))
    held = [lease.since for lease in session.store.leases()]
    for entry in session.store.unfinished() if held else ():
        if entry.address == address and entry.at >= min(held):
            now = [it for it in _attempts(session, text) if it.at >= entry.at]
            return None if any(it.log.stat().st_size for it in now) else entry.at
    return None


def _attempts(session: Session, text: str) -> Sequence[Attempted]:
    return attempts(session.own / "work" / folder_name(str(parsed(text))))


def chosen(found: Sequence[Attempted], back: int) -> Attempted:
    """Return an attempt by how many came after it. Raises ``DiagnosedError`` beyond the kept."""
    if not 0 <= back < len(found):
        detail = (
            f"There is no attempt {back}: 0 is the last that is kept, {len(found) - 1} the first. "
            "See them with `mlform logs ADDRESS -list`."
        )
        raise stop("No such attempt", detail)
    return found[-1 - back]


class Followed:
    """The lines of an attempt that may still be going on, as they come."""

    def __init__(self, session: Session, text: str) -> None:
        """Wait for the first attempt where a run has the lock. Raises as ``logged`` does."""
        self.session, self.text = session, text
        while session.store.leases() and not _attempts(session, text):
            time.sleep(_LOOK)
        self.attempt = logged(session, text)[-1]
        self._beaten, self._lived = 0, time.monotonic()

    def lines(self, last: int | None) -> Iterator[str]:
        """Give the lines there are, or so many of them, then those that come, until it is over."""
        tail, looked, over = Lines(self.attempt.log), 0.0, False
        there = [_text(line) for line in tail.read()]
        yield from there if last is None else there[len(there) - min(last, len(there)) :]
        while not over:
            if over := bool(self.attempt.ending):
                pass
            elif time.monotonic() - looked > _OFTEN:
                looked, over = time.monotonic(), not self._goes_on()
            yield from map(_text, tail.read())
            if over and (rest := tail.rest()):
                yield _text(rest)
            elif not over:
                time.sleep(_LOOK)

    def _goes_on(self) -> bool:
        """Tell whether somebody is at it: the run that began it, or a job that shows it lives."""
        if any(self.attempt.at >= lease.since for lease in self.session.store.leases()):
            return True
        beaten, now = Attempt(self.attempt.folder).beaten(), time.monotonic()
        if beaten != self._beaten:
            self._beaten, self._lived = beaten, now
        return bool(beaten) and now - self._lived < _QUIET


def _text(line: bytes) -> str:
    return line.decode(errors="replace") + "\n"


def lines(log: Path, last: int | None) -> Iterator[str]:
    """Give the lines of a log, or only so many at its end."""
    with log.open(encoding="utf-8", errors="replace") as source:
        if last is None:
            yield from source
            return
        from collections import deque

        yield from deque(source, maxlen=last)
