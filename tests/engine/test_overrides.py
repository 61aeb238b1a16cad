"""Override files change what other files declare."""

from __future__ import annotations

import pytest
from tests.engine.world import World

from mlform.plan import Action

SPEC = """
mlform {
  required_version = "> 99"
}
variable "value" {
  type    = number
  default = 1
}
locals {
  where = "here"
  size  = 1
}
training_job "node" "a" {
  value = var.value
  where = local.where
  size  = local.size
  count = 2
  piece {
    name = "one"
  }
  lifecycle {
    create_before_destroy = true
  }
}
output "all" {
  value     = training_job.a[*].parity
  sensitive = true
}
provider "toy" {
  greeting = "hello"
}
"""

OVERRIDE = """
mlform {
  required_version = "> 0"
}
variable "value" {
  default = 7
}
locals {
  size = 3
}
training_job "node" "a" {
  for_each = { x = 1 }
  piece {
    name = "two"
  }
  piece {
    name = "three"
  }
  lifecycle {
    prevent_destroy = true
  }
}
output "all" {
  value = values(training_job.a)[*].parity
}
provider "toy" {
  greeting = "good day"
}
"""


@pytest.mark.parametrize("name", ["override.mlf.hcl", "a_override.mlf.hcl"])
def test_an_override_replaces_single_arguments(world: World, name: str) -> None:
    world.root.mkdir(exist_ok=True)
    (world.root / name).write_text(OVERRIDE)
    assert world.apply(SPEC) == {'training_job.a["x"]': "run"}
    record = world.records()['training_job.a["x"]']
    assert record.arguments["value"] == 7
    assert record.arguments["where"] == "here"
    assert record.arguments["size"] == 3
    assert [p["name"] for p in record.arguments["piece"]] == ["two", "three"]
    assert record.attributes["greeting"] == "good day"
    assert "$sensitive" in str(world.session(SPEC).store.snapshot().outputs["all"])
    project, _ = world.session(SPEC).configured
    (resource,) = project.resources.values()
    assert resource.lifecycle.prevent_destroy
    assert resource.lifecycle.create_before_destroy
    assert world.plan(SPEC).empty


def test_the_last_of_several_overrides_counts(world: World) -> None:
    world.root.mkdir(exist_ok=True)
    base = 'training_job "node" "a" {\n  value = 1\n}\n'
    (world.root / "a_override.mlf.hcl").write_text(base.replace("1", "2"))
    (world.root / "b_override.mlf.json").write_text(
        '{"training_job": {"node": {"a": {"value": 3}}}}'
    )
    (step,) = world.plan(base).changes
    assert step.action is Action.RUN
    assert step.arguments["value"] == 3


def test_a_called_module_has_overrides_of_its_own(world: World) -> None:
    module = world.root / "m"
    module.mkdir(parents=True)
    (module / "main.mlf.hcl").write_text('gate "most" "g" {\n  candidate = 3\n}\n')
    (module / "main_override.mlf.hcl").write_text('gate "most" "g" {\n  most = 5\n}\n')
    (step,) = world.plan('module "m" {\n  source = "./m"\n}\n').changes
    assert step.arguments["most"] == 5
