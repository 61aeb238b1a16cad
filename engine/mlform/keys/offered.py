"""Entry points of the installed distributions, and their versions.

The standard library parses the metadata of every distribution with an e-mail parser to find the
two or three that offer anything, and loading it for that takes as long as planning a small spec.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

from mlform.keys.installed import installed_folders, installed_version


class EntryPoint(NamedTuple):
    """What a distribution offers: ``value`` is ``"module:attribute"``."""

    name: str
    value: str
    version: str
    """The version of the distribution; empty where it has no name to be found by."""


def entry_points(group: str) -> list[EntryPoint]:
    """Return what is offered under a group, by name; of two distributions of a name the first."""
    if _elsewhere():
        from importlib import metadata  # noqa: PLC0415 - see above

        found = metadata.entry_points(group=group)
        rows = [(e.name, e.value, e.dist.version if e.dist else "") for e in found]
        return sorted(EntryPoint(*row) for row in rows)
    offered: list[EntryPoint] = []
    for name, folder in installed_folders().items():
        file = f"{folder}/entry_points.txt"
        if os.access(file, os.R_OK):
            pairs = list(_offered(file, group))
            version = installed_version(name) if pairs else ""
            offered += [EntryPoint(*pair, version) for pair in pairs]
    return sorted(offered)


def _elsewhere() -> bool:
    """Tell whether distributions may lie elsewhere than in folders: in an archive, say."""
    finders = [f for f in sys.meta_path if hasattr(f, "find_distributions")]
    return len(finders) > 1 or any(os.path.isfile(entry) for entry in sys.path)  # noqa: PTH113 - quick


def _offered(file: str, group: str) -> Iterator[tuple[str, str]]:
    with open(file, encoding="utf-8", errors="replace") as lines:  # noqa: PTH123 - many, and small
        text = lines.read()
    if group not in text:
        return
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == group and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield name.strip(), value.strip()
