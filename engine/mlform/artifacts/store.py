"""A content-addressed store in a local folder, and an action cache apart from the content.

``objects/sha256/ab/cdef…`` holds bytes, read-only; ``actions/ab/cdef…`` says which object an action
key gave. An object is written before anything that names it, and verified when it is first read.
``incoming`` holds what is being written, ``corrupt`` what was found not to be what it was.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from mlform.artifacts.blobs import Blobs, LocalBlobs
from mlform.artifacts.digests import RACY, FileDigests
from mlform.files import copy_file, make_folder, publish, settle
from mlform.sdk import Artifact

_CHUNK: Final = 1 << 20
_ABANDONED: Final = 24 * 3600
"""Seconds after which an unfinished file is taken to be left by a process that was killed."""
_DIGEST: Final = r"sha256:([0-9a-f]{64})"
_MANY: Final = 5_000
"""How many objects are looked for one by one."""


class LocalStore:
    """Artifacts under one folder. Safe for several threads and processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs: Blobs = LocalBlobs(root)
        """All that the store has, as files by name."""
        self._verified: set[str] = set()
        self._guard = threading.Lock()
        self._swept = False

    @property
    def description(self) -> Mapping[str, Any]:
        """What ``open_store`` makes the same store from in another process. Holds no secret."""
        return {"path": str(self.root)}

    def put_file(self, path: Path, media_type: str = "application/octet-stream") -> Artifact:
        """Copy a file in. Raises ``OSError`` where it cannot be read, or the disk is full."""
        with self._fresh() as fresh:
            copy_file(path, fresh)
            with fresh.open("rb") as copied:
                name = hashlib.file_digest(copied, "sha256").hexdigest()
            size = fresh.stat().st_size
            self._named(fresh, name)
        return Artifact(digest=f"sha256:{name}", size=size, media_type=media_type)

    def put_bytes(self, data: bytes, media_type: str = "application/octet-stream") -> Artifact:
        """Put bytes in. Raises ``OSError`` where the disk is full."""
        name = hashlib.sha256(data).hexdigest()
        if self._holds(name) and self._touched(name):
            return Artifact(digest=f"sha256:{name}", size=len(data), media_type=media_type)
        return self._put(io.BytesIO(data), media_type)

    def path(self, digest: str) -> Path:
        """Return the file with the content, verified. Raises ``KeyError`` if it is not there."""
        name = _name(digest)
        if name is None or not self._holds(name):
            raise KeyError(digest)
        return self._object(name)

    def read(self, digest: str) -> bytes:
        """Return the content. Raises ``KeyError`` if it is not there."""
        path = self.path(digest)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise KeyError(digest) from None

    def checkout(self, digest: str, target: Path) -> None:
        """Copy the content into a new file, the caller's own. Raises ``KeyError`` if not there."""
        copy_file(self.path(digest), target)

    def __contains__(self, digest: object) -> bool:
        name = _name(digest)
        if name is None:
            return False
        # Asked for every artifact that is recorded, by every plan: no path object for each.
        return os.path.isfile(f"{self.root}/objects/sha256/{name[:2]}/{name[2:]}")  # noqa: PTH113 - so

    def has_all(self, sizes: Mapping[str, int]) -> bool:
        """Tell whether each digest is there, with as many bytes as it should have.

        Of very many the store's folders are asked, not each file.
        """
        left = set(sizes)
        if len(left) > _MANY:
            self._take_listed(left)
        return all(self._has(digest, sizes[digest]) for digest in left)

    def _has(self, digest: str, size: int) -> bool:
        name = _name(digest)
        if name is None:
            return False
        try:
            # As in ``__contains__``: for every artifact that is recorded, in every plan.
            stat = os.stat(f"{self.root}/objects/sha256/{name[:2]}/{name[2:]}")  # noqa: PTH116 - so
        except OSError:
            return False
        return stat.st_size == size

    def stamp(self) -> str | None:
        """Say how the store is: as long as this is the same, nothing came and nothing went.

        ``None`` where that cannot be told, as something did just now.
        """
        now, seen = time.time_ns(), hashlib.sha256()
        for number in range(256):
            try:
                stat = os.stat(f"{self.root}/objects/sha256/{number:02x}")  # noqa: PTH116 - no path object for each
            except FileNotFoundError:
                continue
            if now - stat.st_mtime_ns < RACY:
                return None
            seen.update(b"%d %d %d\n" % (number, stat.st_ino, stat.st_mtime_ns))
        return seen.hexdigest()

    def _take_listed(self, digests: set[str]) -> None:
        """Take out of these what a list of the store shows.

        Names are spread evenly, so that a folder tells how large the store is: one of far more than
        is asked for is not listed.
        """
        most = 4 * len(digests) / 256
        for number in range(256):
            prefix = f"{number:02x}"
            try:
                inside = os.listdir(f"{self.root}/objects/sha256/{prefix}")  # noqa: PTH208 - names
            except OSError:
                continue
            if len(inside) > most:
                return
            digests.difference_update([f"sha256:{prefix}{name}" for name in inside])

    def sound(self, digest: str, digests: FileDigests) -> bool:
        """Tell whether the content is there and is what its digest says, read once per change.

        What is not is set aside, so that it can be put in again.
        """
        name = _name(digest)
        if name is None:
            return False
        try:
            whole = digests.digest(self._object(name)) == digest
        except OSError:
            return False
        return whole or self._holds(name)

    def take(self, digest: str, bring: Callable[[Path], object]) -> int:
        """Have a file brought in and take it if it is what it should be; return its bytes.

        Raises ``KeyError`` if it is not, and whatever ``bring`` does.
        """
        name = _name(digest)
        with self._fresh() as fresh:
            bring(fresh)
            with fresh.open("r+b") as brought:
                if name is None or hashlib.file_digest(brought, "sha256").hexdigest() != name:
                    raise KeyError(digest)
                settle(brought)
            size = fresh.stat().st_size
            publish(fresh, self._object(name), 0o444)
        return size

    def remove(self, digest: str) -> int | None:
        """Delete an object; return its bytes, ``None`` if it was not there. Raises ``OSError``."""
        name = _name(digest)
        if name is None:
            return None
        with self._guard:
            self._verified.discard(name)
        target = self._object(name)
        try:
            size = target.stat().st_size
            target.unlink()
        except FileNotFoundError:
            return None
        return size

    def has_memo(self, key: str) -> bool:
        """Tell whether anything was remembered under an action key, whole or not."""
        return self._action(key).is_file()

    def memo_get(self, key: str) -> Artifact | None:
        """Return what an action key gave before, if its object is still there and whole."""
        try:
            artifact = parse_action(self._action(key).read_bytes())
            self.path(artifact.digest)
        except (OSError, ValueError, KeyError):
            return None
        return artifact

    def memo_put(self, key: str, artifact: Artifact) -> None:
        """Remember what an action key gave, in place of what it gave before."""
        with self._fresh() as fresh:
            with fresh.open("xb") as sink:
                sink.write(dump_action(artifact))
                settle(sink)
            publish(fresh, self._action(key), 0o644)

    def memo_drop(self, key: str) -> None:
        """Forget what an action key gave."""
        self._action(key).unlink(missing_ok=True)

    def _put(self, source: IO[bytes], media_type: str) -> Artifact:
        hasher, size = hashlib.sha256(), 0
        with self._fresh() as fresh:
            with fresh.open("xb") as sink:
                while chunk := source.read(_CHUNK):
                    hasher.update(chunk)
                    sink.write(chunk)
                    size += len(chunk)
                settle(sink)
            name = hasher.hexdigest()
            self._named(fresh, name)
        return Artifact(digest=f"sha256:{name}", size=size, media_type=media_type)

    def _named(self, fresh: Path, name: str) -> None:
        """Give a settled file its name, unless there is a good one of that name."""
        if not (self._holds(name) and self._touched(name)):
            publish(fresh, self._object(name), 0o444)

    def _touched(self, name: str) -> bool:
        """Make an object as young as if it were put now, so that it is not collected meanwhile."""
        try:
            os.utime(self._object(name))
        except FileNotFoundError:
            return False
        except PermissionError:  # someone else's, in a shared store
            pass
        return True

    def check(self, digest: str) -> bool:
        """Read an object whole; set it aside if it is not what its digest says."""
        name = _name(digest)
        if name is None:
            return False
        with self._guard:
            self._verified.discard(name)
        return self._holds(name)

    def _holds(self, name: str) -> bool:
        """Tell whether an object is there and is what its name says; read once per process."""
        target = self._object(name)
        with self._guard:
            if name in self._verified and target.is_file():
                return True
        try:
            with target.open("rb") as source:
                sound = hashlib.file_digest(source, "sha256").hexdigest() == name
                if not sound:
                    self._set_aside(target, os.fstat(source.fileno()))
        except FileNotFoundError:
            return False
        if sound:
            with self._guard:
                self._verified.add(name)
        return sound

    def _set_aside(self, target: Path, seen: os.stat_result) -> None:
        folder = self.root / "corrupt"
        # Another process may have set it aside and put a good one there meanwhile.
        with suppress(OSError):
            if os.path.samestat(target.stat(), seen):
                make_folder(folder)
                target.replace(folder / f"{target.parent.name}{target.name}")

    def _object(self, name: str) -> Path:
        return self.root / "objects" / "sha256" / name[:2] / name[2:]

    def _action(self, key: str) -> Path:
        name = _name(key) or hashlib.sha256(key.encode()).hexdigest()
        return self.root / "actions" / name[:2] / name[2:]

    @contextmanager
    def _fresh(self) -> Iterator[Path]:
        """Give a name to write under, in the same file system; gone afterwards, come what may."""
        folder = self.root / "incoming"
        make_folder(folder)
        self._sweep(folder)
        fresh = folder / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            yield fresh
        finally:
            fresh.unlink(missing_ok=True)

    def _sweep(self, folder: Path) -> None:
        if self._swept:
            return
        self._swept = True
        for left in folder.iterdir():
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _ABANDONED:
                    left.unlink()


def _name(digest: object) -> str | None:
    """Return the hex of a digest; ``None`` for anything else: such a name is never a path."""
    found = re.fullmatch(_DIGEST, digest) if isinstance(digest, str) else None
    return found[1] if found else None


def dump_action(artifact: Artifact) -> bytes:
    """Write what an action gave, with the hash of that: a flipped bit is still good JSON."""
    sha256 = hashlib.sha256(artifact.model_dump_json().encode()).hexdigest()
    return json.dumps({**artifact.model_dump(mode="json"), "sha256": sha256}).encode()


def parse_action(data: bytes) -> Artifact:
    """Read what an action gave. Raises ``ValueError`` where it is not what was written."""
    found = json.loads(data)
    sha256 = found.pop("sha256", None) if isinstance(found, dict) else None
    artifact = Artifact.model_validate(found)
    if hashlib.sha256(artifact.model_dump_json().encode()).hexdigest() != sha256:
        raise ValueError("not what was written")
    return artifact
