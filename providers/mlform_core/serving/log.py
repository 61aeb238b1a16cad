"""The request log: lines appended by a thread of the server, read by the monitor."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

_LARGEST: Final = 64 << 20
"""Bytes of one file; then the next begins."""
_MOST_WAITING: Final = 100_000


class RequestLog:
    """Appends lines without keeping a response waiting; what cannot be kept is counted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lost = 0
        self._waiting: queue.Queue[bytes | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._write, name="request-log", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Take one line, without its line end."""
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Write what waits, and end."""
        self._waiting.put(None)
        self._thread.join(timeout=30)

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        while True:
            path = self.folder / f"{time.time_ns():020d}.ndjson"
            with path.open("ab") as sink:
                while sink.tell() < _LARGEST:
                    line = self._waiting.get()
                    if line is None:
                        return
                    sink.write(line + b"\n")
                    if self._waiting.empty():
                        sink.flush()


def entries(folder: Path, after: Mapping[str, Any] | None) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield each complete line after a cursor, with the cursor that comes after it."""
    start = (after or {}).get("file", "")
    for path in sorted(folder.glob("*.ndjson")):
        if path.name < start:
            continue
        offset = int((after or {}).get("offset", 0)) if path.name == start else 0
        with path.open("rb") as source:
            source.seek(offset)
            while (line := source.readline()).endswith(b"\n"):
                offset += len(line)
                cursor = {"file": path.name, "offset": offset}
                try:
                    yield json.loads(line), cursor
                except ValueError:
                    yield None, cursor
