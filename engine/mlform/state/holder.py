"""Who holds the lock, and whether that process is still there."""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlform.state.model import Lease


@dataclass(frozen=True)
class Holder:
    """A process that took the lock. Its start time tells it from a later one of the same pid."""

    id: str
    user: str
    host: str
    boot: str
    pid: int
    started: str
    operation: str
    since: str

    @classmethod
    def me(cls, operation: str) -> Holder:
        """Return this process."""
        return cls(
            id=secrets.token_hex(6),
            user=_user(),
            host=socket.gethostname(),
            boot=_boot(),
            pid=os.getpid(),
            started=_started(os.getpid()) or "",
            operation=operation,
            since=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    @classmethod
    def parse(cls, text: str) -> Holder:
        """Read one back."""
        return cls(**json.loads(text))

    def dump(self) -> str:
        """Write it."""
        return json.dumps(vars(self))

    def alive(self) -> bool:
        """Tell whether the process still runs; one on another host is taken to."""
        if self.host != socket.gethostname():
            return True
        if self.boot != _boot():
            return False
        return _started(self.pid) == self.started

    def lease(self, fence: int) -> Lease:
        """Return the lease this holder has under a fence."""
        since = datetime.fromisoformat(self.since)
        return Lease(self.id, fence, f"{self.user}@{self.host}", self.pid, self.operation, since)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Return when a process started, ``None`` if it is gone (or dead and not yet reaped)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return None
        return _signalled(pid)
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state == "Z" else rest[18]


def _signalled(pid: int) -> str | None:
    """Ask a system without /proc: there, a pid is all there is to go by."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
