"""What a process that runs a stage may use: threads and memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any, Final

from mlform.demand import Demand

THREADS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
"""What libraries read when they are loaded to learn how many threads to use."""


def threads(demand: Demand, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that hold libraries to the declared cores, or to one.

    What the user's environment says stands where nothing is declared.
    """
    if demand.cpu:
        return dict.fromkeys(THREADS, str(demand.threads))
    return {n: environment.get(n, "1") for n in THREADS}


def limit(demand: Demand) -> None:
    """Hold this process to what its stage declares."""
    if demand.cpu:
        os.environ.update(threads(demand, os.environ))
        _resize_pools(demand.threads)
    if demand.memory is not None:
        _limit_memory(demand.memory)


def _resize_pools(number: int) -> None:
    """Tell libraries that are loaded already, which read no variables any more."""
    with contextlib.suppress(ImportError):
        import threadpoolctl  # noqa: PLC0415 - only where somebody brought it

        threadpoolctl.threadpool_limits(number)


def _limit_memory(most: int) -> None:
    """Refuse this process more than ``most`` bytes beside what it holds now.

    It holds the libraries that were loaded for it, which are no need of the stage. Counted is
    what it writes to (RLIMIT_DATA): not the files it maps, nor address space it only sets aside.
    """
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - not everywhere

        allowed = most + _held()
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if hard != resource.RLIM_INFINITY:
            allowed = min(allowed, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))


def _held() -> int:
    with contextlib.suppress(OSError, ValueError), open("/proc/self/status") as status:  # noqa: PTH123 - a worker starts often
        for line in status:
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0


def peak_memory() -> int | None:
    """Return the largest resident set of this process so far, in bytes."""
    try:
        import resource  # noqa: PLC0415 - not everywhere
    except ImportError:
        return None
    from sys import platform  # noqa: PLC0415 - beside what needs it

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if platform == "darwin" else most * 1024


def demand_of(task: Mapping[str, Any]) -> Demand:
    """Return the demand in a task that came as plain data."""
    return Demand.of(task.get("demand") or {})
