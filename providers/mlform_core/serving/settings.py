"""What a server is to do, as a file it can start again from."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SETTINGS = "serving.json"
STARTED = "server.json"
LOG = "log"


@dataclass(frozen=True)
class Serving:
    """One deployment. ``token`` lets the engine in, and tells our server from another's."""

    name: str
    digest: str
    bundle: str
    host: str
    port: int
    token: str
    sample: float
    max_body: int
    """Bytes."""

    @property
    def identity(self) -> str:
        """What the server says of itself: known only to who started it, and no secret."""
        import hashlib

        return hashlib.sha256(self.token.encode()).hexdigest()[:16]


def read(home: Path) -> Serving | None:
    """Read the settings in a deployment's folder, if there are any."""
    try:
        return Serving(**json.loads((home / SETTINGS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write(home: Path, serving: Serving) -> None:
    """Write the settings, readable by their owner alone."""
    _write(home / SETTINGS, asdict(serving))


def started(home: Path) -> dict[str, Any]:
    """Return what the running server wrote when it was ready: ``pid`` and ``port``."""
    try:
        found: dict[str, Any] = json.loads((home / STARTED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def write_started(home: Path, pid: int, port: int) -> None:
    """Say that the server is ready."""
    _write(home / STARTED, {"pid": pid, "port": port})


def _write(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as sink:
        json.dump(data, sink)
        sink.flush()
        os.fsync(sink.fileno())
    fresh.replace(path)
