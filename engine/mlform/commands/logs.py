"""``logs``: what a step printed and logged, of its last attempts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from mlform.commands.queries import parsed
from mlform.commands.session import Session
from mlform.diagnostics import did_you_mean, stop
from mlform.execute.attempts import Attempted, attempts
from mlform.state.model import folder_name


def logged(session: Session, text: str) -> Sequence[Attempted]:
    """Return the attempts at a resource that are kept, oldest first.

    Raises ``DiagnosedError`` where there is none.
    """
    work = session.own / "work"
    found = attempts(work / folder_name(str(parsed(text))))
    if not found:
        names = [unquote(f.name) for f in sorted(work.glob("*")) if attempts(f)]
        logs = f" There are logs of {', '.join(names)}." if names else " Nothing ran here yet."
        detail = f"{text} has no log in this folder.{did_you_mean(text, names)}{logs}"
        raise stop("No log", detail)
    return found


def chosen(found: Sequence[Attempted], back: int) -> Attempted:
    """Return an attempt by how many came after it. Raises ``DiagnosedError`` beyond the kept."""
    if not 0 <= back < len(found):
        detail = (
            f"There is no attempt {back}: 0 is the last that is kept, {len(found) - 1} the first. "
            "See them with `mlform logs ADDRESS -list`."
        )
        raise stop("No such attempt", detail)
    return found[-1 - back]


def lines(log: Path, last: int | None) -> Iterator[str]:
    """Give the lines of a log, or only so many at its end."""
    with log.open(encoding="utf-8", errors="replace") as source:
        if last is None:
            yield from source
            return
        from collections import deque

        yield from deque(source, maxlen=last)
