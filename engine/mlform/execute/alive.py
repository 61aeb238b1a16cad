"""Who a process is: its start time tells it from a later one of the same number."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mlform.processes import boot, started


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
        return cls(pid, started(pid) or "", boot())

    def alive(self) -> bool:
        """Tell whether it still runs. A zombie does not: it can do nothing more."""
        return bool(self.started) and self.boot == boot() and started(self.pid) == self.started
