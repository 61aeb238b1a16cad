"""What a stage costs beyond its work: ``executors.py [--runs N]``.

First, a stage of 0.2 CPU seconds in a warm worker, beside the same work in this process, in turn.
Second, eight stages of one CPU second each on two cores: two workers of ours beside a pool of two
processes of the standard library, in turn, and ``mlform apply`` as a whole process; ideal is 4 s.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from _busy import work
from _measure import Side, mlform

from mlform.execute import LocalExecutor, Task

STAGES, SECONDS, CORES = 8, 1.0, 2
SHORT = 0.2


def task(folder: str, seconds: float) -> Task:
    """Return the request for one stage."""
    return Task(
        provider="_busy:Bench",
        settings={},
        kind="model",
        type="busy",
        method="apply",
        arguments={"seconds": seconds},
        old=None,
        context={"root": folder, "workdir": folder},
        context_factory="_busy:context",
    )


def timed(act: Callable[[], object]) -> float:
    """Return the seconds by the clock that it takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def run(executor: LocalExecutor, one: Task) -> None:
    """Run a stage to its end."""
    result = executor.run(one, lambda _message: None, threading.Event())
    if result.error:
        raise SystemExit(f"{result.error.summary}: {result.error.detail}")


def overhead(executor: LocalExecutor, folder: str, runs: int) -> None:
    """Print what a warm worker adds to a short stage."""
    one = task(folder, SHORT)
    run(executor, one)
    found = [(timed(lambda: work(SHORT)), timed(lambda: run(executor, one))) for _ in range(runs)]
    bare, ours = (statistics.median(side) for side in zip(*found, strict=True))
    more = sorted(there - here for here, there in found)
    print(f"a stage of {SHORT} CPU s, median of {runs}: {bare:.3f} s bare, {ours:.3f} s as a stage")
    print(f"    beyond its work: median {1000 * statistics.median(more):.0f} ms, "
          f"p90 {1000 * more[int(0.9 * runs)]:.0f} ms")  # fmt: skip


def eight(executor: LocalExecutor, folder: str, runs: int) -> None:
    """Print how near eight stages come to ideal."""
    one = task(folder, SECONDS)
    with ProcessPoolExecutor(CORES) as pool, ThreadPoolExecutor(STAGES) as threads:
        list(pool.map(work, [0.01] * CORES))
        found = []
        for _ in range(runs):
            bare = timed(lambda: list(pool.map(work, [SECONDS] * STAGES)))
            ours = timed(lambda: list(threads.map(lambda _: run(executor, one), range(STAGES))))
            found.append((bare, ours, command()))
    ideal = STAGES * SECONDS / CORES
    print(f"{STAGES} stages of {SECONDS:g} CPU s on {CORES} cores, ideal {ideal:g} s, of {runs}")
    names = ("process pool", "warm workers", "mlform apply")
    for name, side in zip(names, zip(*found, strict=True), strict=True):
        middle = statistics.median(side)
        print(f"    {name:<14} {middle:6.2f} s  {middle / ideal:5.2f} of ideal")


def command() -> float:
    """Return the seconds that a whole ``mlform apply`` of the eight takes."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        info = folder / "lib" / "mlform_busy-1.dist-info"
        info.mkdir(parents=True)
        (info.parent / "_busy.py").write_text(Path(__file__).with_name("_busy.py").read_text())
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mlform-busy\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[mlform.providers]\nbusy = _busy:Bench\n")
        lines = (f"count = {STAGES}", f"seconds = {SECONDS}", "number = count.index")
        stages = "\n".join(('model "busy" "m" {', *lines, "}"))
        (folder / "main.mlf.hcl").write_text(stages)
        environment = {**os.environ, "PYTHONPATH": str(folder / "lib")}
        options = ["-auto-approve", f"-parallelism={CORES}"]
        return Side([mlform(), "apply", *options], folder, environment).run().wall


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, LocalExecutor(CORES, ["_busy"]) as executor:
        overhead(executor, folder, given.runs)
        eight(executor, folder, max(given.runs // 7, 1))


if __name__ == "__main__":
    main()
