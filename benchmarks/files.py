"""Looking at data: very many files that did not change, and one large Parquet file.

    python benchmarks/files.py [FILES] [ROWS] [--runs N] [--planned]

The files are small CSV files in folders of a thousand. ``mlform plan`` is timed as a whole process
with warm caches: of a dataset that was never applied, once every file was hashed and its rows were
counted, and again once all of them were taken in, when the plan says that nothing changed (with
``--planned`` that is left out: taking in 100,000 takes a quarter of an hour). Beside them stands
what any look at them costs, a walk over the folders with a ``stat`` of each file.

The Parquet file has four columns: an integer, a float, a short text and a time. Its fingerprints
are the sha256 of the file, by which a plan sees whether it moved, and the digests of its columns,
by which consumers see what moved. Beside them stand reading the bytes, hashing them, and decoding
the table. All of it is in the page cache.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _measure import Side, in_turn, mlform, show

from mlform.artifacts import FileDigests
from mlform_core.digests import column_digests
from mlform_core.tables import canonical

WALK = """
import os, sys
def walk(folder):
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                walk(entry.path)
            else:
                os.stat(entry.path)
walk(sys.argv[1])
"""
SPEC = 'dataset "file" "d" {\n  path = "data"\n}\n'


def many(place: Path, count: int, runs: int, *, applied: bool) -> None:
    """Time the status of a dataset of many small files."""
    for start in range(0, count, 1000):
        folder = place / "data" / f"{start // 1000:04d}"
        folder.mkdir(parents=True)
        for i in range(start, min(count, start + 1000)):
            (folder / f"part-{i:06d}.csv").write_text(f"id,amount\n{i},{i % 97}\n")
    (place / "main.mlf.hcl").write_text(SPEC)
    (place / ".mlform").mkdir()  # the caches are kept where there is a folder for them
    time.sleep(3)  # a digest of a file just written is not trusted
    began = time.perf_counter()
    command = [mlform(), "plan"]
    subprocess.run(command, cwd=place, check=True, stdout=subprocess.DEVNULL)
    first = time.perf_counter() - began
    walk = [sys.executable, "-c", WALK, str(place / "data")]
    sides = {"mlform": Side(command, place, os.environ), "walk and stat": Side(walk, place, {})}
    found = in_turn(sides, runs)
    show(f"status of {count:,} unchanged files, never applied, warm, median of {runs}", found)
    print(f"    the first look, which hashes and counts them: {first:.1f} s")
    if not applied:
        return
    began = time.perf_counter()
    apply = [mlform(), "apply", "-auto-approve"]
    subprocess.run(apply, cwd=place, check=True, stdout=subprocess.DEVNULL)
    taken = time.perf_counter() - began
    time.sleep(3)  # as above, for the folders of the store
    for _ in range(2):  # the first looks for all that was taken in, and remembers that it is there
        said = subprocess.run(command, cwd=place, check=True, capture_output=True, text=True).stdout
    if not said.startswith("No changes."):
        raise SystemExit(f"the plan should find nothing to do, and says:\n{said}")
    found = in_turn(sides, runs)
    show(f"status of {count:,} unchanged files, applied, warm, median of {runs}", found)
    print(f"    taking them in: {taken:.1f} s, {1000 * taken / count:.1f} ms each")


def seconds(what: Callable[[], object], runs: int) -> float:
    """Return the median wall seconds of a call."""
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        what()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def large(place: Path, rows: int, runs: int) -> None:
    """Time the fingerprints of one large Parquet file."""
    file = place / "large.parquet"
    chance = np.random.default_rng(7)
    table = pa.table(
        {
            "id": np.arange(rows),
            "amount": chance.normal(size=rows),
            "city": pa.array(chance.choice(["Oslo", "Lima", "Kyoto", "Accra"], rows)),
            "at": pa.array(chance.integers(1_600_000_000, 1_700_000_000, rows), pa.timestamp("s")),
        }
    )
    pq.write_table(table, file)

    def hashed() -> str:
        with file.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()

    def fresh() -> str:
        return FileDigests(place / "none").digest(file)

    read, sha256 = seconds(file.read_bytes, runs), seconds(hashed, runs)
    digest, decode = seconds(fresh, runs), seconds(lambda: pq.ParquetFile(file).read(), runs)
    decoded = canonical(pq.ParquetFile(file).read())
    columns = seconds(lambda: column_digests(decoded), runs)
    size = file.stat().st_size / 1e6
    print(f"fingerprints of a Parquet file of {rows:,} rows, {size:.0f} MB, median of {runs}")
    print(f"  read the bytes {read:.3f} s, sha256 of the file {sha256:.3f} s")
    print(
        f"  digest of the file, as a plan takes it     {digest:.3f} s: {digest / sha256:.2f} of it"
    )
    print(f"  decode the table {decode:.3f} s, digests of its columns {columns:.3f} s")


def main() -> None:
    """Measure both."""
    options = argparse.ArgumentParser()
    options.add_argument("files", type=int, nargs="?", default=100_000)
    options.add_argument("rows", type=int, nargs="?", default=10_000_000)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--planned", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        many(Path(place), given.files, given.runs, applied=not given.planned)
        large(Path(place), given.rows, given.runs)


if __name__ == "__main__":
    main()
