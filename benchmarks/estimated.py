"""Performance estimated without labels beside NannyML's in one run: ``estimated.py [--runs N]``.

The flights out of New York of 2013, and three models of January to March: whether a flight is
late (``performance.py``), how long it is in the air, how late it arrives (``losses.py``). Rows
that no model saw are what both sides rest on, others are asked about in windows of 2,000: as they
are, drawn so that inputs move (evenings, longer flights), and as they come from April on, where
what inputs mean moves, too.

Each side is a process that reads the same two files, learns what it rests on and estimates every
window: ours as a monitor does, NannyML's by its ``CBPE`` (two classes) and ``DLE`` (numbers) as
they come. Told are the CPU of both, and how far estimates are from what labels say: the mean of
the errors' sizes, and their mean in brackets.

NannyML is taken from the Python that the environment variable ``NANNYML`` names; give it an
environment of its own (``pip install nannyml statsmodels "pandas<3"``). Without it only our side
is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from _measure import Side, in_turn, show
from calm import FLIGHTS_FIRST, flights_by_month
from losses import TARGETS, TEXTS, Asked, drawn, flights
from performance import cut, model, outcomes

from mlform_core.metrics import Outcomes, value

ROWS = 2000
OURS = """
import json, sys
import pandas as pd
from mlform_core.metrics import Outcomes

rests, asked = map(pd.read_parquet, sys.argv[1:3])
rows, metrics, texts = json.loads(sys.argv[4])
label, said = (rests[n].to_numpy(float) for n in ("label", "said"))
if texts is None:
    from mlform_core.performance_estimate import Believed, calibration, estimate
    everything = Believed.of(asked["said"].to_numpy(float), calibration(
        Outcomes("binary", label, said)))
    figure = lambda metric, some: estimate(metric, some, 0.5, "")
else:
    from mlform_core.performance_losses import estimate as figure, learn
    names = [n for n in rests if n not in ("label", "said")]
    features = [{"name": n, "type": "string" if n in texts else "float64"} for n in names]
    learned = learn(rests[names], features, Outcomes("regression", label, said), metrics)
    everything = learned.of(asked[names], asked["said"].to_numpy(float))
windows = [everything.where(slice(at, at + rows)) for at in range(0, len(asked), rows)]
found = {m: [figure(m, some) for some in windows] for m in metrics}
json.dump({m: [[f["value"], f["low"], f["high"]] for f in each] for m, each in found.items()},
          open(sys.argv[3], "w"))
"""
NANNYML = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import nannyml
import pandas as pd

rests, asked = map(pd.read_parquet, sys.argv[1:3])
rows, metrics, texts = json.loads(sys.argv[4])
names = [n for n in rests if n not in ("label", "said")]
if texts is None:
    for frame in (rests, asked):
        frame["decided"] = (frame["said"] >= 0.5).astype(int)
    estimator = nannyml.CBPE(
        metrics=metrics, y_pred_proba="said", y_pred="decided", y_true="label",
        problem_type="classification_binary", chunk_size=rows)
else:
    estimator = nannyml.DLE(
        feature_column_names=names, y_pred="said", y_true="label", metrics=metrics, chunk_size=rows)
estimator.fit(rests)
found = estimator.estimate(asked.drop(columns="label")).filter(period="analysis").to_df()
ends = ("value", "lower_confidence_boundary", "upper_confidence_boundary")
json.dump({m: found[m][list(ends)].to_numpy().tolist() for m in metrics}, open(sys.argv[3], "w"))
"""


class Task(NamedTuple):
    """What both sides are asked: rows with labels, and windows, those of each name in turn."""

    name: str
    rests: pd.DataFrame
    windows: dict[str, list[pd.DataFrame]]
    metrics: tuple[str, ...]
    texts: tuple[str, ...] | None

    def real(self, metric: str, window: pd.DataFrame) -> float:
        """Return what labels say of a window."""
        task = "binary" if self.texts is None else "regression"
        label, said = (window[n].to_numpy(np.float64) for n in ("label", "said"))
        return value(metric, Outcomes(task, label, said))


def tasks(windows: int) -> Iterator[Task]:
    """Yield what is asked of both sides, ``windows`` of each kind and month."""
    yield _late(windows)
    frame = flights()
    for target, names in TARGETS.items():
        asked = Asked(frame, target)
        told = frame[names].assign(label=asked.all.labels, said=asked.all.predictions)
        kinds = {"as they are": np.ones(len(frame)), **_moved(frame, "hour")}
        found = {
            name: [told.iloc[rows] for rows in drawn(asked, weights, ROWS, windows)]
            for name, weights in kinds.items()
        }
        later = [np.flatnonzero((frame["month"] == month).to_numpy()) for month in range(4, 13)]
        found["from April on"] = [
            told.iloc[rows[at : at + ROWS]]
            for rows in later
            for at in range(0, windows * ROWS, ROWS)
        ]
        yield Task(target, told.iloc[asked.held], found, ("mae", "rmse"), TEXTS)


def _late(windows: int) -> Task:
    months = flights_by_month()
    fitted, rest = model(pd.concat([months.pop(m) for m in FLIGHTS_FIRST], ignore_index=True))

    def told(it: Outcomes) -> pd.DataFrame:
        return pd.DataFrame({"label": it.labels.astype(int), "said": it.predictions})

    chance = np.random.default_rng(1)
    half = chance.random(len(rest)) < 0.5
    rests, asked = told(outcomes(fitted, rest[half])), rest[~half]
    said = told(outcomes(fitted, asked))
    found = {}
    for name, weights in {
        "as they are": np.ones(len(asked)),
        **_moved(asked, "sched_hour"),
    }.items():
        share = weights / weights.sum()
        found[name] = [
            said.iloc[chance.choice(len(asked), ROWS, replace=False, p=share)]
            for _ in range(windows)
        ]
    found["from April on"] = [
        told(window) for rows in months.values() for window in cut(outcomes(fitted, rows), windows)
    ]
    return Task("late", rests, found, ("roc_auc", "accuracy", "f1"), None)


def _moved(frame: pd.DataFrame, hour: str) -> dict[str, npt.NDArray[np.float64]]:
    """Return by what weights rows are drawn so that inputs move."""
    hours, distance = (frame[n].to_numpy(np.float64) for n in (hour, "distance"))
    return {"evenings": np.exp((hours - 12) / 3.0), "longer ones": np.exp(distance / 500)}


def beside(task: Task, runs: int) -> None:
    """Time both sides, then hold their estimates against what labels say."""
    programs = {"mlform": (sys.executable, OURS)}
    if peer := os.environ.get("NANNYML"):
        programs["nannyml"] = (peer, NANNYML)
    windows = [(name, each) for name, several in task.windows.items() for each in several]
    asked = json.dumps([ROWS, task.metrics, task.texts])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = [str(folder / name) for name in ("rests.parquet", "asked.parquet")]
        task.rests.reset_index(drop=True).to_parquet(paths[0])
        pd.concat([each for _, each in windows], ignore_index=True).to_parquet(paths[1])
        told = {name: folder / f"{name}.json" for name in programs}
        quiet = {**os.environ, "NML_DISABLE_USAGE_LOGGING": "1"}
        sides = {
            name: Side([python, "-c", code, *paths, str(told[name]), asked], folder, quiet)
            for name, (python, code) in programs.items()
        }
        title = f"\n{task.name}: {len(task.rests):,} rows to rest on, {len(windows)} windows"
        show(f"{title} of {ROWS:,}, median of {runs}", in_turn(sides, runs))
        found = {name: json.loads(path.read_text()) for name, path in told.items()}
    kinds = [name for name, _ in windows]
    for metric in task.metrics:
        real = np.array([task.real(metric, each) for _, each in windows])
        for kind in task.windows:
            rows = np.array([name == kind for name in kinds])
            cells = []
            for name, figures in found.items():
                said, low, high = np.array(figures[metric], dtype=np.float64)[rows].T
                off = said - real[rows]
                within = np.mean((low <= real[rows]) & (real[rows] <= high))
                cells.append(
                    f"{name} {np.abs(off).mean():.4f} ({off.mean():+.4f}), in bounds {within:.0%}"
                )
            print(
                f"  {metric:10}{kind:16}{real[rows].mean():8.4f}   {'   '.join(cells)}", flush=True
            )


def main() -> None:
    """Print each task's costs, then its errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--windows", type=int, default=5, help="of each kind and month")
    given = parser.parse_args()
    for task in tasks(given.windows):
        beside(task, given.runs)


if __name__ == "__main__":
    main()
