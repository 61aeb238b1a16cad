"""What runs, and what does not. Each test says which steps ran."""

from __future__ import annotations

import pytest
from tests.engine.world import World

from mlform.apply import Failed, Finished, Held, Skipped
from mlform.commands.applying import check_current
from mlform.commands.options import PlanOptions
from mlform.commands.tainting import taint
from mlform.diagnostics import DiagnosedError
from mlform.plan import Action, dump, parse

CHAIN = """
variable "v" {
  type    = number
  default = 1
}
training_job "node" "a" {
  value = var.v
}
training_job "node" "b" {
  uses = [training_job.a.parity]
}
training_job "node" "c" {
  value = 10
  uses  = [training_job.b.parity]
}
"""
ABC = ["training_job.a", "training_job.b", "training_job.c"]


def test_the_first_apply_runs_everything(world: World) -> None:
    assert world.apply(CHAIN) == dict.fromkeys(ABC, "run")


def test_a_second_apply_does_nothing(world: World) -> None:
    world.apply(CHAIN)

    assert world.actions(CHAIN) == {}
    assert world.apply(CHAIN) == {}
    assert world.executor.calls == []


def test_a_change_is_certain_where_it_is_made_and_conditional_after(world: World) -> None:
    world.apply(CHAIN)

    assert world.actions(CHAIN, v=2) == dict(zip(ABC, ["run", "run?", "run?"], strict=True))
    assert world.apply(CHAIN, v=2) == dict.fromkeys(ABC, "run")


def test_an_equal_result_stops_the_change(world: World) -> None:
    """1 and 3 have the same parity, so nothing downstream of ``a`` sees a difference."""
    world.apply(CHAIN)

    assert world.apply(CHAIN, v=3) == {"training_job.a": "run"}
    cut = [e for e in world.events if isinstance(e, Finished) and e.action is Action.NO_OP]
    assert [str(e.address) for e in cut] == ABC[1:]
    assert world.actions(CHAIN, v=3) == {}


def test_a_change_taken_back_is_reused(world: World) -> None:
    world.apply(CHAIN, v=1)
    world.apply(CHAIN, v=2)

    assert world.actions(CHAIN, v=1) == dict.fromkeys(ABC, "reuse")
    assert world.apply(CHAIN, v=1) == dict.fromkeys(ABC, "reuse")
    assert world.executor.calls == []


def test_reuse_needs_the_artifact(world: World) -> None:
    world.apply(CHAIN, v=1)
    record = world.records()["training_job.a"]
    world.apply(CHAIN, v=2)
    digest = record.attributes["thing"]["digest"].removeprefix("sha256:")
    found = [p for p in (world.root / ".mlform" / "store").rglob("*") if p.name in digest[2:]]
    for path in found:
        path.chmod(0o600)
        path.unlink()

    assert found
    assert world.actions(CHAIN, v=1)["training_job.a"] == "run"


def test_what_was_made_and_is_gone_is_made_again(world: World) -> None:
    world.apply(CHAIN)
    for path in (world.root / ".mlform" / "store" / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.unlink()

    assert world.actions(CHAIN)["training_job.a"] == "run"
    world.apply(CHAIN)
    assert world.actions(CHAIN) == {}


NODE = """
training_job "node" "a" {{
  value = 1
  {more}
}}
"""


@pytest.mark.parametrize(
    ("more", "action", "calls"),
    [
        ('note = "x"', "update", 0),
        ("size = 2", "update", 1),
        ("value = 2", "run", 1),
        ('where = "there"', "run", 1),
    ],
)
def test_the_class_of_a_field_says_what_a_change_does(
    world: World, more: str, action: str, calls: int
) -> None:
    world.apply(NODE.format(more=""))
    changed = NODE.format(more=more)
    if more.startswith("value"):
        changed = changed.replace("value = 1\n", "")

    assert world.actions(changed) == {"training_job.a": action}
    assert world.apply(changed) == {"training_job.a": action}
    assert len(world.executor.calls) == calls
    assert world.actions(changed) == {}


def test_ignored_changes_do_nothing(world: World) -> None:
    world.apply(NODE.format(more="lifecycle {\n ignore_changes = [value]\n }"))
    changed = NODE.format(more="lifecycle {\n ignore_changes = [value]\n }").replace("= 1", "= 2")

    assert world.actions(changed) == {}


GATED = """
variable "v" {
  type    = number
  default = 1
}
variable "most" {
  type    = number
  default = 1
}
training_job "node" "a" {
  value = var.v
}
gate "most" "small" {
  candidate = training_job.a.parity
  most      = var.most
}
deployment "file" "shown" {
  shows = training_job.a.parity
  gates = [gate.small]
}
"""


def test_a_failing_gate_holds_what_refers_to_it(world: World) -> None:
    world.apply(GATED, v=2)
    ran = world.apply(GATED, v=1, most=0)

    assert ran == {"training_job.a": "run", "gate.small": "run"}
    held = [e for e in world.events if isinstance(e, Held)]
    assert [str(e.address) for e in held] == ["deployment.shown"]
    assert world.records()["deployment.shown"].attributes["shown"] == 0
    assert world.outcome is not None
    assert world.outcome.complete


def test_a_failing_gate_is_not_judged_twice(world: World) -> None:
    world.apply(GATED, v=1, most=0)

    assert world.actions(GATED, v=1, most=0) == {"deployment.shown": "held"}
    assert world.apply(GATED, v=1, most=0) == {}
    assert world.executor.calls == []


def test_a_lowered_threshold_only_decides_and_lets_through(world: World) -> None:
    world.apply(GATED, v=1, most=0)

    assert world.actions(GATED, v=1, most=1)["gate.small"] == "decide"
    ran = world.apply(GATED, v=1, most=1)
    assert ran == {"gate.small": "decide", "deployment.shown": "create"}


def test_what_moved_outside_is_put_right(world: World) -> None:
    world.apply(GATED)
    shown = next((world.root / ".mlform" / "resources").rglob("shown"))
    shown.write_text("7")

    assert world.actions(GATED) == {"deployment.shown": "roll"}
    world.apply(GATED)
    assert shown.read_text() == "1"


def test_identity_replaces_what_runs_outside(world: World) -> None:
    world.apply(GATED)
    moved = GATED.replace("gates = [gate.small]", 'gates = [gate.small]\n  where = "there"')

    assert world.apply(moved) == {"deployment.shown": "replace"}
    assert world.executor.calls[0] == ("deployment.shown", "destroy")


def test_what_is_no_longer_declared_goes_last_needed_first(world: World) -> None:
    world.apply(GATED)
    order = list(
        world.apply(""" output "x" {
      value = 1
    } """)
    )

    assert order[0] == "deployment.shown"
    assert order[-1] == "training_job.a"
    assert world.records() == {}


def test_a_protected_resource_stays(world: World) -> None:
    world.apply(GATED.replace("gates =", "lifecycle {\n prevent_destroy = true\n }\n gates ="))

    with pytest.raises(DiagnosedError, match="Protected"):
        world.plan(CHAIN)


def test_a_failure_skips_what_needs_it_and_the_rest_is_kept(world: World) -> None:
    broken = CHAIN.replace(
        "uses = [training_job.a.parity]", "uses = [training_job.a.parity]\n  fail = true"
    )

    assert world.apply(broken) == {"training_job.a": "run"}
    assert [str(e.address) for e in world.events if isinstance(e, Skipped)] == ["training_job.c"]
    failed = next(e for e in world.events if isinstance(e, Failed))
    assert failed.summary == "Told to fail"
    assert world.apply(CHAIN) == {"training_job.b": "run", "training_job.c": "run"}


def test_a_saved_plan_is_the_plan(world: World) -> None:
    world.apply(CHAIN)
    plan = world.plan(CHAIN, v=2)

    assert parse(dump(plan)) == plan
    assert world.apply(CHAIN, saved=parse(dump(plan))) == dict.fromkeys(ABC, "run")


def test_a_saved_plan_is_refused_when_the_state_moved(world: World) -> None:
    world.apply(CHAIN)
    plan = world.plan(CHAIN, v=2)
    world.apply(CHAIN, v=3)
    session = world.session(CHAIN)

    with pytest.raises(DiagnosedError, match="serial"):
        check_current(session, plan, session.store.snapshot())


def test_a_target_takes_what_it_needs_along(world: World) -> None:
    options = PlanOptions(targets=("training_job.b",))

    assert world.apply(CHAIN, options) == {"training_job.a": "run", "training_job.b": "run"}


def test_instances_come_and_go(world: World) -> None:
    spec = """
    variable "names" {
      type    = set(string)
      default = ["x", "y"]
    }
    training_job "node" "many" {
      for_each = var.names
      value    = length(each.key)
    }
    output "parities" {
      value = { for k, n in training_job.many : k => n.parity }
    }
    """
    assert set(world.apply(spec)) == {'training_job.many["x"]', 'training_job.many["y"]'}
    assert world.outcome is not None
    assert world.outcome.outputs == {"parities": {"x": 1, "y": 1}}
    fewer = spec.replace('["x", "y"]', '["y"]')
    assert world.apply(fewer) == {'training_job.many["x"]': "forget"}


def test_an_apply_says_which_outputs_it_changed(world: World) -> None:
    spec = """
    training_job "node" "a" {}
    output "list" {
      value = [training_job.a.parity, { x = "y" }]
    }
    output "gone" {
      value = 1
    }
    output "hidden" {
      value     = sensitive("hush")
      sensitive = true
    }
    """
    first = ["gone", "hidden", "list"]
    changed = spec.replace('"gone"', '"new"').replace('"y"', '"z"')
    for text, wanted in (
        (spec, dict.fromkeys(first, "add")),
        (spec, {}),
        (changed, {"gone": "remove", "list": "change", "new": "add"}),
    ):
        world.apply(text)
        assert world.outcome is not None
        assert world.outcome.output_changes == wanted


def test_a_secret_written_in_the_open_is_refused(world: World) -> None:
    with pytest.raises(DiagnosedError, match="sensitive = true") as caught:
        world.plan(NODE.format(more='token = "canary"'))
    assert "canary" not in str(caught.value)


def test_secrets_reach_the_provider_and_nothing_else(world: World) -> None:
    spec = """
    variable "password" {
      type      = string
      sensitive = true
    }
    training_job "node" "a" {
      token = var.password
    }
    output "p" {
      value     = var.password
      sensitive = true
    }
    """
    canary = "xyzzy-canary"
    plan = world.plan(spec, password=canary)
    assert canary not in dump(plan)
    world.apply(spec, password=canary)
    assert world.actions(spec, password=canary) == {}
    assert world.actions(spec, password="another") == {"training_job.a": "update"}
    for path in (world.root / ".mlform").rglob("*"):
        if path.is_file():
            assert canary.encode() not in path.read_bytes(), path


def test_replace_does_it_again_whatever_the_key_says(world: World) -> None:
    world.apply(CHAIN)
    options = PlanOptions(replace=("training_job.a",))
    plan = parse(dump(world.plan(CHAIN, options)))
    assert {str(s.address): s.action.value for s in plan.changes} == {
        "training_job.a": "run",
        "training_job.b": "run?",
        "training_job.c": "run?",
    }
    assert world.apply(CHAIN, saved=plan) == {"training_job.a": "run"}
    assert world.actions(CHAIN) == {}
    assert world.records()["training_job.a"].attributes["runs"] == 2


def test_exclude_leaves_out_what_needs_it_too(world: World) -> None:
    options = PlanOptions(exclude=("training_job.b",))
    assert world.apply(CHAIN, options) == {"training_job.a": "run"}
    world.apply(CHAIN)
    assert world.plan("", PlanOptions(exclude=("training_job.a",))).steps
    gone = world.apply("", PlanOptions(exclude=("training_job.b",)))
    assert "training_job.b" not in gone


def test_what_is_tainted_is_made_again_once(world: World) -> None:
    world.apply(CHAIN)
    session = world.session(CHAIN)
    taint(session, "training_job.a", tainted=True)
    assert world.actions(CHAIN)["training_job.a"] == "run"
    taint(session, "training_job.a", tainted=False)
    assert world.actions(CHAIN) == {}
    taint(session, "training_job.a", tainted=True)
    world.apply(CHAIN)
    assert world.actions(CHAIN) == {}
