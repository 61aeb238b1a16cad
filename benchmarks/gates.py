"""How often gates are right: coverage of their bounds, false promotions, false alarms of slices.

    python benchmarks/gates.py [--runs N] [--sizes ROWS …] [--seed N] [--only TABLE]

Candidate and baseline are drawn anew in each run: a common score and one of their own, so that
they agree as much as retrained models do, on labels of which 30 % are yes. What is true of them is
known by integration. A bound at 95 % should hold in 95 % of runs; the error of such a share is
given beside it. No peer: libraries of gates compare estimates, which is in brackets in the
table of promotions.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from mlform_core import compare_alone
from mlform_core.compare import Gain, Pair, delong, p_below, paired_bootstrap
from mlform_core.gate_conditions import Search
from mlform_core.gate_search import losses, searched
from mlform_core.holm import holm
from mlform_core.metrics import Floats, Outcomes
from mlform_core.performance_figures import by_labels

ALPHA = 0.05
METRICS = ("roc_auc", "average_precision", "log_loss", "brier", "accuracy", "f1")
SIZES = (500, 1_000, 5_000)
WORSE = 0.006


class Two(NamedTuple):
    """Candidate and baseline on the same rows."""

    ours: Outcomes
    theirs: Outcomes


def drawn(rng: np.random.Generator, rows: int, separation: float) -> Two:
    """Draw labels and two models' probabilities; the baseline separates by 0.95."""
    y = (rng.random(rows) < 0.3).astype(np.float64)
    common, one, two = rng.normal(size=(3, rows))
    ours = 0.9 * common + 0.436 * one + separation * y
    theirs = 0.9 * common + 0.436 * two + 0.95 * y
    return Two(_outcomes(y, ours, separation), _outcomes(y, theirs, 0.95))


def _outcomes(y: Floats, score: Floats, separation: float) -> Outcomes:
    return Outcomes("binary", y, _probability(score, separation))


def _probability(score: Floats, separation: float) -> Floats:
    odds = separation * score - separation**2 / 2 + np.log(0.3 / 0.7)
    found: Floats = 1 / (1 + np.exp(-odds))
    return found


def true_gains(separation: float) -> dict[str, float]:
    """Return what the gain in each metric is in the long run."""
    ours, theirs = _long_run(separation), _long_run(0.95)
    return {m: (ours[m] - theirs[m]) * (-1 if m in {"log_loss", "brier"} else 1) for m in METRICS}


def _long_run(separation: float) -> dict[str, float]:
    """Return what each metric of a model is worth on endlessly many rows: sums over its scores.

    A truth that was drawn, even from millions of rows, is off by enough to tilt both bounds.
    """
    spread = math.hypot(0.9, 0.436)
    score = np.linspace(-9 * spread, separation + 9 * spread, 400_001)
    yes, no = (
        share * np.exp(-(((score - middle) / spread) ** 2) / 2)
        for share, middle in ((0.3, separation), (0.7, 0.0))
    )
    yes, no = 0.3 * yes / yes.sum(), 0.7 * no / no.sum()
    p = _probability(score, separation)
    decided = p >= 0.5
    hits, alarms = yes[decided].sum(), no[decided].sum()
    above, wrong = yes[::-1].cumsum()[::-1], no[::-1].cumsum()[::-1]
    return {
        "roc_auc": (1 + math.erf(separation / (2 * spread))) / 2,
        "average_precision": float((yes / 0.3 * above / (above + wrong)).sum()),
        "log_loss": float(-(yes * np.log(p) + no * np.log1p(-p)).sum()),
        "brier": float((yes * (1 - p) ** 2 + no * p**2).sum()),
        "accuracy": float(hits + 0.7 - alarms),
        "precision": float(hits / (hits + alarms)),
        "recall": float(hits / 0.3),
        "f1": float(2 * hits / (hits + alarms + 0.3)),
    }


def coverage(runs: int, sizes: Sequence[int] = SIZES, seed: int = 0) -> None:
    """Say how often the lower bound of a gain is under the true one, and the upper above it."""
    truth = true_gains(1.05)
    print(
        f"coverage of one-sided {1 - ALPHA:.0%} bounds, {runs} runs "
        f"(error of a share: {_error(1 - ALPHA, runs):.1%})"
    )
    print(f"  {'':34}" + "".join(f"{n:>18,}" for n in sizes))
    methods: dict[str, Callable[[Two, int], Sequence[Gain]]] = {
        "paired bootstrap": lambda it, seed: paired_bootstrap(
            [Pair(m, *it) for m in METRICS], ALPHA, seed
        ),
        "delong": lambda it, _seed: [delong(*it, ALPHA)],
    }
    for name, method in methods.items():
        names = METRICS if name != "delong" else METRICS[:1]
        held: dict[str, list[str]] = {m: [] for m in names}
        for size in sizes:
            rng = np.random.default_rng(size + seed)
            low, high = np.zeros(len(names)), np.zeros(len(names))
            for run in range(runs):
                for place, gain in enumerate(method(drawn(rng, size, 1.05), run)):
                    low[place] += gain.low <= truth[names[place]]
                    high[place] += gain.high >= truth[names[place]]
            for place, metric in enumerate(names):
                held[metric].append(f"{low[place] / runs:7.1%} {high[place] / runs:7.1%}")
        for metric, shares in held.items():
            print(f"  {name:18}{metric:16}" + "".join(f"{s:>18}" for s in shares), flush=True)


NORMAL, HEAVY = "numbers", "heavy tails"
NOISE: dict[str, tuple[float, Callable[[np.random.Generator, int], Floats]]] = {
    NORMAL: (1.0, lambda rng, rows: rng.normal(size=rows)),
    HEAVY: (5 / 3, lambda rng, rows: rng.standard_t(5, rows)),
}
"""Variance, and how it is drawn, of what of numbers no model knows."""
ERRORS = ("rmse", "mae", "r2")
RESAMPLED, FEWER = {"ece", "r2"}, 400
"""What has no formula takes a hundred times as long: so many runs at most."""


def alone(runs: int, sizes: Sequence[int] = (500, 2_000)) -> None:
    """Say how often the ends of a value by itself hold, as monitors and slices have it.

    Of two classes the probabilities are right, so that no error of calibration is true. Numbers
    miss by normal errors, and by some of heavy tails (Student's t with 5 degrees of freedom: of
    their squares the third moment, on which all that allows for skewness rests, does not exist).
    """
    print(
        f"\nlower and upper ends of values by themselves, {runs} runs "
        f"(error of a share: {_error(1 - ALPHA, runs):.1%})"
    )
    worlds: dict[str, tuple[dict[str, float], Callable[[np.random.Generator, int], Outcomes]]] = {
        "two classes": (
            {**_long_run(1.05), "ece": 0.0},
            lambda rng, rows: drawn(rng, rows, 1.05).ours,
        )
    }
    for name in NOISE:
        worlds[name] = (_of_numbers(name, 0.13), partial(_one_of_numbers, name))
    for name, (truth, draw) in worlds.items():
        for size in sizes:
            rng = np.random.default_rng(size + 2)
            held, counted = np.zeros((len(truth), 2)), np.zeros(len(truth))
            tails = 0
            for run in range(runs):
                it = draw(rng, size)
                for place, (metric, true) in enumerate(truth.items()):
                    if metric in RESAMPLED and run >= FEWER:
                        continue
                    found = by_labels(metric, it, 0.5, str(run))
                    held[place] += found["low"] <= true, found["high"] >= true
                    counted[place] += 1
                    tails += metric == "rmse" and "tail" in found
            for metric, both, of in zip(truth, held, counted, strict=True):
                low, high = both / of
                said = f"  heavy tail told in {tails / runs:.0%}" if metric == "rmse" else ""
                said += f"  {of:.0f} runs ({_error(1 - ALPHA, of):.1%})" if of < runs else ""
                print(
                    f"  {name:14}{metric:18}{size:6,} rows {low:7.1%} {high:7.1%}{said}", flush=True
                )


def numbers(runs: int, size: int = 500) -> None:
    """Say how often bounds of a gain of models of numbers hold."""
    print(
        f"\ncoverage of bounds of gains of numbers, paired bootstrap, {size} rows, {runs} runs "
        f"(error of a share: {_error(1 - ALPHA, runs):.1%})"
    )
    for name in NOISE:
        ours, theirs = _of_numbers(name, 0.13), _of_numbers(name, 0.18)
        truth = {m: (ours[m] - theirs[m]) * (1 if m == "r2" else -1) for m in ERRORS}
        rng = np.random.default_rng(size + 3)
        held = np.zeros((len(ERRORS), 2))
        for run in range(runs):
            two = _two_of_numbers(name, rng, size)
            gains = paired_bootstrap([Pair(m, *two) for m in ERRORS], ALPHA, run)
            held += [
                (g.low <= truth[m], g.high >= truth[m]) for m, g in zip(ERRORS, gains, strict=True)
            ]
        for metric, (low, high) in zip(ERRORS, held / runs, strict=True):
            print(f"  {name:14}{metric:18} {low:7.1%} {high:7.1%}", flush=True)


def _of_numbers(name: str, more: float) -> dict[str, float]:
    """Return what metrics of numbers are worth in the long run: the noise, and normal errors."""
    variance = NOISE[name][0]
    at, spread = np.linspace(-200, 200, 2_000_001), math.sqrt(more)
    density = stats.norm.pdf(at) if name == NORMAL else stats.t.pdf(at, 5)
    size = 2 * spread * stats.norm.pdf(at / spread) + at * (1 - 2 * stats.norm.sf(at / spread))
    return {
        "rmse": math.sqrt(variance + more),
        "mae": float(density @ size / density.sum()),
        "r2": 1 - (variance + more) / (4 + variance),
    }


def _two_of_numbers(name: str, rng: np.random.Generator, rows: int) -> Two:
    x, shared, one, two = rng.normal(size=(4, rows))
    labels, known = 2 * x + NOISE[name][1](rng, rows), 2 * x + 0.3 * shared
    ours, theirs = known + 0.2 * one, known + 0.3 * two
    return Two(*(Outcomes("regression", labels, said) for said in (ours, theirs)))


def _one_of_numbers(name: str, rng: np.random.Generator, rows: int) -> Outcomes:
    return _two_of_numbers(name, rng, rows).ours


def promotions(runs: int) -> None:
    """Say how often a challenger is promoted that is worse, equal, better."""
    print(
        f"\npromoted in {runs} runs: by the lower bound at 95 % above 0 (error "
        f"{_error(ALPHA, runs):.1%}); in brackets, by the estimate"
    )
    print(f"  {'true difference in AUC':26}" + "".join(f"{n:>18,}" for n in (1_000, 5_000, 20_000)))
    for said, separation in (
        ("worse", _separation(-WORSE)),
        ("equal", 0.95),
        ("better", _separation(0.02)),
    ):
        true = true_gains(separation)["roc_auc"]
        row = []
        for size in (1_000, 5_000, 20_000):
            rng = np.random.default_rng(size + 1)
            gains = [delong(*drawn(rng, size, separation), ALPHA) for _ in range(runs)]
            by_bound = np.mean([g.low >= 0 for g in gains])
            by_estimate = np.mean([g.estimate > 0 for g in gains])
            row.append(f"{by_bound:.1%} ({by_estimate:.0%})")
        print(f"  {said:10}{true:+.4f}          " + "".join(f"{s:>18}" for s in row))


def _separation(difference: float) -> float:
    """Return the separation of a candidate whose AUC differs by so much from the baseline's."""
    low, high = 0.5, 1.6
    for _ in range(40):
        middle = (low + high) / 2
        if true_gains(middle)["roc_auc"] < difference:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def slices(runs: int) -> None:
    """Say how often any of many slices fails although no slice lost anything."""
    print(f"\nany of the slices of 500 rows fails, {runs} runs (error {_error(ALPHA, runs):.1%})")
    for count in (5, 20, 60):
        rng = np.random.default_rng(count)
        corrected = plain = found = 0
        for _ in range(runs):
            gains = [delong(*drawn(rng, 500, 0.95), ALPHA) for _ in range(count)]
            p = [p_below(g, 0.0) for g in gains]
            corrected += min(holm(p)) < ALPHA
            plain += min(p) < ALPHA
            hurt = [delong(*drawn(rng, 500, 0.55), ALPHA), *gains[1:]]
            found += holm([p_below(g, 0.0) for g in hurt])[0] < ALPHA
        print(
            f"  {count:3} slices: {corrected / runs:6.1%} by Holm, {plain / runs:6.1%} without; "
            f"one that lost 0.09 of AUC is found in {found / runs:.0%}"
        )


def searches(runs: int) -> None:
    """Say how often a search finds a slice where there is none, and where there is one."""
    rules = Search(min_support=100)
    print(f"\na search of all slices by six columns of four values, {runs} runs")
    for rows in (2_000, 10_000):
        rng = np.random.default_rng(rows)
        false = right = tried = 0
        for _ in range(runs):
            columns = {n: pd.Series(rng.integers(0, 4, rows)) for n in "abcdef"}
            it = drawn(rng, rows, 0.95)
            found = searched(losses(it.ours) - losses(it.theirs), columns, rules, 0.0)
            tried, false = len(found), false + (found[0].p < ALPHA)
            cell = ((columns["a"] == 0) & (columns["b"] == 0)).to_numpy()
            hurt = drawn(rng, rows, 0.55)
            y, p = it.ours.labels.copy(), it.ours.predictions.copy()
            base = it.theirs.predictions.copy()
            y[cell], p[cell] = hurt.ours.labels[cell], hurt.ours.predictions[cell]
            base[cell] = hurt.theirs.predictions[cell]
            lost = losses(Outcomes("binary", y, p)) - losses(Outcomes("binary", y, base))
            best = searched(lost, columns, rules, 0.0)[0]
            right += best.p < ALPHA and best.name == "a=0, b=0"
        print(
            f"  {rows:6,} rows, {tried} slices: one is found in {false / runs:.1%} (error "
            f"{_error(ALPHA, runs):.1%}) where none is weak; one of {rows // 16:,} rows that lost "
            f"0.09 of AUC is named in {right / runs:.0%}"
        )


SKEW, OF_GROUPS = math.exp(0.25), "t, 5, a scale of fours"
TAILS: dict[str, tuple[float, Callable[[np.random.Generator, int], Floats]]] = {
    "normal": (1.0, lambda rng, rows: rng.normal(size=rows)),
    **{
        f"t, {of}": (of / (of - 2), lambda rng, rows, of=of: rng.standard_t(of, rows))
        for of in (20, 10, 7, 5, 4, 3)
    },
    OF_GROUPS: (
        5 / 3,
        lambda rng, rows: (
            rng.normal(size=rows) / np.sqrt(rng.chisquare(5, rows // 4) / 5).repeat(4)
        ),
    ),
    "Laplace": (2.0, lambda rng, rows: rng.laplace(size=rows)),
    "exponential": (1.0, lambda rng, rows: rng.exponential(size=rows) - 1),
    "log-normal": (
        SKEW * (SKEW - 1),
        lambda rng, rows: np.exp(rng.normal(size=rows) / 2) - math.sqrt(SKEW),
    ),
    **{
        f"5 % with {by} times": (
            0.95 + 0.05 * by**2,
            lambda rng, rows, by=by: (
                rng.normal(size=rows) * np.where(rng.random(rows) < 0.05, by, 1)
            ),
        )
        for by in (3, 5)
    },
}
"""Variance, and how it is drawn, of errors with a mean of 0."""


def tails(runs: int, sizes: Sequence[int] = (100, 500, 2_000)) -> None:
    """Say of which errors the upper end of an RMSE holds, and what that costs in width."""
    print(
        f"\nlower and upper end of RMSE, {runs} runs (error of a share: "
        f"{_error(1 - ALPHA, runs):.1%}); in brackets, the upper by Hall's transformation alone"
    )
    for name, (variance, draw) in TAILS.items():
        for size in sizes:
            rng, held, wide, told = np.random.default_rng(size), np.zeros(3), np.zeros(2), 0
            codes = np.arange(size) // 4 if name == OF_GROUPS else None
            for _ in range(runs):
                errors = draw(rng, size)
                it = Outcomes("regression", errors, np.zeros(size), codes)
                hall = compare_alone.mean(errors**2, it, ALPHA)[1]
                low, high, _, tail = compare_alone.mean(errors**2, it, ALPHA, squares=True)
                held += low <= variance, high >= variance, hall >= variance
                wide += np.sqrt([high, hall]) - math.sqrt(np.mean(errors**2))
                told += tail > 0
            low, high, hall = held / runs
            print(
                f"  {name:24}{size:6,} rows {low:7.1%} {high:7.1%} ({hall:.1%}), "
                f"{wide[0] / wide[1]:.2f} times as far; told in {told / runs:.0%}",
                flush=True,
            )


def _error(share: float, runs: float) -> float:
    return 1.96 * float(np.sqrt(share * (1 - share) / runs))


def main() -> None:
    """Print the seven tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="of the first table")
    parser.add_argument("--seed", type=int, default=0, help="of the first table")
    tables: dict[str, Callable[[int], None]] = {
        "coverage": lambda runs: coverage(runs, given.sizes, given.seed),
        "alone": alone,
        "tails": tails,
        "numbers": numbers,
        "promotions": promotions,
        "slices": slices,
        "searches": lambda runs: searches(min(runs, 400)),
    }
    parser.add_argument("--only", choices=tables, help="one table")
    given = parser.parse_args()
    for name, table in tables.items():
        if given.only in {None, name}:
            table(given.runs)


if __name__ == "__main__":
    main()
