"""The lock file of the Python environment: which versions are meant to be installed.

Looked for in the spec's folder, then in those above it up to the repository's, nearest first; in
one folder in the order of ``_READERS``: what a tool resolves goes before what is exported from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mlform.keys.errors import CodeError
from mlform.keys.markers import holds
from mlform.lazy import dataclass


@dataclass(frozen=True)
class Lock:
    """What a lock file says: normalised distribution → the versions it may have here."""

    name: str
    versions: Mapping[str, tuple[str, ...]]


def find_lock(root: Path) -> Path | None:
    """Return the lock file that counts for a spec, or ``None``."""
    for folder in (root, *root.parents):
        for name in _READERS:
            if (folder / name).is_file():
                return folder / name
        if (folder / ".git").exists():
            break
    return None


def read_lock(path: Path) -> Lock:
    """Read a lock file. Raises ``CodeError`` where it is none."""
    try:
        pairs = list(_READERS[path.name](path))
    except OSError as error:
        raise CodeError("Lock file not readable", f"{path.name}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        detail = f"{path.name} cannot be read: {error}. Write it anew with the tool it is from."
        raise CodeError("Invalid lock file", detail) from None
    versions: dict[str, list[str]] = {}
    for name, version in pairs:
        versions.setdefault(normalised(name), []).append(version)
    return Lock(path.name, {n: tuple(dict.fromkeys(v)) for n, v in sorted(versions.items())})


def normalised(name: str) -> str:
    """Return the normal form of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _toml(path: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - only where a lock file is new

    return tomllib.loads(path.read_text(encoding="utf-8"))


def _tables(tables: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Give name and version of each package; one without a version comes from a folder or URL."""
    for table in tables:
        if "version" in table and holds(str(table.get("marker", ""))):
            yield str(table["name"]), str(table["version"])


def _uv(path: Path) -> Iterator[tuple[str, str]]:
    return _tables(_toml(path).get("package", []))


def _poetry(path: Path) -> Iterator[tuple[str, str]]:
    for table in _toml(path).get("package", []):
        # Poetry 2 writes markers, by group where they differ: those are taken to hold.
        marker = table.get("markers", "")
        if not isinstance(marker, str) or holds(marker):
            yield str(table["name"]), str(table["version"])


def _pylock(path: Path) -> Iterator[tuple[str, str]]:
    return _tables(_toml(path)["packages"])


_PIN: Final = (
    r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*={2,3}\s*([^\s;,#\\*]+)\s*(?:;([^#\\]*))?"
)


def _requirements(path: Path) -> Iterator[tuple[str, str]]:
    """Give the pins, ``name==version``; what is not pinned says nothing."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        stripped = line.strip()
        option = re.match(r"(?:-r|--requirement)[\s=]+(\S+)", stripped)
        if option:
            yield from _requirements(path.parent / option[1])
        elif match := re.match(_PIN, stripped):
            name, version, marker = match.groups()
            if holds((marker or "").partition(" --hash")[0]):
                yield name, version


_READERS: Final[Mapping[str, Callable[[Path], Iterator[tuple[str, str]]]]] = {
    "uv.lock": _uv,
    "poetry.lock": _poetry,
    "pylock.toml": _pylock,
    "requirements.txt": _requirements,
}
