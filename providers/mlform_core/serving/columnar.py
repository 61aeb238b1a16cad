"""Whole files of the request log as Parquet: ``python -m mlform_core.serving.columnar FOLDER``.

A file is converted in a process of its own, since that takes all of one core for a while. It has
a row for each row that was asked for: ``entry`` (where the entry ended in the lines it was made
of), ``time``, ``id``, ``digest``, ``role`` ("shadow"), ``refused`` (why, of rows that were, with
their number in ``rows``), ``prediction`` or ``label``, each input of the model as ``input.NAME``,
what a feature view made them of as ``raw.NAME``, and each key as ``key.NAME``.
"""

from __future__ import annotations

import itertools
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIX: Final = ".parquet"
_INPUT: Final = "input."
_KEY: Final = "key."
_RAW: Final = "raw."
_PREDICTED: Final = ("prediction", "label")


def main() -> None:
    """Convert every file of a log that is whole: all but the newest."""
    from mlform_core.serving.log import files

    os.nice(10)
    lines = [p for p in files(Path(sys.argv[1])) if p.suffix != SUFFIX]
    for path in lines[:-1]:
        try:
            convert(path)
        except FileNotFoundError:  # the log forgot it meanwhile
            pass
        except Exception as error:  # noqa: BLE001 - it stays lines, and the others are converted
            traceback.print_exception(error)


def convert(path: Path) -> Path:
    """Put a Parquet file in the place of a file of lines."""
    import pyarrow.parquet as pq

    from mlform_core.serving.log import lines

    rows = [row for entry, end in lines(path, 0) for row in _rows(entry, end)]
    names = dict.fromkeys(name for row in rows for name in row)
    target = path.with_suffix(SUFFIX)
    fresh = target.with_suffix(f".{os.getpid()}.tmp")
    try:
        # Statistics of each row group let a query of some hours skip the others.
        pq.write_table(_table(rows, list(names)), fresh, compression="zstd", row_group_size=1 << 16)
        with fresh.open("rb") as written:
            os.fsync(written.fileno())
        fresh.chmod(0o600)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    return target


def entries(path: Path, after: int) -> Iterator[tuple[dict[str, Any] | None, int]]:
    """Yield each entry that ended after a place in the lines, and where it did.

    ``None`` stands for a line that was damaged.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as source:
        rows = (row for batch in source.iter_batches(1 << 14) for row in batch.to_pylist())
        for end, group in itertools.groupby(rows, key=lambda row: row["entry"]):
            if end > after:
                yield _entry(list(group)), int(end)


def _rows(entry: Mapping[str, Any] | None, end: int) -> list[dict[str, Any]]:
    if entry is None:
        return [{"entry": end}]
    one = {
        "entry": end,
        "time": round(entry["t"] * 1e6),
        "id": entry.get("id"),
        "digest": entry["d"],
        "role": entry.get("r"),
    }
    if "e" in entry:
        return [{**one, "refused": entry["e"], "rows": entry["n"]}]
    predicted = entry["p"]
    kind = _PREDICTED[bool(predicted) and isinstance(predicted[0], str)]
    inputs = {f"{_INPUT}{name}": values for name, values in entry["i"].items()}
    keys = {f"{_KEY}{name}": values for name, values in entry.get("k", {}).items()}
    raw = {f"{_RAW}{name}": values for name, values in entry.get("raw", {}).items()}
    columns = {kind: predicted, **inputs, **raw, **keys}
    return [{**one, **{n: v[place] for n, v in columns.items()}} for place in range(len(predicted))]


def _entry(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    first = rows[0]
    if first.get("digest") is None:
        return None
    found = {"t": first["time"].timestamp(), "id": first["id"], "d": first["digest"]}
    found |= {"r": first["role"]} if first["role"] else {}
    if first.get("refused") is not None:
        return {**found, "e": first["refused"], "n": first["rows"]}
    kind = next(k for k in _PREDICTED if first.get(k) is not None)
    keys = {n: v for n, v in _under(_KEY, rows).items() if any(one is not None for one in v)}
    found |= {"k": keys} if keys else {}
    raw = _under(_RAW, rows)
    found |= {"raw": raw} if any(v is not None for one in raw.values() for v in one) else {}
    return {**found, "i": _under(_INPUT, rows), "p": [row[kind] for row in rows]}


def _under(prefix: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the values of the columns whose names begin so, by the rest of their names."""
    names = [name for name in rows[0] if name.startswith(prefix)]
    return {name.removeprefix(prefix): [row[name] for row in rows] for name in names}


def _table(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> pa.Table:
    import pyarrow as pa

    kinds = {
        "entry": pa.int64(),
        "time": pa.timestamp("us", tz="UTC"),
        "rows": pa.int64(),
        **dict.fromkeys(("id", "digest", "role", "refused", "label"), pa.string()),
    }
    every = [*kinds, *(n for n in names if n not in kinds)]
    columns = {name: _array([row.get(name) for row in rows], kinds.get(name)) for name in every}
    return pa.table(columns)


def _array(values: list[Any], kind: pa.DataType | None) -> pa.Array:
    """Return values as a column: of one type, or as texts where models disagree about it."""
    import pyarrow as pa

    try:
        found = pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        found = _wide(values)
    return found.cast(pa.float64()) if pa.types.is_null(found.type) else found


def _wide(values: list[Any]) -> pa.Array:
    """Return values as a column where they are of several types, or are large numbers."""
    import pyarrow as pa

    kinds = {type(v) for v in values if v is not None}
    if kinds == {int, float}:
        return pa.array([None if v is None else float(v) for v in values])
    if kinds == {int} and min(v for v in values if v is not None) >= 0:
        return pa.array(values, pa.uint64())
    return pa.array([None if v is None else str(v) for v in values], pa.string())


if __name__ == "__main__":
    os.umask(0o077)
    main()
