"""A content-addressed store in a local folder, and an action cache apart from the content.

``objects/sha256/ab/cdef…`` holds bytes, read-only; ``actions/ab/cdef…`` says which object an action
key gave. An object is written before anything that names it, and verified when it is first read.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from pathlib import Path
from typing import IO

from mlform.sdk import Artifact

_CHUNK = 1 << 20


class LocalStore:
    """Artifacts under one folder. Safe for several threads and processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: set[str] = set()
        self._guard = threading.Lock()

    def put_file(self, path: Path, media_type: str = "application/octet-stream") -> Artifact:
        """Copy a file in."""
        with path.open("rb") as source:
            return self._put(source, media_type)

    def put_bytes(self, data: bytes, media_type: str = "application/octet-stream") -> Artifact:
        """Put bytes in."""
        name = hashlib.sha256(data).hexdigest()
        target = self._object(name)
        if not target.exists():
            fresh = self._fresh()
            with fresh.open("xb") as sink:
                sink.write(data)
                _settle(sink)
            _publish(fresh, target)
        return Artifact(digest=f"sha256:{name}", size=len(data), media_type=media_type)

    def path(self, digest: str) -> Path:
        """Return the file with the content, verified. Raises ``KeyError`` if it is not there."""
        name = digest.removeprefix("sha256:")
        target = self._object(name)
        with self._guard:
            if name in self._verified and target.exists():
                return target
        if not target.exists():
            raise KeyError(digest)
        with target.open("rb") as source:
            found = hashlib.file_digest(source, "sha256").hexdigest()
        if found != name:
            self._quarantine(target)
            raise KeyError(digest)
        with self._guard:
            self._verified.add(name)
        return target

    def read(self, digest: str) -> bytes:
        """Return the content. Raises ``KeyError`` if it is not there."""
        return self.path(digest).read_bytes()

    def __contains__(self, digest: object) -> bool:
        return self._object(str(digest).removeprefix("sha256:")).exists()

    def memo_get(self, key: str) -> Artifact | None:
        """Return what an action key gave before, if its object is still there."""
        try:
            data = json.loads(self._action(key).read_text(encoding="utf-8"))
            artifact = Artifact.model_validate(data)
        except (OSError, ValueError):
            return None
        return artifact if artifact.digest in self else None

    def memo_put(self, key: str, artifact: Artifact) -> None:
        """Remember what an action key gave."""
        fresh = self._fresh()
        with fresh.open("xb") as sink:
            sink.write(artifact.model_dump_json().encode())
            _settle(sink)
        _publish(fresh, self._action(key), mode=0o644)

    def _put(self, source: IO[bytes], media_type: str) -> Artifact:
        hasher, size, fresh = hashlib.sha256(), 0, self._fresh()
        try:
            with fresh.open("xb") as sink:
                while chunk := source.read(_CHUNK):
                    hasher.update(chunk)
                    sink.write(chunk)
                    size += len(chunk)
                _settle(sink)
            name = hasher.hexdigest()
            target = self._object(name)
            if not target.exists():
                _publish(fresh, target)
        finally:
            fresh.unlink(missing_ok=True)
        return Artifact(digest=f"sha256:{name}", size=size, media_type=media_type)

    def _object(self, name: str) -> Path:
        return self.root / "objects" / "sha256" / name[:2] / name[2:]

    def _action(self, key: str) -> Path:
        name = key.removeprefix("sha256:")
        return self.root / "actions" / name[:2] / name[2:]

    def _fresh(self) -> Path:
        folder = self.root / "incoming"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{os.getpid()}-{secrets.token_hex(8)}"

    def _quarantine(self, target: Path) -> None:
        folder = self.root / "corrupt"
        folder.mkdir(parents=True, exist_ok=True)
        target.replace(folder / f"{target.parent.name}{target.name}")


def _settle(sink: IO[bytes]) -> None:
    sink.flush()
    os.fsync(sink.fileno())


def _publish(fresh: Path, target: Path, mode: int = 0o444) -> None:
    """Give a finished file its name, durably."""
    fresh.chmod(mode)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
