"""The request log: lines appended by a thread of the server, read by the monitor.

One JSON object a line. An answer: ``t`` (seconds since 1970), ``id``, ``d`` (digest of the
model), ``i`` (values by input), ``p`` (predictions). A refusal: ``t``, ``d``, ``e`` (why), ``n``
(rows).
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Final

_FILE_BYTES: Final = 64 << 20
"""Of one file; then the next begins."""
_MOST_WAITING: Final = 100_000
_PAUSE_SECONDS: Final = 0.02


class RequestLog:
    """Appends entries without keeping a response waiting; what cannot be kept is counted.

    ``keep``: bytes of all files together; beyond that the oldest go.
    """

    def __init__(self, folder: Path, keep: int, file_bytes: int = _FILE_BYTES) -> None:
        self.folder, self.keep, self.file_bytes = folder, keep, file_bytes
        self.lost = 0
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._there, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._write, name="request-log", daemon=True)
        self._thread.start()

    def put(self, entry: Mapping[str, Any]) -> None:
        """Take one entry; it must not be changed afterwards."""
        if len(self._waiting) >= _MOST_WAITING:
            self.lost += 1
            return
        self._waiting.append(entry)
        if not self._there.is_set():
            self._there.set()

    def close(self) -> None:
        """Write what waits, and end."""
        self._closing.set()
        self._there.set()
        self._thread.join(timeout=30)

    def _write(self) -> None:
        closing = False
        with ExitStack() as files_open:
            sink: IO[bytes] | None = None
            while not closing:
                self._there.wait()
                self._there.clear()
                # Looked at before what waits: whatever came before the end is written.
                closing = self._closing.is_set()
                while self._waiting:
                    if sink is None:
                        sink = files_open.enter_context(self._next())
                    sink.write(_line(self._waiting.popleft()))
                    if sink.tell() >= self.file_bytes:
                        files_open.close()
                        sink = None
                        self._forget()
                if sink is not None:
                    sink.flush()
                # A thread that woke for each entry would keep answers waiting.
                self._closing.wait(_PAUSE_SECONDS)
        self._forget()

    def _next(self) -> IO[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        names = [int(p.stem) for p in files(self.folder)]
        # Names must grow even if the clock goes back: readers go by them.
        name = max(time.time_ns(), names[-1] + 1 if names else 0)
        path = self.folder / f"{name:020d}.ndjson"
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")

    def _forget(self) -> None:
        sizes = [(p, p.stat().st_size) for p in files(self.folder)]
        total = sum(size for _, size in sizes)
        for path, size in sizes[:-1]:
            if total <= self.keep:
                return
            path.unlink(missing_ok=True)
            total -= size


def _line(entry: Mapping[str, Any]) -> bytes:
    import orjson

    return orjson.dumps(entry, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def files(folder: Path) -> list[Path]:
    """Return the files of a log, oldest first."""
    return sorted(p for p in folder.glob("*.ndjson") if p.stem.isdigit())


def entries(
    folder: Path, after: Mapping[str, Any] | None
) -> Iterator[tuple[dict[str, Any] | None, dict[str, Any]]]:
    """Yield each complete entry after a cursor, with the cursor that comes after it.

    ``None`` stands for a line that is damaged; a last line that is still being written waits.
    """
    start, begun = ("", 0) if after is None else (str(after["file"]), int(after["offset"]))
    for path in files(folder):
        if path.name < start:
            continue
        offset = begun if path.name == start else 0
        with path.open("rb") as source:
            source.seek(offset)
            while (line := source.readline()).endswith(b"\n"):
                offset += len(line)
                yield _entry(line), {"file": path.name, "offset": offset}


def forgotten(folder: Path, after: Mapping[str, Any] | None) -> bool:
    """Tell whether entries after a cursor may be gone, because its file is."""
    return after is not None and not (folder / str(after["file"])).is_file()


def _entry(line: bytes) -> dict[str, Any] | None:
    import orjson

    try:
        found = orjson.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
