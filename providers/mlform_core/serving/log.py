"""The request log: lines appended by a thread of the server, read by the monitor.

One JSON object a line. An answer: ``t`` (seconds since 1970), ``id``, ``d`` (digest of the
model), ``i`` (values by input), ``p`` (predictions). A refusal: ``t``, ``d``, ``e`` (why), ``n``
(rows).
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

_FILE_BYTES: Final = 64 << 20
"""Of one file; then the next begins."""
_MOST_WAITING: Final = 100_000


class RequestLog:
    """Appends entries without keeping a response waiting; what cannot be kept is counted.

    ``keep``: bytes of all files together; beyond that the oldest go.
    """

    def __init__(self, folder: Path, keep: int, file_bytes: int = _FILE_BYTES) -> None:
        self.folder, self.keep, self.file_bytes = folder, keep, file_bytes
        self.lost = 0
        self._waiting: queue.Queue[Mapping[str, Any] | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._write, name="request-log", daemon=True)
        self._thread.start()

    def put(self, entry: Mapping[str, Any]) -> None:
        """Take one entry; it must not be changed afterwards."""
        try:
            self._waiting.put_nowait(entry)
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Write what waits, and end."""
        self._waiting.put(None)
        self._thread.join(timeout=30)

    def _write(self) -> None:
        entry = self._waiting.get()
        while entry is not None:
            with self._next() as sink:
                while entry is not None and sink.tell() < self.file_bytes:
                    sink.write(_line(entry))
                    if self._waiting.empty():
                        sink.flush()
                    entry = self._waiting.get()
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
