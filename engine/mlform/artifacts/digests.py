"""Digests of files outside the store, read again only when a file's stat moved."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from mlform.files import keep, kept

_RACY: Final = 2_000_000_000
"""Nanoseconds. A file changed this shortly before it was hashed may change again within the clock's
grain, without a trace in its stat: such a digest is not trusted the next time."""
_MOST_FILES: Final = 200_000
_MOST_REMEMBERED: Final = 20_000
_VERSION: Final = 4

_Files: TypeAlias = dict[str, str]
"""Absolute name → stat and digest, separated by spaces."""
_Remembered: TypeAlias = dict[str, Mapping[str, Any]]


class FileDigests:
    """A stat cache kept in one file. Safe for several threads, fast for 100,000 files.

    Only time is at stake: a damaged file is a new one, and one that cannot be written is not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.Lock()
        self._files, self._remembered = _load(path)
        self._moved = False

    def digest(self, file: Path | str) -> str:
        """Return ``sha256:…`` of a file's content. Raises ``OSError`` where it cannot be read."""
        name = os.fspath(file)
        known = self._files.get(name)
        if known is None:  # a name that is known is absolute already
            name = os.path.abspath(name)  # noqa: PTH100 - resolving links costs a stat per component
            known = self._files.get(name)
        if known is not None:
            token = _token(os.stat(name))  # noqa: PTH116 - a path made for each costs more
            if known.startswith(token):
                return known[len(token) :]
        began = time.time_ns()
        with open(name, "rb") as source:  # noqa: PTH123
            stat = os.fstat(source.fileno())
            found = "sha256:" + hashlib.file_digest(source, "sha256").hexdigest()
        if began - max(stat.st_mtime_ns, stat.st_ctime_ns) > _RACY:
            with self._guard:
                self._files.pop(name, None)
                self._files[name] = f"{_token(stat)}{found}"
                self._moved = True
        return found

    def digests(self, files: Iterable[str]) -> list[str]:
        """Return what ``digest`` does of many files, in order."""
        entries, look, digest = self._files, os.stat, self.digest
        found: list[str] = []
        for name in files:
            known = entries.get(name)
            if known is not None:
                stat = look(name)
                # Not by `_token`: for 100,000 files the calls take as long as the rest.
                token = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino} {stat.st_ctime_ns} "
                if known.startswith(token):
                    found.append(known[len(token) :])
                    continue
            found.append(digest(name))
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
            content = _dump(self._files, self._remembered)
            self._moved = False
        keep(self.path, content)


def _token(stat: os.stat_result) -> str:
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino} {stat.st_ctime_ns} "


def _shorten(entries: dict[str, Any], most: int) -> None:
    for name in list(entries)[: max(0, len(entries) - most)]:
        del entries[name]


def _dump(files: _Files, remembered: _Remembered) -> bytes:
    """Write a line with the version, one of JSON with what is remembered, then the files.

    Their names and entries come in turn, separated by the one character that no name has.
    """
    rows = "\0".join(text for item in files.items() for text in item)
    body = f"{_VERSION}\n{json.dumps(remembered, separators=(',', ':'))}\n{rows}"
    return body.encode(errors="surrogateescape")


def _load(path: Path) -> tuple[_Files, _Remembered]:
    version, _, content = (kept(path) or b"").partition(b"\n")
    if version != str(_VERSION).encode():
        return {}, {}
    line, _, rows = content.decode(errors="surrogateescape").partition("\n")
    texts = rows.split("\0") if rows else []
    return dict(zip(texts[::2], texts[1::2], strict=True)), json.loads(line)
