"""``apply`` of trivial resources from nothing, beside Terraform's ``terraform_data`` in one run.

    python benchmarks/apply.py [COUNT …] [--runs N] [--peer-up-to N]

Each turn begins in an empty folder, and all are deleted at the end: for a minute after files were
deleted ext4 passes over the inodes that were theirs, which makes each new file of the next turn
dear. Reported are medians of wall seconds, CPU seconds and peak memory, and for each count what a
resource takes of ours: the same at every count if it is linear. Terraform is taken from the PATH,
for counts up to ``--peer-up-to``: its apply is quadratic.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from _measure import Run, Side, mlform, show
from noop_plan import PROVIDER, blocks

DEFAULT = (100, 1000)


def ours(folder: Path, count: int) -> Side:
    """Write a spec and its provider into an empty folder."""
    library = folder / "lib"
    info = library / "mlform_bench-1.dist-info"
    info.mkdir(parents=True)
    (library / "mlform_bench.py").write_text(PROVIDER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mlform-bench\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[mlform.providers]\nbench = mlform_bench:Bench\n")
    text = blocks("flat", count, 'model "trivial" "m{i}"', "model.m{i}.output")
    (folder / "main.mlf.hcl").write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(library)}
    return Side([mlform(), "apply", "-auto-approve"], folder, environment)


def theirs(folder: Path, count: int) -> Side | None:
    """Do the same for Terraform, if there is one."""
    terraform = shutil.which("terraform")
    if terraform is None:
        return None
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull}
    text = blocks("flat", count, 'resource "terraform_data" "m{i}"', "terraform_data.m{i}.output")
    (folder / "main.tf").write_text(text)
    init = [terraform, "init"]
    subprocess.run(init, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return Side([terraform, "apply", "-auto-approve"], folder, environment)


def turn(place: Path, count: int, *, peer: bool) -> dict[str, Run]:
    """Apply once on each side, each in a folder of its own."""
    found = {}
    for name, prepare in (("mlform", ours), ("terraform", theirs)):
        if name == "mlform" or peer:
            side = prepare(Path(tempfile.mkdtemp(dir=place)), count)
            if side is not None:
                found[name] = side.run()
    return found


def main() -> None:
    """Measure each count, and print a table for each."""
    options = argparse.ArgumentParser()
    options.add_argument("counts", nargs="*", type=int, default=DEFAULT, metavar="COUNT")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--peer-up-to", type=int, default=1000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        turn(place, 1, peer=False)  # writes the bytecode
        for count in given.counts:
            turns = [turn(place, count, peer=count <= given.peer_up_to) for _ in range(given.runs)]
            medians = {
                name: Run(*map(statistics.median, zip(*(it[name] for it in turns), strict=True)))
                for name in turns[0]
            }
            show(f"apply, {count:,} resources, median of {given.runs}", medians)
            wall, cpu = (1e3 * it / count for it in medians["mlform"][:2])
            print(f"    a resource: {wall:.1f} ms wall, {cpu:.1f} ms CPU")


if __name__ == "__main__":
    main()
