"""A run that sleeps while another takes the lock from it does no harm when it wakes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.crash import mutants
from tests.crash.lab import Lab, forked, golden, on_disk, quick_folder
from tests.crash.storm import Storm

from mlform import failpoints
from mlform.state import LockedError

ASLEEP = ("apply.called:1", "apply.called:5", "apply.realised:3", "apply.recorded:2")
ASLEEP += ("apply.destroyed:1", "apply.walked:1", "apply.closed:1")


@pytest.fixture
def quick() -> Iterator[Path]:
    with quick_folder() as folder:
        yield folder


@pytest.fixture
def lab(quick: Path) -> Lab:
    made = Lab(quick / "lab")
    made.prepare()
    return made


def overtaken(lab: Lab, point: str, mutant: Callable[[], None] = lambda: None) -> list[str]:
    """Let a run fall asleep, another take over and end, the first wake; return what is wrong.

    Wrong is also what the first wrote once it had lost the lock.
    """
    child = os.fork()
    if child == 0:
        try:
            mutant()
            failpoints.arm(failpoints.planned(f"{point}:pause"))
            lab.apply()
        finally:
            os._exit(0)
    assert os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1])
    _take_the_lock(lab)
    assert forked(lab.apply, lab.root.with_name("said")) == 0
    store = lab.session().store
    last = [e.sequence for e in store.journal()][-1]
    os.kill(child, signal.SIGCONT)
    os.waitpid(child, 0)
    late = [f"{e.operation} {e.address}" for e in store.journal() if e.sequence > last]
    return on_disk(lab) + late


def _take_the_lock(lab: Lab) -> None:
    store = lab.session().store
    with pytest.raises(LockedError) as refused, store.lock("apply"):
        pass
    assert store.break_lock(refused.value.holder.id)


@pytest.mark.parametrize("point", ASLEEP)
def test_who_lost_the_lock_writes_nothing_more(lab: Lab, point: str) -> None:
    want = golden(lab, lab.root.with_name("golden"))
    assert overtaken(lab, point) == []
    assert lab.seen() == want


def test_without_the_fence_it_does(lab: Lab) -> None:
    wrong = overtaken(lab, "apply.called:1", mutants.no_fence)
    assert any(line.startswith("done") for line in wrong)


def test_a_storm_of_kills_and_sleeps(quick: Path) -> None:
    """``benchmarks/storm.py`` has the long one, and the controls."""
    figures = Storm(f"sqlite:///{quick}/state.db", quick / "storm", 11).blow(kills=25, seconds=60)
    assert figures.violations == []
    assert figures.acknowledged > 10
