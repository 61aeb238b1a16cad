"""Worker processes, and the process that forks them, seen from the engine."""

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
import weakref
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

from mlform.demand import Demand
from mlform.execute.limits import threads
from mlform.execute.wire import Reader, send, tell

_START: Final = """
import json, socket, sys
said = json.loads(sys.argv[1])
sys.path[:] = said["path"]
from mlform.execute.server import serve
serve(socket.socket(fileno=said["control"]), said["preload"])
"""


class Worker:
    """A process that the server forked, seen from the engine.

    ``channel`` leads to it; on ``line`` the server tells how it ended, and is told to end it.
    """

    def __init__(self, server: Server) -> None:
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


class Server:
    """The process that forks, seen from the engine."""

    def __init__(self, preload: Sequence[str]) -> None:
        self._control, theirs = socket.socketpair()
        self._sending = threading.Lock()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives with the process
        said = json.dumps({"path": _path(), "control": theirs.fileno(), "preload": list(preload)})
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
        self._loads = False
        self._forked = threading.Event()
        told = self._control, self._process, self._errors, self._forked
        self.close = weakref.finalize(self, _end, *told)

    def load(self, more: Sequence[str]) -> None:
        """Have it load this beside, unless it was told before, and be ready then."""
        with self._sending:
            if not self._loads:
                self._loads = True
                with contextlib.suppress(OSError):  # it is ending: that is found when it is to fork
                    tell(self._control, {"path": _path(), "preload": list(more)})

    def fork(self) -> Worker:
        """Return a new worker. Raises ``OSError``."""
        worker = Worker(self)
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


def _path() -> list[str]:
    return [entry or os.getcwd() for entry in sys.path]  # noqa: PTH109 - as sys.path has it


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
