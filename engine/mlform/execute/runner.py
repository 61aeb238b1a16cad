"""``python -m mlform.execute.runner FOLDER [JOB]``: one attempt, started by an engine.

There is no line back to who submitted it, who may be gone: what it has to say goes to files in the
folder of the attempt. Whatever an engine does, an attempt runs once: the first process to claim
the folder has it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NoReturn

from mlform.execute import worker
from mlform.execute.alive import Process
from mlform.execute.attempt import Attempt, write_once
from mlform.execute.limits import demand_of, peak_memory
from mlform.execute.local import GRACE, timed_out

_BEAT: Final = 1.0
"""Seconds between signs of life."""
_LOOK: Final = 0.1
"""Seconds between looks at whether it is to stop."""


class FileChannel:
    """The way back to the engine, in files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told = os.open(
            folder / "messages.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
        )
        self._stopping = False
        self._looked = 0.0
        signal.signal(signal.SIGTERM, lambda _signal, _frame: self.stop())

    def progress(self, done: float, total: float | None, note: str) -> None:
        """Say how far the work is."""
        self._tell({"progress": [float(done), None if total is None else float(total), note]})

    def log(self, text: str) -> None:
        """Say a line: it goes where printed lines go, in its order among them."""
        print(text, file=sys.__stdout__, flush=True)

    def partial(self, attributes: Mapping[str, Any]) -> None:
        """Say what exists by now, so that it outlives this machine."""
        self._tell({"partial": dict(attributes)})
        os.fsync(self._told)

    def stopping(self) -> bool:
        """Tell whether it is to stop: asked by a file, by a signal, or out of time."""
        now = time.monotonic()
        if now - self._looked > _LOOK:
            self._looked = now
            if (self._folder / "stop").exists():
                self._stopping = True
        return self._stopping

    def stop(self) -> None:
        """Have it stop at its next checkpoint."""
        # No threading.Event: its lock may be held by what the signal interrupts.
        self._stopping = True

    def _tell(self, message: Mapping[str, Any]) -> None:
        os.write(self._told, json.dumps(message).encode() + b"\n")


def main(folder: Path, job: str = "") -> NoReturn:
    """Claim the attempt, carry it out, write its result, end.

    ``job`` is what the engine calls this job: whoever submitted a second one follows this one.
    """
    attempt = Attempt(folder)
    if not attempt.claim({**vars(Process.me()), "host": socket.gethostname(), "job": job}):
        os.write(1, f"{folder.name} is carried out by another process already.\n".encode())
        os._exit(0)
    threading.Thread(target=_beat, args=(attempt,), daemon=True).start()
    request = folder / "request.json"
    task = json.loads(request.read_bytes())["task"]
    request.unlink()
    worker.redirect(folder / "log.txt")
    channel, demand = FileChannel(folder), demand_of(task)
    late = threading.Event()
    if demand.timeout is not None:
        watch = threading.Thread(
            target=_watch, args=(folder, demand.timeout, channel, late, timed_out(demand).error)
        )
        watch.daemon = True
        watch.start()
    result = worker.carry_out(task, channel)
    if late.is_set() and result.get("cancelled"):
        result = _overdue(timed_out(demand).error)
    write_once(folder, {**result, "max_rss": peak_memory()}, durable=True)
    os._exit(0)


def _beat(attempt: Attempt) -> None:
    while True:
        with contextlib.suppress(OSError):
            attempt.beat()
        time.sleep(_BEAT)


def _watch(
    folder: Path, timeout: float, channel: FileChannel, late: threading.Event, error: Any
) -> None:
    """Once the time is up, have the run stop; once more, end it."""
    time.sleep(timeout)
    late.set()
    channel.stop()
    time.sleep(GRACE)
    write_once(folder, _overdue(error), durable=True)
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _overdue(error: Any) -> dict[str, Any]:
    return {"error": asdict(error), "timed_out": True}


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
