"""To be told to stop by a signal, and to wait for that."""

from __future__ import annotations

import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether a signal said to stop.

    No ``threading.Event``: who waits for one holds its lock while it begins to, and a handler that
    comes just then, in the same thread, would wait for that lock for ever.
    """

    def __init__(self, woken: socket.socket) -> None:
        """``woken``: where Python writes a byte as soon as a signal is there."""
        self._woken = woken
        self._told = False

    def is_set(self) -> bool:
        """Tell whether it is to stop."""
        return self._told

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until a signal says to stop; tell whether one did."""
        end = time.monotonic() + seconds
        while not self._told and (left := end - time.monotonic()) > 0:
            # A signal since the line above has left its byte: this does not sleep through it.
            select.select([self._woken], [], [], left)
            with suppress(BlockingIOError):
                self._woken.recv(4096)
        return self._told

    def hear(self, _signal: int, _frame: FrameType | None) -> None:
        """Be told."""
        self._told = True


@contextmanager
def told_to_stop() -> Iterator[Stop]:
    """Give the flag that SIGINT and SIGTERM set: what is under way ends first."""
    woken, wakes = socket.socketpair()
    with woken, wakes:
        for end in (woken, wakes):
            end.settimeout(0)
        stop = Stop(woken)
        earlier = signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        before = {s: signal.signal(s, stop.hear) for s in _SIGNALS}
        try:
            yield stop
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(earlier)
