"""Looks side by side, on as many threads as what they wait for is worth."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, TypeVar

From = TypeVar("From")
To = TypeVar("To")

_TICK: Final = 0.02
"""How often it is looked how fast one thread gets on, in seconds."""
_QUICK: Final = 8
"""How many looks it has done in that time where they wait for nothing."""


def abreast(look: Callable[[From], To], at: Sequence[From], most: int) -> list[To]:
    """Look at all of them, and return what each look gave, in order.

    One thread begins: where looks wait for nothing more would only take turns with it, which costs
    more than the looks. Once it does not get on there are ``most``. What a look raises is raised
    here, the first in order; then nothing more is begun.
    """
    return _Looks(look, at).carried_out(most) if at else []


class _Looks(Generic[From, To]):
    def __init__(self, look: Callable[[From], To], at: Sequence[From]) -> None:
        self._look, self._at = look, at
        self._left: Iterator[int] = iter(range(len(at)))
        self._given: dict[int, To] = {}
        self._failed: dict[int, BaseException] = {}
        self._guard = threading.Lock()

    def carried_out(self, most: int) -> list[To]:
        threads = [self._begun()]
        try:
            while threads[0].is_alive():
                before = len(self._given)
                threads[0].join(_TICK)
                if len(self._given) - before < _QUICK and threads[0].is_alive():
                    break
            wanted = min(most, len(self._at) - len(self._given))
            if threads[0].is_alive():
                threads += [self._begun() for _ in range(1, wanted)]
            for thread in threads:
                thread.join()
        finally:  # whoever is interrupted has nobody go on behind it
            self._stop()
            for thread in threads:
                thread.join()
        if self._failed:
            raise self._failed[min(self._failed)]
        return [self._given[i] for i in range(len(self._at))]

    def _begun(self) -> threading.Thread:
        thread = threading.Thread(target=self._carry_out, name="refresh")
        thread.start()
        return thread

    def _carry_out(self) -> None:
        while (i := self._next()) is not None:
            try:
                self._given[i] = self._look(self._at[i])
            except BaseException as error:  # noqa: BLE001 - it is raised where the look was asked for
                self._failed[i] = error
                self._stop()

    def _next(self) -> int | None:
        with self._guard:
            return next(self._left, None)

    def _stop(self) -> None:
        with self._guard:
            self._left = iter(())
