"""Who holds the lock, and whether that process is still there."""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
from datetime import UTC, datetime
from pathlib import Path

from mlform.lazy import dataclass
from mlform.processes import boot, started
from mlform.state.lease import Extent, Lease, Work
from mlform.state.model import damaged


@dataclass(frozen=True)
class Holder:
    """A process that took the lock. Its start time tells it from a later one of the same pid."""

    id: str
    user: str
    host: str
    boot: str
    space: str
    """The pid namespace: in another container the same pid is another process."""
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
            boot=boot(),
            space=_space(),
            pid=os.getpid(),
            started=started(os.getpid()) or "",
            operation=operation,
            since=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    @classmethod
    def parse(cls, text: str) -> Holder:
        """Read one back. Raises ``DiagnosedError`` on anything else."""
        try:
            holder = cls(**json.loads(text))
            datetime.fromisoformat(holder.since)
        except (ValueError, TypeError):
            raise damaged("It does not say readably who holds the lock.") from None
        return holder

    def dump(self) -> str:
        """Write it."""
        return json.dumps(vars(self))

    def alive(self) -> bool:
        """Tell whether the process still runs; one that cannot be seen from here is taken to."""
        if self.host != socket.gethostname():
            return True
        if self.boot != boot():
            return False
        if self.space != _space():
            return True
        now = started(self.pid)
        return now is not None and now in {self.started, ""}

    def same_boot(self) -> bool:
        """Tell whether it took the lock on this machine, since it was started."""
        return self.boot == boot()

    def lease(
        self,
        fence: int,
        work: Work | None = None,
        extent: Extent | None = None,
        serial: int = 0,
    ) -> Lease:
        """Return the lease this holder has under a fence."""
        since = datetime.fromisoformat(self.since)
        who, work = f"{self.user}@{self.host}", work or Work()
        if extent is not None and not work.resources:
            work = Work.of(sorted(extent.writes), work.until)
        return Lease(
            self.id, fence, who, self.pid, self.operation, since, work, extent, int(serial)
        )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
