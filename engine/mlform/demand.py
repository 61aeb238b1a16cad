"""What a stage asks of where it runs, and how often it is tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlform.lazy import dataclass

LOCAL: Final = "local"
"""The executor that is always there: processes of this machine."""

HERE: Final = frozenset({LOCAL, "process"})
"""Types of executors whose stages are processes of this machine, and share what it has."""

RETRIED: Final = ("lost", "transient", "timeout", "error")
"""How an attempt can end that may be tried again. Any of them is named in ``retry.on``."""


@dataclass(frozen=True)
class Demand:
    """What one stage asks for. None of it is part of any key: it never makes anything run again."""

    executor: str = LOCAL
    cpu: float = 0
    """Cores. 0: nothing is reserved, and linear algebra keeps to one thread."""
    gpu: float = 0
    """So many GPUs, or below 1 a share of one."""
    memory: int | None = None
    """Bytes; more is refused to the process where the system can."""
    timeout: float | None = None
    """Seconds that one attempt may run, the time in a queue left out."""
    attempts: int = 1
    backoff: float = 10.0
    """Seconds before the second attempt; each further one waits twice as long."""
    retry_on: tuple[str, ...] = ("lost", "transient")
    pools: tuple[str, ...] = ()
    """Of each it holds one slot while it runs."""

    @property
    def threads(self) -> int:
        """How many threads linear algebra may use."""
        return max(1, int(self.cpu))

    def as_data(self) -> dict[str, Any]:
        """Return what differs from a stage that asks for nothing, as plain data."""
        plain, found = vars(Demand()), vars(self)
        return {
            n: list(v) if isinstance(v, tuple) else v for n, v in found.items() if v != plain[n]
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Demand:
        """Read back what ``as_data`` returned."""
        given: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in data.items()}
        return cls(**given)


@dataclass(frozen=True)
class Declared:
    """An executor as a spec declares it: its type, and what is said of it beside that."""

    type: str
    settings: Mapping[str, Any]


def runs_here(demand: Demand, executors: Mapping[str, Declared]) -> bool:
    """Tell whether a stage is a process of this machine."""
    declared = executors.get(demand.executor)
    return demand.executor == LOCAL or (declared is not None and declared.type in HERE)


@dataclass(frozen=True)
class Capacity:
    """What there is of each. ``None``: nobody says, and nothing is held to it."""

    cpu: float | None = None
    gpu: int | None = None
    memory: int | None = None

    def lacks(self, demand: Demand) -> list[str]:
        """Say what a stage asks for that there will never be."""
        found = []
        for name, asked, there in (
            ("cpu", demand.cpu, self.cpu),
            ("gpu", demand.gpu, self.gpu),
        ):
            if there is not None and asked > there:
                found.append(f"{name} = {asked:g} of {there:g}")
        if self.memory is not None and (demand.memory or 0) > self.memory:
            found.append(f"memory = {size(demand.memory or 0)} of {size(self.memory)}")
        return found


def size(number: int) -> str:
    """Write bytes as people do: ``"4 GiB"``."""
    value, unit = float(number), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.4g} {unit}"
