"""A pipeline of files, beside DVC: a plan that finds nothing to do, and the first run.

    python benchmarks/pipeline.py [STAGES] [--runs N]

Nothing to do: half of the stages read a small CSV file each, the other half compute a table from
it with a Python function of the project's own. ``mlform plan`` is timed beside ``dvc status`` and
``dvc repro``, after everything was run once.

First run: stages that do next to nothing (ours give a number back, DVC's copy a file of one line),
from an empty state: ``mlform apply`` beside ``dvc repro``. Each needs as many processes as stages.

DVC is taken from the PATH, or from the environment variable ``DVC``; it is in the dependency group
``bench``, which is for an environment of its own. Without it only our side is measured.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from _measure import Run, Side, in_turn, mlform, show
from noop_plan import prepare_mlform as prepare_trivial

CODE = '''
"""The features of the pipeline."""

from shares import share


def build(frame, factor):
    frame["share"] = share(frame["amount"], factor)
    return frame
'''
HELPER = '''
"""What all features use."""


def share(amount, factor):
    return factor * amount / amount.sum()
'''
OURS = """
dataset "file" "d{i}" {{
  path = "data/part{i}.csv"
}}

feature_view "python" "f{i}" {{
  from      = dataset.d{i}
  transform = "features.py:build"
  params    = {{ factor = {i} }}
}}
"""
THEIRS_CODE = '''
"""Both kinds of stage: read a file, or compute from what was read."""

import csv
import sys

what, source, target, factor = sys.argv[1:]
with open(source) as file:
    rows = list(csv.DictReader(file))
if what == "feature":
    total = sum(float(row["amount"]) for row in rows)
    for row in rows:
        row["share"] = int(factor) * float(row["amount"]) / total
with open(target, "w") as file:
    writer = csv.DictWriter(file, rows[0])
    writer.writeheader()
    writer.writerows(rows)
'''
THEIRS = """
  {what}{i}:
    cmd: python3 stages.py {what} {source} {target} {i}
    deps: [stages.py, {source}]
    outs: [{target}]
"""
TRIVIAL = """
  copy{i}:
    cmd: cp data/part{i}.csv out/{i}.csv
    deps: [data/part{i}.csv]
    outs: [out/{i}.csv]
"""


def write_data(folder: Path, count: int, rows: int) -> None:
    """Write one small CSV file for each dataset."""
    (folder / "data").mkdir(parents=True)
    for i in range(count):
        lines = [f"{n},{n * 7 % 101 + i}" for n in range(rows)]
        (folder / f"data/part{i}.csv").write_text("\n".join(["id,amount", *lines]) + "\n")


def prepare_ours(folder: Path, count: int) -> Side:
    """Write and apply our pipeline; return the no-op plan."""
    write_data(folder, count // 2, 50)
    (folder / "features.py").write_text(CODE)
    (folder / "shares.py").write_text(HELPER)
    spec = "".join(OURS.format(i=i) for i in range(count // 2))
    (folder / "main.mlf.hcl").write_text(spec)
    quiet = subprocess.DEVNULL
    subprocess.run([mlform(), "apply", "-auto-approve"], cwd=folder, check=True, stdout=quiet)
    subprocess.run([mlform(), "plan", "-detailed-exitcode"], cwd=folder, check=True, stdout=quiet)
    return Side([mlform(), "plan"], folder, os.environ)


def start_dvc(dvc: str, folder: Path, stages: str) -> dict[str, str]:
    """Make a DVC project of some stages; return the environment for its commands."""
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    subprocess.run([dvc, "init", "--no-scm", "-q"], cwd=folder, env=environment, check=True)
    (folder / "out").mkdir()
    (folder / "dvc.yaml").write_text("stages:" + stages)
    return environment


def prepare_theirs(dvc: str, folder: Path, count: int) -> dict[str, Side]:
    """Write and run DVC's pipeline; return the commands that then find nothing to do."""
    write_data(folder, count // 2, 50)
    (folder / "stages.py").write_text(THEIRS_CODE)
    stages = ""
    for i in range(count // 2):
        source, read, target = f"data/part{i}.csv", f"out/read{i}.csv", f"out/feature{i}.csv"
        stages += THEIRS.format(what="read", i=i, source=source, target=read)
        stages += THEIRS.format(what="feature", i=i, source=read, target=target)
    environment = start_dvc(dvc, folder, stages)
    subprocess.run([dvc, "repro", "-q"], cwd=folder, env=environment, check=True)
    return {
        "dvc status": Side([dvc, "status"], folder, environment),
        "dvc repro": Side([dvc, "repro"], folder, environment),
    }


def nothing_to_do(dvc: str | None, place: Path, count: int, runs: int) -> None:
    """Measure the pipeline of files with nothing to do."""
    ours, theirs = place / "mlform", place / "dvc"
    sides = {"mlform": prepare_ours(ours, count)}
    if dvc is not None:
        sides |= prepare_theirs(dvc, theirs, count)
    found = in_turn(sides, runs)
    show(f"no-op of {count} stages on files with Python code, median of {runs}", found)


def first_run(dvc: str | None, place: Path, count: int, runs: int) -> None:
    """Measure trivial stages from nothing."""
    ours, theirs = place / "mlform", place / "dvc"
    ours.mkdir(parents=True)
    side = prepare_trivial(ours, "flat", count)
    apply = Side([mlform(), "apply", "-auto-approve"], ours, side.environment)
    sides: dict[str, tuple[Side, Callable[[], object]]] = {
        "mlform apply": (apply, lambda: shutil.rmtree(ours / ".mlform"))
    }
    if dvc is not None:
        write_data(theirs, count, 1)
        environment = start_dvc(dvc, theirs, "".join(TRIVIAL.format(i=i) for i in range(count)))

        def clear() -> None:
            shutil.rmtree(theirs / ".dvc" / "cache", ignore_errors=True)
            shutil.rmtree(theirs / "out")
            (theirs / "out").mkdir()
            (theirs / "dvc.lock").unlink(missing_ok=True)

        sides["dvc repro"] = Side([dvc, "repro", "-q"], theirs, environment), clear
    times: dict[str, list[Run]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, (it, clear_away) in sides.items():
            clear_away()
            times[name].append(it.run())
    found = {n: Run(*map(statistics.median, zip(*rows, strict=True))) for n, rows in times.items()}
    show(f"first run of {count} trivial stages, median of {runs}", found, ["mlform apply"])


def main() -> None:
    """Measure both."""
    options = argparse.ArgumentParser()
    options.add_argument("stages", type=int, nargs="?", default=100)
    options.add_argument("--runs", type=int, default=5)
    given = options.parse_args()
    dvc = os.environ.get("DVC") or shutil.which("dvc")
    with tempfile.TemporaryDirectory() as place:
        nothing_to_do(dvc, Path(place) / "noop", given.stages, given.runs)
        first_run(dvc, Path(place) / "first", given.stages, max(1, given.runs // 2))


if __name__ == "__main__":
    main()
