"""Opening what others packed: never more than a limit, and never outside of where it belongs."""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import zipfile

FREE: Final = 256 << 20
"""Bytes that a file may always unpack to."""
RATIO: Final = 200
"""Beyond these, how many times its own size. Text of a table packs to a tenth or a twentieth."""
_MEMBERS: Final = 100_000


class UnpackingError(ValueError):
    """A packed file would not stay what it seems: too large unpacked, or made to do harm."""


def allowance(packed: int) -> int:
    """Return how many bytes a file of this size may unpack to."""
    return max(FREE, packed * RATIO)


@contextmanager
def opened(data: bytes | Path, what: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip that others wrote, once what it says of itself was found harmless.

    Raises ``UnpackingError`` on names that lead out of it, links, repeated names, and members
    that unpack to more than their share; ``zipfile.BadZipFile`` on what is no zip. What a member
    really holds cannot exceed what it says: reading stops there.
    """
    import zipfile

    packed = data.stat().st_size if isinstance(data, Path) else len(data)
    with zipfile.ZipFile(data if isinstance(data, Path) else io.BytesIO(data)) as archive:
        infos = archive.infolist()
        if len(infos) > _MEMBERS:
            raise UnpackingError(f"{what} has {len(infos):,} members; {_MEMBERS:,} are allowed")
        if len({i.filename for i in infos}) != len(infos):
            raise UnpackingError(f"{what} has two members of one name")
        for info in infos:
            _check_name(info, what)
        total, most = sum(i.file_size for i in infos), allowance(packed)
        if total > most:
            raise UnpackingError(_too_large(what, packed, total))
        yield archive


def _check_name(info: zipfile.ZipInfo, what: str) -> None:
    name = info.filename
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
        raise UnpackingError(f'{what} has a member "{name}", which leads out of it')
    if stat.S_ISLNK(info.external_attr >> 16):
        raise UnpackingError(f'{what} has a member "{name}", which is a link')


def _too_large(what: str, packed: int, total: int | None = None) -> str:
    size = f"{total:,} bytes" if total is not None else f"more than {allowance(packed):,} bytes"
    return (
        f"{what} has {packed:,} bytes and unpacks to {size}: that is more than {RATIO} times as "
        "much. If it is meant to, unpack it first"
    )


class Limited(io.RawIOBase):
    """A stream of unpacked bytes that ends with an error where there are too many of them."""

    def __init__(self, stream: Any, packed: int, what: str) -> None:
        super().__init__()
        self._stream, self._packed, self._what = stream, packed, what
        self._left = allowance(packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise UnpackingError(_too_large(self._what, self._packed))
        buffer[: len(data)] = data
        return len(data)
