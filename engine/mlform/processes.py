"""Who a process of this machine is: its start time tells it from a later one of the same number."""

from __future__ import annotations

import os
from pathlib import Path


def boot() -> str:
    """Return what names this start of the machine; ``""`` where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def started(pid: int) -> str | None:
    """Return when a process started; ``""`` if it runs but does not show; ``None`` if it is dead.

    A zombie is dead: it can do nothing more, and nobody may ever reap it.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        # No /proc here, or it hides the processes of other users.
        return "" if _signalled(pid) else None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else rest[18]


def _signalled(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
