"""Stages as processes of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

from mlform.demand import Demand
from mlform.execute.attempt import Attempt, NotStartedError, how_ended, named
from mlform.execute.forked import Server, Worker
from mlform.execute.log import Tail
from mlform.execute.task import MOST_AHEAD, Failure, Message, Partial, ProgressNote, Result, Task
from mlform.lazy import replace

_TICK: Final = 0.1
"""Seconds between looks at the log and the stop flag; everything else wakes at once."""

_MOMENT: Final = 0.25
"""Seconds within which what is handed over early is to begin."""

GRACE: Final = 10.0
"""Seconds between asking a run to stop, once its time is up, and ending its process."""


class LocalExecutor:
    """A fresh process for each run, forked from one that has the libraries imported already.

    ``workers`` runs go on at once, further ones wait. ``preload`` names modules (``"pandas"``),
    or providers (``"mlform_core:Core"``) whose resource modules are to be imported. Workers use
    one thread for linear algebra (unless the environment says otherwise), a fixed hash seed, and
    process groups of their own, so that Ctrl-C reaches the engine alone. When the engine ends,
    however it does, they end with it; what they started in a new session does not. A process whose
    run was quick and left it as it was is as good as a fresh one, and gets another run.
    """

    def __init__(self, workers: int, preload: Sequence[str] = ()) -> None:
        self._guard = threading.Lock()
        self._free = workers
        self._waiting: deque[threading.Lock] = deque()
        self._preload = list(preload)
        self._starting = threading.Lock()
        self._server: Server | None = None
        self._busy: set[Worker] = set()
        self._idle: list[Worker] = []
        self._killed = threading.Event()
        self._usual = _MOMENT * 2
        """Seconds that a run takes, the last ones before all."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to load what workers need, while there is something else to do."""
        with contextlib.suppress(OSError):  # told once somebody wants a worker
            self._begun_server()

    def preload(self, names: Sequence[str]) -> None:
        """Say what workers need beside what was said first, and that this is all."""
        with self._starting:
            self._preload += names
            if self._server is not None:
                self._server.load(names)

    def run(
        self, task: Task, on_message: Callable[[Message], None], stop: threading.Event
    ) -> Result:
        """Run ``task`` in a process of its own, to its end."""
        asked = time.monotonic()
        if not self._admitted(stop):
            return Result(cancelled=True)
        try:
            if stop.is_set():
                return Result(cancelled=True)
            result = self._run(task, on_message, stop, time.monotonic() - asked)
        except NotStartedError as error:
            return Result(error=Failure("No worker process", str(error)))
        finally:
            self._leave()
        self._usual = 0.8 * self._usual + 0.2 * result.seconds
        return result

    def ahead(self) -> int:
        """Return how many tasks more than there are workers begin within moments."""
        return min(int(_MOMENT / self._usual), MOST_AHEAD)

    def kill_all(self) -> None:
        """End everything that runs at once."""
        # No lock: a signal handler calls this, perhaps in the middle of anything above.
        self._killed.set()
        for worker in tuple(self._busy):
            worker.kill()

    def close(self) -> None:
        """End the server, and whatever still runs."""
        with self._starting:
            while self._idle:
                self._idle.pop().close()
            if self._server is not None:
                self._server.close()
                self._server = None

    def _admitted(self, stop: threading.Event) -> bool:
        """Wait until it is the caller's turn; ``False`` where the run was stopped before that."""
        with self._guard:
            if self._free:
                self._free -= 1
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        while not turn.acquire(timeout=_TICK):
            if stop.is_set():
                with self._guard:
                    if turn in self._waiting:  # else it was given just now
                        self._waiting.remove(turn)
                        return False
        return True

    def _leave(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1

    def _run(
        self,
        task: Task,
        on_message: Callable[[Message], None],
        stop: threading.Event,
        waited: float,
    ) -> Result:
        began = time.monotonic()
        attempt = named(task.context["workdir"], task.attempt)
        demand = task.demand
        worker = self._worker(task)
        self._busy.add(worker)
        watch = _Watch(worker, attempt, on_message, demand.timeout)
        try:
            if stop.is_set() and self._killed.is_set():
                worker.kill()
            worker.give(attempt.request(task))
            ended = watch.until_end(stop)
        finally:
            self._busy.discard(worker)
            if watch.over is None:
                worker.close()
            else:
                self._idle.append(worker)
        if watch.refused:
            raise NotStartedError(watch.refused)
        if ended is not None and "refused" in ended:
            raise NotStartedError(f"The system refused it: {ended['refused']}.")
        if watch.over is None:
            how, killed = _how(ended, demand, worker.server), self._killed.is_set()
            result = attempt.result(how, killed=stop.is_set() and killed)
            attempt.tidy()
        else:
            result = attempt.as_result(watch.over["result"])
        if watch.late and not result.value:
            result = replace(timed_out(demand), log=result.log)
        seconds = time.monotonic() - began
        rss = (ended or {}).get("max_rss")
        return replace(result, seconds=seconds, waited=waited, max_rss=rss)

    def _worker(self, task: Task) -> Worker:
        """Return a process that nothing was done in, or that is as good as that."""
        while self._idle:
            worker = self._idle.pop()
            if worker.waits():
                return worker
            worker.close()
        try:
            # What the first task needs, the others mostly need too.
            needed = task.context_factory.partition(":")[0], task.provider
            server = self._running_server(*needed)
            try:
                return server.fork()
            except OSError:
                # It is just ending, and has not heard: asking another makes no second worker.
                server.close()
                return self._running_server(*needed).fork()
        except OSError as error:
            raise NotStartedError(f"It could not be started: {error}.") from None

    def _running_server(self, *needed: str) -> Server:
        server = self._begun_server()
        server.load(needed)
        return server

    def _begun_server(self) -> Server:
        with self._starting:
            if self._server is not None and not self._server.running():
                self._server.close()
                self._server = None
            if self._server is None:
                self._server = Server(self._preload)
            return self._server


class _Watch:
    """Follows one worker: its messages, its log, its end."""

    def __init__(
        self,
        worker: Worker,
        attempt: Attempt,
        on_message: Callable[[Message], None],
        timeout: float | None,
    ) -> None:
        self.worker, self.on_message = worker, on_message
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.late = False
        self.over: dict[str, Any] | None = None
        """The result of a run whose process waits for another."""
        self.refused = ""
        self.tail = Tail(attempt.log)

    def until_end(self, stop: threading.Event) -> dict[str, Any] | None:
        """Return what the server says of the end, ``None`` if the server itself ended."""
        poll = select.poll()
        poll.register(self.worker.channel, select.POLLIN)
        poll.register(self.worker.line, select.POLLIN)
        asked = False
        while True:
            self._check_time()
            if (stop.is_set() or self.late) and not asked:
                asked = True
                self.worker.give({"stop": True})
            ready = {fd for fd, _ in poll.poll(_TICK * 1000)}
            ended = self.worker.line.fileno() in ready
            if (self.worker.channel.fileno() in ready or ended) and not self._hear():
                with contextlib.suppress(KeyError):
                    poll.unregister(self.worker.channel)
            self._log(last=ended or self.over is not None)
            if self.over is not None:
                return self.over
            if ended:
                return self._status()

    def _check_time(self) -> None:
        """Once its time is up, have it stop; once more, end it."""
        if self.deadline is None or time.monotonic() < self.deadline:
            return
        if self.late:
            self.worker.kill()
        self.late, self.deadline = True, time.monotonic() + GRACE

    def _hear(self) -> bool:
        for data in self.worker.reader.messages():
            if "progress" in data:
                self._log()
                done, total, note = data["progress"]
                self.on_message(ProgressNote(done, total, note))
            elif "partial" in data:
                self.on_message(Partial(data["partial"]))
            elif "refused" in data:
                self.refused = data["refused"]
            elif "result" in data:
                self.over = data
                break  # it has no more to say before it is given another task
        return not self.worker.reader.ended

    def _log(self, *, last: bool = False) -> None:
        if self.over is not None and self.over["silent"]:
            return
        for line in self.tail.lines(last=last):
            self.on_message(line)

    def _status(self) -> dict[str, Any] | None:
        try:
            data = self.worker.line.recv(4096)
        except OSError:
            data = b""
        told: dict[str, Any] | None = json.loads(data) if data else None
        return told


def _how(ended: Mapping[str, Any] | None, demand: Demand, server: Server) -> str:
    if ended is None:
        said = "The process that starts workers ended, and the worker with it."
        return f"{said} {server.last_words()}".strip()
    return how_ended(os.waitstatus_to_exitcode(ended["status"]), demand.memory)


def timed_out(demand: Demand) -> Result:
    """Return the result of a run whose time was up."""
    detail = f"It was not done after {demand.timeout:g} s. Raise timeout, or give it less to do."
    return Result(error=Failure("Timed out", detail), timed_out=True)
