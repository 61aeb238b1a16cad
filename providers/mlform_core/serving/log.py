"""The request log: lines appended by a thread of the server, read by the monitor.

One JSON object a line. An answer: ``t`` (seconds since 1970), ``id``, ``d`` (digest of the
model), ``i`` (values by input of the model), ``raw`` (values as they were asked, where a feature
view made the inputs of them), ``p`` (predictions), ``k`` (values by key, where rows have some),
``r`` ("shadow", where it was that). A refusal: ``t``, ``d``, ``e`` (why), ``n`` (rows). A file
that is whole becomes Parquet, in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, Final

from mlform_core.serving import columnar
from mlform_core.serving.columnar import SUFFIX

_FILE_BYTES: Final = 16 << 20
"""Of one file; then the next begins."""
_FILE_SECONDS: Final = 3600.0
_MOST_WAITING: Final = 100_000
_PAUSE_SECONDS: Final = 0.02
_RETRY_SECONDS: Final = 1.0
"""From one time that it cannot be written to the next."""
_LINES: Final = ".ndjson"


class RequestLog:
    """Appends entries without keeping a response waiting; what cannot be kept is counted.

    ``keep``: bytes of all files together; beyond that the oldest go.
    """

    def __init__(self, folder: Path, keep: int, file_bytes: int = _FILE_BYTES) -> None:
        self.folder, self.keep, self.file_bytes = folder, keep, file_bytes
        self.lost = 0
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._unsure = 0
        """Entries handed to the file since it was last flushed."""
        self._converting: subprocess.Popen[bytes] | None = None
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
        if self._converting is not None:
            with suppress(subprocess.TimeoutExpired):  # it ends by itself
                self._converting.wait(timeout=30)

    def _write(self) -> None:
        closing = False
        while not closing:
            try:
                closing = self._append()
            except OSError as error:  # no room, say: what waits is lost, what comes may not be
                sys.stderr.write(f"The request log cannot be written: {error}\n")
                self.lost += self._unsure + len(self._waiting)
                self._unsure = 0
                self._waiting.clear()
                closing = self._closing.wait(_RETRY_SECONDS)

    def _append(self) -> bool:
        """Write what comes; return true once it is to end. Raises ``OSError``."""
        closing = False
        with ExitStack() as files_open:
            sink: IO[bytes] | None = None
            begun = 0.0
            while not closing:
                self._there.wait()
                self._there.clear()
                # Looked at before what waits: whatever came before the end is written.
                closing = self._closing.is_set()
                while self._waiting:
                    if sink is None:
                        sink = files_open.enter_context(self._next())
                        begun = time.monotonic()
                        self._convert()
                    self._put_down(sink)
                    old = time.monotonic() - begun > _FILE_SECONDS
                    # So that there is something to forget, what is kept is several files.
                    if old or sink.tell() >= min(self.file_bytes, self.keep // 4):
                        files_open.close()
                        sink, self._unsure = None, 0
                        self._forget()
                if sink is not None:
                    sink.flush()
                    self._unsure = 0
                # A thread that woke for each entry would keep answers waiting.
                self._closing.wait(_PAUSE_SECONDS)
        self._forget()
        return True

    def _put_down(self, sink: IO[bytes]) -> None:
        entry = self._waiting.popleft()
        try:
            line = _line(entry)
        except (TypeError, ValueError) as error:  # the entries after it are to be kept
            sys.stderr.write(f"The request log cannot have an entry: {error}\n")
            self.lost += 1
            return
        self._unsure += 1
        sink.write(line)

    def _next(self) -> IO[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        names = [int(p.stem) for p in files(self.folder)]
        # Names must grow even if the clock goes back: readers go by them.
        name = max(time.time_ns(), names[-1] + 1 if names else 0)
        path = self.folder / f"{name:020d}{_LINES}"
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")

    def _convert(self) -> None:
        """Have what is whole made Parquet."""
        if self._converting is not None and self._converting.poll() is None:
            return
        if sum(p.suffix == _LINES for p in files(self.folder)) <= 1:
            return
        try:
            self._converting = subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
                [sys.executable, "-m", "mlform_core.serving.columnar", str(self.folder)],
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:  # the lines are there, and the next file tries again
            sys.stderr.write(f"The request log is not converted: {error}\n")

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
    """Return the files of a log, oldest first; of one that is being converted the new one."""
    found = {p.stem: p for p in folder.glob(f"*{_LINES}") if p.stem.isdigit()}
    found |= {p.stem: p for p in folder.glob(f"*{SUFFIX}") if p.stem.isdigit()}
    return [found[stem] for stem in sorted(found)]


def entries(
    folder: Path, after: Mapping[str, Any] | None
) -> Iterator[tuple[dict[str, Any] | None, dict[str, Any]]]:
    """Yield each complete entry after a cursor, with the cursor that comes after it.

    ``None`` stands for a line that is damaged; a last line that is still being written waits. A
    cursor is that of the lines, whatever has become of them.
    """
    start, begun = ("", 0) if after is None else (_stem(after), int(after["offset"]))
    for path in files(folder):
        if path.stem < start:
            continue
        offset = begun if path.stem == start else 0
        for entry, end in _read(path, offset):
            yield entry, {"file": f"{path.stem}{_LINES}", "offset": end}


def _read(path: Path, after: int) -> Iterator[tuple[dict[str, Any] | None, int]]:
    if path.suffix == SUFFIX:
        yield from columnar.entries(path, after)
        return
    try:
        source = path.open("rb")
    except FileNotFoundError:  # it was converted since the folder was looked at, or forgotten
        if path.with_suffix(SUFFIX).is_file():
            yield from columnar.entries(path.with_suffix(SUFFIX), after)
        return
    with source:
        yield from _lines(source, after)


def lines(path: Path, after: int) -> Iterator[tuple[dict[str, Any] | None, int]]:
    """Yield each entry of a file of lines after a place in it, and where it ended."""
    with path.open("rb") as source:
        yield from _lines(source, after)


def _lines(source: IO[bytes], after: int) -> Iterator[tuple[dict[str, Any] | None, int]]:
    source.seek(after)
    while (line := source.readline()).endswith(b"\n"):
        after += len(line)
        yield _entry(line), after


def forgotten(folder: Path, after: Mapping[str, Any] | None) -> bool:
    """Tell whether entries after a cursor may be gone, because its file is."""
    return after is not None and _stem(after) not in {p.stem for p in files(folder)}


def _stem(cursor: Mapping[str, Any]) -> str:
    return str(cursor["file"]).partition(".")[0]


def _entry(line: bytes) -> dict[str, Any] | None:
    import orjson

    try:
        found = orjson.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
