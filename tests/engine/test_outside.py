"""What was changed from outside: put back, adopted, only recorded, not looked at; and selecting."""

from __future__ import annotations

import json
import time
from pathlib import Path
from threading import Event

import pytest
from tests.engine.world import World

from mlform.apply import Adopted
from mlform.cli import watching
from mlform.commands.asking import why
from mlform.commands.options import PlanOptions
from mlform.commands.session import Session
from mlform.diagnostics import DiagnosedError
from mlform.files import keep, kept
from mlform.plan import Plan, dump, parse
from mlform.render.document import plan as document
from mlform.render.plan import plan as shown
from mlform.render.style import paint

SPEC = """
training_job "node" "n" {
  value = 1
}
deployment "file" "s" {
  shows = training_job.n.parity
}
"""


def text(plan: Plan) -> str:
    return paint(shown(plan), colour=False)


@pytest.fixture
def world(world: World) -> World:
    world.apply(SPEC)
    return world


def change(world: World, shown: str = "7") -> None:
    (world.root / ".mlform" / "resources" / "deployment.s" / "shown").write_text(shown)


def lose(world: World) -> None:
    (world.root / ".mlform" / "resources" / "deployment.s" / "shown").unlink()


def test_a_change_from_outside_is_put_back_by_default(world: World) -> None:
    change(world)
    plan = world.plan(SPEC)
    assert [(s.action.value, s.reasons[0].what) for s in plan.changes] == [("roll", "drift")]
    assert plan.only_drift
    assert world.apply(SPEC) == {"deployment.s": "roll"}
    assert world.records()["deployment.s"].attributes["shown"] == 1


def test_adopting_records_what_is_there_and_stays_visible_until_it_is_reverted(
    world: World,
) -> None:
    change(world)
    options = PlanOptions(adopt=["deployment.s"])
    plan = world.plan(SPEC, options)
    assert "deployment.s  adopt\n" in text(plan)
    assert "1 to adopt, 0 actions" in text(plan)
    world.apply(SPEC, saved=parse(dump(plan)))
    assert [e.attributes for e in world.events if isinstance(e, Adopted)] == [("shown",)]
    assert world.records()["deployment.s"].attributes["shown"] == 7
    after = world.plan(SPEC)
    assert after.empty
    assert "-revert=deployment.s" in text(after)
    assert why(world.session(SPEC), "deployment.s")[0].reasons[0].what == "drift"

    assert world.apply(SPEC, PlanOptions(revert=["deployment.s"])) == {"deployment.s": "roll"}
    assert world.records()["deployment.s"].attributes["shown"] == 1
    assert not world.plan(SPEC).notes


def test_adopting_goes_before_what_else_is_to_be_done(world: World) -> None:
    change(world)
    spec = SPEC.replace("shows =", "size  = 2\n  shows =")
    plan = world.plan(spec, PlanOptions(adopt=["deployment.s"]))
    assert [s.action.value for s in plan.adoptions] == ["update"]
    assert world.apply(spec, PlanOptions(adopt=["deployment.s"])) == {"deployment.s": "update"}
    assert world.plan(spec).empty


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (PlanOptions(adopt=["deployment.s"]), "what is there is as recorded"),
        (PlanOptions(revert=["deployment.s"]), "nothing else was adopted"),
        (PlanOptions(adopt=["deployment.s"], refresh=False), "looks at nothing"),
        (PlanOptions(adopt=["deployment.s"], revert=["deployment.s"]), "both adopted and"),
        (PlanOptions(refresh_only=True, replace=["deployment.s"]), "-replace asks for more"),
        (PlanOptions(refresh_only=True, destroy=True), "-destroy asks for more"),
        (PlanOptions(refresh_only=True, refresh=False), "-refresh=false asks for more"),
    ],
)
def test_what_cannot_be_asked_for(world: World, options: PlanOptions, says: str) -> None:
    with pytest.raises(DiagnosedError, match=says):
        world.plan(SPEC, options)


def test_what_is_gone_cannot_be_adopted(world: World) -> None:
    lose(world)
    with pytest.raises(DiagnosedError, match="there is nothing to adopt"):
        world.plan(SPEC, PlanOptions(adopt=["deployment.s"]))


def test_refresh_only_records_and_runs_nothing(world: World) -> None:
    change(world)
    spec = SPEC.replace("value = 1", "value = 2")
    plan = world.plan(spec, PlanOptions(refresh_only=True))
    assert [str(s.address) for s in plan.steps] == ["deployment.s"]
    assert "changes of the spec are not in this plan" in text(plan)
    assert world.apply(spec, PlanOptions(refresh_only=True)) == {}
    assert world.executor.calls == []
    assert world.records()["deployment.s"].attributes["shown"] == 7
    assert world.plan(spec, PlanOptions(refresh_only=True)).empty


def test_refresh_only_drops_the_record_of_what_is_gone_and_touches_nothing(world: World) -> None:
    lose(world)
    assert world.apply(SPEC, PlanOptions(refresh_only=True)) == {"deployment.s": "forget"}
    assert world.executor.calls == []
    assert world.actions(SPEC) == {"deployment.s": "create"}


def test_without_looking_nothing_is_seen_and_the_plan_says_so(world: World) -> None:
    change(world)
    plan = world.plan(SPEC, PlanOptions(refresh=False))
    assert plan.empty
    assert "Not looked at (-refresh=false)" in text(plan)
    assert "Not looked at" not in text(world.plan(SPEC))


def test_a_look_that_is_young_enough_is_not_had_again(world: World) -> None:
    assert world.plan(SPEC).empty
    change(world)
    plan = world.plan(SPEC, PlanOptions(refresh="stale"))
    assert plan.empty
    assert plan.unseen == ("deployment.s",)
    assert "Not looked at anew (-refresh=stale): deployment.s" in text(plan)
    short = 'mlform {\n  refresh {\n    max_age = { deployment = "0s" }\n  }\n}\n' + SPEC
    plan = world.plan(short, PlanOptions(refresh="stale"))
    assert [str(s.address) for s in plan.changes] == ["deployment.s"]
    assert plan.unseen == ()
    again = world.plan(SPEC, PlanOptions(refresh="stale"))
    assert [s.reasons[0].what for s in again.changes] == ["drift"], "as it was seen a moment ago"


def test_a_look_at_another_record_does_not_count(world: World) -> None:
    assert world.plan(SPEC).empty
    looks = world.root / ".mlform" / "cache" / "looks.json"
    data = json.loads(kept(looks) or b"")
    data["deployment.s"] |= {"digest": "sha256:other", "at": time.time(), "present": False}
    keep(looks, json.dumps(data).encode())
    assert world.plan(SPEC, PlanOptions(refresh="stale")).empty
    looks.write_text("no json")
    assert world.plan(SPEC, PlanOptions(refresh="stale")).empty


def test_machines_are_told_of_all_drift(world: World) -> None:
    change(world)
    told = document(world.plan(SPEC))
    assert told["drift"] == [
        {"address": "deployment.s", "attribute": "shown", "before": 1, "after": 7, "counts": True}
    ]
    lose(world)
    told = document(world.plan(SPEC))
    assert [(d["address"], d["attribute"]) for d in told["drift"]] == [("deployment.s", None)]


def test_drift_alone_is_told_from_changes_of_the_spec(world: World) -> None:
    assert not world.plan(SPEC).only_drift
    change(world)
    assert world.plan(SPEC, PlanOptions(refresh_only=True)).only_drift
    both = world.plan(SPEC.replace("value = 1", "value = 3"))
    assert [s.action.value for s in both.changes] == ["run", "roll"]
    assert not both.only_drift


def test_looking_says_how_far_it_is(world: World) -> None:
    heard: list[tuple[str, int, int]] = []
    session = world.session(SPEC)
    session.looking = lambda *it: heard.append(it)
    session.plan(session.store.snapshot())
    assert heard[0] == ("", 0, 2)
    assert sorted(a for a, _, _ in heard[1:]) == ["deployment.s", "training_job.n"]
    assert [(done, total) for _, done, total in heard[1:]] == [(1, 2), (2, 2)]


@pytest.mark.parametrize("quick", [True, False])
def test_a_line_is_told_where_looking_takes_long(
    monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    said = Event()
    monkeypatch.setattr(watching, "_LINE_AFTER", 60.0 if quick else 0.0)
    lines: list[str] = []

    def hear(line: str, *, error: bool) -> None:
        assert error, "standard output is for the plan"
        lines.append(line)
        said.set()

    monkeypatch.setattr(watching, "say", hear)
    with watching.watched(Session(Path()), json=False):
        pass
    watch = watching._Watch(live=False)
    watch("", 0, 2)
    watch("deployment.s", 1, 2)
    assert quick or said.wait(30)
    watch("training_job.n", 2, 2)
    assert watch.teller is None
    assert (lines == []) is quick


SIZED = 'model "sized" "m" {\n  size = 3\n}\n'


def resize(world: World, text: str) -> None:
    (world.root / ".mlform" / "resources" / "model.m" / "size").write_text(text)


def test_what_a_block_says_is_kept_by_writing_it_there(world: World) -> None:
    world.apply(SIZED)
    resize(world, "5 1")
    plan = world.plan(SIZED)
    assert [s.action.value for s in plan.changes] == ["update"]
    assert plan.only_drift
    with pytest.raises(DiagnosedError, match=r"its block says size \(there: 5\)"):
        world.plan(SIZED, PlanOptions(adopt=["model.m"]))
    assert world.plan(SIZED.replace("3", "5")).empty
    assert not world.plan(SIZED.replace("3", "4")).only_drift
    world.apply(SIZED, PlanOptions(refresh_only=True))
    plan = world.plan(SIZED)
    assert [s.action.value for s in plan.changes] == ["update"]
    assert not plan.only_drift, "what is there is recorded: the spec differs from it"


def test_what_does_not_count_is_told_to_machines_and_changes_nothing(world: World) -> None:
    world.apply(SIZED)
    resize(world, "3 9")
    plan = world.plan(SIZED)
    assert plan.empty
    assert [(d.attribute, d.after, d.counts) for d in plan.drift] == [("made", 9, False)]
    assert "made" not in text(plan)
    world.apply(SIZED, PlanOptions(refresh_only=True))
    assert world.records()["model.m"].attributes["made"] == 9
    assert not world.plan(SIZED).notes, "nothing was adopted that counts"


THREE = """
module "m" {
  source   = "./m"
  for_each = toset(["a", "b"])
}
training_job "node" "last" {
  value = module.m["a"].parity
}
"""
INNER = """
training_job "node" "in" {
  value = 1
}
output "parity" {
  value = training_job.in.parity
}
"""


def test_targets_and_exclusions_by_module_instance_say_what_they_leave_out(world: World) -> None:
    world.module("m", INNER)
    first, second = 'module.m["a"].training_job.in', 'module.m["b"].training_job.in'
    spec = SPEC + THREE
    plan = world.plan(spec, PlanOptions(targets=['module.m["a"]']))
    assert [str(s.address) for s in plan.steps] == [first]
    assert plan.left_out.keys() == {second, "deployment.s", "training_job.last", "training_job.n"}
    assert "Incomplete (-target): only" in text(plan)
    assert "4 left out" in text(plan)

    plan = world.plan(spec, PlanOptions(exclude=['module.m["a"]']))
    assert {str(s.address) for s in plan.changes} == {second}
    assert plan.left_out == {first: "", "training_job.last": first}
    said = text(plan)
    assert f"{first} left out, and with it what needs it: training_job.last." in said
    assert "Outputs and checks are left as they are" in said


def test_replace_by_instance(world: World) -> None:
    spec = 'training_job "node" "i" {\n  for_each = toset(["a", "b"])\n}\n'
    world.apply(spec)
    options = PlanOptions(replace=['training_job.i["a"]'])
    assert world.apply(spec, options) == {'training_job.i["a"]': "run"}


def test_destroying_a_target_takes_what_needs_it(world: World) -> None:
    plan = world.plan(SPEC, PlanOptions(targets=["training_job.n"], destroy=True))
    assert {str(s.address) for s in plan.steps} == {"training_job.n", "deployment.s"}
    assert "Incomplete (-target): only training_job.n and what needs them." in text(plan)
    plan = world.plan(SPEC, PlanOptions(exclude=["deployment.s"], destroy=True))
    assert not plan.steps, "what it needs stays with what stays"
    assert "deployment.s and what they need stay" in text(plan)
    plan = world.plan(SPEC, PlanOptions(destroy=True, refresh=False))
    assert "Not looked at" not in text(plan), "nothing is compared with what is there"


def test_what_is_removed_is_looked_at_before_it_is_destroyed(world: World) -> None:
    world.apply(SPEC)
    rest = SPEC[: SPEC.index('deployment "file" "s"')]
    assert world.actions(rest) == {"deployment.s": "destroy"}
    lose(world)
    plan = world.plan(rest)
    assert [(str(s.address), s.action.value) for s in plan.changes] == [("deployment.s", "forget")]
    assert [r.what for r in plan.changes[0].reasons] == ["gone"]
    assert world.actions(rest) == {"deployment.s": "forget"}
    assert world.apply(rest) == {"deployment.s": "forget"}
    assert world.executor.calls == []
    assert world.plan(rest).empty


def test_what_is_removed_and_not_looked_at_is_destroyed(world: World) -> None:
    lose(world)
    rest = SPEC[: SPEC.index('deployment "file" "s"')]
    plan = world.plan(rest, PlanOptions(refresh=False))
    assert [s.action.value for s in plan.changes] == ["destroy"]
