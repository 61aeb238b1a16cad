"""What was read of code files before, so that unchanged files are not read again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mlform.files import keep, kept
from mlform.keys.errors import CodeError
from mlform.keys.facts import Facts, read
from mlform.keys.installed import installed_state, top_level_names
from mlform.keys.lock import Lock, find_lock, read_lock
from mlform.lazy import dataclass

_FORMAT: Final = [3, *sys.version_info[:2]]
"""Raise the first number when the facts of equal code change."""

_SETTLED_NS: Final = 100_000_000
"""A file that changed this shortly before it was read may change again within one tick of the
file system's clock, and look the same: its content is compared instead."""


@dataclass
class _Entry:
    stat: list[int]
    seen: int
    source: str
    facts: Facts

    def holds(self, stat: list[int]) -> bool:
        return self.stat == stat and self.seen - max(stat[1], stat[3]) > _SETTLED_NS


class ClosureCache:
    """Facts about code files by path, size, times and inode; safe to share between threads.

    Without a path it lasts as long as the object. A damaged file starts anew.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._entries: dict[str, _Entry] | None = None
        self._tops: tuple[str, dict[str, list[str]]] | None = None
        self._locks: dict[str, tuple[list[int], Lock]] = {}
        self._dirty = False

    def facts(self, file: Path, name: str) -> Facts:
        """Return what ``file`` says; ``name`` is what messages call it. Raises ``CodeError``."""
        with self._lock:
            entries = self._loaded()
            known = entries.get(str(file))
            try:
                status = file.stat()
                stat = [status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns]
                if known is not None and known.holds(stat):
                    return known.facts
                now = time.time_ns()
                source = file.read_bytes()
            except OSError as error:
                raise CodeError("Code not readable", f"{name}: {error.strerror}.") from None
            content = hashlib.sha256(source).hexdigest()
            same = known is not None and known.source == content
            facts = known.facts if known is not None and same else read(source, name)
            entries[str(file)] = _Entry(stat, now, content, facts)
            self._dirty = True
            return facts

    def top_level_names(self) -> Mapping[str, list[str]]:
        """Return which distributions each installed top-level module belongs to."""
        with self._lock:
            self._loaded()
            state = installed_state()
            if self._tops is None or self._tops[0] != state:
                self._tops = (state, top_level_names())
                self._dirty = True
            return self._tops[1]

    def lock(self, root: Path) -> Lock | None:
        """Return what the lock file of the environment says, if a spec has one.

        Raises ``CodeError`` where it cannot be read.
        """
        path = find_lock(root)
        if path is None:
            return None
        if path.name == "requirements.txt":  # it may take in others, and is short
            return read_lock(path)
        with self._lock:
            self._loaded()
            try:
                status = path.stat()
            except OSError as error:
                raise CodeError("Lock file not readable", f"{path.name}: {error}.") from None
            stat = [status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns]
            known = self._locks.get(str(path))
            if known is not None and known[0] == stat:
                return known[1]
            now = time.time_ns()
            found = read_lock(path)
            if now - max(stat[1], stat[3]) > _SETTLED_NS:
                self._locks[str(path)] = (stat, found)
                self._dirty = True
            return found

    def save(self) -> None:
        """Write it to its file, whole or not at all, if anything is new.

        Where it cannot be written the next command is slower, and that is all.
        """
        with self._lock:
            if self._path is not None and self._dirty:
                text = json.dumps(self._to_data(), separators=(",", ":"))
                keep(self._path, text.encode())
                self._dirty = False

    def _to_data(self) -> dict[str, Any]:
        files = {
            path: [e.stat, e.seen, e.source, e.facts.to_data()]
            for path, e in self._loaded().items()
            if Path(path).exists()
        }
        locks = {
            path: [stat, lock.name, lock.versions]
            for path, (stat, lock) in self._locks.items()
            if Path(path).exists()
        }
        tops = self._tops
        return {"format": _FORMAT, "files": files, "top_level_names": tops, "locks": locks}

    def _loaded(self) -> dict[str, _Entry]:
        if self._entries is None:
            self._entries = {}
            if self._path is not None:
                with contextlib.suppress(
                    ValueError, KeyError, TypeError, AttributeError, RecursionError
                ):
                    self._load(json.loads(kept(self._path) or b"{}"))
        return self._entries

    def _load(self, data: Mapping[str, Any]) -> None:
        if data["format"] != _FORMAT:
            return
        entries = {
            str(path): _Entry(
                [int(n) for n in stat], int(seen), str(source), Facts.from_data(facts)
            )
            for path, (stat, seen, source, facts) in data["files"].items()
        }
        if data["top_level_names"] is not None:
            state, names = data["top_level_names"]
            self._tops = (str(state), {str(k): list(v) for k, v in names.items()})
        self._locks = {
            str(path): ([int(n) for n in stat], Lock(str(name), _versions(versions)))
            for path, (stat, name, versions) in data["locks"].items()
        }
        self._entries = entries


def _versions(data: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {str(name): tuple(map(str, versions)) for name, versions in data.items()}
