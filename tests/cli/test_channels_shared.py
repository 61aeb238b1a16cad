"""The file of channels in two folders that share a state: what moved elsewhere is no drift."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.cli.inside import Inside

SPEC = """\
variable "depth" {
  type    = number
  default = 2
}
mlform {
  backend "sqlite" { path = "../shared/state.db" }
  store { path = "../shared/store" }
}
dataset "file" "d" {
  path = "d.csv"
}
training_job "sklearn" "t" {
  data      = dataset.d
  target    = "y"
  split     = null
  estimator = "sklearn.tree.DecisionTreeClassifier"
  params    = { max_depth = var.depth }
  leaks     = "off"
}
model "registry" "m" {
  candidate = training_job.t.model
}
"""
CHANNELS = ".mlform/resources/model.m/channels.json"
DEEPER = ("-var", "depth=3")


@pytest.fixture
def two(tmp_path: Path) -> tuple[Inside, Inside]:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    rows = (f"{n},{n * 7 % 11},{int(n * 7 % 11 > n % 5 + 3)}\n" for n in range(200))
    (here / "d.csv").write_text("x,z,y\n" + "".join(rows))
    (here / "main.mlf.hcl").write_text(SPEC)
    shutil.copytree(here, there)
    return Inside(here), Inside(there)


def test_what_another_folder_moved_is_no_drift(two: tuple[Inside, Inside]) -> None:
    here, there = two
    here.apply(expect=0)
    there.apply(*DEEPER, expect=0)
    assert json.loads((there.path / CHANNELS).read_text())["champion"]["version"] == 2
    assert json.loads((here.path / CHANNELS).read_text())["champion"]["version"] == 1
    plan = here.mlform("plan", "-json", *DEEPER).data
    assert plan["drift"] == []
    assert {s["action"] for s in plan["steps"]} <= {"no-op"}


def test_who_takes_a_channel_out_of_the_file_moved_it(two: tuple[Inside, Inside]) -> None:
    here, _ = two
    here.apply(expect=0)
    (here.path / CHANNELS).write_text("{}")
    plan = here.mlform("plan", "-json").data
    assert {d["address"] for d in plan["drift"]} == {"model.m"}
    assert here.apply(expect=0) == {"model.m": "update"}
    assert json.loads((here.path / CHANNELS).read_text())["champion"]["version"] == 1
    (here.path / CHANNELS).unlink()
    assert here.mlform("plan", "-json").data["drift"] == []
