"""No-op ``plan`` of trivial resources, beside Terraform's ``terraform_data`` in one run.

    python benchmarks/noop_plan.py [SHAPE:COUNT …] [--runs N]

Shapes: ``flat`` (nobody needs anybody), ``chain`` (each takes the output of the one before),
``fan`` (all take the output of the first). Each side has everything applied already, and is asked
for a plan in turn. Reported are medians of wall seconds, CPU seconds and peak memory of the whole
process, and their ratios. Terraform is taken from the PATH; without it only our side is measured.

Up to 1,000 resources are really applied. Above that the states are made of what one real apply of
a single resource recorded, since Terraform's apply is quadratic: 10,000 would take it hours.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from _measure import Side, in_turn, mlform, show

SHAPES = ("flat", "chain", "fan")
DEFAULT = ("flat:1000", "chain:100", "chain:1000", "fan:1000", "flat:10000")
APPLIED = 1000
"""The most resources that are applied one by one."""

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

FILL = """
import json
from dataclasses import replace
from mlform.address import Address
from mlform.state.store import SqlStore
from mlform.values import digest

store = SqlStore("sqlite:///.mlform/state.db")
steps = json.load(open('plan.json'))["steps"]
first = next(iter(store.snapshot().records.values()))
records = {}
for step in steps:
    address = Address.parse(step["address"])
    given = {"output": step["arguments"]["input"]}
    receipt = {**first.receipt, "home": step["address"]}
    records[address] = replace(first, address=address, key=step["key"], digest=digest(given),
        arguments=step["arguments"], attributes=given, receipt=receipt)
with store.lock("fill") as lease:
    store.move(lease, "fill", records)
"""


def blocks(shape: str, count: int, header: str, output: str) -> str:
    """Return a spec of one shape; ``output`` is how one refers to the output of number ``i``."""
    text = []
    for i in range(count):
        source = i - 1 if shape == "chain" else 0
        given = str(i) if shape == "flat" or not i else output.format(i=source)
        text.append(f"{header.format(i=i)} {{\n  input = {given}\n}}\n")
    return "".join(text)


def prepare_mlform(folder: Path, shape: str, count: int) -> Side:
    """Write the spec and the provider, and apply."""
    library = folder / "lib"
    info = library / "mlform_bench-1.dist-info"
    info.mkdir(parents=True)
    (library / "mlform_bench.py").write_text(PROVIDER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mlform-bench\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[mlform.providers]\nbench = mlform_bench:Bench\n")
    environment = {**os.environ, "PYTHONPATH": str(library)}
    spec = folder / "main.mlf.hcl"

    def write(number: int) -> None:
        header, output = 'model "trivial" "m{i}"', "model.m{i}.output"
        spec.write_text(blocks(shape, number, header, output))

    def call(*arguments: str) -> None:
        command = [mlform(), *arguments]
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)

    write(1 if count > APPLIED else count)
    call("apply", "-auto-approve")
    if count > APPLIED:
        write(count)
        call("plan", "-out", "plan.json")
        subprocess.run([sys.executable, "-c", FILL], cwd=folder, env=environment, check=True)
    call("plan", "-detailed-exitcode")  # fails if it is no no-op
    return Side([mlform(), "plan"], folder, environment)


def prepare_terraform(folder: Path, shape: str, count: int) -> Side | None:
    """Do the same for Terraform, if there is one."""
    terraform = shutil.which("terraform")
    if terraform is None:
        return None
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull}
    spec = folder / "main.tf"

    def write(number: int) -> None:
        header, output = 'resource "terraform_data" "m{i}"', "terraform_data.m{i}.output"
        spec.write_text(blocks(shape, number, header, output))

    def call(*arguments: str) -> None:
        command = [terraform, *arguments]
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)

    write(1 if count > APPLIED else count)
    call("init")
    call("apply", "-auto-approve")
    if count > APPLIED:
        write(count)
        fill_terraform(folder / "terraform.tfstate", count)
    call("plan", "-detailed-exitcode")
    return Side([terraform, "plan"], folder, environment)


def fill_terraform(file: Path, count: int) -> None:
    """Write a state of flat resources, each like the one that was applied."""
    state = json.loads(file.read_text())
    first = json.dumps(state["resources"][0])
    state["resources"] = []
    for i in range(count):
        made = json.loads(first)
        made["name"] = f"m{i}"
        attributes = made["instances"][0]["attributes"]
        attributes["input"]["value"] = attributes["output"]["value"] = i
        attributes["id"] = f"00000000-0000-0000-0000-{i:012d}"
        state["resources"].append(made)
    file.write_text(json.dumps(state))


def main() -> None:
    """Measure each shape, and print a table for each."""
    options = argparse.ArgumentParser()
    options.add_argument("shapes", nargs="*", default=DEFAULT, metavar="SHAPE:COUNT")
    options.add_argument("--runs", type=int, default=5)
    given = options.parse_args()
    for text in given.shapes:
        shape, _, number = text.partition(":")
        count = int(number) if number.isdecimal() else 0
        if shape not in SHAPES or not count:
            raise SystemExit(f"{text}: write one of {', '.join(SHAPES)}, a colon and a number")
        if count > APPLIED and shape != "flat":
            raise SystemExit(f"{text}: only flat can be more than {APPLIED}")
        with tempfile.TemporaryDirectory() as place:
            ours, theirs = Path(place) / "mlform", Path(place) / "terraform"
            ours.mkdir()
            theirs.mkdir()
            sides = {"mlform": prepare_mlform(ours, shape, count)}
            if (peer := prepare_terraform(theirs, shape, count)) is not None:
                sides["terraform"] = peer
            found = in_turn(sides, given.runs)
        show(f"no-op plan, {shape}, {count:,} resources, median of {given.runs}", found)


if __name__ == "__main__":
    main()
