"""Writing a file so that it is there whole or not at all, and still there after a power cut."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO


def settle(sink: IO[bytes]) -> None:
    """Wait until what was written to an open file is on the disk."""
    sink.flush()
    os.fsync(sink.fileno())


def publish(fresh: Path, target: Path, mode: int) -> None:
    """Give a settled file its name. The name is on the disk when this returns."""
    fresh.chmod(mode)
    make_folder(target.parent)
    fresh.replace(target)
    _settle_folder(target.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each durably an entry of the one above."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _settle_folder(folder.parent)


def _settle_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
