"""Stages as processes of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Final, Self

from mlform.demand import Demand
from mlform.execute.attempt import Attempt, NotStartedError, how_ended, named
from mlform.execute.limits import threads
from mlform.execute.log import Tail
from mlform.execute.task import MOST_AHEAD, Failure, Message, Partial, ProgressNote, Result, Task
from mlform.execute.wire import Reader, send
from mlform.lazy import replace

_TICK: Final = 0.1
"""Seconds between looks at the log and the stop flag; everything else wakes at once."""

_MOMENT: Final = 0.25
"""Seconds within which what is handed over early is to begin."""

GRACE: Final = 10.0
"""Seconds between asking a run to stop, once its time is up, and ending its process."""

_START: Final = """
import json, socket, sys
said = json.loads(sys.argv[1])
sys.path[:] = said["path"]
from mlform.execute.server import serve
serve(socket.socket(fileno=said["control"]), said["preload"])
"""


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
        self._slots = threading.BoundedSemaphore(workers)
        self._preload = list(preload)
        self._starting = threading.Lock()
        self._server: _Server | None = None
        self._busy: set[_Worker] = set()
        self._idle: list[_Worker] = []
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
            self._running_server()

    def run(
        self, task: Task, on_message: Callable[[Message], None], stop: threading.Event
    ) -> Result:
        """Run ``task`` in a process of its own, to its end."""
        asked = time.monotonic()
        while not self._slots.acquire(timeout=_TICK):
            if stop.is_set():
                return Result(cancelled=True)
        try:
            if stop.is_set():
                return Result(cancelled=True)
            result = self._run(task, on_message, stop, time.monotonic() - asked)
        except NotStartedError as error:
            return Result(error=Failure("No worker process", str(error)))
        finally:
            self._slots.release()
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

    def _worker(self, task: Task) -> _Worker:
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

    def _running_server(self, *needed: str) -> _Server:
        with self._starting:
            if self._server is not None and not self._server.running():
                self._server.close()
                self._server = None
            if self._server is None:
                self._server = _Server([*self._preload, *needed])
            return self._server


class _Worker:
    """A process that the server forked, seen from the engine.

    ``channel`` leads to it; on ``line`` the server tells how it ended, and is told to end it.
    """

    def __init__(self, server: _Server) -> None:
        self.server = server
        self.channel, self._theirs = socket.socketpair()
        self.line, self._servers = socket.socketpair()
        self.reader = Reader(self.channel)

    def hand_over(self, control: socket.socket) -> None:
        """Ask the server for the process."""
        theirs = self._theirs, self._servers
        try:
            socket.send_fds(control, [b"F"], [s.fileno() for s in theirs])
        except OSError:
            self.close()
            raise
        finally:
            for sock in theirs:
                sock.close()

    def give(self, message: Mapping[str, Any]) -> None:
        """Tell it something."""
        # It may be dead already; how it died is told on the line.
        with contextlib.suppress(OSError):
            send(self.channel, message)

    def kill(self) -> None:
        """Have it ended, with all that it left running in its group."""
        with contextlib.suppress(OSError):
            self.line.send(b"K")

    def waits(self) -> bool:
        """Tell whether it waits for a task: it has nothing to say and is not over."""
        return not select.select([self.channel, self.line], [], [], 0)[0]

    def close(self) -> None:
        """Let go of it. It ends, if it has not."""
        self.channel.close()
        self.line.close()


class _Server:
    """The process that forks, seen from the engine."""

    def __init__(self, preload: Sequence[str]) -> None:
        self._control, theirs = socket.socketpair()
        self._sending = threading.Lock()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives with the process
        path = [entry or os.getcwd() for entry in sys.path]  # noqa: PTH109 - as sys.path has it
        said = json.dumps({"path": path, "control": theirs.fileno(), "preload": list(preload)})
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own words
                [sys.executable, "-P", "-c", _START, said],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=_environment(),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._forked = threading.Event()
        told = self._control, self._process, self._errors, self._forked
        self.close = weakref.finalize(self, _end, *told)

    def fork(self) -> _Worker:
        """Return a new worker. Raises ``OSError``."""
        worker = _Worker(self)
        self._forked.set()
        with self._sending:
            worker.hand_over(self._control)
        return worker

    def running(self) -> bool:
        """Tell whether it is still there."""
        return self._process.poll() is None

    def last_words(self) -> str:
        """Return the end of what it wrote to standard error."""
        with contextlib.suppress(OSError, ValueError):
            size = os.fstat(self._errors.fileno()).st_size
            return (
                os.pread(self._errors.fileno(), 2000, max(0, size - 2000))
                .decode(errors="replace")
                .strip()
            )
        return ""


def _end(
    control: socket.socket,
    process: subprocess.Popen[bytes],
    errors: IO[bytes],
    forked: threading.Event,
) -> None:
    control.close()
    if not forked.is_set():  # it has nobody to see off, and may be loading still
        process.kill()
    process.wait()
    errors.close()


def _environment() -> dict[str, str]:
    environment = {**os.environ, **threads(Demand(), os.environ), "PYTHONHASHSEED": "0"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


class _Watch:
    """Follows one worker: its messages, its log, its end."""

    def __init__(
        self,
        worker: _Worker,
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


def _how(ended: Mapping[str, Any] | None, demand: Demand, server: _Server) -> str:
    if ended is None:
        said = "The process that starts workers ended, and the worker with it."
        return f"{said} {server.last_words()}".strip()
    return how_ended(os.waitstatus_to_exitcode(ended["status"]), demand.memory)


def timed_out(demand: Demand) -> Result:
    """Return the result of a run whose time was up."""
    detail = f"It was not done after {demand.timeout:g} s. Raise timeout, or give it less to do."
    return Result(error=Failure("Timed out", detail), timed_out=True)
