"""Folders that are whole or not there at all, also after a power cut."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def publish(fresh: Path, target: Path) -> None:
    """Give a folder its name, in place of what has it, once all in it is on the disk."""
    for path in (*fresh.rglob("*"), fresh):
        _settle(path)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    _settle(target.parent)


def _settle(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
