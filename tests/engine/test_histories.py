"""Random histories: whatever happened, what must hold holds. ``benchmarks/histories.py`` has more.

A seed that fails is looked at with ``python benchmarks/histories.py SEED 1``, which also makes its
history smaller. Cases found that way are kept here by their seed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.engine.histories.check import check
from tests.engine.histories.draw import history
from tests.engine.histories.enrich import EXTRAS
from tests.engine.histories.model import write
from tests.engine.histories.run import Place, calm

from mlform.plan import dump

FOUND = {
    164: "a champion whose bytes are lost while its gate fails is an error, not a plan for ever",
    268: "equal keys and one failure: steps end in the order they began",
    362: "how many there are rests on what is held",
    30325: "what needs a thing that is held and was never made is held",
    30377: "how many there are rests on a result that is taken again",
    30512: "an ignored change keeps the handle of a version that is not recorded any more",
    30775: "one instance and numbered ones are recorded side by side after a change cut short",
    30784: "what is taken of upstream changes, and upstream is made anew",
    30820: "what is to be made again is made once, however many rounds an apply takes",
    37784: "from scratch, how many there are rests on what is held, and nothing is made of it",
    20033: "a reference that is new",
}
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("tens", range(10))
def test_what_must_hold_holds_in_random_histories(tmp_path: Path, tens: int) -> None:
    for seed in range(10 * tens, 10 * tens + 10):
        check(history(seed, most=12), tmp_path / str(seed))
        shutil.rmtree(tmp_path / str(seed))


@pytest.mark.parametrize("tens", range(10, 20))
def test_what_must_hold_holds_with_more_in_a_history(tmp_path: Path, tens: int) -> None:
    for seed in range(10 * tens, 10 * tens + 10):
        check(history(seed, most=7, extras=EXTRAS), tmp_path / str(seed))
        shutil.rmtree(tmp_path / str(seed))


def test_what_upstream_came_to_in_a_run_that_was_cut_off_makes_it_run(tmp_path: Path) -> None:
    check(history(60049, extras=("secret",)), tmp_path)


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_found_stays_mended(tmp_path: Path, seed: int) -> None:
    check(history(seed), tmp_path)


_ELSEWHERE = """
import sys, hashlib
from pathlib import Path
from tests.engine.histories.draw import history
from tests.engine.histories.run import Place, calm
from mlform.plan import dump
for name in sys.argv[1:]:
    last = calm(history(int(Path(name).name)).rounds[-1])
    plan = Place(Path(name)).plan(last)
    print(hashlib.sha256(dump(plan).encode()).hexdigest())
"""


def test_another_process_in_another_folder_plans_the_same_bytes(tmp_path: Path) -> None:
    seeds = range(300, 312)
    ours = []
    for seed in seeds:
        place = Place(tmp_path / "here" / str(seed))
        first, last = history(seed).rounds[0], calm(history(seed).rounds[-1])
        write(calm(first), place.root)
        place.apply(calm(first))
        write(last, place.root)
        ours.append(hashlib.sha256(dump(place.plan(last)).encode()).hexdigest())
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    folders = [str(tmp_path / "there" / str(seed)) for seed in seeds]
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", _ELSEWHERE, *folders],
            env=environment, cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.split() == ours
