"""No-op ``plan`` of N trivial resources, beside Terraform's ``terraform_data`` in one run.

    python benchmarks/noop_plan.py [N] [RUNS]

Each side applies its N resources once and is then asked for a plan, in turn, RUNS times. Reported
are medians of wall and CPU seconds of the whole process, and their ratio. Terraform is taken from
the PATH; without it only our side is measured, and the report says so.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROVIDER = '''
from mlform.sdk import Arguments, Attributes, Provider, Resource


class TrivialArguments(Arguments):
    input: int


class TrivialAttributes(Attributes):
    output: int


class Trivial(Resource[TrivialArguments, TrivialAttributes], kind="model", type="trivial"):
    """Gives back what it was given."""

    def apply(self, ctx, new, old):
        return TrivialAttributes(output=new.input)


class Bench(Provider):
    def resources(self):
        return [Trivial()]
'''


def prepare_mlform(folder: Path, count: int) -> tuple[list[str], dict[str, str]]:
    """Write the spec and the provider; apply; return the command to time and its environment."""
    library = folder / "lib"
    info = library / "mlform_bench-1.dist-info"
    info.mkdir(parents=True)
    (library / "mlform_bench.py").write_text(PROVIDER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mlform-bench\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[mlform.providers]\nbench = mlform_bench:Bench\n")
    blocks = [f'model "trivial" "m{i}" {{\n  input = {i}\n}}\n' for i in range(count)]
    (folder / "main.mlf.hcl").write_text("".join(blocks))
    environment = {**os.environ, "PYTHONPATH": str(library)}
    mlform = [str(Path(sys.executable).with_name("mlform"))]
    apply = [*mlform, "apply", "-auto-approve"]
    subprocess.run(apply, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return [*mlform, "plan"], environment


def prepare_terraform(folder: Path, count: int) -> tuple[list[str], dict[str, str]] | None:
    """Do the same for Terraform, if there is one."""
    terraform = shutil.which("terraform")
    if terraform is None:
        return None
    blocks = [f'resource "terraform_data" "m{i}" {{\n  input = {i}\n}}\n' for i in range(count)]
    (folder / "main.tf").write_text("".join(blocks))
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull}
    for command in (["init"], ["apply", "-auto-approve"]):
        subprocess.run(
            [terraform, *command],
            cwd=folder,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return [terraform, "plan"], environment


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Run a command; return wall and CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, and print one table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as place:
        ours, theirs = Path(place) / "mlform", Path(place) / "terraform"
        ours.mkdir()
        theirs.mkdir()
        sides = {"mlform": (ours, prepare_mlform(ours, count))}
        if (peer := prepare_terraform(theirs, count)) is not None:
            sides["terraform"] = (theirs, peer)
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
        for turn in range(runs + 1):
            for name, (folder, (command, environment)) in sides.items():
                found = timed(command, folder, environment)
                if turn:  # the first of each warms the caches
                    times[name].append(found)
    medians = {
        name: tuple(statistics.median(column) for column in zip(*rows, strict=True))
        for name, rows in times.items()
    }
    print(f"no-op plan of {count} resources, median of {runs}")
    for name, (wall, cpu) in medians.items():
        print(f"  {name:<10} {wall:7.2f} s wall {cpu:7.2f} s CPU")
    if "terraform" in medians:
        wall, cpu = (a / b for a, b in zip(medians["mlform"], medians["terraform"], strict=True))
        print(f"  ratio      {wall:7.2f}        {cpu:7.2f}")
    else:
        print("  no terraform on the PATH: nothing to compare with")


if __name__ == "__main__":
    main()
