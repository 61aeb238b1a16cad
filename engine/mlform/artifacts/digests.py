"""Digests of files outside the store, read again only when a file's stat moved."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

_RACY: Final = 2_000_000_000
"""Nanoseconds. A file changed this shortly before it was hashed may change again within the clock's
grain, without a trace in its stat: such a digest is not trusted the next time."""
_MOST_REMEMBERED: Final = 20_000
_VERSION: Final = 1


class FileDigests:
    """A stat cache kept in one JSON file. Safe for several threads; a damaged file is a new one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.Lock()
        self._files: dict[str, list[Any]] = {}
        self._remembered: dict[str, Mapping[str, Any]] = {}
        self._moved = False
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data["version"] == _VERSION:
                self._files, self._remembered = dict(data["files"]), dict(data["remembered"])
        except (OSError, ValueError, KeyError, TypeError):
            pass

    def digest(self, file: Path) -> str:
        """Return ``sha256:…`` of a file's content. Raises ``OSError`` where it cannot be read."""
        name = os.path.abspath(file)  # noqa: PTH100 - resolving links costs a stat per component
        stat = file.stat()
        token = [stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_ctime_ns]
        with self._guard:
            known = self._files.get(name)
        if known is not None and known[:-1] == token:
            return str(known[-1])
        began = time.time_ns()
        with file.open("rb") as source:
            found = "sha256:" + hashlib.file_digest(source, "sha256").hexdigest()
        if began - max(stat.st_mtime_ns, stat.st_ctime_ns) > _RACY:
            with self._guard:
                self._files[name] = [*token, found]
                self._moved = True
        return found

    def remember(self, token: str, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return what ``make`` gave for this token before, or make and keep it."""
        with self._guard:
            if token in self._remembered:
                return self._remembered[token]
        made = make()
        with self._guard:
            self._remembered[token] = made
            while len(self._remembered) > _MOST_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._moved = True
        return made

    def save(self) -> None:
        """Write the cache, if anything moved."""
        with self._guard:
            if not self._moved:
                return
            data = {"version": _VERSION, "files": self._files, "remembered": self._remembered}
            text = json.dumps(data)
            self._moved = False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.path)
