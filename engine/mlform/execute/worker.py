"""The life of a worker process: a call of a method, and more of them if each left no trace."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import io
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

from mlform.demand import size
from mlform.execute.attempt import Attempt, NotStartedError, write_once
from mlform.execute.call import call
from mlform.execute.failure import failure_of
from mlform.execute.limits import demand_of, limit, peak_memory
from mlform.execute.source import read_from_source
from mlform.execute.task import Failure
from mlform.execute.traces import Traces
from mlform.execute.wire import Reader, send
from mlform.sdk import CancelledError

_QUICK: Final = 0.1
"""Seconds that a call may take whose process is used again."""


class Channel:
    """The worker's way back to the engine."""

    def __init__(self, sock: socket.socket, *, stopping: bool) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        self._stopping = stopping
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        signal.signal(signal.SIGTERM, self._terminated)

    def progress(self, done: float, total: float | None, note: str) -> None:
        """Say how far the work is."""
        with self._lock:
            self._send({"progress": [float(done), None if total is None else float(total), note]})

    def log(self, text: str) -> None:
        """Say a line: it goes where printed lines go, in its order among them."""
        # The user's code may have put something else in the place of sys.stdout.
        print(text, file=sys.__stdout__, flush=True)
        with self._lock:
            self._send({"logged": True})

    def partial(self, attributes: Mapping[str, Any]) -> None:
        """Say what exists by now, as plain data."""
        with self._lock:
            self._send({"partial": dict(attributes)})

    def stopping(self) -> bool:
        """Tell whether the user asked to stop."""
        if not self._stopping and self._poll.poll(0):
            # The engine says nothing but "stop"; if it is gone, nobody wants the result.
            if not self._sock.recv(1, socket.MSG_PEEK):
                _end_group()
            self._stopping = True
        return self._stopping

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            send(self._sock, message)
        except OSError:
            _end_group()

    def _terminated(self, _signal: int, _frame: object) -> None:
        self._stopping = True


def work(sock: socket.socket) -> NoReturn:
    """Receive a task, carry it out, write its result; end, or wait for another.

    A process is used again after a call that was quick, came off, had no limits of its own and
    left nothing behind. For what takes longer a fresh process costs nothing to speak of.
    """
    reader, traces = Reader(sock), None
    while (request := reader.one()) is not None:
        if "task" not in request:  # to stop what was over by then
            continue
        began = time.monotonic()
        attempt, task = Attempt(Path(request["folder"])), request["task"]
        try:
            fresh = attempt.make()
        except NotStartedError as error:
            _tell(sock, {"refused": str(error)})
            break
        if not fresh and attempt.ended() is not None:  # it was over when the engine was killed
            break
        redirect(attempt.log)
        if task["devices"]:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(task["devices"])
        if traces is None:
            root = Path(task["context"]["root"])
            read_from_source(root)
            traces = Traces(root)
        result = carry_out(task, Channel(sock, stopping=reader.more))
        write_once(attempt.folder, result)
        attempt.tidy()
        quick = time.monotonic() - began < _QUICK
        demand = demand_of(task)
        plain = "value" in result and not (demand.cpu or demand.gpu or demand.memory)
        if not (quick and plain and traces.none()):
            break
        silent = not os.stat(attempt.log).st_size  # noqa: PTH116 - for each call
        _tell(sock, {"result": result, "max_rss": peak_memory(), "silent": silent})
    # Not the ordinary way out: a thread left running by a library must not hold up the result.
    os._exit(0)


def _tell(sock: socket.socket, message: Mapping[str, Any]) -> None:
    with contextlib.suppress(OSError):  # where the engine is gone, nobody hears
        send(sock, message)


class Telling(Protocol):
    """The way back to the engine, whatever it is made of."""

    def stopping(self) -> bool:
        """Tell whether the user asked to stop."""
        ...


def carry_out(task: Mapping[str, Any], channel: Telling) -> dict[str, Any]:
    """Do what a task says within its limits; return its result as plain data."""
    result = _result(task, channel)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return result


def _result(task: Mapping[str, Any], channel: Telling) -> dict[str, Any]:
    root, demand = Path(task["context"]["root"]), demand_of(task)
    try:
        if channel.stopping():
            return {"cancelled": True}
        limit(demand)
        os.chdir(root)
        read_from_source(root)
        value = call(task, channel)
    except CancelledError:
        return {"cancelled": True}
    except MemoryError as error:
        if demand.memory is None:
            return _failed(task, error, root)
        detail = (
            f"It needed more than the {size(demand.memory)} that its resources allow. Raise "
            "resources.memory, or give it less to do."
        )
        return {"error": asdict(Failure("Out of memory", detail, None, "MemoryError"))}
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - a provider may raise anything
        return _failed(task, error, root)
    return {"value": value}


def _failed(task: Mapping[str, Any], error: BaseException, root: Path) -> dict[str, Any]:
    return {"error": asdict(failure_of(error, root, f'{task["kind"]} "{task["type"]}"'))}


def redirect(log: Path) -> None:
    """Send all output, that of libraries and child processes too, to the log.

    A file, and no pipe: a server that a stage leaves running goes on writing to it unharmed.
    """
    null = os.open(os.devnull, os.O_RDONLY)
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(null, 0)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(null)
    os.close(file)
    for number, name in ((1, "stdout"), (2, "stderr")):
        binary = os.fdopen(number, "wb", closefd=False)
        opened = io.TextIOWrapper(binary, "utf-8", "backslashreplace", line_buffering=True)
        setattr(sys, name, opened)
        setattr(sys, f"__{name}__", opened)
    faulthandler.enable()
    importlib.invalidate_caches()


def _end_group() -> NoReturn:
    os.killpg(os.getpgid(0), signal.SIGKILL)
    os._exit(1)
