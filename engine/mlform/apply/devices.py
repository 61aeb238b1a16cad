"""Which step has which GPU of this machine: some of them as a whole, or a share of one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import chain, count, islice
from math import fsum
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
_LEAST = 1e-9
"""So much less than there is nobody means: three thirds are one."""


class Devices(Generic[K]):
    """The GPUs of this machine, by name, and the shares that are lent of each."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._lent: dict[str, dict[K, float]] = {n: {} for n in names}

    def fit(self, amount: float) -> tuple[str, ...] | None:
        """Return what somebody would be given now; ``None`` if too little is left.

        Below 1 it is a share of one: of the one with the least left that has as much, so that
        others stay free as a whole. From 1 on it is so many that nobody has anything of.
        """
        if 0 < amount < 1:
            left = {n: 1 - fsum(shares.values()) for n, shares in self._lent.items()}
            enough = [n for n in left if left[n] >= amount - _LEAST]
            return (min(enough, key=left.__getitem__),) if enough else None
        free = [n for n, shares in self._lent.items() if not shares]
        return tuple(free[: int(amount)]) if len(free) >= amount else None

    def take(self, key: K, amount: float) -> None:
        """Lend somebody what fits."""
        for name in self.fit(amount) or ():
            self._lent[name][key] = min(amount, 1)

    def give(self, key: K) -> None:
        """Take back what somebody has."""
        for shares in self._lent.values():
            shares.pop(key, None)

    def of(self, key: K) -> tuple[str, ...]:
        """Return the ones that somebody has."""
        return tuple(n for n, shares in self._lent.items() if key in shares)


def named(known: Sequence[str], number: int) -> list[str]:
    """Return the names of so many: those known, and beyond these by number, as CUDA counts."""
    further = (str(n) for n in count() if str(n) not in known)
    return list(islice(chain(known, further), number))
