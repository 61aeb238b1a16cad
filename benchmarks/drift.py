"""A drift report beside Evidently's in one run: ``drift.py [ROWS] [--runs N] [--wide COLUMNS]``.

Two Parquet files of ROWS rows (1,000,000) and 20 columns, 16 of numbers and 4 of texts, the second
moved a little. Each side is a process that reads both files and compares every column: ours as a
monitor does (a profile of the reference, then the window held against it, column by column),
Evidently by its ``DataDriftPreset`` as it comes. Where both choose the same statistic, the
Jensen–Shannon distance of texts, the values are compared: ours without the correction for chance.

``--wide COLUMNS`` instead: as many columns of numbers in single precision, in row groups of 50,000,
the first file with a tenth of the rows; only our side, with its peak memory.

Evidently is taken from the Python that the environment variable ``EVIDENTLY`` names; it pins much,
so give it an environment of its own (dependency group ``bench-drift``). Without it only our side is
measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

from _measure import Side, in_turn, show

GROUP = 50_000
OURS = """
import json, math, sys
from pathlib import Path
from mlform_core import drift, profiles


def plain(p, q):
    # The Jensen-Shannon distance as the formula says, natural logarithms.
    middle = [(a + b) / 2 for a, b in zip(p, q)]
    terms = [x * math.log(x / m) for side in (p, q) for x, m in zip(side, middle) if x]
    return math.sqrt(math.fsum(terms) / 2)


before, now = map(Path, sys.argv[1:3])
reference = profiles.stored(before)
window = profiles.stored(now, reference)
found = {}
for name, known in reference.items():
    seen = window[name]
    shift = drift.compare(known, name, seen, "js")
    found[name] = {"value": shift.value, "p": shift.p}
    if known["kind"] == "categorical":
        both = {**known["counts"], **seen["counts"]}
        p, q = ([side["counts"].get(v, 0) / side["rows"] for v in both] for side in (known, seen))
        found[name]["plain"] = plain(p, q)
json.dump(found, open(sys.argv[3], "w"))
"""

EVIDENTLY = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

before, now = (pd.read_parquet(path) for path in sys.argv[1:3])
report = Report([DataDriftPreset()]).run(now, before).dict()
found = {}
for one in report["metrics"]:
    if "column" in one["config"]:
        found[one["config"]["column"]] = {"value": one["value"], "method": one["metric_name"]}
json.dump(found, open(sys.argv[3], "w"), default=float)
"""


def made(folder: Path, rows: int) -> tuple[Path, Path]:
    """Write both files."""
    import numpy as np
    import pandas as pd

    chance = np.random.default_rng(7)
    paths = folder / "before.parquet", folder / "now.parquet"
    for moved, path in enumerate(paths):
        columns = {}
        for i in range(16):
            drawn = chance.normal(size=rows) if i % 2 else chance.lognormal(size=rows)
            columns[f"x{i}"] = drawn + 0.02 * i * moved
        for i in range(4):
            shares = 1 / np.arange(1, 5 * 4**i + 1)
            shares = np.roll(shares / shares.sum(), 1 if moved and i == 3 else 0)
            texts = np.array([f"v{j}" for j in range(len(shares))], dtype=object)
            columns[f"c{i}"] = texts[chance.choice(len(shares), rows, p=shares)]
        pd.DataFrame(columns).to_parquet(path)
    return paths


def wide(folder: Path, rows: int, columns: int) -> tuple[Path, Path]:
    """Write both files, row group by row group: no more than one is ever in memory."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    chance = np.random.default_rng(7)
    schema = pa.schema([(f"x{i}", pa.float32()) for i in range(columns)])
    paths = folder / "before.parquet", folder / "now.parquet"
    for moved, path in enumerate(paths):
        with pq.ParquetWriter(path, schema, use_dictionary=False, compression="none") as sink:
            total = rows if moved else rows // 10
            for start in range(0, total, GROUP):
                size = min(GROUP, total - start)
                drawn = chance.standard_normal((columns, size), dtype=np.float32)
                arrays = [
                    pa.array(one + np.float32(0.0002 * i * moved)) for i, one in enumerate(drawn)
                ]
                sink.write_table(pa.Table.from_arrays(arrays, schema=schema))
    return paths


def main() -> None:
    """Time both sides, then hold their statistics against each other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--wide", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # In another process: the peak of a child is never told as less than what its parent held.
        written = (
            (wide, (folder, given.rows, given.wide)) if given.wide else (made, (folder, given.rows))
        )
        with get_context("spawn").Pool(1) as pool:
            paths = [str(path) for path in pool.apply(*written)]
        programs = {"mlform": (sys.executable, OURS)}
        peer = None if given.wide else os.environ.get("EVIDENTLY")
        if peer:
            programs["evidently"] = (peer, EVIDENTLY)
        told = {name: folder / f"{name}.json" for name in programs}
        sides = {
            name: Side([python, "-c", code, *paths, str(told[name])], folder, os.environ)
            for name, (python, code) in programs.items()
        }
        shown = f"{given.rows:,} × {given.wide or 20}"
        show(f"drift of {shown}, median of {given.runs}", in_turn(sides, given.runs))
        if peer:
            ours, theirs = (json.loads(path.read_text()) for path in told.values())
            for name, one in ours.items():
                if "plain" in one and "Jensen-Shannon" in theirs[name]["method"]:
                    print(f"    {name}: {one['plain']:.6f} here, {theirs[name]['value']:.6f} there")


if __name__ == "__main__":
    main()
