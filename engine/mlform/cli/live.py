"""What is going on, live: a line for each step that runs, above them what is over."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from mlform.apply import Event, Log, Started
from mlform.apply import Progress as Note
from mlform.render.events import event as told
from mlform.render.style import paint


class Live:
    """A reporter for terminals. Use it as a context manager around the run."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}", style="dim"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._running: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Tell one event; called from several threads."""
        # Not before there is something to tell: until then the terminal is for plan and question.
        self._bars.start()
        name = str(event.address)
        if isinstance(event, Started):
            label = f"{name}  {event.action.value}"
            self._running[name] = self._bars.add_task(label, total=None, note="")
        elif isinstance(event, Note):
            if (task := self._running.get(name)) is not None:
                self._bars.update(task, completed=event.done, total=event.total, note=event.note)
        else:
            if not isinstance(event, Log) and (task := self._running.pop(name, None)) is not None:
                self._bars.remove_task(task)
            line = paint(told(event), colour=not self._console.no_color).rstrip("\n")
            self._console.print(Text.from_ansi(line), soft_wrap=True)
