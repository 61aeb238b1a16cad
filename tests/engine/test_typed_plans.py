"""What an apply works out sees values of the types that the plan saw."""

from __future__ import annotations

import pytest
from tests.engine.world import World

from mlform.plan import dump, parse

SPEC = """
variable "names" {
  type    = set(string)
  default = ["b", "a", "a"]
}
variable "sizes" {
  type    = map(number)
  default = { a = 1 }
}
variable "nothing" {
  type    = list(number)
  default = null
}
variable "shape" {
  type = object({ names = set(string), size = optional(number), rest = any })
  default = { names = ["x"], rest = [1, "a"] }
}
locals {
  numbers = tolist([1, 2])
  tuple   = [1, 2]
}
training_job "node" "first" {
  value = 3
}
output "it" {
  value = training_job.first.parity < 0 ? null : [%s]
}
"""

CASES = [
    ('var.names == toset(["a", "b"])', True),
    ("[for k, v in var.names : k]", ["a", "b"]),
    ("var.sizes == tomap({ a = 1 })", True),
    ("var.sizes == { a = 1 }", False),
    ("can(concat(var.nothing, [1]))", False),
    ("var.nothing == null", True),
    ('var.shape.names == toset(["x"])', True),
    ('var.shape.rest == [1, "a"]', True),
    ("var.shape.size == null", True),
    ("local.numbers == tolist([1, 2])", True),
    ("local.numbers == [1, 2]", False),
    ("local.tuple == [1, 2]", True),
]


@pytest.mark.parametrize(("text", "result"), CASES, ids=[c[0] for c in CASES])
def test_an_output_that_is_deferred_keeps_the_types_of_what_it_mentions(
    world: World, text: str, result: object
) -> None:
    world.apply(SPEC % text)
    assert world.outcome is not None
    assert world.outcome.outputs == {"it": [result]}


def test_types_outlive_the_file(world: World) -> None:
    plan = world.plan(SPEC % ", ".join(text for text, _ in CASES))
    again = parse(dump(plan))
    assert again == plan
    assert dump(again) == dump(plan)
