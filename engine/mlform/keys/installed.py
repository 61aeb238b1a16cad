"""The installed distributions: their versions, what they require, the modules they bring."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

from mlform.keys.lock import Lock, normalised
from mlform.keys.markers import holds
from mlform.lazy import dataclass
from mlform.values import digest

ABSENT: Final = "absent"
"""Stands for the version of a distribution that is not installed."""

_REQUIRED: Final = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)[^;]*(?:;(.*))?")
_METADATA: Final = ("METADATA", "PKG-INFO", "")


@dataclass(frozen=True)
class _Distribution:
    version: str
    requires: tuple[str, ...]


def environment(distributions: Iterable[str], lock: Lock | None = None) -> dict[str, str]:
    """Return the versions of ``distributions`` and of all they require, transitively.

    Names are normalised (PEP 503), extras left out, environment markers heeded (PEP 508). What is
    installed counts, as that is what runs; what is not has the version that ``lock`` gives it, or
    ``"absent"``. ``"python"`` is the minor version of Python.
    """
    state = _state()
    found: dict[str, str] = {}
    waiting = [normalised(name) for name in distributions]
    while waiting:
        name = waiting.pop()
        if name not in found:
            known = _distribution(name, state)
            locked = " or ".join(lock.versions.get(name, ())) if lock else ""
            found[name] = known.version if known else locked or ABSENT
            waiting += known.requires if known else ()
    major, minor = sys.version_info[:2]
    return {"python": f"{major}.{minor}"} | dict(sorted(found.items()))


def astray(found: Mapping[str, str], lock: Lock) -> list[str]:
    """Name the distributions of an environment that are installed in another version than locked.

    Each is ``"scikit-learn 1.6.0 (locked: 1.7.0)"``.
    """
    state, said = _state(), []
    for name, version in found.items():
        meant = lock.versions.get(name, ())
        if meant and version not in meant and _distribution(name, state) is not None:
            said.append(f"{name} {version} (locked: {' or '.join(meant)})")
    return said


def installed_version(distribution: str) -> str:
    """Return the version of a distribution, ``"absent"`` if it is not installed."""
    found = _distribution(normalised(distribution), _state())
    return found.version if found else ABSENT


def installed_folders() -> Mapping[str, str]:
    """Return the folder of metadata of each distribution by its normalised name."""
    return _index(_state())


def installed_state() -> str:
    """Return what moves when a distribution is installed, upgraded or removed."""
    return digest(_index(_state()))


def top_level_names() -> dict[str, list[str]]:
    """Return which distributions each top-level module belongs to. Reads every file list."""
    names: dict[str, set[str]] = {}
    for name, folder in _index(_state()).items():
        for top in _tops(Path(folder)):
            names.setdefault(top, set()).add(name)
    return {top: sorted(owners) for top, owners in sorted(names.items())}


_State = tuple[tuple[str, int], ...]


def _state() -> _State:
    found: dict[str, int] = {}
    for entry in sys.path:
        try:
            found[entry or "."] = Path(entry or ".").stat().st_mtime_ns
        except OSError:
            continue
    return tuple(found.items())


@cache
def _index(state: _State) -> dict[str, str]:
    """Return the folder of metadata of each distribution; the first on the path wins."""
    found: dict[str, str] = {}
    for folder, _ in state:
        try:
            entries = sorted(os.listdir(folder))  # noqa: PTH208 - names are enough, and many
        except OSError:
            continue
        for entry in entries:
            stem, dot, suffix = entry.rpartition(".")
            if dot and suffix in {"dist-info", "egg-info"}:
                found.setdefault(normalised(stem.partition("-")[0]), f"{folder}/{entry}")
    return found


@cache
def _distribution(name: str, state: _State) -> _Distribution | None:
    folder = _index(state).get(name)
    if folder is None:
        return None
    version, requires = ABSENT, []
    for line in _headers(Path(folder)):
        key, _, value = line.partition(":")
        match key.lower():
            case "version":
                version = value.strip()
            case "requires-dist":
                requires += _required(value)
            case _:
                pass
    return _Distribution(version, tuple(requires))


def _headers(folder: Path) -> Iterator[str]:
    for name in _METADATA:
        try:
            # The long description after the first empty line is most of the file.
            with (folder / name).open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    if not line.strip():
                        return
                    yield line
                return
        except OSError:
            continue


def _required(requirement: str) -> list[str]:
    match = _REQUIRED.match(requirement)
    if match is None:
        return []
    name, marker = match.groups()
    return [normalised(name)] if marker is None or holds(marker) else []


def _tops(folder: Path) -> set[str]:
    listed = _lines(folder / "top_level.txt")
    if listed:
        return set(listed)
    return {top for line in _lines(folder / "RECORD") if (top := _top(line.partition(",")[0]))}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return []


def _top(file: str) -> str:
    """Return the top-level module an installed file belongs to, or nothing."""
    parts = PurePosixPath(file.strip('"')).parts
    if not parts or parts[-1].rpartition(".")[2] not in {"py", "so", "pyd"}:
        return ""
    top = parts[0] if len(parts) > 1 else parts[0].partition(".")[0]
    return top if top.isidentifier() else ""
