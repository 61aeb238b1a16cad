"""A signal is heard whenever it comes, and what waits for it goes on at once."""

from __future__ import annotations

import signal
import sys
from itertools import count, takewhile
from types import FrameType
from typing import Any

import pytest

from mlform.commands.stopping import told_to_stop

LONG = 600.0
"""Seconds that nobody waits for here: a signal that is slept through lets the test run so long."""


class At:
    """A tracer that raises a signal before one of the lines that run."""

    def __init__(self, line: int) -> None:
        self.left = line

    def __call__(self, _frame: FrameType, event: str, _value: Any) -> At:
        if event == "line":
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGTERM)
        return self


def heard(line: int, seconds: float) -> bool | None:
    """Raise a signal before a line of a wait; was it heard? ``None``: no such line."""
    at = At(line)
    with told_to_stop() as stop:
        sys.settrace(at)
        try:
            found = stop.wait(seconds)
        finally:
            sys.settrace(None)
    return None if at.left > 0 else found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_wait(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with told_to_stop() as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
        assert stop.wait(LONG)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("line", range(1, 4))
def test_a_signal_just_before_it_sleeps(line: int) -> None:
    assert heard(line, LONG)


def test_a_signal_at_any_line_of_the_wait() -> None:
    found = list(takewhile(lambda it: it is not None, (heard(n, 0.001) for n in count(1))))
    assert len(found) > 3
    assert all(found)


def test_a_signal_while_it_sleeps() -> None:
    with told_to_stop() as stop:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        earlier = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
        try:
            assert stop.wait(LONG)
        finally:
            signal.signal(signal.SIGALRM, earlier)
