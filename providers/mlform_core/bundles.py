"""Zip files whose bytes depend on their content alone, and reading them without trust.

Members are stored, not compressed: zlib's output differs between its builds, and a file that
cannot shrink cannot be a zip bomb either.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

_TIME = (1980, 1, 1, 0, 0, 0)
_MEMBERS_MAX = 1_000_000


class BundleError(ValueError):
    """A bundle is not what we write: damaged, or made to do harm."""


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return a zip of ``members``, sorted by name, with fixed times and permissions."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _TIME)
            # The system that wrote it is part of the bytes: always "Unix", a plain 0644 file.
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            archive.writestr(info, members[name])
    return buffer.getvalue()


def members(
    data: bytes | Path, allowed: re.Pattern[str], what: str, only: Collection[str] | None = None
) -> dict[str, bytes]:
    """Return the members of a zip that ``pack`` wrote, all of whose names match ``allowed``.

    ``only`` names those that are wanted, where that is not all.

    Raises ``BundleError`` on compressed members, foreign or repeated names, sizes that exceed
    the file, and anything else that is not a zip.
    """
    size = data.stat().st_size if isinstance(data, Path) else len(data)
    try:
        with zipfile.ZipFile(data if isinstance(data, Path) else io.BytesIO(data)) as archive:
            infos = archive.infolist()
            _check(infos, allowed, size, what)
            wanted = [i for i in infos if only is None or i.filename in only]
            return {info.filename: archive.read(info) for info in wanted}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise BundleError(f"{what} is damaged: {error}") from error


def _check(infos: list[zipfile.ZipInfo], allowed: re.Pattern[str], size: int, what: str) -> None:
    if len(infos) > _MEMBERS_MAX:
        raise BundleError(f"{what} has {len(infos):,} members; {_MEMBERS_MAX:,} are allowed")
    if len({i.filename for i in infos}) != len(infos):
        raise BundleError(f"{what} has two members of one name")
    for info in infos:
        if not allowed.fullmatch(info.filename):
            raise BundleError(f'{what} has a member "{info.filename}", which does not belong')
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise BundleError(f'{what} has a compressed member "{info.filename}"')
    # Overlapping members could still add up to more than the file.
    if (total := sum(i.file_size for i in infos)) > size:
        raise BundleError(f"{what} claims {total:,} bytes in a file of {size:,}")
