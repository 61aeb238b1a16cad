"""The process that forks workers: libraries are imported in it once, and never used.

It speaks on a Unix socket. For each byte the engine sends, two sockets come with it: the task
channel, which the new worker takes, and the line on which the server tells how the worker ended.
When the engine closes its side of a line, or says a byte on it, that worker is killed; when the
engine is gone, all are.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from mlform.execute import worker
from mlform.execute.wire import told
from mlform.lazy import ready

_DEATH_SIGNAL: Final = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def serve(control: socket.socket, preload: Sequence[str]) -> None:
    """Fork a worker per request until the other side of ``control`` closes.

    Before the first request it says what is to be loaded beside ``preload``.
    """
    warm(preload)
    if (more := told(control)) is None:
        return
    sys.path[:] = more["path"]
    warm(more["preload"])
    ready()
    _libc()
    # What is here now stays for good: workers need not walk it, which would copy its pages.
    gc.collect()
    gc.freeze()
    server = _Server(control)
    while (channel := server.wait()) is not None:
        server.forget()
        control.close()
        worker.work(channel)
    os._exit(0)  # who closed the other side waits: taking Python apart takes longer than this all


def warm(preload: Sequence[str]) -> None:
    """Import modules (``"module"``), and what providers import (``"module:Provider"``)."""
    for entry in preload:
        module, _, attribute = entry.partition(":")
        # What cannot be imported fails in the worker that needs it, where someone is told.
        with contextlib.suppress(Exception, SystemExit):
            found = importlib.import_module(module)
            if attribute:
                provider = getattr(found, attribute)
                for resource in provider(provider.settings()).resources():
                    resource.arguments.model_rebuild()
                    resource.attributes.model_rebuild()


class _Server:
    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.lines: dict[int, tuple[int, socket.socket]] = {}
        self.workers: dict[int, socket.socket] = {}
        self.woken, self.wakes = socket.socketpair()
        for end in (self.woken, self.wakes):
            end.settimeout(0)
        signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(self.wakes.fileno(), warn_on_full_buffer=False)

    def wait(self) -> socket.socket | None:
        """Serve. In a worker, return its channel; in the server, return ``None`` at the end."""
        while True:
            ready = self._poll()
            if self.woken.fileno() in ready:
                with contextlib.suppress(BlockingIOError):
                    self.woken.recv(4096)
            for fd in ready & self.lines.keys():
                self._kill(self.lines[fd][0])
            self._reap()
            if self.control.fileno() in ready:
                data, fds, _, _ = socket.recv_fds(self.control, 1, 2)
                if not data:
                    self._end()
                    return None
                channel, line = (socket.socket(fileno=fd) for fd in fds)
                if self._fork(line):
                    return channel
                channel.close()

    def forget(self) -> None:
        """In a worker: let go of all that is the server's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for line in self.workers.values():
            line.close()
        self.woken.close()
        self.wakes.close()

    def _poll(self) -> set[int]:
        poll = select.poll()
        for fd in (self.control.fileno(), self.woken.fileno(), *self.lines):
            poll.register(fd, select.POLLIN)
        return {fd for fd, _ in poll.poll()}

    def _fork(self, line: socket.socket) -> bool:
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:  # too many processes, too little memory
            _tell(line, {"refused": str(error)})
            return False
        if pid == 0:
            os.setpgid(0, 0)
            line.close()
            _die_with(server)
            return True
        with contextlib.suppress(OSError):  # both sides do it, so that neither waits for the other
            os.setpgid(pid, pid)
        self.workers[pid] = line
        self.lines[line.fileno()] = (pid, line)
        return False

    def _kill(self, pid: int) -> None:
        # Not yet reaped, so the number is still that of the worker and its group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        line = self.workers[pid]
        self.lines.pop(line.fileno(), None)

    def _reap(self) -> None:
        for pid in list(self.workers):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
                continue
            self._kill(pid)  # what the worker left running in its group
            _, status, usage = os.wait4(pid, 0)
            line = self.workers.pop(pid)
            _tell(line, {"status": status, "max_rss": _in_bytes(usage.ru_maxrss)})

    def _end(self) -> None:
        for pid in list(self.workers):
            self._kill(pid)


def _tell(line: socket.socket, what: Mapping[str, Any]) -> None:
    with line, contextlib.suppress(OSError):
        line.sendall(json.dumps(what).encode())


def _in_bytes(max_rss: int) -> int:
    return max_rss if sys.platform == "darwin" else max_rss * 1024


def _die_with(server: int) -> None:
    """Ask the kernel to end this process when the server ends, however that happens."""
    if (libc := _libc()) is not None:
        libc.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != server:
        os._exit(1)


@cache
def _libc() -> Any:
    """Return the C library where it has ``prctl``; loaded before any worker is forked."""
    if sys.platform != "linux":
        return None
    import ctypes  # noqa: PLC0415 - on Linux alone

    return ctypes.CDLL(None)
