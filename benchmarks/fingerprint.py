"""Hash the columns of a Parquet file by value, beside reading it and hashing what was read.

    python benchmarks/fingerprint.py [MILLION ROWS] [RUNS]

The table is 10 columns: a key, three floats with 2 % missing, two integers, a flag, a text of 200
values, a text of half as many values as rows, and a time. Four things take turns in one process:
sha256 of the file's bytes; reading it batch by batch; reading and sha256 of Arrow's buffers as they
are; reading and digests by column as mlform makes them. Reported are least wall and CPU seconds,
and the ratio of the last to the one before: what the canonical form costs.
"""

from __future__ import annotations

import hashlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlform_core.digests import ColumnHasher

BLOCK = 1_000_000
BATCH = 1 << 16


def write(path: Path, millions: int) -> None:
    """Write the table, a row group for each million rows."""
    rng = np.random.default_rng(7)
    writer = None
    for block in range(millions):
        table = _block(rng, block, millions * BLOCK // 2)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _block(rng: np.random.Generator, block: int, users: int) -> pa.Table:
    def number() -> pa.Array:
        return pa.array(rng.normal(size=BLOCK), mask=rng.random(BLOCK) < 0.02)

    def text(prefix: str, most: int) -> pa.Array:
        return pa.array(np.char.add(prefix, rng.integers(0, most, BLOCK).astype(str)))

    return pa.table(
        {
            "id": np.arange(block * BLOCK, (block + 1) * BLOCK),
            "amount": number(),
            "income": number(),
            "score": number(),
            "age": rng.integers(18, 90, BLOCK),
            "visits": rng.integers(0, 1000, BLOCK),
            "approved": rng.random(BLOCK) < 0.5,
            "city": text("city-", 200),
            "user": text("user-", users),
            "at": pa.array(rng.integers(0, 10**15, BLOCK), pa.timestamp("us")),
        }
    )


def by_bytes(path: Path) -> None:
    """Hash the file."""
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")


def by_reading(path: Path) -> None:
    """Read it."""
    for _ in pq.ParquetFile(path).iter_batches(BATCH):
        pass


def by_buffers(path: Path) -> None:
    """Read it, and hash the buffers as they come."""
    whole = hashlib.sha256()
    for batch in pq.ParquetFile(path).iter_batches(BATCH):
        for column in batch.columns:
            for buffer in filter(None, column.buffers()):
                whole.update(buffer)


def by_columns(path: Path) -> None:
    """Read it, and hash each column by value."""
    file = pq.ParquetFile(path)
    hashers = [ColumnHasher(field.type) for field in file.schema_arrow]
    for batch in file.iter_batches(BATCH):
        for hasher, column in zip(hashers, batch.columns, strict=True):
            hasher.add(column)
    assert len({hasher.digest() for hasher in hashers}) == len(hashers)


WAYS: dict[str, Callable[[Path], None]] = {
    "sha256 of the file": by_bytes,
    "reading": by_reading,
    "reading, sha256 of buffers": by_buffers,
    "reading, digests by column": by_columns,
}


def main() -> None:
    """Measure, and print a line for each way."""
    given = [int(a) for a in sys.argv[1:]]
    millions, runs = (*given, 10, 3)[:2] if len(given) < 2 else given[:2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        write(path, millions)
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
        for _ in range(runs):
            for name, way in WAYS.items():
                wall, cpu = time.perf_counter(), time.process_time()
                way(path)
                took[name].append((time.perf_counter() - wall, time.process_time() - cpu))
        print(f"{millions} million rows, {path.stat().st_size / 1e6:.0f} MB")
        for name, times in took.items():
            wall, cpu = (min(kind) for kind in zip(*times, strict=True))
            print(f"{name:<28} {wall:7.2f} s wall {cpu:7.2f} s CPU")
        least = {name: min(cpu for _, cpu in times) for name, times in took.items()}
        last, before = list(least.values())[3], list(least.values())[2]
        print(f"digests by column / sha256 of buffers: {last / before:.2f} (CPU)")
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"most memory: {memory:.0f} MB, of which the table was made too")


if __name__ == "__main__":
    main()
