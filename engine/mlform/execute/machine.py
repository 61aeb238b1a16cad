"""What this machine has."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from mlform.demand import Capacity


def capacity() -> Capacity:
    """Return the cores this process may use, the memory, and the GPUs that can be seen."""
    return Capacity(cpu=float(_cores()), gpu=len(gpus()), memory=_memory())


def gpus() -> list[str]:
    """Return what GPUs are called: those that CUDA_VISIBLE_DEVICES leaves, or all there are."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in visible.split(",") if name.strip()]
    found = [p.name.removeprefix("nvidia") for p in Path("/dev").glob("nvidia[0-9]*")]
    return sorted(found, key=int)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int | None:
    """Return what there is, or what the control group of this process is held to."""
    found = []
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            found.append(int(Path(path).read_text(encoding="ascii")))
    return min(found, default=None)
