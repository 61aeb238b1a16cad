"""Jobs as processes of this machine that outlive who started them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mlform.execute.alive import Process
from mlform.execute.attempt import Attempt, how_ended
from mlform.execute.engine import Handle, Job, RefusedError, State, Status
from mlform.execute.limits import threads

_LOOK: Final = 0.02


class ProcessEngine:
    """Each job is a process in a session of its own.

    When mlform is killed they go on, and the next apply takes up what they come to.
    """

    def __init__(self) -> None:
        self._started: dict[str, int] = {}
        self._codes: dict[int, int] = {}
        self._lock = threading.Lock()

    def submit(self, job: Job) -> Handle:
        """Start the process, unless one has the attempt already."""
        with self._lock:
            if (found := _claimed(job.folder)) is None and job.id not in self._started:
                try:
                    self._started[job.id] = _start(job)
                except OSError as error:
                    raise RefusedError(f"The process could not be started: {error}.") from None
            if found is None:
                found = Process.of(self._started[job.id])
        return {"folder": str(job.folder), "process": vars(found)}

    def poll(self, handle: Handle) -> Status:
        """Look at the process that has the attempt."""
        folder = Path(handle["folder"])
        claimed = _claimed(folder)
        found = claimed or Process(**handle["process"])
        code = self._reaped(folder)
        if found.alive():
            return Status(State.RUNNING if claimed else State.PENDING)
        if code:
            return Status(State.FAILED, how_ended(code))
        return Status(State.LOST, "The process of the job is gone.")

    def logs(self, handle: Handle) -> str:
        """Return the end of what the process said before it had a log."""
        with contextlib.suppress(OSError):
            text = (Path(handle["folder"]) / "engine.txt").read_bytes()
            return text[-2000:].decode(errors="replace").strip()
        return ""

    def cancel(self, handle: Handle, grace: float) -> None:
        """Ask the session of the process to end, then end it."""
        folder = Path(handle["folder"])
        found = _claimed(folder) or Process(**handle["process"])
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, grace + 10)):
            if not found.alive():
                break
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(found.pid, number)
            _until(lambda: not self._alive(folder, found), patience)
        # What it left behind in its session.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(found.pid, signal.SIGKILL)

    def _alive(self, folder: Path, found: Process) -> bool:
        self._reaped(folder)
        return found.alive()

    def _reaped(self, folder: Path) -> int | None:
        """Return the exit code of a process of ours that is over."""
        pid = self._started.get(folder.name)
        if pid is None:
            return None
        with self._lock:
            if pid not in self._codes:
                with contextlib.suppress(ChildProcessError):
                    done, status = os.waitpid(pid, os.WNOHANG)
                    if done:
                        self._codes[pid] = os.waitstatus_to_exitcode(status)
            return self._codes.get(pid)


def _start(job: Job) -> int:
    environment = {**os.environ, **threads(job.demand, os.environ), "PYTHONHASHSEED": "0"}
    said = os.open(job.folder / "engine.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        # No Popen: nobody is to wait for it, or to warn that nobody does.
        return os.posix_spawn(
            job.command[0],
            list(job.command),
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, said, 1),
                (os.POSIX_SPAWN_DUP2, said, 2),
            ],
            setsid=True,
        )
    finally:
        os.close(said)


def _claimed(folder: Path) -> Process | None:
    data = Attempt(folder).claimed()
    return Process(data["pid"], data["started"], data["boot"]) if data else None


def _until(over: Callable[[], bool], patience: float) -> None:
    deadline = time.monotonic() + patience
    while not over() and time.monotonic() < deadline:
        time.sleep(_LOOK)
