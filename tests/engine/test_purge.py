"""Deleting for good with what leaves, and keeping what something that serves was made from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.world import World

from mlform.commands.options import PlanOptions
from mlform.diagnostics import DiagnosedError
from mlform.plan import dump, parse
from mlform.render.document import plan as document
from mlform.render.plan import plan as shown
from mlform.render.style import paint

SPEC = """
training_job "node" "a" {
  value = 1
}
training_job "node" "b" {
  value = training_job.a.parity + 3
}
training_job "node" "other" {
  value = 7
  where = "there"
}
deployment "file" "s" {
  shows = training_job.b.parity
}
"""
PURGE = PlanOptions(purge=True)
DOWN = PlanOptions(purge=True, destroy=True)
NOTHING_HELD = 'mlform {\n  retention { audit_window = "0s" }\n}\n'


def objects(world: World) -> set[str]:
    """Return what is in the store, by the bytes."""
    return {p.read_text() for p in (world.root / ".mlform/store/objects").rglob("*") if p.is_file()}


def without(spec: str, *names: str) -> str:
    blocks = spec.strip().removesuffix("}").rstrip().split("\n}\n")
    kept = [b for b in blocks if not any(f'"{n}" {{' in b.splitlines()[0] for n in names)]
    return "\n}\n".join(kept) + "\n}\n"


def test_what_stays_or_serves_keeps_what_it_has_in_common_with_what_leaves(world: World) -> None:
    world.apply(SPEC)
    plan = world.plan(without(SPEC, "other"), PURGE)
    step = next(s for s in plan.steps if s.address.name == "other")
    # All nodes of one parity have the same bytes.
    assert step.action.value == "forget" and not step.purge.artifacts
    [hold] = step.purge.held
    assert (hold.by, hold.how) == ("deployment.s", "serves")
    assert hold.through == ("deployment.s", "training_job.b", "training_job.a")


def test_everything_a_resource_ever_made_goes(world: World) -> None:
    first = 'training_job "node" "x" {\n  value = 1\n}\n'
    world.apply(first)
    world.apply(first.replace("1", "2"))
    assert objects(world) == {"parity 0", "parity 1"}
    world.apply("", PURGE)
    assert objects(world) == set()
    assert world.outcome.kept == []
    assert world.outcome.purged.objects == 2 and world.outcome.purged.size == 16
    store = world.session("").store
    [entry] = [e for e in store.journal() if e.operation == "purged"]
    assert len(entry.detail["artifacts"]) == 2
    assert store.verify() == []


def test_without_purge_data_stay_and_are_taken_again(world: World) -> None:
    spec = 'training_job "node" "x" {\n  value = 1\n}\n'
    world.apply(spec)
    world.apply("")
    assert objects(world) == {"parity 1"}
    assert world.actions(spec) == {"training_job.x": "reuse"}


def test_after_a_purge_the_result_is_made_anew_and_nothing_is_said_of_it(world: World) -> None:
    spec = 'training_job "node" "x" {\n  value = 1\n}\n'
    world.apply(spec)
    world.apply("", PURGE)
    session = world.session(spec)
    plan = session.plan(session.store.snapshot())
    assert [s.action.value for s in plan.steps] == ["run"]
    assert not list(session.diagnostics)


def test_a_deployment_that_goes_holds_for_the_audit_window(world: World) -> None:
    world.apply(SPEC)
    plan = world.plan(SPEC, DOWN)
    steps = {str(s.address): s for s in plan.steps}
    held = steps["training_job.b"].purge.held
    assert [(h.by, h.how, h.through) for h in held] == [
        ("deployment.s", "served", ("deployment.s", "training_job.b"))
    ]
    assert held[0].until.startswith(plan.as_of[:19])
    assert steps["training_job.b"].action.value == "forget"
    text = paint(shown(plan), colour=False)
    assert "deployment.s served what was made from it until" in text
    assert "(deployment.s → training_job.b)" in text
    world.apply(SPEC, DOWN)
    assert objects(world) == {"parity 0", "parity 1"}
    assert not (world.root / ".mlform/resources/deployment.s").exists()


def test_what_is_held_is_not_deleted_by_a_later_purge_either(world: World) -> None:
    world.apply(SPEC)
    world.apply(without(SPEC, "s"))
    plan = world.plan("", PURGE)
    held = {str(s.address): s.purge.held for s in plan.steps}
    assert all(h.how == "served" for hs in held.values() for h in hs)
    assert held["training_job.b"][0].by == "deployment.s"
    world.apply("", PURGE)
    assert "parity 0" in objects(world)


def test_an_audit_window_of_nothing_lets_all_go(world: World) -> None:
    spec = NOTHING_HELD + SPEC
    world.apply(spec)
    world.apply(spec, DOWN)
    assert objects(world) == set()


def test_what_a_failed_replacement_left_in_a_folder_goes_as_well(world: World) -> None:
    spec = """
deployment "file" "s" {
  shows = 1
  where = "%s"
  lifecycle { create_before_destroy = true }
}
deployment "file" "s2" {
  shows = 2
}
"""
    world.apply(spec % "here")
    homes = world.root / ".mlform/resources"
    # A folder where a file is to be: making the new one fails.
    (homes / "deployment.s~1/shown").mkdir(parents=True)
    world.apply(spec % "there")
    assert [str(f.address) for f in world.outcome.failures] == ["deployment.s"]
    world.apply(without(spec, "s"), PURGE)
    assert [p.name for p in homes.iterdir()] == ["deployment.s2"]


def test_a_deployment_that_cannot_be_taken_down_keeps_its_data(world: World) -> None:
    spec = NOTHING_HELD + SPEC
    world.apply(spec)
    # A folder where a file was: taking it down fails.
    file = world.root / ".mlform/resources/deployment.s/shown"
    file.unlink()
    file.mkdir()
    world.apply(spec, PlanOptions(purge=True, destroy=True, refresh=False))
    assert [f.address.kind for f in world.outcome.failures] == ["deployment"]
    assert "parity 0" in objects(world)


def test_what_is_protected_is_not_purged(world: World) -> None:
    spec = 'training_job "node" "x" {\n  value = 1\n  lifecycle { prevent_destroy = true }\n}\n'
    world.apply(spec)
    with pytest.raises(DiagnosedError, match="prevent_destroy"):
        world.apply("", PURGE)
    assert objects(world) == {"parity 1"}


def test_what_a_removed_block_lets_go_keeps_its_data(world: World) -> None:
    world.apply('training_job "node" "x" {\n  value = 1\n}\n')
    block = "removed {\n  from = training_job.x\n  lifecycle { destroy = false }\n}\n"
    world.apply(block, PURGE)
    assert objects(world) == {"parity 1"}


def test_a_moved_resource_takes_along_what_it_made_before(world: World) -> None:
    world.apply('training_job "node" "x" {\n  value = 1\n}\n')
    moved = 'training_job "node" "y" {\n  value = 2\n}\n'
    moved += "moved {\n  from = training_job.x\n  to = training_job.y\n}\n"
    world.apply(moved)
    assert objects(world) == {"parity 0", "parity 1"}
    world.apply("", PURGE)
    assert objects(world) == set()


def test_what_was_moved_by_hand_counts_as_moved(world: World) -> None:
    from mlform.address import Address
    from mlform.state.model import Revision

    world.apply(SPEC)
    store = world.session(SPEC).store
    snapshot = store.snapshot()
    old, new = Address.parse("deployment.s"), Address.parse("deployment.t")
    record = replace(snapshot.records[old], address=new)
    with store.lock("test") as lease:
        store.revise(lease, "r", Revision({}, {old: record}))
    renamed = SPEC.replace('"s"', '"t"')
    plan = world.plan(without(renamed, "other"), PURGE)
    step = next(s for s in plan.steps if s.address.name == "other")
    assert [(h.by, h.how) for h in step.purge.held] == [("deployment.t", "serves")]


def test_a_saved_plan_carries_it_and_deletes_no_more(world: World) -> None:
    spec = 'training_job "node" "x" {\n  value = 1\n}\n'
    world.apply(spec)
    plan = parse(dump(world.plan("", PURGE)))
    assert plan == world.plan("", PlanOptions(purge=True, as_of=plan.as_of))
    said = document(plan)
    [step] = said["steps"]
    assert said["purging"] == {"window": 90 * 86_400, "shared": False}
    assert step["purge"]["size"] == 8 and step["action"] == "destroy"
    world.apply("", saved=plan)
    assert objects(world) == set()


def test_in_a_shared_store_data_are_left_to_the_collector(world: World, tmp_path: Path) -> None:
    shared = 'mlform {\n  store { path = "../shared" }\n}\n'
    spec = shared + 'training_job "node" "x" {\n  value = 1\n}\n'
    world.apply(spec)
    text = paint(shown(world.plan(shared, PURGE)), colour=False)
    assert "store is shared" in text
    world.apply(shared, PURGE)
    assert world.outcome.purged.left == 1
    assert "parity 1" in {
        p.read_text() for p in (tmp_path / "shared/objects").rglob("*") if p.is_file()
    }
