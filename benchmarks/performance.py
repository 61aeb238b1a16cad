"""Performance by labels beside performance estimated without: ``performance.py [--windows N]``.

The flights out of New York of 2013: a model of January to March (its held-out weeks calibrate and
are the figure at release), then each month from April on, and windows of 2,000 flights within it,
as ``monitor "performance"`` measures them: the AUC by labels with its bounds, the estimate with
its own, how often the one lies in the bounds of the other, and which alarms "not worse than at
release by more than 0.03" raises.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd
from calm import FLIGHTS_FIRST, flights_by_month
from sklearn.ensemble import HistGradientBoostingClassifier

from mlform_core.metrics import Outcomes
from mlform_core.monitoring import Rule
from mlform_core.performance import Bound, PerformanceArguments
from mlform_core.performance_estimate import Believed, calibration, estimate
from mlform_core.performance_figures import by_labels, judge

METRIC = "roc_auc"
ROWS = 2000


def model(first: pd.DataFrame) -> tuple[HistGradientBoostingClassifier, pd.DataFrame]:
    """Train on three weeks of four, as the example does; return the others too."""
    week = first["time_hour"].dt.isocalendar().week.to_numpy()
    held = week % 4 == 3
    fitted = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.06, min_samples_leaf=200, random_state=1337
    ).fit(inputs(first[~held]), first["late"][~held])
    return fitted, first[held]


def inputs(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what the model gets: texts as categories of one numbering."""
    found = rows.drop(columns=["late", "time_hour"])
    for name in found.select_dtypes(exclude="number"):
        found[name] = pd.util.hash_array(found[name].astype(str).to_numpy()) % 997
    return found


def outcomes(fitted: HistGradientBoostingClassifier, rows: pd.DataFrame) -> Outcomes:
    """Return labels and predictions."""
    predicted = fitted.predict_proba(inputs(rows))[:, 1]
    return Outcomes("binary", rows["late"].to_numpy(dtype=np.float64), predicted)


def cut(one: Outcomes, most: int) -> Iterator[Outcomes]:
    """Yield windows as they stand, spread over all rows."""
    for start in range(0, one.rows - ROWS + 1, max(ROWS, (one.rows - ROWS) // max(most, 1)))[:most]:
        yield one.where(np.arange(start, start + ROWS))


def main() -> None:
    """Print a row for each month, then what came of the windows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--windows", type=int, default=10, help="of each month")
    given = parser.parse_args()
    months = flights_by_month()
    fitted, held = model(pd.concat([months.pop(m) for m in FLIGHTS_FIRST], ignore_index=True))
    release = outcomes(fitted, held)
    known = calibration(release)
    figure = by_labels(METRIC, release, 0.5, "release")
    print(f"at release {figure['value']:.3f}, calibration error {known['error']:.4f}")
    print("| month | AUC | estimated | windows | worse by labels | by estimate | in bounds |")
    print("|---|---|---|---|---|---|---|")
    rules = PerformanceArguments.model_construct(
        require={METRIC: Bound(max_regress=0.03)}, slices=None, fairness=None, alarm=Rule()
    )
    for month, rows in months.items():
        whole = outcomes(fitted, rows)
        true = by_labels(METRIC, whole, 0.5, month)
        said = estimate(METRIC, Believed.of(whole.predictions, known), 0.5, month)
        counts = np.zeros(3, dtype=int)
        windows = list(cut(whole, given.windows))
        for window in windows:
            seen = by_labels(METRIC, window, 0.5, month)
            guess = estimate(METRIC, Believed.of(window.predictions, known), 0.5, month)
            for place, one in enumerate((seen, guess)):
                told = {"statistics": [{"metric": METRIC, "slice": None, **one}], "groups": {}}
                counts[place] += bool(judge(told, rules, {"metrics": {METRIC: figure}}))
            counts[2] += guess["low"] <= seen["value"] <= guess["high"]
        shares = " | ".join(f"{count / len(windows):.0%}" for count in counts)
        print(
            f"| {month} | {true['value']:.3f} ({true['low']:.3f} to {true['high']:.3f}) | "
            f"{said['value']:.3f} ({said['low']:.3f} to {said['high']:.3f}) | "
            f"{len(windows)} | {shares} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
