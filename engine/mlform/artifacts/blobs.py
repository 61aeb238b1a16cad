"""Files by name in one place, near or far: all that collecting, checking and copying need."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from mlform.files import copy_file, make_folder, publish, settle
from mlform.lazy import dataclass


@dataclass(frozen=True)
class Blob:
    """One file: its name within the place, its bytes, and when it was last put (epoch seconds)."""

    name: str
    size: int
    modified: float


class Blobs(Protocol):
    """A place. Its methods raise ``OSError`` where it cannot be reached or written."""

    @property
    def place(self) -> str:
        """Where it is, for people; never with credentials."""
        ...

    def list(self, prefix: str) -> Iterator[Blob]:
        """Yield all files under a folder."""
        ...

    def stat(self, name: str) -> Blob | None:
        """Return what is there under a name."""
        ...

    def read(self, name: str) -> bytes:
        """Return the content. Raises ``FileNotFoundError``."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Put content in place of what was there, whole or not at all."""

    def create(self, name: str, source: Path) -> bool:
        """Put a file, unless there is one of this name; tell whether it was put."""
        ...

    def claim(self, name: str, data: bytes) -> bool:
        """Put content unless there is any, one of several who try at once; tell whether it was put.

        It need not outlast a power cut.
        """
        ...

    def fetch(self, name: str, target: Path) -> None:
        """Copy the content into a new file here. Raises ``FileNotFoundError``."""

    def delete(self, name: str, before: float | None = None) -> bool:
        """Delete a file, if it was last put before a moment; tell whether it is gone."""
        ...


class LocalBlobs:
    """Files under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def place(self) -> str:
        """The folder."""
        return str(self.root)

    def list(self, prefix: str) -> Iterator[Blob]:
        """Yield all files under a folder."""
        waiting = [self.root / prefix]
        while waiting:
            folder = waiting.pop()
            try:
                entries = sorted(os.scandir(folder), key=lambda e: e.name)
            except FileNotFoundError:
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                    continue
                with suppress(FileNotFoundError):
                    stat = entry.stat(follow_symlinks=False)
                    name = Path(entry.path).relative_to(self.root).as_posix()
                    yield Blob(name, stat.st_size, stat.st_mtime)

    def stat(self, name: str) -> Blob | None:
        """Return what is there under a name."""
        try:
            stat = (self.root / name).stat()
        except FileNotFoundError:
            return None
        return Blob(name, stat.st_size, stat.st_mtime)

    def read(self, name: str) -> bytes:
        """Return the content. Raises ``FileNotFoundError``."""
        return (self.root / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Put content in place of what was there, whole or not at all."""
        fresh = self._fresh()
        try:
            with fresh.open("xb") as sink:
                sink.write(data)
                settle(sink)
            publish(fresh, self.root / name, 0o644)
        finally:
            fresh.unlink(missing_ok=True)

    def create(self, name: str, source: Path) -> bool:
        """Put a file, unless there is one of this name; tell whether it was put."""
        target = self.root / name
        with suppress(FileNotFoundError):
            os.utime(target)
            return False
        fresh = self._fresh()
        try:
            copy_file(source, fresh)
            publish(fresh, target, 0o444)
        finally:
            fresh.unlink(missing_ok=True)
        return True

    def claim(self, name: str, data: bytes) -> bool:
        """Put content unless there is any, one of several who try at once; tell whether it was put.

        It need not outlast a power cut.
        """
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        try:
            file = os.open(self.root / name, flags, 0o644)
        except FileExistsError:
            return False
        except FileNotFoundError:
            make_folder((self.root / name).parent)
            return self.claim(name, data)
        try:
            os.write(file, data)
        finally:
            os.close(file)
        return True

    def fetch(self, name: str, target: Path) -> None:
        """Copy the content into a new file here. Raises ``FileNotFoundError``."""
        copy_file(self.root / name, target)

    def delete(self, name: str, before: float | None = None) -> bool:
        """Delete a file, if it was last put before a moment; tell whether it is gone.

        It is moved away first and looked at then: whoever puts it again meanwhile either finds it
        gone, and puts it, or has touched it, and it comes back.
        """
        target = self.root / name
        aside = self._fresh()
        try:
            target.replace(aside)
        except FileNotFoundError:
            return True
        if before is not None and aside.stat().st_mtime >= before:
            with suppress(FileExistsError):
                os.link(aside, target)
            aside.unlink()
            return False
        aside.unlink()
        return True

    def _fresh(self) -> Path:
        folder = self.root / "incoming"
        make_folder(folder)
        return folder / f"{os.getpid()}-{secrets.token_hex(8)}"


def now() -> float:
    """Return this moment in epoch seconds."""
    return time.time()
