"""Writing a file so that it is there whole or not at all, and still there after a power cut."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from mlform.failpoints import failpoint

_FICLONE: Final = 0x40049409
"""Linux's request to share blocks, of btrfs, xfs, bcachefs and others."""
_ABANDONED: Final = 3600
"""Seconds after which a file beside the one it was to become is taken to be left by a crash."""


def write_file(path: Path, data: bytes) -> None:
    """Put data in a file in place of what it held, with the permissions that it has.

    Raises ``OSError``; then the file is what it was.
    """
    path = path.resolve()
    there = path.exists()
    if there and not path.is_file():  # a pipe, a terminal: nothing that could be half there
        path.write_bytes(data)
        return
    with _beside(path) as fresh:
        with fresh.open("xb") as sink:
            sink.write(data)
            settle(sink)
        publish(fresh, path, (path if there else fresh).stat().st_mode & 0o7777)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time in: a file says who, and is free again when that process ends."""
    import fcntl  # noqa: PLC0415 - few commands wait for others

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def keep(path: Path, data: bytes) -> None:
    """Keep what can be made again, for ``kept`` to find; where it cannot be written it is not."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _beside(path) as fresh:
            fresh.write_bytes(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
            failpoint("cache.written")
            fresh.replace(path)
            failpoint("cache.renamed")


def kept(path: Path) -> bytes | None:
    """Return what was kept in a file; ``None`` where there is nothing, or not what was written.

    It was not waited for until it was on the disk, so after a power cut it may be anything.
    """
    try:
        sha256, _, data = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return data if sha256 == hashlib.sha256(data).hexdigest().encode() else None


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Give a name in the same folder; gone afterwards, and so is what a crash left there."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()
    fresh = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        yield fresh
    finally:
        fresh.unlink(missing_ok=True)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file into a new one, settled; its blocks are shared where the file system can.

    Never a hard link: whoever edits one in place changes the other. Raises ``FileExistsError``.
    """
    with source.open("rb") as given, target.open("xb") as sink:
        if not _shared(given, sink):
            shutil.copyfileobj(given, sink, 1 << 20)
        settle(sink)


def _shared(given: IO[bytes], sink: IO[bytes]) -> bool:
    """Have an empty file share the blocks of another (a reflink); tell whether it does."""
    try:
        import fcntl  # noqa: PLC0415 - not on every system
    except ImportError:
        return False
    try:
        fcntl.ioctl(sink.fileno(), _FICLONE, given.fileno())
    except OSError:  # not on this file system, or not between these two
        return False
    return True


def settle(sink: IO[bytes]) -> None:
    """Wait until what was written to an open file is on the disk."""
    sink.flush()
    failpoint("file.written")
    os.fsync(sink.fileno())
    failpoint("file.synced")


def publish(fresh: Path, target: Path, mode: int) -> None:
    """Give a settled file its name. The name is on the disk when this returns."""
    fresh.chmod(mode)
    make_folder(target.parent)
    fresh.replace(target)
    failpoint("file.renamed")
    _settle_folder(target.parent)
    failpoint("file.named")


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
