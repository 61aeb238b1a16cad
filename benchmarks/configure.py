"""Parsing, configuration and evaluation of N resources, beside ``terraform validate``.

    python benchmarks/configure.py [N] [RUNS]

Both sides read the same shape of spec, about 225 bytes a resource: a reference to the resource
before, a local value, a template, a function call, an object. Ours is timed inside one process,
after its imports, in CPU seconds: the parts, and their sum. Terraform's is the CPU of the whole
``validate`` process, less that of ``terraform version``. Reported are the least of all runs and
the ratio; without a ``terraform`` on the PATH only our side is measured, and the report says so.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOCALS = 'locals {\n  owner = "team-${lower("ML")}"\n  base  = 10\n}\n'
OURS = """
model "bench" "m{i}" {{
  input  = {before}
  depth  = local.base + {i} % 7
  labels = {{ owner = local.owner, number = "{i}", even = {i} % 2 == 0 ? "yes" : "no" }}
  name   = "resource-${{format("%04d", {i})}}-${{upper(substr("abcdef", {i} % 5, 2))}}"
}}
"""
THEIRS = """
resource "terraform_data" "m{i}" {{
  input = {{
    before = {before}
    depth  = local.base + {i} % 7
    labels = {{ owner = local.owner, number = "{i}", even = {i} % 2 == 0 ? "yes" : "no" }}
    name   = "resource-${{format("%04d", {i})}}-${{upper(substr("abcdef", {i} % 5, 2))}}"
  }}
}}
"""
MEASURE = """
import gc, sys, time
from pathlib import Path
from typing import Any
import mlform.commands.queries, mlform.graph, mlform.lang.functions, mlform.refresh.scope
import mlform.syntax
from mlform.commands.checking import check
from mlform.config import Given, Sources, load
from mlform.diagnostics import Diagnostics
from mlform.registry import Registry
from mlform.sdk import Arguments, Attributes, Provider, Resource


class BenchArguments(Arguments):
    input: Any = None
    depth: int = 0
    labels: dict[str, str] = {}
    name: str = ""


class BenchAttributes(Attributes):
    output: int


class Bench(Resource[BenchArguments, BenchAttributes], kind="model", type="bench"):
    def apply(self, ctx, new, old):
        return BenchAttributes(output=1)


class Benches(Provider):
    def resources(self):
        return [Bench()]


root = Path(sys.argv[1])
text = (root / "main.mlf.hcl").read_text()
registry = Registry({"bench": "__main__:Benches"})
registry.find("model", "bench")
gc.freeze()
gc.set_threshold(200_000, 20, 100)  # as the program does
t0 = time.process_time()
mlform.syntax.parse(text, "main.mlf.hcl", Diagnostics())
t1 = time.process_time()
found = Diagnostics()
project, names = load(Sources.read(root, found), registry, Given((), {}), found)
t2 = time.process_time()
mlform.graph.build(project, names, found)
t3 = time.process_time()
check(project, found)
t4 = time.process_time()
found.stop_on_errors()
assert len(project.resources) == int(sys.argv[2])
print(t1 - t0, t2 - t1, t3 - t2, t4 - t3)
"""


def spec(shape: str, first: str, before: str, count: int) -> str:
    """Return a spec of N resources, each but the first referring to the one before."""
    blocks = [
        shape.format(i=i, before=before.format(i=i - 1) if i else first) for i in range(count)
    ]
    return LOCALS + "".join(blocks)


def ours(folder: Path, count: int, runs: int) -> list[float]:
    """Return the least CPU seconds of parsing, loading, graph and evaluation."""
    (folder / "main.mlf.hcl").write_text(spec(OURS, "0", "model.m{i}.output", count))
    command = [sys.executable, "-c", MEASURE, str(folder), str(count)]
    found = []
    for _ in range(runs):
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append([float(word) for word in done.stdout.split()])
    return [min(column) for column in zip(*found, strict=True)]


def cpu(command: list[str], folder: Path) -> float:
    """Run a command; return its CPU seconds."""
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def theirs(folder: Path, count: int, runs: int) -> float | None:
    """Return Terraform's least CPU seconds for the same, if there is a Terraform."""
    terraform = shutil.which("terraform")
    if terraform is None:
        return None
    text = spec(THEIRS, "0", "terraform_data.m{i}.output.depth", count)
    (folder / "main.tf").write_text(text)
    cpu([terraform, "init"], folder)
    start = min(cpu([terraform, "version"], folder) for _ in range(runs))
    return min(cpu([terraform, "validate"], folder) for _ in range(runs)) - start


def main() -> None:
    """Measure both sides and print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
        began = time.monotonic()
        parse, load, graph, check = ours(Path(a), count, runs)
        size = (Path(a) / "main.mlf.hcl").stat().st_size
        other = theirs(Path(b), count, runs)
    total = load + graph + check  # loading parses
    print(f"{count} resources, {size / 1000:.0f} kB, least of {runs} runs, CPU seconds")
    print(f"  mlform     parse {parse:.3f}, parse + configuration {load:.3f}, graph {graph:.3f},")
    print(f"             evaluation and checks {check:.3f}; together {total:.3f}")
    if other is None:
        print("  terraform  not on the PATH: not measured")
    else:
        print(f"  terraform  validate {other:.3f}; ratio {total / other:.2f}")
    print(f"  ({time.monotonic() - began:.0f} s in all)")


if __name__ == "__main__":
    main()
