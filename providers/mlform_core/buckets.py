"""Objects in buckets of S3-compatible stores: what there is, and reading exactly that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any, Final

from mlform.sdk import ResourceError

_SCHEME: Final = "s3://"
_BLOCK: Final = 16 << 20
"""Bytes that are asked for at once."""
_CONFIG: Final = {
    "connect_timeout": 10,
    "read_timeout": 120,
    "retries": {"max_attempts": 4, "mode": "standard"},
}
_HINTS: Final[Mapping[str, str]] = {
    "NoCredentialsError": "Credentials are taken from the environment (AWS_ACCESS_KEY_ID, …), "
    "shared configuration files, or the role of the machine; anonymous = true asks without.",
    "PermissionError": "These credentials may not read there.",
}


class GoneError(Exception):
    """The object, or that version of it, is not there. ``now`` is what is there instead."""

    def __init__(self, now: str | None) -> None:
        super().__init__(now)
        self.now = now


@dataclass(frozen=True)
class Bucket:
    """A bucket seen through one endpoint. Credentials are those of the environment."""

    endpoint_url: str | None
    anonymous: bool
    versions: bool

    @cached_property
    def _files(self) -> Any:
        try:
            import s3fs
        except ImportError:
            detail = 'Reading buckets needs the package s3fs: pip install "mlform[s3]".'
            raise ResourceError("Package is not installed", detail, argument="url") from None
        client = {} if self.endpoint_url is None else {"endpoint_url": self.endpoint_url}
        files = s3fs.S3FileSystem(
            anon=self.anonymous,
            client_kwargs=client,
            config_kwargs=_CONFIG,
            use_listings_cache=False,
            skip_instance_cache=True,
            version_aware=self.versions,
        )
        files.retries = 2  # of its own; each asks again as _CONFIG says
        return files

    def listed(self, url: str) -> dict[str, Mapping[str, Any]]:
        """Return what lies at an object, a glob or a prefix: key with its bucket → what is told."""
        place = url.removeprefix(_SCHEME).rstrip("/")
        with self._reaching(url):
            try:
                if any(c in place for c in "*?["):
                    found = self._files.glob(place, detail=True)
                else:
                    found = self._files.find(place, detail=True)
            except FileNotFoundError:
                found = {}
        return {n: i for n, i in sorted(found.items()) if i["type"] == "file" and i["size"]}

    def version_of(self, name: str) -> str:
        """Return the version id of an object that is there."""
        with self._reaching(name):
            return str(self._files.info(name).get("VersionId") or "null")

    def rows(self, name: str) -> int:
        """Return how many rows a Parquet object has, from its last bytes."""
        import pyarrow.parquet as pq

        with self._parquet(name) as file:
            return int(pq.ParquetFile(file).metadata.num_rows)

    def footer(self, name: str) -> dict[str, Any]:
        """Return what the last bytes of a Parquet object tell: see ``arrivals.footer``."""
        from mlform_core.arrivals import footer

        with self._parquet(name) as file:
            return footer(file)

    @contextmanager
    def _parquet(self, name: str) -> Iterator[IO[bytes]]:
        """Open an object of which only what is asked for is read."""
        import pyarrow as pa

        with self._reaching(name), self._files.open(name, "rb") as file:
            try:
                yield file
            except pa.ArrowException as error:
                detail = f"{name} cannot be read as parquet: {error}"
                raise ResourceError("Unreadable data", detail, argument="url") from None

    def read(self, name: str, token: str) -> bytes:
        """Return the content that a token tells. Raises ``GoneError``."""
        etag, _, rest = token.partition(" ")
        version = rest.partition(" ")[2].removeprefix("version ") or None
        with self._reaching(name):
            try:
                given = {} if version is None or not self.versions else {"version_id": version}
                with self._files.open(name, "rb", block_size=_BLOCK, **given) as file:
                    now = token_of(file.details)
                    if now.partition(" ")[0] != etag:
                        raise GoneError(now)
                    # It is read on the condition that it is still this one.
                    return bytes(file.read())
            except FileNotFoundError:
                raise GoneError(None) from None

    @contextmanager
    def _reaching(self, what: str) -> Iterator[None]:
        """Turn what goes wrong on the way into words."""
        try:
            yield
        except (ResourceError, GoneError, FileNotFoundError):
            raise
        except Exception as error:
            modules = {base.__module__.partition(".")[0] for base in type(error).__mro__}
            ours = {"botocore", "aiohttp", "aiobotocore", "s3fs", "fsspec"}
            if type(error).__name__ == "FileExpired":
                raise GoneError("another one since it was begun to be read") from None
            if not isinstance(error, OSError) and not modules & ours:
                raise
            where = f" at {self.endpoint_url}" if self.endpoint_url else ""
            said = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            known = _HINTS.get(type(error).__name__)
            hint = known or "Check the network, the name and endpoint_url."
            detail = f"{what}{where}: {said}. {hint}"
            raise ResourceError(
                "Bucket cannot be read", detail, argument="url", transient=known is None
            ) from None


def token_of(info: Mapping[str, Any], version: str | None = None) -> str:
    """Return what tells the content of an object: its etag and size, and its version if asked."""
    etag = str(info.get("ETag", "")).strip('"')
    found = f"{etag} {info['size']}"
    return found if version is None else f"{found} version {version}"
