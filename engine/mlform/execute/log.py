"""Reading a log file while it grows."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mlform.execute.task import LogLine

_CHUNK: Final = 1 << 16


class Lines:
    """Gives the lines of a file as they are completed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = 0
        self._rest = b""

    def read(self) -> Iterator[bytes]:
        """Give the lines that are complete by now, without their ends."""
        # It may not be there yet, and somebody may clear it away: a log is no reason to fail.
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
            open(self.path, "rb") as file,  # noqa: PTH123 - for each step
        ):
            if os.fstat(file.fileno()).st_size > self._at:
                file.seek(self._at)
                while chunk := file.read(_CHUNK):
                    self._at += len(chunk)
                    *whole, self._rest = (self._rest + chunk).split(b"\n")
                    yield from whole

    def rest(self) -> bytes:
        """Take what has come of a line that is not complete."""
        rest, self._rest = self._rest, b""
        return rest


class Tail:
    """Gives the lines of a log as they are completed."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)

    def lines(self, *, last: bool = False) -> Iterator[LogLine]:
        """Give the lines that are complete by now; with ``last``, an unfinished one too."""
        yield from map(_line, self._lines.read())
        if last and (rest := self._lines.rest()):
            yield _line(rest)


def _line(raw: bytes) -> LogLine:
    # A progress bar rewrites its line: what it said last counts.
    text = raw.rstrip(b"\r").rpartition(b"\r")[2]
    return LogLine(text.decode(errors="replace"))
