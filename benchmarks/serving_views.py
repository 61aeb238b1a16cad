"""What a feature view costs at request time: the same model with features, and with raw columns.

A logistic regression of flights is asked for one row at a time by ``wrk``, in one worker: once by
its features, once through a view in SQL, once through one in Python, each alone, and with a join
in time and a table of airports.

    python benchmarks/serving_views.py [--connections N] [--seconds S] [--turns N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from serving import Target, ask, load
from tests.providers.featured import JOIN, NUMBERS, QUERY, Bench, body

from mlform_core.http import Http

ALONE = """
SELECT _row, ln(distance) AS far, distance * 1.0 AS temp, (distance > 999)::DOUBLE AS windy,
       distance / 2 AS high, (arr_delay > 15)::BIGINT AS late
FROM flights
"""
CODE_ALONE = """
import numpy as np
import pandas as pd

def build(flights):
    return pd.DataFrame({
        "far": np.log(flights["distance"]),
        "temp": flights["distance"] * 1.0,
        "windy": (flights["distance"] > 999).astype("float64"),
        "high": flights["distance"] / 2,
        "late": (flights["arr_delay"] > 15).astype("int64"),
    })
"""
CASES: dict[str, tuple[str, str, bool]] = {
    "features in the request": ("sql", ALONE, False),
    "view in SQL": ("sql", ALONE, False),
    "view in SQL, looked up": ("sql", QUERY, True),
    "view in Python": ("python", CODE_ALONE, False),
    "view in Python, looked up": ("python", "", True),
}


def measured(case: str, folder: Path, given: argparse.Namespace) -> list[dict[str, float]]:
    """Serve a case, see that it answers, and ask it in turns."""
    kind, what, joined = CASES[case]
    bench = Bench(folder)
    more: dict[str, Any] = {} if joined else {"inputs": {}, "as_of": {}}
    view = bench.view(kind, what, **({"as_of": JOIN} if joined else more))
    raw = case != next(iter(CASES))
    made = bench.apply(bench.model(view), view if raw else None)
    if raw:
        request = body(bench.late[:1])
    else:
        row = bench.table(view).loc[bench.late.index[:1]]
        inputs = [
            {"name": n, "datatype": "FP64", "shape": [1], "data": [float(row[n].iloc[0])]}
            for n in NUMBERS
        ]
        request = {"inputs": inputs}
    target = Target(
        case,
        [made.pid],
        f"{made.url}/infer",
        json.dumps(request).encode(),
        lambda said: said["outputs"][0]["data"][0],
    )
    try:
        ask(target)
        load(target, given.connections, 1, folder)
        return [load(target, given.connections, given.seconds, folder) for _ in range(given.turns)]
    finally:
        Http().destroy(bench.ctx, bench.old)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    print("| requests have | requests/s | p50 ms | p99 ms | server CPU µs/request |")
    print("|---|---|---|---|---|")
    for number, case in enumerate(CASES):
        with tempfile.TemporaryDirectory() as temporary:
            place = Path(temporary) / str(number)
            place.mkdir()
            turns = measured(case, place, given)
        m = {k: statistics.median(r[k] for r in turns) for k in turns[0]}
        print(f"| {case} | {m['rps']:,.0f} | {m['p50']:.1f} | {m['p99']:.1f} | {m['cpu']:,.0f} |")


if __name__ == "__main__":
    main()
