"""The executors of one run: the local one, and those that the spec declares."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from mlform.demand import LOCAL, Declared
from mlform.execute.attempt import Attempt
from mlform.execute.engine import Engine, Handle
from mlform.execute.jobs import JobExecutor, Manners
from mlform.execute.task import Executor, Failure, Message, Result, Task


class Executors:
    """Hands each task to the executor that it names."""

    def __init__(self, local: Executor, declared: Mapping[str, Declared]) -> None:
        self._others = {n: made(n, d) for n, d in declared.items() if d.type != LOCAL}
        self._all: dict[str, Executor] = {LOCAL: local, **self._others}

    def run(
        self, task: Task, on_message: Callable[[Message], None], stop: threading.Event
    ) -> Result:
        """Run ``task`` where it is to run."""
        name = task.demand.executor
        if (executor := self._all.get(name)) is None:
            detail = f'There is no executor "{name}" any more. Plan again.'
            return Result(error=Failure("Unknown executor", detail))
        return executor.run(task, on_message, stop)

    def end(self, name: str, folder: Path, root: Path, handle: Handle | None) -> bool:
        """End an attempt that nobody wants; ``False`` where its executor is declared no more.

        Raises ``UnreachableError`` or ``RefusedError``.
        """
        if (executor := self._others.get(name)) is None:
            return False
        executor.end(Attempt(folder), root, handle)
        return True

    def ahead(self) -> int:
        """Return how many tasks more the local executor is best given."""
        return self._all[LOCAL].ahead()

    def kill_all(self) -> None:
        """End everything that runs at once."""
        for executor in self._all.values():
            executor.kill_all()

    def close(self) -> None:
        """Let go of all of them."""
        for executor in self._all.values():
            executor.close()


def made(name: str, declared: Declared) -> JobExecutor:
    """Return the executor that a block declares."""
    settings = dict(declared.settings)
    ours = {f.name for f in fields(Manners)} & settings.keys()
    if declared.type == "kubernetes":
        settings.setdefault("python", "python3")  # ours says nothing in an image
        ours.add("python")
    manners = Manners(name=name, **{n: settings[n] for n in ours})
    return JobExecutor(_engine(declared.type, settings), manners)


def _engine(type_: str, settings: Mapping[str, Any]) -> Engine:
    """Import what talks to an engine only where it is used."""
    match type_:
        case "process":
            from mlform.execute.process import ProcessEngine  # noqa: PLC0415 - few specs

            return ProcessEngine()
        case "slurm":
            from mlform.execute.slurm import SlurmEngine, SlurmSettings  # noqa: PLC0415 - few specs

            return SlurmEngine(SlurmSettings(**_of(SlurmSettings, settings)))
        case "ray":
            from mlform.execute.ray import RayEngine, RaySettings  # noqa: PLC0415 - few specs

            return RayEngine(RaySettings(**_of(RaySettings, settings)))
        case "kubernetes":
            from mlform.execute.kubernetes import (  # noqa: PLC0415 - few specs
                KubernetesEngine,
                KubernetesSettings,
            )

            return KubernetesEngine(KubernetesSettings(**_of(KubernetesSettings, settings)))
        case _:
            raise AssertionError(f"no engine is called {type_}")


def _of(model: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {f.name: settings[f.name] for f in fields(model) if f.name in settings}
