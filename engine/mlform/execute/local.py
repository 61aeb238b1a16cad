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
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, Self

from mlform.demand import Demand
from mlform.execute.attempt import Attempt, NotStartedError, how_ended, opened
from mlform.execute.limits import threads
from mlform.execute.log import Tail
from mlform.execute.machine import Devices
from mlform.execute.task import Failure, Message, Partial, ProgressNote, Result, Task
from mlform.execute.wire import Reader, send
from mlform.lazy import replace

_TICK: Final = 0.1
"""Seconds between looks at the log and the stop flag; everything else wakes at once."""

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
    however it does, they end with it; what they started in a new session does not.
    """

    def __init__(self, workers: int, preload: Sequence[str] = ()) -> None:
        self._slots = threading.BoundedSemaphore(workers)
        self._preload = list(preload)
        self._starting = threading.Lock()
        self._server: _Server | None = None
        self._lines: set[socket.socket] = set()
        self._killed = threading.Event()
        self._devices = Devices()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(
        self, task: Task, on_message: Callable[[Message], None], stop: threading.Event
    ) -> Result:
        """Run ``task`` in a process of its own, to its end."""
        while not self._slots.acquire(timeout=_TICK):
            if stop.is_set():
                return Result(cancelled=True)
        try:
            if stop.is_set():
                return Result(cancelled=True)
            return self._run(task, on_message, stop)
        except NotStartedError as error:
            return Result(error=Failure("No worker process", str(error)))
        finally:
            self._slots.release()

    def kill_all(self) -> None:
        """End everything that runs at once."""
        # No lock: a signal handler calls this, perhaps in the middle of anything above.
        self._killed.set()
        for line in tuple(self._lines):
            with contextlib.suppress(OSError):
                line.send(b"K")

    def close(self) -> None:
        """End the server, and whatever still runs."""
        with self._starting:
            if self._server is not None:
                self._server.close()
                self._server = None

    def _run(
        self, task: Task, on_message: Callable[[Message], None], stop: threading.Event
    ) -> Result:
        began = time.monotonic()
        attempt = opened(Path(task.context["workdir"]), task.attempt)
        if attempt.ended() is not None:  # it was over when the engine was killed
            return attempt.result("", killed=False)
        demand = task.demand
        with _lines() as (channel, line, theirs), self._devices.lent(demand.gpu) as devices:
            try:
                server = self._fork(theirs, task)
            except OSError as error:
                raise NotStartedError(f"It could not be started: {error}.") from None
            finally:
                for sock in theirs:
                    sock.close()
            try:
                self._lines.add(line)
                if stop.is_set() and self._killed.is_set():
                    self.kill_all()
                # The worker may be dead already; how it died is told on the other line.
                with contextlib.suppress(OSError):
                    send(channel, {**attempt.request(task), "devices": devices})
                watch = _Watch(channel, line, attempt, on_message, demand.timeout)
                ended = watch.until_end(stop)
            finally:
                self._lines.discard(line)
        if ended is not None and "refused" in ended:
            raise NotStartedError(f"The system refused it: {ended['refused']}.")
        result = attempt.result(
            _how(ended, demand, server), killed=stop.is_set() and self._killed.is_set()
        )
        attempt.tidy()
        if watch.late and not result.value:
            result = replace(timed_out(demand), log=result.log)
        seconds = time.monotonic() - began
        return replace(result, seconds=seconds, max_rss=(ended or {}).get("max_rss"))

    def _fork(self, sockets: Sequence[socket.socket], task: Task) -> _Server:
        server = self._running_server(task)
        try:
            server.fork(sockets)
        except OSError:
            # It is just ending, and has not heard: asking another makes no second worker.
            server.close()
            server = self._running_server(task)
            server.fork(sockets)
        return server

    def _running_server(self, task: Task) -> _Server:
        with self._starting:
            if self._server is not None and not self._server.running():
                self._server.close()
                self._server = None
            if self._server is None:
                # What the first task needs, the others mostly need too.
                factory = task.context_factory.partition(":")[0]
                self._server = _Server([*self._preload, factory, task.provider])
            return self._server


@contextlib.contextmanager
def _lines() -> Iterator[tuple[socket.socket, socket.socket, tuple[socket.socket, socket.socket]]]:
    channel, their_channel = socket.socketpair()
    line, their_line = socket.socketpair()
    try:
        yield channel, line, (their_channel, their_line)
    finally:
        for sock in (channel, line, their_channel, their_line):
            sock.close()


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
        self.close = weakref.finalize(self, _end, self._control, self._process, self._errors)

    def fork(self, sockets: Sequence[socket.socket]) -> None:
        """Ask for a worker that gets these."""
        with self._sending:
            socket.send_fds(self._control, [b"F"], [s.fileno() for s in sockets])

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


def _end(control: socket.socket, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    control.close()
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
        channel: socket.socket,
        line: socket.socket,
        attempt: Attempt,
        on_message: Callable[[Message], None],
        timeout: float | None,
    ) -> None:
        self.channel, self.line, self.on_message = channel, line, on_message
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.late = False
        self.reader = Reader(channel)
        self.tail = Tail(attempt.log)

    def until_end(self, stop: threading.Event) -> dict[str, Any] | None:
        """Return what the server says of the end, ``None`` if the server itself ended."""
        poll = select.poll()
        poll.register(self.channel, select.POLLIN)
        poll.register(self.line, select.POLLIN)
        asked = False
        while True:
            self._check_time()
            if (stop.is_set() or self.late) and not asked:
                asked = True
                with contextlib.suppress(OSError):
                    send(self.channel, {"stop": True})
            ready = {fd for fd, _ in poll.poll(_TICK * 1000)}
            ended = self.line.fileno() in ready
            if (self.channel.fileno() in ready or ended) and not self._hear():
                with contextlib.suppress(KeyError):
                    poll.unregister(self.channel)
            self._log(last=ended)
            if ended:
                return self._status()

    def _check_time(self) -> None:
        """Once its time is up, have it stop; once more, end it."""
        if self.deadline is None or time.monotonic() < self.deadline:
            return
        if self.late:
            with contextlib.suppress(OSError):
                self.line.send(b"K")
        self.late, self.deadline = True, time.monotonic() + GRACE

    def _hear(self) -> bool:
        for data in self.reader.messages():
            if "progress" in data:
                self._log()
                done, total, note = data["progress"]
                self.on_message(ProgressNote(done, total, note))
            elif "partial" in data:
                self.on_message(Partial(data["partial"]))
        return not self.reader.ended

    def _log(self, *, last: bool = False) -> None:
        for line in self.tail.lines(last=last):
            self.on_message(line)

    def _status(self) -> dict[str, Any] | None:
        try:
            data = self.line.recv(4096)
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
