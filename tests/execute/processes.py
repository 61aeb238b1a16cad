"""Looking at processes, and waiting for something to be so."""

import threading
import time
from dataclasses import asdict
from pathlib import Path


def plain(task):
    """A task that asks for nothing, as plain data."""
    return {n: v for n, v in asdict(task).items() if n != "demand"}


def alive(pid):
    """Whether a process runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def until(condition, within=30):
    """Ask until ``condition`` gives something true; return that."""
    deadline = time.monotonic() + within
    pause = threading.Event()
    while time.monotonic() < deadline:
        if found := condition():
            return found
        pause.wait(0.01)
    raise AssertionError(f"not so within {within} s")


def written(path):
    """The text of a file once there is some."""
    return until(lambda: path.exists() and path.read_text())
