"""Digests of files outside the store, read again only when a file's stat moved."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

_RACY: Final = 2_000_000_000
"""Nanoseconds. A file changed this shortly before it was hashed may change again within the clock's
grain, without a trace in its stat: such a digest is not trusted the next time."""
_MOST_FILES: Final = 200_000
_MOST_REMEMBERED: Final = 20_000
_VERSION: Final = 2

_Files: TypeAlias = dict[str, list[Any]]
_Remembered: TypeAlias = dict[str, Mapping[str, Any]]


class FileDigests:
    """A stat cache kept in one JSON file. Safe for several threads.

    Only time is at stake: a damaged file is a new one, and one that cannot be written is not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.Lock()
        self._files, self._remembered = _load(path)
        self._moved = False

    def digest(self, file: Path) -> str:
        """Return ``sha256:…`` of a file's content. Raises ``OSError`` where it cannot be read."""
        name = os.path.abspath(file)  # noqa: PTH100 - resolving links costs a stat per component
        with self._guard:
            known = self._files.get(name)
        if known is not None and known[:-1] == _token(file.stat()):
            return str(known[-1])
        began = time.time_ns()
        with file.open("rb") as source:
            stat = os.fstat(source.fileno())
            found = "sha256:" + hashlib.file_digest(source, "sha256").hexdigest()
        if began - max(stat.st_mtime_ns, stat.st_ctime_ns) > _RACY:
            with self._guard:
                self._files.pop(name, None)
                self._files[name] = [*_token(stat), found]
                self._moved = True
        return found

    def remember(self, token: str, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return what ``make`` gave for this token before, or make and keep it (JSON)."""
        with self._guard:
            if token in self._remembered:
                return self._remembered[token]
        made = make()
        with self._guard:
            self._remembered[token] = made
            self._moved = True
        return made

    def save(self) -> None:
        """Write the cache, if anything moved; the oldest go when there are too many."""
        with self._guard:
            if not self._moved:
                return
            _shorten(self._files, _MOST_FILES)
            _shorten(self._remembered, _MOST_REMEMBERED)
            text = _dump(self._files, self._remembered)
            self._moved = False
        fresh = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}.tmp")
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self.path)
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def _token(stat: os.stat_result) -> list[int]:
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_ctime_ns]


def _shorten(entries: dict[str, Any], most: int) -> None:
    for name in list(entries)[: max(0, len(entries) - most)]:
        del entries[name]


def _dump(files: _Files, remembered: _Remembered) -> str:
    """Write both tables, and their hash before them: a flipped bit is still good JSON."""
    body = json.dumps({"files": files, "remembered": remembered}, separators=(",", ":"))
    sha256 = hashlib.sha256(body.encode()).hexdigest()
    return f'{{"version":{_VERSION},"sha256":"{sha256}","body":{body}}}'


def _load(path: Path) -> tuple[_Files, _Remembered]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return {}, {}
    head, found, rest = text.partition(',"body":')
    body = rest.removesuffix("}")
    sha256 = hashlib.sha256(body.encode()).hexdigest()
    if not found or head != f'{{"version":{_VERSION},"sha256":"{sha256}"':
        return {}, {}
    data = json.loads(body)
    return data["files"], data["remembered"]
