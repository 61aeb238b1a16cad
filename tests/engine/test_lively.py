"""Functions with another result each time: unknown in a plan, one value for all of an apply."""

from __future__ import annotations

from tests.engine.world import World

SPEC = """
locals {
  one  = uuid()
  hash = bcrypt("secret", 4)
}
training_job "node" "many" {
  for_each = toset(["a", "b"])
  value    = length(local.one)
  note     = uuid()
}
output "notes" {
  value = [local.one, local.one, timestamp() != null, "${local.hash} ${local.one}"]
}
"""


def test_they_are_worked_out_when_applying(world: World) -> None:
    assert set(world.apply(SPEC)) == {f'training_job.many["{key}"]' for key in "ab"}
    assert world.outcome is not None
    one, again, made, both = world.outcome.outputs["notes"]
    assert one == again and both.endswith(f" {one}") and both.startswith("$2a$04$")
    assert made is True
    assert set(world.apply(SPEC).values()) == {"update"}, "other notes, and nothing runs again"
    assert world.outcome.outputs["notes"][0] != one
