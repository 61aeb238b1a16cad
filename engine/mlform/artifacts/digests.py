"""Digests of files outside the store, read again only when a file's stat moved."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, TypeAlias

from mlform.files import keep, kept

RACY: Final = 2_000_000_000
"""Nanoseconds. A file changed this shortly before it was hashed may change again within the clock's
grain, without a trace in its stat: such a digest is not trusted the next time."""
_MOST_FILES: Final = 200_000
_MOST_REMEMBERED: Final = 20_000
_VERSION: Final = 5
_BY_FOLDER: Final = os.stat in os.supports_dir_fd
_FOLDER: Final = getattr(os, "O_PATH", os.O_RDONLY)
"""How a folder is opened to ask for what is in it: nothing of it is read."""
_SEPARATOR: Final = "/"
"""What no name of a file has in it."""

_Entry: TypeAlias = tuple[str, str]
"""What the stat of a file said, and its digest."""
_Packed: TypeAlias = tuple[str, str, str]
"""The names of a folder's files, what the stat of each said, and their digests, each in one text:
a folder whose files are all as they were is never taken apart."""
_Remembered: TypeAlias = dict[str, Mapping[str, Any]]


class FileDigests:
    """A stat cache kept in one file. Safe for several threads, fast for 100,000 files.

    Only time is at stake: a damaged file is a new one, and one that cannot be written is not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.Lock()
        self._packed, self._remembered = _load(path)
        self._opened: dict[str, dict[str, _Entry]] = {}
        self._moved = False

    def digest(self, file: Path | str) -> str:
        """Return ``sha256:…`` of a file's content. Raises ``OSError`` where it cannot be read."""
        path = os.path.abspath(file)  # noqa: PTH100 - resolving links costs a stat per component
        folder, _, name = path.rpartition("/")
        known = self._entries(folder).get(name)
        if known is not None and known[0] == _token(os.stat(path)):  # noqa: PTH116 - no path object
            return known[1]
        began = time.time_ns()
        with open(path, "rb") as source:  # noqa: PTH123 - no path object
            stat = os.fstat(source.fileno())
            found = "sha256:" + hashlib.file_digest(source, "sha256").hexdigest()
        if began - max(stat.st_mtime_ns, stat.st_ctime_ns) > RACY:
            with self._guard:
                entries = self._open(folder)
                entries.pop(name, None)
                entries[name] = (_token(stat), found)
                self._opened[folder] = self._opened.pop(folder)
                self._moved = True
        return found

    def digests(self, files: Iterable[str]) -> list[str]:
        """Return what ``digest`` does of many files, in order."""
        found: list[str] = []
        split = (name.rpartition("/") for name in files)
        for folder, inside in groupby(split, key=itemgetter(0)):
            found += self._inside(folder, [name for _, _, name in inside])
        return found

    def _inside(self, folder: str, names: list[str]) -> list[str]:
        """Return the digests of files in one folder."""
        packed = self._packed.get(folder)
        if packed is None and folder not in self._opened:
            return [self.digest(f"{folder}/{name}") for name in names]
        tokens = _tokens(folder, names)
        join = _SEPARATOR.join
        if packed is not None and packed[:2] == (join(names), join(tokens)):
            return packed[2].split(_SEPARATOR)
        entries = self._entries(folder)
        found = []
        for name, token in zip(names, tokens, strict=True):
            known = entries.get(name)
            same = known is not None and known[0] == token
            found.append(known[1] if known and same else self.digest(f"{folder}/{name}"))
        return found

    def _entries(self, folder: str) -> dict[str, _Entry]:
        """Return what is known of a folder's files, by name."""
        with self._guard:
            return self._open(folder)

    def _open(self, folder: str) -> dict[str, _Entry]:
        if folder not in self._opened:
            self._opened[folder] = _unpack(self._packed.pop(folder, None))
        return self._opened[folder]

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
            for name in list(self._remembered)[: max(0, len(self._remembered) - _MOST_REMEMBERED)]:
                del self._remembered[name]
            self._packed |= {name: _pack(inside) for name, inside in self._opened.items() if inside}
            self._opened.clear()
            content = _dump(_newest(self._packed), self._remembered)
            self._moved = False
        keep(self.path, content)


def _token(stat: os.stat_result) -> str:
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino} {stat.st_ctime_ns}"


def _tokens(folder: str, names: list[str]) -> list[str]:
    """Return what the stat of each file says. Raises ``OSError``.

    The system is asked relative to the folder, so that it looks the folder up once.
    """
    look = os.stat
    found: list[str] = []
    with _opened(folder) as (before, place):
        try:
            for name in names:
                stat = look(before + name, dir_fd=place)
                # Not by `_token`: for 100,000 files the calls take as long as the rest.
                found.append(f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino} {stat.st_ctime_ns}")
        except OSError as error:
            error.filename = f"{folder}/{names[len(found)]}"
            raise
    return found


@contextmanager
def _opened(folder: str) -> Iterator[tuple[str, int | None]]:
    """Give what stands before a name, and what it is relative to, to ask for it in a folder."""
    try:
        place = os.open(folder or "/", _FOLDER) if _BY_FOLDER else None
    except OSError:  # one may be asked for what is in it and still not be opened
        place = None
    if place is None:
        yield f"{folder}/", None
        return
    try:
        yield "", place
    finally:
        os.close(place)


def _pack(entries: Mapping[str, _Entry]) -> _Packed:
    join = _SEPARATOR.join
    return join(entries), join(e[0] for e in entries.values()), join(e[1] for e in entries.values())


def _unpack(packed: _Packed | None) -> dict[str, _Entry]:
    if packed is None:
        return {}
    names, tokens, digests = (text.split(_SEPARATOR) for text in packed)
    return dict(zip(names, zip(tokens, digests, strict=True), strict=True))


def _newest(packed: Mapping[str, _Packed]) -> dict[str, _Packed]:
    """Return as many as are kept, those of the folders that were looked into last."""
    found: dict[str, _Packed] = {}
    left = _MOST_FILES
    for folder, inside in reversed(list(packed.items())):
        count = inside[0].count(_SEPARATOR) + 1
        if count > left:
            inside = _pack(dict(list(_unpack(inside).items())[count - left :]))  # noqa: PLW2901 - what is left of it
        if left:
            found[folder] = inside
        left = max(0, left - count)
    return dict(reversed(list(found.items())))


def _dump(packed: Mapping[str, _Packed], remembered: _Remembered) -> bytes:
    """Write a line with the version, one of JSON with what is remembered, then the folders.

    Their names and what is known of their files come in turn, separated by the one character that
    no path has.
    """
    rows = "\0".join(text for folder, inside in packed.items() for text in (folder, *inside))
    body = f"{_VERSION}\n{json.dumps(remembered, separators=(',', ':'))}\n{rows}"
    return body.encode(errors="surrogateescape")


def _load(path: Path) -> tuple[dict[str, _Packed], _Remembered]:
    version, _, content = (kept(path) or b"").partition(b"\n")
    if version != str(_VERSION).encode():
        return {}, {}
    line, _, rows = content.decode(errors="surrogateescape").partition("\n")
    texts = rows.split("\0") if rows else []
    inside = zip(texts[1::4], texts[2::4], texts[3::4], strict=True)
    return dict(zip(texts[::4], inside, strict=True)), json.loads(line)
