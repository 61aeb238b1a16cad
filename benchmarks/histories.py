"""Carry out random histories and check what must hold: ``histories.py SEED N [JOBS [EXTRAS]]``.

The histories are those of ``tests/engine/histories``: random graphs, changes, failures, kills and
drift; ``EXTRAS`` are what is drawn on top (``secret,pin``), all of them unless told, ``none`` for
none. Prints every seed that breaks something with its history made smaller, and the figures.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.engine.histories.check import check
from tests.engine.histories.draw import history
from tests.engine.histories.enrich import EXTRAS
from tests.engine.histories.hold import BrokenError
from tests.engine.histories.model import History
from tests.engine.histories.shrink import shown, shrunk

_COLLECTED = 10
_QUICK = Path("/dev/shm")  # noqa: S108 - one folder a history, gone after it


def broken(one: History) -> str:
    """Return what a history breaks, or nothing."""
    with tempfile.TemporaryDirectory(dir=_QUICK if _QUICK.is_dir() else None) as folder:
        try:
            check(one, Path(folder))
        except BrokenError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - a crash is a finding as well
            return f"{type(error).__name__}: {error}"
    return ""


def carried_out(extras: tuple[str, ...], seed: int) -> tuple[int, Counter[str], str]:
    """Return the seed, what its history held, and what it broke, made smaller."""
    if seed % _COLLECTED == 0:
        gc.collect()  # else it looks through all that was imported, hundreds of times
    one = history(seed, extras=extras)
    counted: Counter[str] = Counter(rounds=len(one.rounds))
    for round_ in one.rounds:
        counted["blocks"] += len(round_.blocks)
        counted.update(
            f.name for f in fields(round_) if f.name in _COUNTED and vars(round_)[f.name]
        )
    found = broken(one)
    if found:
        kind = found.split(":")[0]
        small = shrunk(one, lambda it: broken(it).startswith(kind))
        found = f"{broken(small) or found}\n{shown(small)}"
    return seed, counted, found


_COUNTED = {"noise", "fail", "lost", "stop", "kill", "target", "exclude", "replace", "taint"} | {
    "drift",
    "saved",
    "moved",
    "removed",
    "module",
    "secret",
    "update",
    "imports",
}


def main() -> None:
    """Carry out N histories from SEED on."""
    seed, number = int(sys.argv[1]), int(sys.argv[2])
    jobs = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    told = sys.argv[4].split(",") if len(sys.argv) > 4 else EXTRAS
    carry_out = partial(carried_out, tuple(n for n in told if n != "none"))
    began, total, wrong = time.monotonic(), Counter[str](), 0
    with ProcessPoolExecutor(jobs, initializer=gc.disable) as pool:
        for at, (one, counted, found) in enumerate(
            pool.map(carry_out, range(seed, seed + number), chunksize=4), 1
        ):
            total.update(counted)
            if found:
                wrong += 1
                print(f"--- seed {one}: {found[:6000]}", flush=True)
            if at % 100 == 0:
                print(f"{at} histories, {wrong} broken", flush=True)
    seconds = time.monotonic() - began
    print(f"{number:,} histories from seed {seed} in {seconds:,.0f} s, {wrong} broken")
    print(", ".join(f"{n} {c:,}" for n, c in sorted(total.items())))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
