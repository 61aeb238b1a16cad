"""What exists already comes under management: nothing runs, and the plan after it is empty."""

from __future__ import annotations

import pytest
from tests.engine.world import World

from mlform.apply import Imported
from mlform.commands.asking import why
from mlform.commands.importing import take
from mlform.commands.options import PlanOptions
from mlform.diagnostics import DiagnosedError
from mlform.plan import dump, parse
from mlform.render.document import plan as document

NODE = """
training_job "node" "n" {
  value = 4
}
"""
TAKEN = """
import {
  to = training_job.n
  id = "one.txt"
}
"""


@pytest.fixture
def world(world: World) -> World:
    world.root.mkdir()
    (world.root / "one.txt").write_text("1")
    return world


def test_an_import_runs_nothing_and_the_plan_after_it_is_empty(world: World) -> None:
    plan = world.plan(NODE + TAKEN)
    assert not plan.empty
    assert not plan.changes
    assert [str(s.address) for s in plan.imports] == ["training_job.n"]
    assert world.apply(NODE + TAKEN) == {}
    assert world.executor.calls == []
    assert [type(e) for e in world.events] == [Imported]
    assert world.plan(NODE + TAKEN).empty
    assert world.plan(NODE).empty
    record = world.records()["training_job.n"]
    assert record.attributes["parity"] == 1, "the file says so, whatever 4 is worth"
    assert record.receipt["imported"] == "one.txt"


def test_what_is_imported_and_replaced_goes_once_its_replacement_is_there(world: World) -> None:
    spec = """
        deployment "file" "d" {
          shows = 2
          lifecycle {
            create_before_destroy = true
          }
        }
        import {
          to = deployment.d
          id = "one.txt"
        }
    """
    assert world.apply(spec, PlanOptions(replace=("deployment.d",))) == {"deployment.d": "replace"}
    record = world.records()["deployment.d"]
    assert (record.attributes["shown"], record.deposed) == (2, ())
    assert [method for _, method in world.executor.calls if method != "read"][-1] == "destroy"
    assert world.plan(spec).empty


def test_why_ends_in_the_import(world: World) -> None:
    uses = NODE + 'training_job "node" "u" {\n  value = training_job.n.parity\n}\n'
    assert world.apply(uses + TAKEN) == {"training_job.u": "run"}
    links = why(world.session(uses), "training_job.n")
    assert [(link.action, link.reasons[0].what) for link in links] == [("import", "imported")]
    assert links[-1].reasons[0].subject == "one.txt"
    assert world.records()["training_job.u"].attributes["parity"] == 1


def test_what_is_imported_is_a_realisation_of_its_key(world: World) -> None:
    world.apply(NODE + TAKEN)
    other = NODE.replace("value = 4", "value = 6")
    assert world.apply(other) == {"training_job.n": "run"}
    assert world.records()["training_job.n"].attributes["parity"] == 0
    assert world.apply(NODE) == {"training_job.n": "reuse"}
    assert world.records()["training_job.n"].attributes["parity"] == 1


def test_an_import_that_differs_is_recorded_and_then_mended(world: World) -> None:
    spec = 'deployment "file" "s" {\n  shows = 5\n}\n'
    taken = 'import {\n  to = deployment.s\n  id = "one.txt"\n}\n'
    assert world.apply(spec + taken) == {"deployment.s": "roll"}
    assert world.records()["deployment.s"].attributes["shown"] == 5
    assert world.plan(spec + taken).empty
    assert [e.id for e in world.events if isinstance(e, Imported)] == ["one.txt"]


def test_upstream_that_is_still_to_run_does_not_make_the_import_run(world: World) -> None:
    spec = """
    training_job "node" "first" {
      value = 1
    }
    training_job "node" "n" {
      value = training_job.first.parity
    }
    """
    plan = world.plan(spec + TAKEN)
    assert {str(s.address): s.action.value for s in plan.steps} == {
        "training_job.first": "run",
        "training_job.n": "no-op",
    }
    assert world.apply(spec + TAKEN) == {"training_job.first": "run"}
    assert [a for a, _ in world.executor.calls] == ["training_job.first"]
    assert world.plan(spec + TAKEN).empty


def test_a_saved_plan_imports_what_it_said(world: World) -> None:
    saved = parse(dump(world.plan(NODE + TAKEN)))
    (world.root / "one.txt").write_text("0")
    world.apply(NODE + TAKEN, saved=saved)
    assert world.records()["training_job.n"].attributes["parity"] == 1


def test_a_plan_of_an_import_is_the_same_each_time(world: World) -> None:
    assert dump(world.plan(NODE + TAKEN)) == dump(world.plan(NODE + TAKEN))


def test_instances_are_imported_by_for_each(world: World) -> None:
    spec = 'training_job "node" "n" {\n  for_each = toset(["a", "b"])\n}\n'
    taken = """
    import {
      for_each = { a = "one.txt", b = "two.txt" }
      to       = training_job.n[each.key]
      id       = each.value
    }
    """
    (world.root / "two.txt").write_text("2")
    world.apply(spec + taken)
    found = {a: r.attributes["parity"] for a, r in world.records().items()}
    assert found == {'training_job.n["a"]': 1, 'training_job.n["b"]': 2}
    assert world.plan(spec + taken).empty


def test_targets_leave_other_imports_alone(world: World) -> None:
    spec = NODE + 'training_job "node" "m" {\n  value = 1\n}\n' + TAKEN
    plan = world.plan(spec, PlanOptions(targets=["training_job.m"]))
    assert not plan.imports
    assert world.plan(spec, PlanOptions(exclude=["training_job.n"])).imports == ()


def test_a_postcondition_is_held_to_what_was_imported(world: World) -> None:
    spec = """
    training_job "node" "n" {
      value = 4
      lifecycle {
        postcondition {
          condition     = self.parity == 0
          error_message = "Odd."
        }
      }
    }
    """
    with pytest.raises(DiagnosedError, match="Odd"):
        world.plan(spec + TAKEN)


def test_the_command_records_one_thing(world: World) -> None:
    session = world.session(NODE + 'training_job "node" "m" {\n  value = 1\n}\n')
    taken = take(session, "training_job.n", "one.txt", world.events.append)
    assert taken.plan.empty
    assert world.records().keys() == {"training_job.n"}
    with pytest.raises(DiagnosedError, match="Already managed"):
        take(world.session(NODE), "training_job.n", "one.txt", world.events.append)


def test_the_command_records_what_differs_and_says_what_would_be_done(world: World) -> None:
    session = world.session('deployment "file" "s" {\n  shows = 5\n}\n')
    taken = take(session, "deployment.s", "one.txt", world.events.append)
    assert [s.action.value for s in taken.plan.steps] == ["roll"]
    assert world.records()["deployment.s"].attributes["shown"] == 1


def test_the_command_waits_for_what_is_upstream(world: World) -> None:
    session = world.session(
        NODE + 'training_job "node" "u" {\n  value = training_job.n.parity\n}\n'
    )
    with pytest.raises(DiagnosedError, match="Apply that first"):
        take(session, "training_job.u", "one.txt", world.events.append)
    assert world.records() == {}


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("deployment.s[0]", "count = training_job.first.parity"),
        ("deployment.s", "size = training_job.many[0].parity"),
    ],
)
def test_the_command_waits_for_what_makes_its_instance_known(
    world: World, address: str, written: str
) -> None:
    spec = f"""
    training_job "node" "first" {{
      value = 1
    }}
    training_job "node" "many" {{
      count = training_job.first.parity
    }}
    deployment "file" "s" {{
      {written}
      shows = 1
    }}
    """
    with pytest.raises(DiagnosedError, match=r"Not ready to import.* Apply that first"):
        take(world.session(spec), address, "one.txt", world.events.append)
    assert world.records() == {}


def test_the_command_keeps_off_where_something_moves_to(world: World) -> None:
    world.apply('deployment "file" "old" {\n  shows = 1\n}\n')
    spec = """
    deployment "file" "s" {
      shows = 1
    }
    moved {
      from = deployment.old
      to   = deployment.s
    }
    """
    with pytest.raises(DiagnosedError, match=r"Already managed: .* moves to deployment\.s"):
        take(world.session(spec), "deployment.s", "one.txt", world.events.append)
    assert world.records().keys() == {"deployment.old"}


def service(name: str, shows: int = 1) -> str:
    taken = f'import {{\n  to = deployment.{name}\n  id = "one.txt"\n}}\n'
    return f'deployment "file" "{name}" {{\n  shows = {shows}\n}}\n{taken}'


def test_a_thing_comes_under_management_once(world: World) -> None:
    with pytest.raises(DiagnosedError, match=r"imported as deployment\.s already, at main"):
        world.plan(service("s") + service("t"))
    world.apply(service("s"))
    world.apply(service("s", shows=3))
    with pytest.raises(DiagnosedError, match=r"under management already, as deployment\.s"):
        world.plan(service("s", shows=3) + service("t"))
    again = PlanOptions(replace=("deployment.s",))
    world.apply(service("s", shows=3), again)
    assert [str(s.address) for s in world.plan(service("s", shows=3) + service("t")).imports] == [
        "deployment.t"
    ]


def test_what_is_held_by_itself_is_taken_over_and_held_from_then_on(
    world: World,
) -> None:
    (world.root / "one.txt").write_text("1 nobody agreed")
    assert [str(s.address) for s in world.plan(service("s")).imports] == ["deployment.s"]
    world.apply(service("s"))
    assert world.outcome is not None
    assert {str(a): why for a, why in world.outcome.held.items()} == {
        "deployment.s": ("nobody agreed",)
    }
    assert world.records()["deployment.s"].held == ("nobody agreed",)
    assert world.plan(service("s")).empty


def test_the_command_takes_over_nothing_that_a_gate_holds(world: World) -> None:
    spec = """
    gate "most" "g" {
      candidate = 5
    }
    deployment "file" "s" {
      shows = 1
      gates = [gate.g]
    }
    """
    world.apply(spec.partition("deployment")[0])
    with pytest.raises(DiagnosedError, match=r"Not ready to import: .*gate\.g did not pass"):
        take(world.session(spec), "deployment.s", "one.txt", world.events.append)
    assert world.records().keys() == {"gate.g"}


def test_blocks_are_written_for_imports_without_one(world: World) -> None:
    taken = 'import {\n  to = deployment.s\n  id = "one.txt"\n  provider = toy\n}\n'
    session = world.session(taken)
    file = world.root / "written.mlf.hcl"
    plan = session.plan(session.store.snapshot(), PlanOptions(generate=file))
    assert [s.action.value for s in plan.imports] == ["no-op"]
    assert file.read_text().endswith(
        'deployment "file" "s" {\n  provider = toy\n  shows    = 1\n}\n'
    )
    assert world.apply(taken.replace("  provider = toy\n", "")) == {}
    assert world.plan(taken.replace("  provider = toy\n", "")).empty


def test_a_written_block_says_what_it_lacks(world: World) -> None:
    session = world.session('import {\n  to = gate.g\n  id = "one.txt"\n}\n')
    file = world.root / "written.mlf.hcl"
    with pytest.raises(DiagnosedError, match="takes over nothing"):
        session.plan(session.store.snapshot(), PlanOptions(generate=file))
    assert not file.exists()


def test_machines_are_told_what_is_imported(world: World) -> None:
    told = document(world.plan(NODE + TAKEN))
    assert told["totals"]["imports"] == 1
    assert told["totals"]["actions"] == {"no-op": 1}
    (step,) = told["steps"]
    assert step["imported"]["id"] == "one.txt"
    assert step["imported"]["attributes"]["parity"] == 1
    assert step["before"] is None


def test_instances_of_modules_and_counts_are_imported(world: World) -> None:
    inner = 'training_job "node" "in" {\n  count = 2\n}\n'
    world.module("m", inner)
    spec = """
    module "m" {
      source   = "./m"
      for_each = toset(["a"])
    }
    import {
      for_each = { one = 1 }
      to       = module.m["a"].training_job.in[each.value]
      id       = "${each.key}.txt"
    }
    """
    assert world.apply(spec) == {'module.m["a"].training_job.in[0]': "run"}
    record = world.records()['module.m["a"].training_job.in[1]']
    assert record.receipt["imported"] == "one.txt"
    assert world.plan(spec).empty


def test_an_import_waits_for_the_round_that_makes_its_instances_known(world: World) -> None:
    spec = """
    training_job "node" "first" {
      value = 1
    }
    training_job "node" "many" {
      count = training_job.first.parity
    }
    import {
      to = training_job.many[0]
      id = "one.txt"
    }
    """
    plan = world.plan(spec)
    assert not plan.imports
    assert [str(a) for a in plan.deferred] == ["training_job.many"]
    world.apply(spec)
    assert [str(s.address) for s in world.plan(spec).imports] == ["training_job.many[0]"]
