"""Full, small, read-only and rotten disks, and cuts of the power; ``benchmarks/disks.py`` has more.

What needs a disk of its own needs root, and is skipped elsewhere.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash import disk
from tests.crash.lab import Lab, Seen, afterwards, golden, on_disk, quick_folder

from mlform.diagnostics import DiagnosedError


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with quick_folder() as folder:
        made = Lab(folder / "base")
        made.prepare()
        yield made


@pytest.fixture(scope="module")
def want(lab: Lab) -> Seen:
    return golden(lab, lab.root.with_name("golden"))


def test_no_bit_flips_in_silence(lab: Lab) -> None:
    copy = lab.copy(lab.root.with_name("flips"))
    session = copy.session()
    plan = session.plan(session.store.snapshot())
    session.store.close()
    copy.apply()
    found, silent = disk.flips(copy, plan, 120, seed=4)
    assert silent == []
    assert all(found[f"{kind}: detected"] for kind in ("state", "object", "action", "plan"))


@pytest.mark.parametrize("most", [0, 60_000, 100_000])
def test_files_may_not_grow(lab: Lab, want: Seen, most: int) -> None:
    assert disk.limited(lab, lab.root.with_name(f"limit{most}"), want, most) == []


def test_a_full_disk(lab: Lab, want: Seen, tmp_path: Path) -> None:
    with disk.mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=6m", "none") as small:
        for free in (0, 32_768, 131_072, 327_680):
            assert disk.cramped(lab, small, want, free) == [], free


def test_a_disk_that_may_not_be_written(lab: Lab, want: Seen, tmp_path: Path) -> None:
    with disk.mounted(tmp_path / "ro", "-t", "tmpfs", "-o", "size=6m", "none") as place:
        copy = lab.copy(place / "lab")
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        with pytest.raises(DiagnosedError, match="right to"):
            copy.apply()
        subprocess.run(["mount", "-o", "remount,rw", place], check=True)
        assert on_disk(copy) == []
        assert afterwards(copy, want, Counter(), tmp_path / "said") == []


def test_the_power_is_cut(tmp_path: Path) -> None:
    power = disk.Power(tmp_path)
    assert [line for _ in range(2) for line in power.cut(0.5)] == []
    assert power.acknowledged > 4


def test_without_waiting_for_the_disk_a_cut_is_noticed(tmp_path: Path) -> None:
    """The control."""
    power = disk.Power(tmp_path, disk.unsettled)
    assert any(power.cut(0.5) for _ in range(5))
