"""A store elsewhere, with what was read or made here kept in a folder beside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlform.artifacts.blobs import Blobs, LocalBlobs
from mlform.artifacts.collect import object_name
from mlform.artifacts.digests import FileDigests
from mlform.artifacts.s3 import S3Blobs
from mlform.artifacts.store import LocalStore, dump_action, parse_action
from mlform.sdk import Artifact


class RemoteStore(LocalStore):
    """Artifacts in a bucket. ``root`` is the cache: what comes from afar is verified into it.

    An object is in the bucket before anything that names it is recorded. Raises ``StoreError``
    where the bucket cannot be reached.
    """

    def __init__(self, cache: Path, url: str, endpoint_url: str | None = None) -> None:
        super().__init__(cache)
        self.blobs: Blobs = S3Blobs(url, endpoint_url)
        self._description = {"path": str(cache), "url": url, "endpoint_url": endpoint_url}
        self._there: set[str] = set()

    @property
    def description(self) -> Mapping[str, Any]:
        """What ``open_store`` makes the same store from in another process. Holds no secret."""
        return self._description

    def put_file(self, path: Path, media_type: str = "application/octet-stream") -> Artifact:
        """Copy a file in, here and there."""
        return self._sent(super().put_file(path, media_type))

    def put_bytes(self, data: bytes, media_type: str = "application/octet-stream") -> Artifact:
        """Put bytes in, here and there."""
        return self._sent(super().put_bytes(data, media_type))

    def path(self, digest: str) -> Path:
        """Return a file here with the content, verified. Raises ``KeyError`` if it is nowhere."""
        with suppress(KeyError):
            return super().path(digest)
        self._fetch(digest)
        return super().path(digest)

    def __contains__(self, digest: object) -> bool:
        if super().__contains__(digest) or digest in self._there:
            return True
        if not isinstance(digest, str) or self.blobs.stat(object_name(digest)) is None:
            return False
        self._there.add(digest)
        return True

    def _has(self, digest: str, size: int) -> bool:
        return super()._has(digest, size) or digest in self

    def sound(self, digest: str, digests: FileDigests) -> bool:
        """Tell whether the content can be had; what is still far is verified when it comes."""
        return super().sound(digest, digests) or digest in self

    def check(self, digest: str) -> bool:
        """Read an object whole, there and here; set it aside if it is not what it should be."""
        with self._fresh() as fresh:
            try:
                self.blobs.fetch(object_name(digest), fresh)
            except FileNotFoundError:
                return super().check(digest)
            if _hash(fresh) == digest:
                return super().check(digest) or not super().__contains__(digest)
            self.blobs.create(f"corrupt/{digest.removeprefix('sha256:')}", fresh)
            self.blobs.delete(object_name(digest))
        if super().check(digest):  # what is here is whole: it takes the place of what is not
            self.blobs.create(object_name(digest), super().path(digest))
        return False

    def remove(self, digest: str) -> int | None:
        """Delete an object here and there; return its bytes, ``None`` if it was not there."""
        here, there = super().remove(digest), self.blobs.stat(object_name(digest))
        self._there.discard(digest)
        if there is None:
            return here
        self.blobs.delete(object_name(digest))
        return there.size

    def has_memo(self, key: str) -> bool:
        """Tell whether anything was remembered under an action key, whole or not."""
        return self.blobs.stat(self._action_name(key)) is not None

    def memo_get(self, key: str) -> Artifact | None:
        """Return what an action key gave before, if its object can still be had."""
        try:
            artifact = parse_action(self.blobs.read(self._action_name(key)))
        except (FileNotFoundError, ValueError):
            return None
        return artifact if artifact.digest in self else None

    def memo_put(self, key: str, artifact: Artifact) -> None:
        """Remember what an action key gave, in place of what it gave before."""
        self.blobs.write(self._action_name(key), dump_action(artifact))

    def memo_drop(self, key: str) -> None:
        """Forget what an action key gave."""
        self.blobs.delete(self._action_name(key))

    def _action_name(self, key: str) -> str:
        return self._action(key).relative_to(self.root).as_posix()

    def _sent(self, artifact: Artifact) -> Artifact:
        self.blobs.create(object_name(artifact.digest), super().path(artifact.digest))
        self._there.add(artifact.digest)
        return artifact

    def _fetch(self, digest: str) -> None:
        try:
            self.take(digest, lambda fresh: self.blobs.fetch(object_name(digest), fresh))
        except (FileNotFoundError, KeyError):
            self._there.discard(digest)
            raise KeyError(digest) from None


def _hash(file: Path) -> str:
    with file.open("rb") as source:
        return "sha256:" + hashlib.file_digest(source, "sha256").hexdigest()


def open_blobs(place: str, endpoint_url: str | None = None) -> Blobs:
    """Return the place that a URL or the path of a folder names."""
    return S3Blobs(place, endpoint_url) if place.startswith("s3://") else LocalBlobs(Path(place))
