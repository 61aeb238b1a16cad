"""Files as the source of a table: which there are, and how each is read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import unquote

from mlform.sdk import ResourceError
from mlform_core.unpacking import Limited, opened

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["csv", "parquet", "jsonl"]
_PACKED: Final = ("", ".gz", ".zst", ".zip")
SUFFIXES: Final[dict[str, Format]] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    **{f".csv{packed}": "csv" for packed in _PACKED},
    **{f".{ending}{packed}": "jsonl" for ending in ("jsonl", "ndjson") for packed in _PACKED},
}
_NAME: Final = attrgetter("name")
_NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"
"""What stands for a missing value in the name of a folder."""
_LONGEST_LINE: Final = 16 << 20
"""Bytes that one line of JSON may have."""


def format_of(name: str, given: Format | None) -> Format | None:
    """Return the format of a file, by the ending of its name unless it is given."""
    return given or next((f for s, f in SUFFIXES.items() if name.endswith(s)), None)


def files(root: Path, path: str, given: Format | None) -> dict[str, str]:
    """Return the files of a source by partition name, in order.

    ``path`` is a file, a glob, or a folder, whose data files are partitions. Raises
    ``ResourceError`` where there is none.
    """
    place = root / path
    named: dict[str, str]
    if any(c in path for c in "*?["):
        base = root / path[: min(path.index(c) for c in "*?[" if c in path)].rpartition("/")[0]
        found = sorted(p for p in root.glob(path) if p.is_file())
        named = {p.relative_to(base).as_posix(): str(p) for p in found}
    elif place.is_dir():
        endings = tuple(SUFFIXES)
        named = {}
        _inside(str(place), "", None if given else endings, named)
    elif place.is_file():
        if format_of(place.name, given) is None:
            known = ", ".join(SUFFIXES)
            detail = (
                f'{path} has none of the endings {known}: say format = "csv", "parquet" or "jsonl".'
            )
            raise ResourceError("Unknown format", detail, argument="path")
        named = {place.name: str(place)}
    else:
        named = {}
    if not named:
        raise ResourceError("No data", _what_there_is(root, path), argument="path")
    return named


def _inside(
    folder: str, before: str, endings: tuple[str, ...] | None, named: dict[str, str]
) -> None:
    """Name the files in a folder and those inside it, in order; hidden ones are none.

    Nothing is asked of a file but what its folder says, and no path object is made: a folder may
    have 100,000. Links to folders are not followed.
    """
    with os.scandir(folder) as entries:
        there = sorted(entries, key=_NAME)
    for entry in there:
        name = entry.name
        chosen = (endings is None or name.endswith(endings)) and not name.startswith(".")
        if chosen and entry.is_file():
            named[before + name] = entry.path
        elif entry.is_dir(follow_symlinks=False):
            _inside(entry.path, f"{before}{name}/", endings, named)


def _what_there_is(root: Path, path: str) -> str:
    place = root / path
    folder = place if place.is_dir() else place.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    inside = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    try:
        shown = folder.relative_to(root).as_posix()
    except ValueError:
        shown = str(folder)
    listed = ", ".join(inside[:10]) + (" …" if len(inside) > 10 else "") or "nothing"
    return f"{path} names no data file under the spec's folder. In {shown}/ there is {listed}."


def count_rows(path: Path, format_: Format) -> int:
    """Count the rows of a file without reading its values where the format allows.

    Raises ``ResourceError`` where it is not of its format.
    """
    if format_ != "parquet":
        return int(read(path, format_, path.name).num_rows)
    import pyarrow.parquet as pq

    with _readable(path.name, format_):
        return int(pq.ParquetFile(path).metadata.num_rows)


def read(path: Path, format_: Format, name: str) -> pa.Table:
    """Read one file. Raises ``ResourceError`` where it is not of its format."""
    with _readable(name, format_):
        if format_ == "parquet":
            import pyarrow.parquet as pq

            return pq.ParquetFile(path).read()
        with _unpacked(path) as stream:
            return _read_csv(stream) if format_ == "csv" else _read_lines(stream)


def header(path: Path, format_: Format, name: str) -> dict[str, list[str]]:
    """Return the ``columns`` of a file of CSV or Parquet by name, reading no more than it takes.

    Raises ``ResourceError`` where it is not of its format.
    """
    with _readable(name, format_):
        if format_ == "parquet":
            import pyarrow.parquet as pq

            return {"columns": pq.read_schema(path).names}
        import pyarrow.csv

        with _unpacked(path) as stream, pyarrow.csv.open_csv(stream) as reader:
            return {"columns": reader.schema.names}


def hive_columns(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the columns that folders named ``column=value`` give each file, by its name.

    A column is of whole numbers if every value of it is written as one, else of text. Raises
    ``ResourceError`` where files do not have the same ones.
    """
    found = {name: dict(_hive(name)) for name in names}
    columns = next(iter(found.values()), {}).keys()
    for name, values in found.items():
        if not values or values.keys() != columns:
            detail = (
                f"With hive = true every file lies in folders named column=value, of the same "
                f"columns; {name} has {', '.join(values) or 'none'}"
                f"{', others have ' + ', '.join(columns) if columns else ''}."
            )
            raise ResourceError("Not partitioned by folders", detail, argument="path")
    for column in columns:
        texts = [v[column] for v in found.values()]
        if all(t is None or _whole(t) for t in texts):
            for values in found.values():
                values[column] = None if values[column] is None else int(values[column])
    return found


def _hive(name: str) -> Iterator[tuple[str, Any]]:
    for folder in name.split("/")[:-1]:
        column, sign, value = folder.partition("=")
        if sign and column:
            yield unquote(column), None if value == _NO_VALUE else unquote(value)


def _whole(text: str) -> bool:
    """Tell whether a text is how a whole number of 64 bits is written: ``007`` is none."""
    digits = text.removeprefix("-")
    return digits.isdecimal() and digits.isascii() and len(digits) < 19 and str(int(text)) == text


@contextmanager
def _readable(name: str, format_: Format) -> Iterator[None]:
    """Turn what a reader says of a file that is not of its format into an error for the user."""
    import zipfile

    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, zipfile.BadZipFile, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ResourceError(
            "Unreadable data", f"{name} cannot be read as {format_}: {reason}", argument="path"
        ) from None


@contextmanager
def _unpacked(path: Path) -> Iterator[Any]:
    """Open a file of text, whatever it is packed in: told by its first bytes, not by its name."""
    import pyarrow as pa

    with path.open("rb") as file:
        magic = file.read(4)
    if magic == b"PK\x03\x04":
        import zipfile

        with opened(path, "It") as archive:
            inside = [n for n in archive.namelist() if not n.endswith("/")]
            if len(inside) != 1:
                raise zipfile.BadZipFile(f"it holds {len(inside)} files, not one")
            with archive.open(inside[0]) as member:
                yield member
            return
    packing = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}.get(magic[:2])
    if packing is None:
        with pa.OSFile(str(path)) as plain:
            yield plain
        return
    with pa.CompressedInputStream(pa.OSFile(str(path)), packing) as stream:
        yield Limited(stream, path.stat().st_size, "It")


def _read_csv(stream: Any) -> pa.Table:
    import pyarrow.csv

    convert = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    return pyarrow.csv.read_csv(stream, convert_options=convert)


def _read_lines(stream: Any) -> pa.Table:
    import pyarrow.json

    options = pyarrow.json.ReadOptions(block_size=_LONGEST_LINE)
    return pyarrow.json.read_json(stream, read_options=options)
