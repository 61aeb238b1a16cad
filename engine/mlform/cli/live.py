"""What is going on, live: how far the run is, and for each step that runs how far that one is."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType
from typing import Final, Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live as Screen
from rich.spinner import Spinner
from rich.text import Text

from mlform.apply import Begun, Event, Failed, Log, Progress, Started, StepEvent
from mlform.lazy import dataclass, field
from mlform.render.events import event as told
from mlform.render.style import Styled, paint
from mlform.render.values import between, seconds

_BAR: Final = 24
_RATE_AFTER: Final = 1.0
"""Seconds of progress before a rate is told."""
_LAST_WORDS: Final = 12
"""Lines of the log that are told of a step that failed."""


@dataclass
class Running:
    """One step that runs: how far it is by what it said, and since when."""

    action: str
    since: float
    expected: float | None = None
    done: float = 0.0
    total: float | None = None
    note: str = ""
    first: tuple[float, float] | None = None
    """When it first said how far it was, and how far that was."""
    log: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_WORDS))

    def hear(self, it: Progress, now: float) -> None:
        """Take how far it is."""
        if self.first is None or it.done < self.done:  # another count from the start
            self.first = now, it.done
        self.done, self.total, self.note = it.done, it.total, it.note

    def rate(self, now: float) -> float | None:
        """Return how much it gets done in a second; ``None`` where that cannot be told yet."""
        if self.first is None or now - self.first[0] < _RATE_AFTER or self.done <= self.first[1]:
            return None
        return (self.done - self.first[1]) / (now - self.first[0])

    def left(self, now: float) -> float | None:
        """Return about how many seconds are left, by its rate, else by what it took before."""
        rate = self.rate(now)
        if rate is not None and self.total is not None:
            return max(self.total - self.done, 0.0) / rate
        if self.expected is None:
            return None
        return max(self.expected - (now - self.since), 0.0)

    def share(self, now: float) -> float | None:
        """Return which share of it is done, from 0 to 1; ``None`` where nobody knows."""
        if self.total:
            return min(self.done / self.total, 1.0)
        if self.total is None and self.first is None and self.expected:
            return min((now - self.since) / self.expected, 0.99)
        return None

    def told(self, now: float) -> str:
        """Say how far it is: counts, rate, time so far and time left."""
        parts = []
        if self.first is not None:
            share = "" if self.total is None else f"/{self.total:g}"
            parts.append(f"{self.done:g}{share} {self.note}".rstrip())
        if (rate := self.rate(now)) is not None:
            parts.append(f"{rate:.3g}/s")
        parts.append(seconds(now - self.since))
        if (left := self.left(now)) is not None:
            parts.append(f"about {seconds(left)} left" if left else "longer than before")
        return " · ".join(parts)


class Live:
    """A reporter for terminals. Use it as a context manager around the run."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._screen = Screen(self, console=self._console, transient=True, refresh_per_second=8)
        self._spinner = Spinner("dots")
        self._guard = threading.Lock()
        self._running: dict[str, Running] = {}
        self._begun: Begun | None = None
        self._since = 0.0
        self._over: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._screen.stop()

    def __call__(self, event: Event) -> None:
        """Tell one event; called from several threads."""
        now = time.monotonic()
        with self._guard:
            lines = self._take(event, now)
        for line in lines:
            text = paint(line, colour=not self._console.no_color).rstrip("\n")
            self._console.print(Text.from_ansi(text), soft_wrap=True)
        # Not before there is something to tell: until then the terminal is for plan and question.
        self._screen.start()

    def _take(self, event: Event, now: float) -> list[Styled]:
        """Take one event in; return the lines that stay above what is live."""
        match event:
            case Begun():
                self._begun, self._since, self._over = event, now, set()
                return []
            case Started(address=address, action=action, expected=expected):
                self._running[str(address)] = Running(action.value, now, expected)
                return []
            case Progress(address=address):
                if (step := self._running.get(str(address))) is not None:
                    step.hear(event, now)
                return []
            case Log(address=address, text=text):
                if (step := self._running.get(str(address))) is None:
                    return [told(event)]
                step.log.append(text)
                return []
            case _:
                return self._ended(event)

    def _ended(self, event: StepEvent) -> list[Styled]:
        step = self._running.pop(str(event.address), None)
        self._over.add(str(event.address))
        if isinstance(event, Failed) and step is not None and step.log:
            said: list[Styled] = [[("dim", f"  {line}\n")] for line in step.log]
            hint = f"  All of it: mlform logs {event.address}\n"
            return [told(event), *said, [("dim", hint)]]
        return [told(event)]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        now = time.monotonic()
        with self._guard:
            running = list(self._running.items())[: max(options.max_height // 2 - 1, 1)]
            lines = [line for name, it in running for line in self._lines(name, it, running, now)]
            header = self._header(now)
        for line in [*lines, Text(header, "dim")]:
            line.truncate(options.max_width, overflow="ellipsis")
            yield line

    def _lines(
        self, name: str, it: Running, all_: list[tuple[str, Running]], now: float
    ) -> list[Text]:
        """Return the line of one step, and the last of its log under it."""
        width = max(len(name) for name, _ in all_)
        most = max(len(step.action) for _, step in all_)
        frame = self._spinner.render(now)
        first = Text.assemble(
            frame if isinstance(frame, Text) else "·",
            (f" {name:<{width}}  ", "bold"),
            (f"{it.action:<{most}}  ", "cyan"),
            *_bar(it.share(now)),
            f"  {it.told(now)}",
        )
        return [first, Text(f"    {it.log[-1]}", "dim")] if it.log else [first]

    def _header(self, now: float) -> str:
        it = self._begun
        if it is None:
            return ""
        over, took = len(self._over), seconds(now - self._since)
        more = it.steps - over - len(self._running)
        parts = [f"{over} of {it.steps} over"]
        if more > 0:
            parts.append(f"{more} to come")
        of = ""
        if it.expected is not None and it.most is not None:
            of = f" of {between(it.expected, it.most)}"
        return " · ".join([*parts, f"{took}{of}"])


def _bar(share: float | None) -> list[tuple[str, str]]:
    if share is None:
        return [("─" * _BAR, "dim")]
    full = round(share * _BAR)
    return [("━" * full, "green"), ("─" * (_BAR - full), "dim")]
