"""How good estimates are, on durations whose law is known.

    python benchmarks/estimates.py [STEPS]

Draws steps of four kinds (the same work each time; work in proportion to rows; a fixed part and one
in proportion; work that rows have no part in) with log-normal noise of 10, 25 and 40 %, and lets
the estimator see 1, 2, 3, 6 and 12 earlier runs. Reported for each: how many of the next runs took
at most p90 (90 % is right), and the factor that p50 was off by, in the median and for the worst
tenth. For scale: noise of 25 % alone puts the median factor of a perfect estimate at 1.18.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from collections.abc import Callable
from typing import Final

from mlform.plan import Action
from mlform.plan.estimate import estimate
from mlform.state.model import Spent

LAWS: Final[dict[str, Callable[[int], float]]] = {
    "the same each time": lambda _rows: 30.0,
    "in proportion to rows": lambda rows: rows / 1000,
    "fixed and in proportion": lambda rows: 20 + rows / 2000,
    "rows have no part": lambda _rows: 45.0,
}


def drawn(law: str, noise: float, runs: int, source: random.Random) -> tuple[list[Spent], Spent]:
    """Return earlier runs, newest first, and the one to come."""
    made = []
    rows = source.randint(10_000, 50_000)
    for _ in range(runs + 1):
        seconds = LAWS[law](rows) * math.exp(source.gauss(0, noise))
        made.append(Spent("training_job.a", "run", seconds, rows))
        if law != "the same each time":
            rows = int(rows * source.uniform(1.0, 1.5))  # data grow
    return made[-2::-1], made[-1]


def main() -> None:
    """Print a table."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    source = random.Random(7)  # noqa: S311 - a simulation
    print(f"{steps} steps each; coverage of p90, factor of p50 (median, worst tenth)")
    for law in LAWS:
        print(f"\n{law}")
        for runs in (1, 2, 3, 6, 12):
            cells = []
            for noise in (0.1, 0.25, 0.4):
                within, factors = 0, []
                for _ in range(steps):
                    past, now = drawn(law, noise, runs, source)
                    found = estimate(past, Action.RUN, now.rows)
                    assert found.expected is not None
                    assert found.most is not None
                    within += now.seconds <= found.most
                    factors.append(max(now.seconds / found.expected, found.expected / now.seconds))
                median, worst = statistics.median(factors), statistics.quantiles(factors, n=10)[-1]
                cells.append(f"{within / steps:4.0%} ×{median:.2f} ×{worst:.2f}")
            print(f"  {runs:>2} runs   " + "    ".join(cells))


if __name__ == "__main__":
    main()
