"""Files in a bucket of an S3-compatible store, through fsspec."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from mlform.artifacts.blobs import Blob, now
from mlform.artifacts.errors import StoreError

_PREFIX: Final = "s3://"
_RENEWED: Final = 6 * 3600
"""Seconds after which an object that is put again is written again, so that it counts as young."""
_CONFIG: Final = {
    "connect_timeout": 10,
    "read_timeout": 120,
    "retries": {"max_attempts": 4, "mode": "standard"},
}
_HINTS: Final = {
    "NoCredentialsError": "Credentials are taken from the environment (AWS_ACCESS_KEY_ID, …), "
    "shared configuration files, or the role of the machine: none were found.",
    "PartialCredentialsError": "The credentials that were found are not complete.",
    "EndpointConnectionError": "Check the network, and endpoint_url in the store block.",
    "ConnectTimeoutError": "Check the network, and endpoint_url in the store block.",
    "PermissionError": "These credentials may not do that there.",
}


class S3Blobs:
    """Files under one prefix of a bucket. Safe for several threads.

    Credentials come from the environment and the usual places, and are kept nowhere.
    """

    def __init__(self, url: str, endpoint_url: str | None = None) -> None:
        self.place = url.rstrip("/")
        self.endpoint_url = endpoint_url
        self._base = self.place.removeprefix(_PREFIX)
        self._guard = threading.Lock()

    @cached_property
    def _files(self) -> Any:
        try:
            import s3fs  # noqa: PLC0415 - an extra, and slow to import
        except ImportError:
            detail = f'{self.place} needs the package s3fs: pip install "mlform[s3]".'
            raise StoreError("Package is not installed", detail) from None
        client = {} if self.endpoint_url is None else {"endpoint_url": self.endpoint_url}
        with self._guard:
            files = s3fs.S3FileSystem(
                client_kwargs=client,
                config_kwargs=_CONFIG,
                use_listings_cache=False,
                skip_instance_cache=True,
            )
        files.retries = 2  # of its own; each asks again as _CONFIG says
        return files

    def list(self, prefix: str) -> Iterator[Blob]:
        """Yield all files under a folder."""
        with self._reaching():
            found = self._files.find(f"{self._base}/{prefix}", detail=True)
        for path, info in sorted(found.items()):
            if info["type"] == "file":
                yield _blob(path.removeprefix(f"{self._base}/"), info)

    def stat(self, name: str) -> Blob | None:
        """Return what is there under a name."""
        try:
            with self._reaching():
                return _blob(name, self._files.info(self._at(name)))
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes:
        """Return the content. Raises ``FileNotFoundError``."""
        with self._reaching():
            return bytes(self._files.cat_file(self._at(name)))

    def write(self, name: str, data: bytes) -> None:
        """Put content in place of what was there, whole or not at all."""
        with self._reaching(absent=False):
            self._files.pipe_file(self._at(name), data)

    def create(self, name: str, source: Path) -> bool:
        """Put a file, unless there is one of this name; tell whether it was put.

        Two who put the same at once: the server lets one of them, where it knows conditional
        writes; where it does not, both write the same content.
        """
        there = self.stat(name)
        if there is not None and now() - there.modified < _RENEWED:
            return False
        mode = "create" if there is None else "overwrite"
        with self._reaching(absent=False):
            try:
                self._files.put_file(str(source), self._at(name), mode=mode)
            except FileExistsError:
                return False
            except (NotImplementedError, OSError) as error:
                if mode == "overwrite" or "mplement" not in str(error):
                    raise
                self._files.put_file(str(source), self._at(name), mode="overwrite")
        return True

    def claim(self, name: str, data: bytes) -> bool:
        """Put content unless there is any; tell whether it was put.

        One of several who try at once, where the server knows conditional writes; where it does
        not, the last of them, which is who reads its own content afterwards.
        """
        with self._reaching(absent=False):
            try:
                self._files.pipe_file(self._at(name), data, mode="create")
            except FileExistsError:
                return False
            except (NotImplementedError, OSError) as error:
                if "mplement" not in str(error):
                    raise
                if self.stat(name) is not None:
                    return False
                self._files.pipe_file(self._at(name), data)
                return self.read(name) == data
        return True

    def fetch(self, name: str, target: Path) -> None:
        """Copy the content into a new file here. Raises ``FileNotFoundError``."""
        with self._reaching():
            self._files.get_file(self._at(name), str(target))

    def delete(self, name: str, before: float | None = None) -> bool:
        """Delete a file, if it was last put before a moment; tell whether it is gone."""
        if before is not None:
            there = self.stat(name)
            if there is not None and there.modified >= before:
                return False
        with suppress(FileNotFoundError), self._reaching():
            self._files.rm_file(self._at(name))
        return True

    def _at(self, name: str) -> str:
        return f"{self._base}/{name}"

    @contextmanager
    def _reaching(self, *, absent: bool = True) -> Iterator[None]:
        """Turn what goes wrong on the way into words; what is ``absent`` stays that."""
        try:
            yield
        except StoreError:
            raise
        except Exception as error:
            if absent and isinstance(error, FileNotFoundError):
                raise
            if not _of_the_way(error):
                raise
            hint = _HINTS.get(type(error).__name__, "Run the command again when it can be reached.")
            where = f" at {self.endpoint_url}" if self.endpoint_url else ""
            detail = (
                f"{self.place}{where}: {_said(error)} {hint} Nothing that was recorded is lost."
            )
            raise StoreError("Artifact store cannot be used", detail) from None


def _blob(name: str, info: Any) -> Blob:
    modified = info.get("LastModified")
    return Blob(name, int(info["size"]), modified.timestamp() if modified else now())


def _of_the_way(error: Exception) -> bool:
    """Tell whether the network, the server or the credentials are to blame, not this program."""
    modules = {base.__module__.partition(".")[0] for base in type(error).__mro__}
    return isinstance(error, OSError | TimeoutError) or bool(
        modules & {"botocore", "aiohttp", "aiobotocore", "s3fs"}
    )


def _said(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith((".", "!")) else f"{text}."
