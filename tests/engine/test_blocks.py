"""What blocks beside resources do: moves, removals, conditions, checks, the lifecycle."""

from __future__ import annotations

from functools import partial

import pytest
from tests.engine.world import World

from mlform.commands.options import PlanOptions
from mlform.diagnostics import DiagnosedError, Severity
from mlform.plan import dump, parse
from mlform.render.plan import plan as as_text
from mlform.render.style import paint

NODE = 'training_job "node" "{}" {{\n  value = {}\n}}\n'
SERVICE = 'deployment "file" "{}" {{\n  shows = {}\n}}\n'


def moved(source: str, target: str) -> str:
    return f"moved {{\n  from = {source}\n  to   = {target}\n}}\n"


def test_what_moved_is_not_made_anew(world: World) -> None:
    world.apply(NODE.format("a", 1) + 'training_job "node" "u" {\n uses=[training_job.a.parity]\n}')
    spec = NODE.format("b", 1) + 'training_job "node" "u" {\n uses=[training_job.b.parity]\n}\n'
    spec += moved("training_job.a", "training_job.b")
    plan = parse(dump(world.plan(spec)))
    assert plan.moves == {"training_job.a": "training_job.b"}
    assert not plan.empty
    assert plan.changes == ()
    assert world.apply(spec, saved=plan) == {}
    assert [str(a) for a in world.records()["training_job.u"].needs] == ["training_job.b"]
    assert world.plan(spec).empty
    store = world.session(spec).store
    assert store.verify() == []


def test_a_deployment_that_moved_is_found_where_it_was(world: World) -> None:
    world.apply(SERVICE.format("a", 1))
    spec = SERVICE.format("b", 1) + moved("deployment.a", "deployment.b")
    assert world.apply(spec) == {}
    assert world.plan(spec).empty
    both = SERVICE.format("b", 1) + SERVICE.format("a", 2)
    assert world.apply(both) == {"deployment.a": "create"}
    assert world.plan(both).empty
    assert world.apply(SERVICE.format("a", 2)) == {"deployment.b": "destroy"}
    assert world.plan(SERVICE.format("a", 2)).empty


def test_moves_chain_and_follow_keys(world: World) -> None:
    world.apply(NODE.format("a", 1))
    keyed = 'training_job "node" "c" {\n  for_each = { x = 1 }\n  value = each.value\n}\n'
    chain = moved("training_job.a", "training_job.b")
    chain += moved("training_job.b", 'training_job.c["x"]')
    plan = world.plan(keyed + chain)
    assert plan.moves == {"training_job.a": 'training_job.c["x"]'}
    assert plan.changes == ()


def test_count_comes_and_goes_without_a_word(world: World) -> None:
    world.apply(NODE.format("a", 1))
    counted = 'training_job "node" "a" {\n  count = 1\n  value = 1\n}\n'
    assert world.plan(counted).moves == {"training_job.a": "training_job.a[0]"}
    world.apply(counted)
    assert world.plan(counted).empty
    assert world.plan(NODE.format("a", 1)).moves == {"training_job.a[0]": "training_job.a"}


def test_whole_modules_move(world: World) -> None:
    world.module("inner", NODE.format("n", 1))
    call = 'module "{}" {{\n  source = "./inner"\n}}\n'
    world.apply(call.format("a"))
    renamed = call.format("b") + moved("module.a", "module.b")
    assert world.plan(renamed).moves == {"module.a.training_job.n": "module.b.training_job.n"}
    world.apply(renamed)
    keyed = 'module "b" {\n  source = "./inner"\n  for_each = { x = 1 }\n}\n'
    keyed += moved("module.b", 'module.b["x"]')
    assert world.apply(keyed) == {}
    assert list(world.records()) == ['module.b["x"].training_job.n']
    world.module("inner", NODE.format("m", 1) + moved("training_job.n", "training_job.m"))
    plan = world.plan(keyed)
    assert list(plan.moves.values()) == ['module.b["x"].training_job.m']
    assert plan.changes == ()


def test_a_resource_moves_into_a_module(world: World) -> None:
    world.apply(NODE.format("a", 1))
    world.module("inner", NODE.format("n", 1))
    spec = 'module "m" {\n  source = "./inner"\n}\n'
    spec += moved("training_job.a", "module.m.training_job.n")
    assert world.apply(spec) == {}
    assert world.plan(spec).empty


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        (NODE.format("a", 1) + moved("training_job.a", "training_job.b"), "still declared"),
        (moved("training_job.a", "module.b"), "a module to a module"),
        (moved("training_job.a", "deployment.b"), "different kinds"),
        (moved("training_job.a", '"x"'), "no address"),
        (moved("training_job.a", "training_job.a"), "where it is"),
        ("moved {\n  from = training_job.a\n}\n", 'needs "to"'),
        ("removed {\n  from = training_job.a[0]\n}\n", "instance key"),
        (NODE.format("a", 1) + "removed {\n  from = training_job.a\n}\n", "still declared"),
    ],
)
def test_what_is_wrong_with_a_change_is_said(world: World, blocks: str, said: str) -> None:
    with pytest.raises(DiagnosedError) as caught:
        world.plan(NODE.format("other", 1) + blocks)
    assert said in str(caught.value)


def test_removed_leaves_what_runs_alone_if_asked(world: World) -> None:
    world.apply(SERVICE.format("a", 1) + NODE.format("n", 1))
    removed = "removed {\n  from = deployment.a\n  lifecycle {\n    destroy = false\n  }\n}\n"
    assert world.actions(NODE.format("n", 1)) == {"deployment.a": "destroy"}
    assert world.apply(NODE.format("n", 1) + removed) == {"deployment.a": "forget"}
    assert list(world.root.rglob("shown"))


def lifecycle(inside: str, *, kind: str = 'training_job "node"', value: str = "value = 1") -> str:
    return f'{kind} "a" {{\n  {value}\n  lifecycle {{\n    {inside}\n  }}\n}}\n'


def condition(kind: str, expression: str, message: str = '"It is not so."') -> str:
    return f"{kind} {{\n  condition = {expression}\n  error_message = {message}\n}}\n"


def test_a_precondition_stops_the_plan(world: World) -> None:
    spec = 'variable "n" {\n  type = number\n}\n'
    spec += lifecycle(condition("precondition", "var.n > 1", '"${var.n} is too few."'))
    with pytest.raises(DiagnosedError, match="1 is too few"):
        world.plan(spec, n=1)
    assert world.apply(spec, n=2) == {"training_job.a": "run"}


def test_a_precondition_that_waits_stops_the_step(world: World) -> None:
    spec = NODE.format("first", 1)
    spec += lifecycle(condition("precondition", "training_job.first.parity == 0"))
    plan = parse(dump(world.plan(spec)))
    assert world.apply(spec, saved=plan) == {"training_job.first": "run"}
    assert world.outcome is not None
    assert [f.summary for f in world.outcome.failures] == ["Precondition failed"]
    assert world.outcome.failures[0].at


def test_a_postcondition_judges_the_result(world: World) -> None:
    spec = lifecycle(condition("postcondition", "self.parity == 0", '"parity ${self.parity}"'))
    world.apply(spec)
    assert world.outcome is not None
    (failure,) = world.outcome.failures
    assert (failure.summary, failure.detail) == (
        "Postcondition failed",
        "training_job.a: parity 1\n  self.parity is 1",
    )
    assert "training_job.a" in world.records()
    with pytest.raises(DiagnosedError, match="parity 1"):
        world.plan(spec)


def test_a_check_warns_and_stops_nothing(world: World) -> None:
    spec = NODE.format("a", 1) + 'check "even" {\n'
    spec += condition("assert", "training_job.a.parity == 0", '"It is odd."') + "}\n"
    assert world.apply(spec) == {"training_job.a": "run"}
    assert world.outcome is not None
    said = "check.even: It is odd.\n  training_job.a.parity is 1"
    assert [w[:2] for w in world.outcome.warnings] == [("Check failed", said)]
    session = world.session(spec)
    assert session.plan(session.store.snapshot()).empty
    warnings = [d for d in session.diagnostics if d.summary == "Check failed"]
    assert [d.detail for d in warnings] == [said]


def test_an_output_holds_to_its_precondition(world: World) -> None:
    spec = 'output "x" {\n  value = 1\n' + condition("precondition", "1 > 2") + "}\n"
    with pytest.raises(DiagnosedError, match=r"output\.x: It is not so"):
        world.plan(spec + NODE.format("a", 1))
    waits = spec.replace("1 > 2", "training_job.a.parity == 0")
    world.apply(waits + NODE.format("a", 1))
    assert world.outcome is not None
    assert world.outcome.outputs == {}
    assert [w[0] for w in world.outcome.warnings] == ["Precondition failed"]


def test_a_validation_may_look_at_other_variables_and_resources(world: World) -> None:
    spec = """
    variable "least" {
      type = number
    }
    variable "most" {
      type = number
      validation {
        condition     = var.most >= var.least
        error_message = "Less than ${var.least}."
      }
      validation {
        condition     = training_job.a.parity < var.most
        error_message = "Not above the parity."
      }
    }
    """
    with pytest.raises(DiagnosedError, match="Less than 3"):
        world.plan(spec + NODE.format("a", 1), least=3, most=2)
    world.apply(spec + NODE.format("a", 1), least=1, most=1)
    with pytest.raises(DiagnosedError, match="Not above the parity"):
        world.plan(spec + NODE.format("a", 1), least=1, most=1)


def test_replace_triggered_by_runs_again_when_the_other_changes(world: World) -> None:
    first = NODE.format("first", 1)
    spec = lifecycle("replace_triggered_by = [training_job.first]")
    world.apply(first + spec)
    assert world.actions(first + spec) == {}
    changed = NODE.format("first", 2)
    assert world.actions(changed + spec) == {"training_job.first": "run", "training_job.a": "run?"}
    assert world.apply(changed + spec) == {"training_job.first": "run", "training_job.a": "run"}
    assert world.actions(changed + spec) == {}
    assert world.apply(NODE.format("first", 4) + spec) == {"training_job.first": "run"}


def test_replace_triggered_by_replaces_what_is_not_reusable(world: World) -> None:
    service = {"kind": 'deployment "file"', "value": "shows = 1"}
    spec = lifecycle("replace_triggered_by = [training_job.first.parity]", **service)
    world.apply(NODE.format("first", 1) + spec)
    assert world.apply(NODE.format("first", 2) + spec)["deployment.a"] == "replace"
    methods = [m for a, m in world.executor.calls if a == "deployment.a"]
    assert methods == ["destroy", "apply"]


def test_create_before_destroy_makes_the_new_one_first(world: World) -> None:
    service = {"kind": 'deployment "file"', "value": 'shows = 1\n  where = "here"'}
    spec = lifecycle("create_before_destroy = true", **service)
    world.apply(spec)
    elsewhere = spec.replace('"here"', '"there"')
    assert world.apply(elsewhere) == {"deployment.a": "replace"}
    assert [m for _, m in world.executor.calls] == ["apply", "destroy"]
    assert world.plan(elsewhere).empty
    assert len(list(world.root.rglob("shown"))) == 1


def test_enabled_takes_a_resource_out(world: World) -> None:
    spec = 'variable "on" {\n  type = bool\n}\n' + lifecycle("enabled = var.on")
    assert world.apply(spec, on="true") == {"training_job.a": "run"}
    assert world.apply(spec, on="false") == {"training_job.a": "forget"}
    assert world.plan(spec, on="false").empty


@pytest.mark.parametrize("first", ["true", "false"])
def test_what_rests_on_what_is_not_enabled_is_planned_and_not_put_off(
    world: World, first: str
) -> None:
    """What is not enabled is null, in ``for_each`` and ``count`` as everywhere else."""
    spec = """
variable "on" {
  type = bool
}
training_job "node" "a" {
  value = 2
  lifecycle { enabled = var.on }
}
training_job "node" "many" {
  for_each = toset(["x", "y"])
  lifecycle { enabled = var.on || each.key == "y" }
}
training_job "node" "holes" {
  count = 2
  lifecycle { enabled = var.on || count.index == 1 }
}
training_job "node" "none" {
  count = 2
  lifecycle { enabled = var.on }
}
training_job "node" "each" {
  for_each = toset(training_job.a == null ? [] : ["p${training_job.a.parity}"])
}
training_job "node" "counted" {
  count = length(training_job.many)
}
training_job "node" "filled" {
  for_each = { for i, n in training_job.holes : "n${i}" => n if n != null }
}
output "n" {
  value = [
    length(training_job.each), length(training_job.counted), keys(training_job.filled),
    [for n in training_job.none : n == null], [for n in training_job.holes : n == null],
  ]
}
"""
    world.apply(spec, on=first)
    world.apply(spec, on="false")
    said = world.session(spec, on="false").store.snapshot().outputs["n"]["value"]
    assert said == [0, 1, ["n1"], [], [True, False]]
    plan = world.plan(spec, on="false")
    assert plan.empty and not plan.deferred
    assert sorted(str(a) for a in world.records() if "any" in str(a)) == ['training_job.many["y"]']
    world.apply(spec, on="true")
    world.apply(spec, on="true")  # what was put off meanwhile
    said = world.session(spec, on="true").store.snapshot().outputs["n"]["value"]
    assert said == [1, 2, ["n0", "n1"], [False, False], [False, False]]


def test_what_is_not_enabled_is_not_replaced_and_that_is_said(world: World) -> None:
    spec = 'variable "on" {\n  type = bool\n}\n' + lifecycle("enabled = var.on")
    world.apply(spec, on="true")
    session = world.session(spec, on="false")
    plan = session.plan(session.store.snapshot(), PlanOptions(replace=["training_job.a"]))
    assert [s.action.value for s in plan.steps] == ["forget"]
    [said] = list(session.diagnostics)
    assert (said.severity, said.address) == (Severity.WARNING, "training_job.a")
    assert said.summary == "Nothing to replace"
    assert "is not enabled" in said.detail


def test_what_is_protected_cannot_be_disabled(world: World) -> None:
    spec = 'variable "on" {\n  type = bool\n}\n' + lifecycle(
        "enabled = var.on\n    prevent_destroy = true", kind='deployment "file"', value="shows = 1"
    )
    world.apply(spec, on="true")
    with pytest.raises(DiagnosedError, match="apply before disabling it"):
        world.plan(spec, on="false")


def test_prevent_destroy_may_be_worked_out(world: World) -> None:
    spec = 'variable "keep" {\n  type = bool\n}\n' + lifecycle("prevent_destroy = var.keep")
    world.apply(spec, keep="true")
    with pytest.raises(DiagnosedError, match="prevent_destroy"):
        world.plan('variable "keep" {\n  type = bool\n}\n', keep="true")


def test_ignore_all_changes(world: World) -> None:
    world.apply(lifecycle("ignore_changes = all"))
    assert world.actions(lifecycle("ignore_changes = all", value="value = 2")) == {}


SECRET_NODE = """
variable "hush" {{
  type      = {type}
  sensitive = true
}}
training_job "node" "a" {{
  {argument} = var.hush
  size       = {size}
  note       = "{note}"
  lifecycle {{
    ignore_changes = [{argument}]
  }}
}}
"""


def test_an_ignored_secret_is_given_as_it_is_written(world: World) -> None:
    """Of what it was only a hash is recorded, and that is nothing to give to a provider."""
    spec = partial(SECRET_NODE.format, type="string", argument="token")
    world.apply(spec(size=1, note="a"), hush="one")
    assert world.plan(spec(size=1, note="a"), hush="two").empty
    assert world.apply(spec(size=2, note="a"), hush="one") == {"training_job.a": "update"}
    assert world.apply(spec(size=3, note="a"), hush="two") == {"training_job.a": "update"}
    assert world.plan(spec(size=3, note="a"), hush="two").empty


def test_an_ignored_secret_in_the_key_has_to_be_what_it_was(world: World) -> None:
    spec = partial(SECRET_NODE.format, type="number", argument="value")
    world.apply(spec(size=1, note="a"), hush="1")
    assert world.plan(spec(size=1, note="a"), hush="2").empty
    assert world.apply(spec(size=2, note="a"), hush="1") == {"training_job.a": "update"}
    with pytest.raises(DiagnosedError, match="only a hash of it is recorded") as refused:
        world.plan(spec(size=3, note="a"), hush="2")
    assert "ignore_changes" in str(refused.value)
    (said,) = refused.value.diagnostics
    assert said.summary == "Ignored secret is not known"


def test_arguments_written_as_blocks(world: World) -> None:
    spec = """
    training_job "node" "a" {
      piece {
        name = "x"
      }
      dynamic "piece" {
        for_each = { y = 1, z = 2 }
        content {
          name = piece.key
          size = piece.value
        }
      }
      dynamic "shape" {
        for_each = ["round"]
        iterator = it
        content {
          name = "${it.key}-${it.value}"
        }
      }
    }
    """
    world.apply(spec)
    arguments = world.records()["training_job.a"].arguments
    assert [(p["name"], p["size"]) for p in arguments["piece"]] == [("x", 0), ("y", 1), ("z", 2)]
    assert arguments["shape"]["name"] == "0-round"
    written = """
    training_job "node" "a" {
      piece = [{ name = "x" }, { name = "y", size = 1 }, { name = "z", size = 2 }]
      shape = { name = "0-round" }
    }
    """
    assert world.plan(written).empty


def test_a_provider_alias_has_settings_of_its_own(world: World) -> None:
    world.module("inner", NODE.format("n", 3))
    spec = """
    provider "toy" {
      greeting = "hello"
    }
    provider "toy" {
      alias    = "shy"
      greeting = "psst"
    }
    training_job "node" "plain" {
      value = 1
    }
    training_job "node" "shy" {
      value    = 2
      provider = toy.shy
    }
    module "m" {
      source    = "./inner"
      providers = { toy = toy.shy }
    }
    """
    world.apply(spec)
    greeted = {a: r.attributes["greeting"] for a, r in world.records().items()}
    assert greeted == {
        "training_job.plain": "hello",
        "training_job.shy": "psst",
        "module.m.training_job.n": "psst",
    }
    with pytest.raises(DiagnosedError, match="There is no provider block"):
        world.plan('training_job "node" "n" {\n  provider = toy.none\n}\n')


def test_settings_take_variables_and_hide_secrets(world: World) -> None:
    spec = """
    variable "word" {
      type      = string
      sensitive = true
    }
    locals {
      greeting = "${var.word}!"
    }
    provider "toy" {
      greeting = local.greeting
    }
    training_job "node" "n" {}
    """
    plan = world.plan(spec, word="canary")
    assert "canary" not in dump(plan)
    world.apply(spec, word="canary")
    assert world.records()["training_job.n"].attributes["greeting"] == "canary!"
    unknown = spec.replace("local.greeting", "training_job.n.parity")
    with pytest.raises(DiagnosedError, match="known from variables and locals"):
        world.plan(unknown, word="canary")


def test_backend_and_module_source_take_variables(world: World) -> None:
    world.module("inner", NODE.format("n", 1))
    spec = """
    variable "place" {
      type = string
    }
    mlform {
      backend "sqlite" {
        path = "${var.place}/state.db"
      }
    }
    module "m" {
      source = "./${var.place}"
    }
    """
    world.apply(spec, place="inner")
    assert (world.root / "inner" / "state.db").is_file()


def test_the_time_of_the_plan_is_an_input(world: World) -> None:
    spec = """
    training_job "node" "n" {
      value = tonumber(formatdate("YYYY", plantimestamp()))
    }
    output "later" {
      value = "${training_job.n.parity} in ${plantimestamp()}"
    }
    """
    options = PlanOptions(as_of="2026-01-31T06:00:00Z")
    plan = world.plan(spec, options)
    assert plan.as_of == "2026-01-31T06:00:00Z"
    assert dump(plan) == dump(world.plan(spec, options))
    world.apply(spec, saved=parse(dump(plan)))
    assert world.records()["training_job.n"].arguments["value"] == 2026
    assert world.outcome is not None
    assert world.outcome.outputs == {"later": "0 in 2026-01-31T06:00:00Z"}
    assert world.plan(spec, PlanOptions(as_of="2026-02-01T06:00:00Z")).changes == ()
    assert world.plan(spec).as_of is not None
    assert world.plan(NODE.format("n", 1)).as_of is None


def test_a_plan_names_the_outputs_that_change(world: World) -> None:
    before = 'output "a" {\n  value = 1\n}\noutput "b" {\n  value = "x"\n}\n'
    node = NODE.format("n", 1) + 'output "n" {\n  value = training_job.n.parity\n}\n'
    plan = world.plan(before)
    assert {n: c.action for n, c in plan.output_changes.items()} == {"a": "add", "b": "add"}
    assert not plan.empty
    world.apply(before + node)
    assert world.plan(before + node).empty
    after = 'output "a" {\n  value = 2\n}\noutput "c" {\n  value = "x"\n  sensitive = true\n}\n'
    plan = parse(dump(world.plan(after + node)))
    assert plan.changes == ()
    assert {n: (c.action, c.before) for n, c in plan.output_changes.items()} == {
        "a": ("change", 1),
        "b": ("remove", "x"),
        "c": ("add", None),
    }
    assert world.apply(after + node, saved=plan) == {}
    assert world.plan(after + node).empty
    shown = paint(as_text(plan), colour=False)
    assert '~ output.a  1 → 2\n- output.b  "x"\n+ output.c  (sensitive value)\n' in shown
    assert "Outputs only." in shown
