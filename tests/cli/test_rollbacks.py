"""Rollbacks that meet something else: a spec that moved on, a variable without value, a kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.inside import Inside

SPEC = """\
variable "depth" {
  type = number
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
API = """\
deployment "http" "api" {
  model   = model.m.champion
  runtime = { kind = "native" }
}
"""
MOVED = """\
moved {
  from = deployment.api
  to   = deployment.risk
}
"""
ROLLBACK = ("rollback", "model.m", "-auto-approve")
DEEPEST = ("-var", "depth=4")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Inside]:
    rows = (f"{n},{n * 7 % 11},{int(n * 7 % 11 > n % 5 + 3)}\n" for n in range(200))
    (tmp_path / "d.csv").write_text("x,z,y\n" + "".join(rows))
    (tmp_path / "main.mlf.hcl").write_text(SPEC)
    (tmp_path / "api.mlf.hcl").write_text(API)
    found = Inside(tmp_path)
    for depth in (2, 3, 4):
        found.apply("-var", f"depth={depth}", expect=0)
    yield found
    found.mlform("destroy", "-auto-approve", *DEEPEST)


def champion(folder: Inside) -> object:
    return recorded(folder, "model.m")["champion_version"]


def serves(folder: Inside, address: str = "deployment.api") -> object:
    """Return the version of the model that answers."""
    return recorded(folder, "model.m")["versions"][recorded(folder, address)["answers"]]


def recorded(folder: Inside, address: str) -> dict[str, dict[object, object]]:
    found: dict[str, dict[object, object]]
    found = folder.mlform("state", "show", address, "-json").data["attributes"]
    return found


def test_a_rollback_that_cannot_roll_moves_nothing(folder: Inside) -> None:
    refused = folder.mlform(*ROLLBACK, expect=1)
    assert 'Variable "depth" has no default' in refused.err
    assert (champion(folder), serves(folder)) == (3, 3)

    (folder.path / "api.mlf.hcl").unlink()
    refused = folder.mlform(*ROLLBACK, *DEEPEST, expect=1)
    assert "Deployment is not declared" in refused.err
    assert "The spec does not declare deployment.api" in refused.err
    assert "Nothing was done" in refused.err
    assert (champion(folder), serves(folder)) == (3, 3)

    (folder.path / "api.mlf.hcl").write_text(API.replace('"api"', '"risk"') + MOVED)
    said = folder.mlform(*ROLLBACK, *DEEPEST).out
    assert "rolled to it, computing nothing: deployment.risk\n" in said
    assert (champion(folder), serves(folder, "deployment.risk")) == (2, 2)


def test_a_rollback_that_was_killed_is_gone_on_with(folder: Inside) -> None:
    killed = Inside(folder.path, {"MLFORM_FAILPOINTS": "apply.intended:1:kill"})
    assert killed.mlform(*ROLLBACK, *DEEPEST, expect=None).code < 0
    assert (champion(folder), serves(folder)) == (2, 3)

    said = folder.mlform("rollback", "deployment.api", "-auto-approve", *DEEPEST).out
    assert "it was rolled back before: no channel moves" in said
    assert "rolled to it, computing nothing: deployment.api" in said
    assert (champion(folder), serves(folder)) == (2, 2)
    held = folder.mlform("plan", *DEEPEST).out
    assert "version 3 is quarantined" in held
    assert "version 2 is quarantined" not in held

    folder.mlform(*ROLLBACK, *DEEPEST)
    assert (champion(folder), serves(folder)) == (1, 1)
