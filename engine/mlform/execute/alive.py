"""Who a process is: its start time tells it from a later one of the same number."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process of this machine, since it was started and until it is over."""

    pid: int
    started: str
    boot: str

    @classmethod
    def me(cls) -> Process:
        """Return this process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Process:
        """Return the process that has a number now."""
        return cls(pid, _started(pid) or "", _boot())

    def alive(self) -> bool:
        """Tell whether it still runs. A zombie does not: it can do nothing more."""
        return bool(self.started) and self.boot == _boot() and _started(self.pid) == self.started


def _started(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else rest[18]


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
