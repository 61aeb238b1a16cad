"""Flip bits, fill disks and cut the power, at length: ``disks.py [SEED]``; as root for all of it.

What is done and what must hold is in ``tests/crash/disk.py``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.crash import disk
from tests.crash.lab import Lab, Seen, golden, quick_folder

FLIPS, LEVELS, LIMITS, CUTS = 600, range(0, 640_000, 8_192), range(0, 280_000, 8_192), 12


def flips(lab: Lab, seed: int) -> None:
    """Flip bits of a state, of objects, of action entries and of a plan."""
    copy = lab.copy(lab.root.with_name("flips"))
    session = copy.session()
    plan = session.plan(session.store.snapshot())
    session.store.close()
    copy.apply()
    found, silent = disk.flips(copy, plan, FLIPS, seed)
    print(f"{FLIPS} flips, seed {seed}: {dict(sorted(found.items()))}", silent, flush=True)


def disks(lab: Lab, want: Seen, folder: Path) -> None:
    """Fill a disk to every level, and limit the size of files."""
    with disk.mounted(folder / "small", "-t", "tmpfs", "-o", "size=6m", "none") as small:
        wrong = {n: w for n in LEVELS if (w := disk.cramped(lab, small, want, n))}
    print(f"a disk filled to {len(LEVELS)} levels: {len(wrong)} not recovered", wrong, flush=True)
    at = folder / "limited"
    wrong = {n: w for n in LIMITS if (w := disk.limited(lab, at, want, n))}
    print(f"{len(LIMITS)} limits of files: {len(wrong)} not recovered", wrong, flush=True)


def cuts(folder: Path, name: str, mutant: Callable[[], object]) -> None:
    """Cut the power of one writer, again and again."""
    folder.mkdir()
    power = disk.Power(folder, mutant)
    lost = [found for number in range(CUTS) if (found := power.cut(0.1 + 0.1 * number))]
    print(
        f"{name}: {CUTS} cuts, {power.acknowledged} acknowledged, {len(lost)} cuts that lost "
        f"{sum(map(len, lost))}; {lost[0][:2] if lost else ''}",
        flush=True,
    )


def main() -> None:
    """Carry out all of them."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with quick_folder() as quick, tempfile.TemporaryDirectory() as slow:
        lab = Lab(quick / "base")
        lab.prepare()
        flips(lab, seed)
        cuts(Path(slow) / "real", "real", lambda: None)
        for name, mutant in disk.POWERLESS.items():
            cuts(Path(slow) / name, name, mutant)
        disks(lab, golden(lab, quick / "golden"), quick)


if __name__ == "__main__":
    main()
