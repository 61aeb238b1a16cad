"""Instances whose number only an apply can tell: deferred, then planned."""

from __future__ import annotations

import pytest
from tests.engine.world import World

from mlform.address import Address
from mlform.commands.options import PlanOptions
from mlform.diagnostics import DiagnosedError
from mlform.plan import dump, parse
from mlform.plan.pulled import Pulled

SPEC = """
variable "n" {
  type = number
}
training_job "node" "first" {
  value = var.n
}
training_job "node" "many" {
  for_each = { for i in range(training_job.first.parity + 1) : "k${i}" => i }
  value    = each.value + 10
}
training_job "node" "sum" {
  uses = [for one in training_job.many : one.parity]
}
output "keys" {
  value = keys(training_job.many)
}
"""


def test_what_is_not_known_is_deferred_by_name(world: World) -> None:
    plan = parse(dump(world.plan(SPEC, n=1)))
    assert [str(s.address) for s in plan.steps] == ["training_job.first"]
    assert plan.deferred == {
        "training_job.many": ("training_job.first",),
        "training_job.sum": ("training_job.many",),
    }


def test_the_next_round_plans_it(world: World) -> None:
    assert world.apply(SPEC, n=1) == {"training_job.first": "run"}
    assert world.actions(SPEC, n=1) == {
        'training_job.many["k0"]': "run",
        'training_job.many["k1"]': "run",
        "training_job.sum": "run",
    }
    world.apply(SPEC, n=1)
    assert world.outcome is not None
    assert world.outcome.outputs == {"keys": ["k0", "k1"]}
    assert world.plan(SPEC, n=1).empty


def test_a_change_that_may_alter_the_number_defers_and_removes_nothing(world: World) -> None:
    world.apply(SPEC, n=1)
    world.apply(SPEC, n=1)
    plan = world.plan(SPEC, n=2)
    assert [str(s.address) for s in plan.steps] == ["training_job.first"]
    assert set(plan.deferred) == {
        'training_job.many["k0"]',
        'training_job.many["k1"]',
        "training_job.sum",
    }
    assert world.apply(SPEC, n=2) == {"training_job.first": "run"}
    assert world.actions(SPEC, n=2) == {
        'training_job.many["k1"]': "forget",
        "training_job.sum": "run",
    }


def test_whole_modules_are_deferred(world: World) -> None:
    world.module("inner", 'training_job "node" "n" {}\noutput "parity" {\n  value = 1\n}\n')
    spec = """
    training_job "node" "first" {
      value = 1
    }
    module "m" {
      source = "./inner"
      count  = training_job.first.parity
    }
    training_job "node" "after" {
      uses = module.m[*].parity
    }
    training_job "node" "inside" {
      depends_on = [module.m]
    }
    """
    plan = world.plan(spec)
    assert [str(s.address) for s in plan.steps] == ["training_job.first"]
    assert plan.deferred == {
        "module.m.training_job.n": ("training_job.first",),
        "training_job.after": ("module.m", "training_job.first"),
        "training_job.inside": ("module.m.training_job.n",),
    }
    world.apply(spec)
    world.apply(spec)
    assert world.plan(spec).empty
    assert "module.m[0].training_job.n" in world.records()


def test_arguments_of_what_is_deferred_are_checked_all_the_same(world: World) -> None:
    session = world.session(SPEC.replace("each.value + 10", '"x"'), n=1)
    from mlform.commands.checking import check

    check(*session.configured, session.diagnostics)
    assert ["training_job.many: value" in d.detail for d in session.diagnostics] == [True]


def test_a_value_that_doubles_at_each_step_is_refused(world: World) -> None:
    steps = "\n".join(
        f'  l{i} = "${{local.l{i - 1}}}${{local.k{i - 1}}}"\n'
        f'  k{i} = "${{local.l{i - 1}}}${{local.k{i - 1}}}"'
        for i in range(1, 31)
    )
    first = "training_job.first.parity"
    spec = f"""
training_job "node" "first" {{
  value = 1
}}
locals {{
  l0 = {first}
  k0 = {first}
{steps}
}}
output "last" {{
  value = local.l30
}}
"""
    with pytest.raises(DiagnosedError) as found:
        world.plan(spec)
    assert [d.summary for d in found.value.diagnostics.errors] == ["Expression too large"]


KEYS = """
variable "n" {
  type = number
}
training_job "node" "many" {
  for_each = { a = 1, b = var.n }
  value    = each.value
}
locals {
  worths = { for key, one in training_job.many : key => one.parity }
}
training_job "node" "each" {
  for_each = local.worths
  value    = each.value + 10
  lifecycle {
    precondition {
      condition     = each.value < 2
      error_message = "too much for ${each.key}"
    }
  }
}
training_job "node" "counted" {
  count = length(training_job.many)
  value = count.index
}
training_job "node" "written" {
  for_each = { x = training_job.many["a"].parity, y = 7 }
  value    = sum([for each in [each.value] : each])
}
"""


def test_where_keys_are_known_nothing_waits_for_values(world: World) -> None:
    plan = parse(dump(world.plan(KEYS, n=3)))
    assert not plan.deferred
    first = ("many", "each")
    assert {str(s.address) for s in plan.steps} == {
        *(f'training_job.{name}["{key}"]' for name in first for key in "ab"),
        *(f"training_job.counted[{index}]" for index in (0, 1)),
        *(f'training_job.written["{key}"]' for key in "xy"),
    }
    world.apply(KEYS, n=3)
    assert world.plan(KEYS, n=3).empty


def test_what_an_instance_is_given_is_what_comes_of_it_now(world: World) -> None:
    world.apply(KEYS, n=3)
    done = world.apply(KEYS, n=4)
    assert done['training_job.many["b"]'] == "run"
    assert done['training_job.each["b"]'] == "run"  # 3 is odd, 4 is not
    assert done.get('training_job.each["a"]', "none") in {"none", "cutoff"}
    assert 'training_job.written["x"]' not in done  # it takes of `a` alone
    assert world.plan(KEYS, n=4).empty


ROUNDS = """
variable "n" {
  type = number
}
training_job "node" "first" {
  value = var.n
}
deployment "file" "many" {
  count = training_job.first.parity + 1
  shows = 1
}
"""


def test_a_round_behind_which_nothing_is_left_is_told_with_the_others(world: World) -> None:
    spec = ROUNDS.replace(" + 1", "")
    applied = world.rounds(spec, n=2)
    assert applied.outcome is not None
    assert {str(a): v.value for a, v in applied.outcome.done.items()} == {
        "training_job.first": "run"
    }
    assert world.plan(spec, n=2).empty


def test_what_is_imported_alone_makes_instances_known(world: World) -> None:
    world.root.mkdir()
    (world.root / "one.txt").write_text("1")
    taken = """
    import {
      to = training_job.first
      id = "one.txt"
    }
    """
    applied = world.rounds(ROUNDS + taken, n=2)
    assert applied.outcome is not None
    assert [str(a) for a in applied.outcome.imported] == ["training_job.first"]
    assert {str(a) for a in applied.outcome.done} == {"deployment.many[0]", "deployment.many[1]"}
    assert world.plan(ROUNDS + taken, n=2).empty


def test_what_is_to_be_made_again_is_so_once_it_is_known(world: World) -> None:
    world.rounds(ROUNDS, n=0)
    again = PlanOptions(replace=("training_job.first", "deployment.many[0]"))
    world.rounds(ROUNDS, again, n=1)
    assert sorted(world.executor.calls) == [
        ("deployment.many[0]", "apply"),
        ("deployment.many[0]", "destroy"),
        ("deployment.many[1]", "apply"),
        ("training_job.first", "apply"),
    ]
    assert world.plan(ROUNDS, n=1).empty


def test_a_trigger_moves_its_inputs_in_the_first_round_alone(world: World) -> None:
    spec = ROUNDS + 'trigger "daily" {\n  schedule = "0 3 * * *"\n}\n'
    world.rounds(spec, n=0)
    trigger = Address.parse("trigger.daily")
    pulls = (Pulled(trigger, why="a tick", tick="2031-01-01T03:00:00Z"),)
    world.rounds(spec, PlanOptions(pulls=pulls), n=1)
    assert "deployment.many[1]" in world.records()
    session = world.session(spec, n=1)
    assert [e.operation for e in session.store.journal(trigger)].count("pull") == 1


COMES = """
variable "keys" {
  type = set(string)
}
training_job "node" "base" {
  for_each = var.keys
  value    = each.key == "even" ? 0 : 1
}
training_job "node" "even" {
  for_each = { for k, it in training_job.base : k => it if it.parity == 0 }
  value    = 1
}
training_job "node" "sum" {
  uses = [for one in values(training_job.even) : one.parity]
}
"""


def test_a_block_without_instances_waits_for_one_that_may_give_it_some(world: World) -> None:
    world.apply(COMES, keys='["odd"]')
    world.apply(COMES, keys='["odd"]')
    assert world.plan(COMES, keys='["odd"]').empty
    plan = world.plan(COMES, keys='["odd", "even"]')
    assert [str(s.address) for s in plan.steps if s.action.value != "no-op"] == [
        'training_job.base["even"]'
    ]
    new = 'training_job.base["even"]'
    assert plan.deferred == {"training_job.even": (new,), "training_job.sum": (new,)}
    world.apply(COMES, keys='["odd", "even"]')
    done = world.apply(COMES, keys='["odd", "even"]')
    assert {"training_job.sum", 'training_job.even["even"]'} <= set(done)
    assert world.plan(COMES, keys='["odd", "even"]').empty


def test_what_is_chosen_without_instances_brings_what_may_give_it_some(world: World) -> None:
    world.apply(COMES, keys='["odd"]')
    options = PlanOptions(targets=("training_job.even",))
    plan = world.plan(COMES, options, keys='["odd", "even"]')
    assert 'training_job.base["even"]' in [str(s.address) for s in plan.changes]


OFF = """
training_job "node" "one" {
  value = 1
  lifecycle {
    enabled = false
  }
}
training_job "node" "some" {
  for_each = toset(["a"])
  value    = 1
  lifecycle {
    enabled = false
  }
}
training_job "node" "half" {
  for_each = toset(["a", "b"])
  value    = 1
  lifecycle {
    enabled = each.key == "b"
  }
}
training_job "node" "as_many" {
  count = training_job.one == null ? 2 : 0
  value = 1
}
training_job "node" "each" {
  for_each = training_job.some
  value    = 1
}
training_job "node" "those" {
  for_each = training_job.half
  value    = 1
}
"""


def test_what_is_not_enabled_is_nothing_to_those_who_count(world: World) -> None:
    assert set(world.apply(OFF)) == {
        "training_job.as_many[0]",
        "training_job.as_many[1]",
        'training_job.half["b"]',
        'training_job.those["b"]',
    }
    plan = world.plan(OFF)
    assert plan.empty
    assert not plan.deferred
