"""Whole processes timed in turn, and figures side by side."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Run(NamedTuple):
    """What one process took: seconds by the clock and of CPU, and its peak memory in MB."""

    wall: float
    cpu: float
    peak: float


@dataclass(frozen=True)
class Side:
    """A command to time, where it runs, and in which environment."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]

    def run(self) -> Run:
        """Run it once; its CPU has that of its children in it."""
        began = time.perf_counter()
        process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            env=_as_users_have_it(self.environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(self.command)} failed:\n{said.decode()}")
        unit = 1e6 if sys.platform == "darwin" else 1e3
        return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def _as_users_have_it(environment: Mapping[str, str]) -> dict[str, str]:
    """Let Python keep what it compiled: the first turn, which is not counted, writes it."""
    return {n: v for n, v in environment.items() if n != "PYTHONDONTWRITEBYTECODE"}


def in_turn(sides: Mapping[str, Side], runs: int) -> dict[str, Run]:
    """Run all sides in turn; return the medians. The first turn warms the caches."""
    found: dict[str, list[Run]] = {name: [] for name in sides}
    for turn in range(runs + 1):
        for name, side in sides.items():
            run = side.run()
            if turn:
                found[name].append(run)
    return {n: Run(*map(statistics.median, zip(*rows, strict=True))) for n, rows in found.items()}


def show(title: str, found: Mapping[str, Run], ours: Sequence[str] = ("mlform",)) -> None:
    """Print medians, and for each of ours the ratio to each of the others."""
    print(title)
    for name, run in found.items():
        print(f"  {name:<18} {run.wall:8.2f} s wall {run.cpu:8.2f} s CPU {run.peak:8.0f} MB peak")
    for name in (n for n in ours if n in found):
        for other in (n for n in found if n not in ours):
            wall, cpu, peak = (a / b for a, b in zip(found[name], found[other], strict=True))
            which = f"{name} / {other}"
            print(f"    {which:<26} {wall:6.2f}  wall {cpu:7.2f}  CPU {peak:7.2f}  peak")
    if all(n in ours for n in found):
        print("    nothing on the PATH to compare with")
    sys.stdout.flush()


def mlform() -> str:
    """Return the program beside this interpreter."""
    return str(Path(sys.executable).with_name("mlform"))
