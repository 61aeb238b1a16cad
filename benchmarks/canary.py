"""How often a canary that is no worse is rolled back, and how soon one that is; no speed.

Simulated requests: each goes to the canary with the probability of its step, and goes wrong with
the rate of its model. Beside what the server does (evidence looked at after each event): a z-test
of two proportions at 0.05, one-sided, looked at every 200 requests, as dashboards are.

    python benchmarks/canary.py [--runs 1000] [--requests 20000]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

import numpy as np

from mlform_core.serving.guard import SIGNALS, Guard

STEPS = ((0.05, 0.25, 0.5), (0.05,), (0.5,))
ALPHA = 0.05
LOOK = 200
WORSE = ((0.01, 0.02), (0.01, 0.05), (0.1, 0.12), (0.1, 0.15), (0.0, 0.01), (0.01, 1.0))


def shares(steps: Sequence[float], requests: int) -> np.ndarray:
    """Return the share of each request: the steps one after another, equally long."""
    return np.repeat(steps, math.ceil(requests / len(steps)))[:requests]


def guarded(
    chance: np.random.Generator, share: np.ndarray, rates: Sequence[tuple[float, float]]
) -> int | None:
    """Return after how many requests a canary is rolled back.

    ``rates``: of each signal, the old model's and the canary's.
    """
    guard = Guard(ALPHA)
    canary = chance.random(len(share)) < share
    wrong = np.full(len(share), -1)
    for place, (old, new) in enumerate(rates):
        hit = chance.random(len(share)) < np.where(canary, new, old)
        wrong[hit] = place
    for at in np.flatnonzero(wrong >= 0):
        breach = guard.see(float(share[at]), canary=bool(canary[at]), signal=SIGNALS[wrong[at]])
        if breach is not None:
            return int(at) + 1
    return None


def peeked(chance: np.random.Generator, share: np.ndarray, old: float, new: float) -> int | None:
    """Return after how many requests the z-test says so for the first time."""
    canary = chance.random(len(share)) < share
    wrong = chance.random(len(share)) < np.where(canary, new, old)
    ends = np.arange(LOOK, len(share) + 1, LOOK) - 1
    n = np.stack([np.cumsum(~canary)[ends], np.cumsum(canary)[ends]]).astype(float)
    k = np.stack([np.cumsum(wrong & ~canary)[ends], np.cumsum(wrong & canary)[ends]])
    with np.errstate(divide="ignore", invalid="ignore"):
        rate, pooled = k / n, k.sum(0) / n.sum(0)
        z = (rate[1] - rate[0]) / np.sqrt(pooled * (1 - pooled) * (1 / n).sum(0))
    first = np.flatnonzero(z > 1.6449)
    return int(ends[first[0]]) + 1 if len(first) else None


def main() -> None:
    """Simulate, and print two tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=20_000)
    given = parser.parse_args()
    chance = np.random.default_rng(7)
    print("| no worse: errors 1 %, refusals 2 %, slow 5 % | rolled back | z-test on errors |")
    print("|---|---|---|")
    for steps in STEPS:
        share = shares(steps, given.requests)
        rates = [(0.01, 0.01), (0.02, 0.02), (0.05, 0.05)]
        ours = sum(guarded(chance, share, rates) is not None for _ in range(given.runs))
        theirs = sum(peeked(chance, share, 0.01, 0.01) is not None for _ in range(given.runs))
        said = ", ".join(f"{s:.0%}" for s in steps)
        print(f"| steps {said} | {ours / given.runs:.1%} | {theirs / given.runs:.1%} |")
    print()
    print("| errors, old → canary | share | rolled back | median requests | of them the canary's |")
    print("|---|---|---|---|---|")
    for old, new in WORSE:
        for step in (0.05, 0.5):
            share = shares((step,), given.requests)
            runs = max(given.runs // 5, 1)
            found = [guarded(chance, share, [(old, new)]) for _ in range(runs)]
            caught = [f for f in found if f is not None]
            middle = np.median(caught) if caught else math.nan
            print(
                f"| {old:.0%} → {new:.0%} | {step:.0%} | {len(caught) / runs:.0%} | "
                f"{middle:,.0f} | {middle * step:,.0f} |"
            )


if __name__ == "__main__":
    main()
