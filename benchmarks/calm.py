"""How often monitors alarm when nothing moved, and when something did: ``calm.py``.

Nothing moves in the census of Massachusetts (ACS employment, in the package nannyml: the AUC of one
model is the same from 2015 to 2018, and no PSI is above 0.014): the reference is 2015, windows are
of 2016 to 2018, once drawn person by person, once as whole households, whose members are alike, and
once, of 2016, rows as they stand in the file. (From 2017 on that does move: it lists everyone who
lives in an institution apart from all others.) What moves are windows changed on purpose, and the
flights out of New York of April to December 2013 beside those of January to March.

Rules: ours (the lower bound of the corrected PSI above 0.1, and Holm's p below 0.01, as ``monitor
"drift"`` judges), any PSI above 0.2, any p of Kolmogorov-Smirnov or chi-squared below 0.05; and
Evidently's preset as it comes, from the Python that the environment variable ``EVIDENTLY`` names,
on fewer windows: any column, and half of them. The census is read from the folder of the package
nannyml of the Python that ``NANNYML`` names, or of this one (``pip install --no-deps nannyml``).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from mlform_core import drift, profiles
from mlform_core.drift_windows import judge
from mlform_core.monitor import Check, Checks

ROOT = Path(__file__).parents[1]
SIZES = (200, 500, 1000, 2000, 10_000)
CHECKS = Checks(inputs=Check(method="psi", alarm=0.1))
FDR = 0.01
FLIGHTS_FIRST = ("2013-01", "2013-02", "2013-03")
WHERE = "import importlib.util as u, os; print(os.path.dirname(u.find_spec('nannyml').origin))"
PEER = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

for line in sys.stdin:
    reference, *windows = json.loads(line)
    known, found = pd.read_parquet(reference), []
    for path in windows:
        told = Report([DataDriftPreset()]).run(pd.read_parquet(path), known).dict()["metrics"]
        (all_,) = (m for m in told if "DriftedColumnsCount" in m["metric_name"])
        found.append([all_["value"]["count"] > 0, all_["value"]["share"] >= 0.5])
    print(json.dumps(found, default=bool), flush=True)
"""

Rules = Callable[[pd.DataFrame], tuple[bool, bool, bool]]
Windows = list[pd.DataFrame]


def census() -> pd.DataFrame:
    """Return the census, one row a person, with its year."""
    python = os.environ.get("NANNYML", sys.executable)
    found = subprocess.run([python, "-c", WHERE], check=True, capture_output=True, text=True)
    folder = Path(found.stdout.strip()) / "datasets" / "data"
    parts = [pd.read_parquet(folder / f"employment_MA_{p}.pq") for p in ("reference", "analysis")]
    gone = ["id", "employed", "prediction", "predicted_probability"]
    both = pd.concat(parts, ignore_index=True).drop(columns=gone)
    texts = [n for n in both.columns if n not in {"AGEP", "year"}]
    return both.astype(dict.fromkeys(texts, str))


def flights_by_month() -> dict[str, pd.DataFrame]:
    """Return the flights of each month, with what is known of them before they take off."""
    sys.path[:0] = [
        str(ROOT / "examples" / "flights"),
        str(ROOT / "examples" / "flights" / "features"),
    ]
    from fetch import read_month, read_planes, read_weather
    from flights import build

    months = [f"2013-{m:02}" for m in range(1, 13)]
    weather, planes = read_weather(), read_planes()
    return {m: build(read_month(m), weather, planes) for m in months}


def flights() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the flights of the first three months, and those after them."""
    months = {m: f.drop(columns=["late", "time_hour"]) for m, f in flights_by_month().items()}
    first = [months.pop(month) for month in FLIGHTS_FIRST]
    return pd.concat(first, ignore_index=True), pd.concat(months.values(), ignore_index=True)


def rules(reference: pd.DataFrame) -> Rules:
    """Return what says of a window whether each rule alarms."""
    known = profiles.profile(reference)

    def alarms(window: pd.DataFrame) -> tuple[bool, bool, bool]:
        seen = profiles.profile(window, known)
        moved = [drift.shift(known[n], n, window[n], "psi") for n in known]
        told = [{"check": "inputs", **vars(shift)} for shift in moved]
        plain = [drift.bins(known[n], seen[n]) for n in known]
        psi = max(_psi(before, now) for before, now in plain)
        p = min(drift.compare(known[n], n, seen[n], "ks").p for n in known)
        return bool(judge(told, CHECKS, FDR)), psi > 0.2, p < 0.05

    return alarms


def _psi(before: np.ndarray, now: np.ndarray) -> float:
    """Return the PSI as everybody writes it."""
    p, q = (np.maximum(side / side.sum(), 1e-4) for side in (before, now))
    return float(np.sum((q - p) * np.log(q / p)))


def blocks(rows: pd.DataFrame, size: int, most: int) -> Windows:
    """Cut rows as they stand into windows, spread over all of them."""
    starts = range(0, len(rows) - size + 1, max(size, (len(rows) - size) // most))
    return [rows.iloc[s : s + size] for s in list(starts)[:most]]


def households(rows: pd.DataFrame, chance: np.random.Generator) -> pd.DataFrame:
    """Put whole households into another order; whoever is no relative of another begins one."""
    number = rows["RELP"].isin({"0", "16", "17"}).cumsum().to_numpy()
    order = chance.permutation(number.max() + 1)
    return rows.iloc[np.argsort(order[number], kind="stable")]


def drawn(rows: pd.DataFrame, size: int, most: int, chance: np.random.Generator) -> Windows:
    """Draw windows at random."""
    return [rows.iloc[chance.choice(len(rows), size, replace=False)] for _ in range(most)]


def changed(windows: Windows, chance: np.random.Generator) -> Iterator[tuple[str, Windows]]:
    """Yield the same windows, each time with something moved."""

    def some(window: pd.DataFrame, share: float) -> np.ndarray:
        return chance.random(len(window)) < share

    yield "older by 5 years", [w.assign(AGEP=w["AGEP"] + 5) for w in windows]
    yield "older by 10 years", [w.assign(AGEP=w["AGEP"] + 10) for w in windows]
    yield "older by 15 years", [w.assign(AGEP=w["AGEP"] + 15) for w in windows]
    yield (
        "a fifth without schooling",
        [w.assign(SCHL=w["SCHL"].mask(some(w, 0.2))) for w in windows],
    )
    yield (
        "a quarter of a new kind",
        [w.assign(RELP=w["RELP"].mask(some(w, 0.25), "new")) for w in windows],
    )
    yield (
        "half of the men are women",
        [
            w.assign(SEX=w["SEX"].mask((w["SEX"] == w["SEX"].mode()[0]) & some(w, 0.5), other(w)))
            for w in windows
        ],
    )


def other(window: pd.DataFrame) -> str:
    """Return the rarer value of SEX."""
    return str(window["SEX"].value_counts().index[-1])


@cache
def peer() -> subprocess.Popen[str] | None:
    """Return Evidently, if there is one: it takes seconds to import, so it stays."""
    python = os.environ.get("EVIDENTLY")
    if not python:
        return None
    both = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen([python, "-c", PEER], text=True, **both)


def theirs(reference: pd.DataFrame, windows: Windows) -> list[tuple[bool, bool]] | None:
    """Return what Evidently says of each window, if there is one."""
    asked = peer()
    if asked is None:
        return None
    assert asked.stdin is not None
    assert asked.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.parquet" for i in range(len(windows) + 1)]
        for path, table in zip(paths, [reference, *windows], strict=True):
            table.reset_index(drop=True).to_parquet(path)
        print(json.dumps([*map(str, paths)]), file=asked.stdin, flush=True)
        return [(any_, half) for any_, half in json.loads(asked.stdout.readline())]


def line(
    name: str, size: int, alarms: Rules, reference: pd.DataFrame, windows: Windows, few: int
) -> None:
    """Print one row of the table."""
    shares = np.mean([alarms(w) for w in windows], axis=0)
    told = theirs(reference, windows[:: max(len(windows) // few, 1)][:few])
    cells = [f"{share:6.1%}" for share in shares]
    cells += ["", ""] if told is None else [f"{share:6.1%}" for share in np.mean(told, axis=0)]
    print(f"| {name} | {size:,} | {len(windows)} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print both tables as one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--windows", type=int, default=100, help="of each year, nothing moved")
    parser.add_argument("--moved", type=int, default=40, help="a row, where something did")
    parser.add_argument("--few", type=int, default=8, help="windows a row that Evidently is asked")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="rows of a window")
    given = parser.parse_args()
    chance = np.random.default_rng(11)
    people = census()
    years: Mapping[int, pd.DataFrame] = {
        int(str(year)): rows.drop(columns="year") for year, rows in people.groupby("year")
    }
    reference = years.pop(2015)
    alarms = rules(reference)
    print("| what | rows | windows | ours | PSI > 0.2 | p < 0.05 | Evidently, any | half |")
    print("|---|---|---|---|---|---|---|---|")
    for size in given.sizes:
        near = [
            w
            for rows in years.values()
            for w in blocks(households(rows, chance), size, given.windows)
        ]
        far = [w for rows in years.values() for w in drawn(rows, size, given.windows, chance)]
        line("nothing, households", size, alarms, reference, near, given.few)
        line("nothing, persons", size, alarms, reference, far, given.few)
        filed = blocks(years[2016], size, given.windows)
        line("nothing, as filed", size, alarms, reference, filed, given.few)
    for size in given.sizes:
        still = drawn(pd.concat(years.values()), size, given.moved, chance)
        for name, windows in changed(still, chance):
            line(name, size, alarms, reference, windows, given.few)
    first, later = flights()
    alarms = rules(first)
    for size in given.sizes:
        months = blocks(later, size, given.moved)
        line("flights, April on", size, alarms, first, months, given.few)


if __name__ == "__main__":
    main()
