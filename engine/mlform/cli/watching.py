"""How far looking at the world is: told where it takes long enough to wonder."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from mlform.cli.terminal import say, say_json

if TYPE_CHECKING:
    from mlform.commands.session import Session

_LIVE_AFTER: Final = 0.3
_LINE_AFTER: Final = 1.0
_LINE_EVERY: Final = 5.0


@contextmanager
def watched(session: Session, *, json: bool, events: bool = False) -> Iterator[None]:
    """Tell how far looking is while a command plans.

    On a terminal a line that goes again, from 0.3 s on; else a plain line after a second, and
    then each five, on standard error; for machines an event each where ``events`` are wanted.
    """
    if json:
        session.looking = _event if events else None
        yield
        return
    watch = _Watch(live=sys.stderr.isatty())
    session.looking = watch
    try:
        yield
    finally:
        watch.stop()


def _event(address: str, done: int, total: int) -> None:
    if address:
        say_json({"type": "looked", "address": address, "done": done, "total": total}, lines=True)


class _Watch:
    """Called from several threads: first with nothing done, then once for each that is."""

    def __init__(self, *, live: bool) -> None:
        self.live = live
        self.done = self.total = 0
        self.last = ""
        self.guard = threading.Lock()
        self.over = threading.Event()
        self.teller: threading.Thread | None = None

    def __call__(self, address: str, done: int, total: int) -> None:
        with self.guard:
            self.done, self.total, self.last = done, total, address or self.last
        if not done and total and self.teller is None:
            self.over.clear()
            self.teller = threading.Thread(target=self._tell, daemon=True)
            self.teller.start()
        if done == total:
            self.stop()

    def stop(self) -> None:
        """Take the line away."""
        with self.guard:
            teller, self.teller = self.teller, None
        self.over.set()
        if teller is not None:
            teller.join()

    def _tell(self) -> None:
        if self.over.wait(_LIVE_AFTER if self.live else _LINE_AFTER):
            return
        if self.live:
            self._draw()
            return
        while True:
            say(f"Looking at what is there: {self.done} of {self.total} …\n", error=True)
            if self.over.wait(_LINE_EVERY):
                return

    def _draw(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        columns = (SpinnerColumn(), TextColumn("looking"), BarColumn(bar_width=24))
        counts = (
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[last]}"),
        )
        console = Console(stderr=True)
        with Progress(*columns, *counts, console=console, transient=True) as bars:
            task = bars.add_task("", total=self.total, completed=self.done, last=self.last)
            while not self.over.wait(0.1):
                bars.update(task, completed=self.done, total=self.total, last=self.last)
