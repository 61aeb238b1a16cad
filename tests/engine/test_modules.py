"""Modules: what goes in, what comes out, who waits for whom, and what addresses they make."""

from __future__ import annotations

import json

import pytest
from tests.engine.world import World

from mlform.commands.options import PlanOptions
from mlform.diagnostics import DiagnosedError
from mlform.plan import dump, parse

INNER = """
variable "value" {
  type = number
}
variable "name" {
  type    = string
  default = "plain"
}
locals {
  doubled = var.value * 2
}
training_job "node" "n" {
  value = local.doubled + 1
}
output "parity" {
  value = training_job.n.parity
}
output "called" {
  value = "${var.name} in ${path.module}"
}
"""


@pytest.fixture
def nested(world: World) -> World:
    world.module("inner", INNER)
    return world


def outputs(world: World) -> dict[str, object]:
    assert world.outcome is not None
    return dict(world.outcome.outputs)


def test_values_go_in_and_come_out(nested: World) -> None:
    spec = """
    module "m" {
      source = "./inner"
      value  = 4
    }
    output "parity" {
      value = module.m.parity
    }
    output "called" {
      value = module.m.called
    }
    """
    assert nested.apply(spec) == {"module.m.training_job.n": "run"}
    assert outputs(nested) == {"parity": 1, "called": "plain in inner"}
    assert nested.actions(spec) == {}


def test_a_module_waits_for_what_its_inputs_take(nested: World) -> None:
    spec = """
    training_job "node" "first" {
      value = 3
    }
    module "m" {
      source = "./inner"
      value  = training_job.first.parity
    }
    training_job "node" "last" {
      uses = [module.m.parity]
    }
    """
    plan = nested.plan(spec)
    assert [str(s.address) for s in plan.steps] == [
        "training_job.first",
        "module.m.training_job.n",
        "training_job.last",
    ]
    saved = parse(dump(plan))
    assert list(nested.apply(spec, saved=saved)) == [str(s.address) for s in plan.steps]
    assert nested.records()["module.m.training_job.n"].arguments["value"] == 3
    assert nested.actions(spec) == {}


def test_for_each_makes_instances_that_do_not_wait_for_each_other(nested: World) -> None:
    nested.module(
        "inner", INNER + 'training_job "node" "after" {\n  uses = [training_job.n.parity]\n}\n'
    )
    spec = """
    module "m" {
      for_each = { a = 1, b = 2 }
      source   = "./inner"
      value    = each.value
      name     = each.key
    }
    output "all" {
      value = { for k, m in module.m : k => m.called }
    }
    output "b" {
      value = module.m["b"].parity
    }
    """
    steps = {str(s.address): s for s in nested.plan(spec).steps}
    assert [str(a) for a in steps['module.m["a"].training_job.after'].needs] == [
        'module.m["a"].training_job.n'
    ]
    nested.apply(spec)
    assert outputs(nested) == {"all": {"a": "a in inner", "b": "b in inner"}, "b": 1}
    fewer = spec.replace("{ a = 1, b = 2 }", "{ b = 2 }")
    assert set(nested.apply(fewer)) == {
        'module.m["a"].training_job.n',
        'module.m["a"].training_job.after',
    }


def test_count_and_modules_within_modules(nested: World) -> None:
    nested.module(
        "outer",
        """
        variable "many" {
          type = number
        }
        module "inner" {
          source = "../inner"
          count  = var.many
          value  = count.index
        }
        output "parities" {
          value = module.inner[*].parity
        }
        """,
    )
    spec = """
    module "o" {
      source = "./outer"
      many   = 2
    }
    output "parities" {
      value = module.o.parities
    }
    """
    assert set(nested.apply(spec)) == {
        "module.o.module.inner[0].training_job.n",
        "module.o.module.inner[1].training_job.n",
    }
    assert outputs(nested) == {"parities": [1, 1]}
    assert nested.actions(spec) == {}


def test_inputs_become_the_type_of_the_variable(nested: World) -> None:
    nested.module(
        "inner",
        """
        variable "settings" {
          type = object({ value = number, size = optional(number, 5) })
        }
        training_job "node" "n" {
          value = var.settings.value
          size  = var.settings.size
        }
        """,
    )
    spec = """
    training_job "node" "first" {}
    module "m" {
      source   = "./inner"
      settings = { value = "${training_job.first.parity}", extra = true }
    }
    """
    nested.apply(spec)
    arguments = nested.records()["module.m.training_job.n"].arguments
    assert (arguments["value"], arguments["size"]) == (0, 5)
    assert nested.actions(spec) == {}


def test_a_secret_stays_one_inside(nested: World) -> None:
    nested.module(
        "inner",
        """
        variable "password" {
          type      = string
          sensitive = true
        }
        training_job "node" "n" {
          token = var.password
        }
        output "password" {
          value     = var.password
          sensitive = true
        }
        """,
    )
    spec = """
    variable "given" {
      type      = string
      sensitive = true
    }
    module "m" {
      source   = "./inner"
      password = var.given
    }
    output "shown" {
      value = module.m.password
    }
    """
    with pytest.raises(DiagnosedError, match="sensitive values") as caught:
        nested.plan(spec, given="canary")
    assert "canary" not in str(caught.value)
    hidden = spec.replace("module.m.password", "module.m.password\n sensitive = true")
    plan = nested.plan(hidden, given="canary")
    assert "canary" not in dump(plan)
    nested.apply(hidden, given="canary")
    assert nested.actions(hidden, given="canary") == {}


def test_depends_on_a_module_waits_for_all_of_it(nested: World) -> None:
    spec = """
    module "m" {
      source = "./inner"
      value  = 1
    }
    training_job "node" "after" {
      depends_on = [module.m]
    }
    module "last" {
      source     = "./inner"
      value      = 1
      depends_on = [training_job.after]
    }
    """
    assert [str(s.address) for s in nested.plan(spec).steps] == [
        "module.m.training_job.n",
        "training_job.after",
        "module.last.training_job.n",
    ]


def test_a_target_may_be_inside_a_module(nested: World) -> None:
    spec = 'module "m" {\n  source = "./inner"\n  value = 1\n}\ntraining_job "node" "n" {}\n'
    targets = PlanOptions(targets=("module.m.training_job.n",))
    assert nested.apply(spec, targets) == {"module.m.training_job.n": "run"}
    assert nested.actions(spec) == {"training_job.n": "run"}
    assert nested.apply(spec, PlanOptions(targets=("module.m",))) == {}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('source = "./inner"', 'needs "value"'),
        ('source = "./inner"\n value = "x"', "no number"),
        ('source = "./inner"\n value = 1\n valeu = 2', 'no variable "valeu"'),
        ('source = "./none"\n value = 1', "no spec file"),
        ('source = "inner"\n value = 1', '"./…"'),
        ('source = ""\n value = 1', '"./…"'),
        ('source = "https://x.test/y.zip"\n value = 1', "git::"),
        ('source = "git::https://x.test/y.git"\n value = 1', "mlform get"),
        ('source = "./inner"\n value = 1\n for_each = ["a"]', "toset"),
        ('source = "./inner"\n value = local.nothing', 'no local value "nothing"'),
        ('source = "./inner"\n value = module.m.parity', "Each waits"),
        ('source = "./inner"\n value = 1\n}\noutput "x" {\n value = module.m.nope', "no output"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(nested: World, call: str, said: str) -> None:
    with pytest.raises(DiagnosedError) as caught:
        nested.plan('module "m" {\n' + call + "\n}\n")
    assert said in str(caught.value)


def test_a_module_that_calls_itself_is_found_out(world: World) -> None:
    world.module("inner", 'module "again" {\n  source = "../inner"\n}\n')
    with pytest.raises(DiagnosedError, match="call itself"):
        world.plan('module "m" {\n  source = "./inner"\n}\n')


@pytest.mark.parametrize(
    "use",
    [
        'training_job "node" "n" {\n  note = var.once\n}',
        'output "x" {\n  value = local.through\n}',
        'module "m" {\n  source = "./inner"\n  value = var.once\n}',
    ],
)
def test_an_ephemeral_value_is_kept_nowhere(nested: World, use: str) -> None:
    spec = 'variable "once" {\n  ephemeral = true\n}\nlocals {\n  through = "a${var.once}"\n}\n'
    with pytest.raises(DiagnosedError, match=r"var\.once is ephemeral"):
        nested.plan(spec + use, once=1)
    secret = 'training_job "node" "n" {\n  token = local.through\n}\n'
    plan = nested.plan(spec + secret, once="canary")
    assert "canary" not in dump(plan)


def test_a_secret_among_the_elements_of_for_each(nested: World) -> None:
    spec = """
    variable "password" {
      type      = string
      sensitive = true
    }
    training_job "node" "n" {
      for_each = { a = var.password }
      token    = each.value
    }
    """
    with pytest.raises(DiagnosedError, match="Take the secret from a variable"):
        nested.plan(spec, password="canary")
    mended = spec.replace("= each.value", "= var.password")
    assert "canary" not in dump(nested.plan(mended, password="canary"))


def test_json_says_the_same(nested: World) -> None:
    spec = {
        "variable": {"n": {"type": "map(number)", "default": {"a": 1}}},
        "module": {
            "m": {
                "source": "./inner",
                "for_each": "${var.n}",
                "value": "${each.value}",
                "depends_on": ["training_job.first"],
            }
        },
        "training_job": {
            "node": {
                "first": {"lifecycle": {"ignore_changes": ["value"]}},
                "last": {"uses": ['${module.m["a"].parity}'], "depends_on": ["module.m"]},
            }
        },
        "moved": [{"from": "training_job.old", "to": "training_job.last"}],
    }
    (nested.root / "more.mlf.json").write_text(json.dumps(spec))
    nested.apply("")
    assert [str(a) for a in nested.records()["training_job.last"].needs] == [
        'module.m["a"].training_job.n'
    ]
    moved = nested.session("").configured[0].moves
    assert [(m.source, m.target) for m in moved] == [("training_job.old", "training_job.last")]


def test_a_block_without_instances_is_empty_not_unknown(nested: World) -> None:
    spec = """
    training_job "node" "counted" {
      count = 0
    }
    training_job "node" "named" {
      for_each = {}
    }
    training_job "node" "off" {
      lifecycle {
        enabled = false
      }
    }
    training_job "node" "last" {
      uses = concat([for n in training_job.counted : n.parity], [training_job.first.parity])
    }
    training_job "node" "first" {
      value = 3
    }
    output "all" {
      value = [length(training_job.counted), keys(training_job.named), training_job.off == null]
    }
    """
    nested.apply(spec)
    assert outputs(nested) == {"all": [0, [], True]}
    assert nested.records()["training_job.last"].arguments["uses"] == [1]
    assert nested.plan(spec).empty
