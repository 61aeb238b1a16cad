"""Kill an apply at every point there is, and engines broken on purpose: ``crashes.py [JOBS [N]]``.

Each is killed with one step at a time, and with four at once. With N only every Nth hit counts.
The change, the points and what must hold are those of ``tests/crash``. Prints every violation and
the figures that ``crashes.md`` has.
"""

from __future__ import annotations

import gc
import random
import statistics
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.crash import mutants
from tests.crash.lab import Crash, Lab, Seen, crash, golden, points, quick_folder

_FAILING = ("eio", "enospc", "raise")


def carried_out(job: tuple[Lab, Seen, str, int, str]) -> tuple[Crash, str, float]:
    """Return what came of one crash, how it was brought about, and how many seconds it took."""
    lab, want, point, hit, action = job
    began = time.monotonic()
    at = lab.root.with_name(f"{point}-{hit}-{action}")
    return crash(lab, at, want, point, hit, action=action), action, time.monotonic() - began


def caught(job: tuple[Lab, Seen, str]) -> tuple[str, int, int, str]:
    """Return a mutant, after how many of how many crashes it was caught, and how."""
    lab, want, name = job
    mutant = mutants.KILLED[name]
    there = points(lab, lab.root.with_name(f"{name}-points"), mutant)
    random.Random(1).shuffle(there)  # noqa: S311 - the same order every time
    for number, point in enumerate(there, 1):
        found = crash(lab, lab.root.with_name(name), want, *point, mutant=mutant)
        if found.violations:
            return name, number, len(there), found.violations[0][:120]
    return name, 0, len(there), "not caught"


def main() -> None:
    """Carry out all of them."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    with quick_folder() as folder:
        lab = Lab(folder / "base")
        lab.prepare()
        want = golden(lab, folder / "golden")
        there = points(lab, folder / "points")
        chosen = there[:: int(sys.argv[2]) if len(sys.argv) > 2 else 1]
        print(
            f"{len(chosen)} of {len(there)} hits of {len({n for n, _ in there})} points", flush=True
        )
        gc.collect()
        gc.freeze()
        with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
            _kill(pool, lab, want, chosen)
            _kill(pool, replace(lab, parallelism=4), want, chosen)
            for line in pool.map(caught, [(lab, want, name) for name in mutants.KILLED]):
                print(*line, flush=True)


def _kill(pool: ProcessPoolExecutor, lab: Lab, want: Seen, there: list[tuple[str, int]]) -> None:
    work = [(lab, want, *point, action) for action in ("kill", *_FAILING) for point in there]
    by: dict[str, list[tuple[Crash, float]]] = {}
    for found, action, seconds in pool.map(carried_out, work, chunksize=4):
        by.setdefault(action, []).append((found, seconds))
        if found.violations or (action == "kill" and not found.died):
            print(action, found, flush=True)
    print(f"{lab.parallelism} at once", flush=True)
    for action, several in by.items():
        again = Counter(c.again for c, _ in several)
        wrong = sum(bool(c.violations) for c, _ in several)
        median = statistics.median(s for _, s in several)
        print(
            f"{action}: {len(several)} tried, {wrong} with violations, "
            f"resources with an effect once more: {dict(sorted(again.items()))}, "
            f"{median:.2f} s each (median)",
            flush=True,
        )


if __name__ == "__main__":
    main()
