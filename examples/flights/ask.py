"""Ask the flights model, over the Open Inference Protocol, about real flights of a month.

    python ask.py                 # three flights of January
    python ask.py 2013-07 --rows 4000

Rows are built by the very feature code the model was trained on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from features.flights import build  # noqa: E402 - its folder is put on the path first
from fetch import read_month, read_planes, read_weather  # noqa: E402 - found beside this file

DATATYPES = {"i": "INT64", "u": "INT64", "f": "FP64", "b": "BOOL"}
BATCH = 200


def endpoint() -> str:
    """Return the URL that the last apply recorded."""
    mlform = Path(sys.executable).with_name("mlform")
    command = [str(mlform), "output", "-raw", "-chdir", str(HERE), "url"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 - our own command


def tensors(rows: pd.DataFrame) -> list[dict[str, object]]:
    """Return the rows as V2 tensors, one a column."""
    found = []
    for name in rows.columns:
        column = rows[name]
        datatype = DATATYPES.get(column.dtype.kind, "BYTES")
        data = [None if pd.isna(v) else v for v in column.tolist()]
        found.append({"name": name, "datatype": datatype, "shape": [len(rows)], "data": data})
    return found


def ask(url: str, rows: pd.DataFrame) -> dict[str, object]:
    """Send one request; return the answer."""
    body = json.dumps({"inputs": tensors(rows)}).encode()
    request = urllib.request.Request(  # noqa: S310 - the URL is our own endpoint
        f"{url}/infer", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - our own URL
        answer: dict[str, object] = json.load(response)
    return answer


def main() -> None:
    """Ask, and print what the model answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("month", nargs="?", default="2013-01")
    parser.add_argument("--rows", type=int, default=3)
    options = parser.parse_args()
    flights = read_month(options.month)
    features = build(flights, weather=read_weather(), planes=read_planes())
    rows = features.drop(columns=["late", "time_hour"]).sample(options.rows, random_state=1)
    url = endpoint()
    answers: list[float] = []
    for start in range(0, len(rows), BATCH):
        answer = ask(url, rows.iloc[start : start + BATCH])
        answers += answer["outputs"][0]["data"]  # type: ignore[index]
    shown = (
        rows[["carrier", "origin", "dest", "sched_hour"]]
        .head(5)
        .assign(p_late=[round(p, 3) for p in answers[:5]])
    )
    print(shown.to_string(index=False))
    print(f"{len(answers)} answers from model {str(answer['model_version'])[:19]}…")


if __name__ == "__main__":
    main()
