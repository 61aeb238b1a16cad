"""Where text goes: standard output or error, with colours if a person reads it."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

from mlform.cli.parsing import Exit
from mlform.diagnostics import DiagnosedError, Diagnostics
from mlform.render.style import Styled, paint

if TYPE_CHECKING:
    from mlform.apply import Event, Reporter
    from mlform.commands.session import Session
    from mlform.plan import Plan
    from mlform.state.lease import Lease

_writing = threading.Lock()
_LONGEST_QUIET: Final = 30.0
"""Seconds between two lines of progress, at most, where there is any."""


class _ReaderLeftError(BrokenPipeError):
    """Who read what this command says went away: no fault, and nobody is there to be told."""


def coloured(stream: TextIO) -> bool:
    """Tell whether a stream wants colours (https://no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def can_ask() -> bool:
    """Tell whether a person can be asked: not in a pipe, nor with ``-input=false``."""
    return sys.stdin.isatty() and os.environ.get("MLF_INPUT", "1") not in {"0", "false"}


def say(styled: Styled | str, *, error: bool = False, colour: bool | None = None) -> None:
    """Write text for people; in colour where the stream wants it, unless that is said."""
    stream = sys.stderr if error else sys.stdout
    if isinstance(styled, str):
        text = styled
    else:
        text = paint(styled, colour=coloured(stream) if colour is None else colour)
    with _writing:
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError as gone:
            raise _ReaderLeftError(*gone.args) from None


def say_json(data: Any, *, lines: bool = False) -> None:
    """Write data for machines: indented, or one object a line."""
    text = json.dumps(data, ensure_ascii=False, indent=None if lines else 2)
    say(f"{text}\n")


def say_plan(
    made: Plan, session: Session, parallelism: int = 2, *, json: bool, markdown: bool
) -> None:
    """Write a plan: as text, as JSON with what there is to warn of, or as Markdown."""
    if json:
        from mlform.commands.explaining import ordered
        from mlform.render.document import plan as document

        say_json(document(made, parallelism, ordered(session.diagnostics, session.texts)))
    elif markdown:
        from mlform.render.markdown import plan as as_markdown

        say(as_markdown(made, parallelism))
    else:
        from mlform.render.plan import plan as shown

        say(shown(made, parallelism))


@contextmanager
def explained(session: Session, *, as_json: bool = False, lines: bool = False) -> Iterator[None]:
    """Turn errors of a command into text and an exit code; tell the warnings at the end.

    Of a command that writes JSON, those of one that writes it in ``lines``: another's document
    has them, if they belong there.
    """
    from mlform.state.lease import LockedError, LostLeaseError

    try:
        yield
    except Exit:
        _warnings(session, as_json=as_json, lines=lines)
        raise
    except DiagnosedError as error:
        _problems(session, error.diagnostics, as_json=as_json)
        raise Exit(1) from None
    except LockedError as error:
        detail = (
            f"{error} Wait until it is over, or stop that process; then try again. If its machine "
            f"is gone for good: mlform force-unlock {error.holder.id}"
        )
        _plain_error("State is locked", detail, as_json=as_json, lock=error.holder)
        raise Exit(4) from None
    except LostLeaseError as error:
        _plain_error("Lost the lock", str(error), as_json=as_json)
        raise Exit(1) from None
    except _ReaderLeftError:
        raise
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        _plain_error("System error", f"{error.strerror or error}{where}.", as_json=as_json)
        raise Exit(1) from None
    _warnings(session, as_json=as_json, lines=lines)


def _warnings(session: Session, *, as_json: bool, lines: bool) -> None:
    warnings = Diagnostics()
    warnings.extend(session.diagnostics)
    if list(warnings) and (lines or not as_json):
        _problems(session, warnings, as_json=as_json)


def _problems(session: Session, diagnostics: Diagnostics, *, as_json: bool) -> None:
    from mlform.commands.explaining import ordered
    from mlform.render.diagnostics import diagnostic, document

    texts = session.texts
    problems = ordered(diagnostics, texts)
    if as_json:
        say_json(document(problems), lines=True)
        return
    for number, problem in enumerate(problems):
        say([("", "\n" if number else ""), *diagnostic(problem, texts)], error=True)


def _plain_error(summary: str, detail: str, *, as_json: bool, lock: Lease | None = None) -> None:
    diagnostics = Diagnostics()
    diagnostics.error(summary, detail)
    if as_json:
        from mlform.render.diagnostics import document

        told = document(diagnostics)
        if lock is not None:
            told["lock"] = lock.as_data()
        say_json(told, lines=True)
    else:
        say([("red bold", "Error"), ("bold", f": {summary}\n"), ("", f"\n{detail}\n")], error=True)


@contextmanager
def reporter(*, json: bool) -> Iterator[Reporter]:
    """Give what tells events: live for a terminal, a line each otherwise, JSON for machines."""
    if json:
        yield json_lines
    elif sys.stdout.isatty():
        from mlform.cli.live import Live

        with Live() as live:
            yield live
    else:
        yield Lines()


class Lines:
    """A reporter that writes a line an event; of progress less and less often, and none twice."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Event, float, float]] = {}
        self._colour = coloured(sys.stdout)

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        import time

        from mlform.apply import Progress
        from mlform.render.events import event as told

        where = str(getattr(event, "address", ""))
        if isinstance(event, Progress):
            now = time.monotonic()
            before, told_at, wait = self._last.get(where, (None, now, 0.0))
            if event == before or now - told_at < wait:
                return
            self._last[where] = event, now, min(2 * wait or 1.0, _LONGEST_QUIET)
        else:
            self._last.pop(where, None)
        say(told(event), colour=self._colour)


def json_lines(event: Event) -> None:
    """Tell one event to machines."""
    from mlform.render.events import as_data

    say_json(as_data(event), lines=True)
