"""Why a resource last ran: cause by cause, down to the change that began it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.engine.world import World

from mlform.address import Address
from mlform.commands.asking import why, why_not
from mlform.commands.options import PlanOptions
from mlform.commands.tainting import taint
from mlform.diagnostics import DiagnosedError
from mlform.plan.why import Link, explain
from mlform.plan.whynot import WhyNot
from mlform.render.style import paint
from mlform.render.why import chain, chain_data, why_not_data
from mlform.render.why import why_not as shown_not
from mlform.state.codec import record_data
from mlform.state.model import AlarmEvent, Entry, Record

CHAIN = """
variable "v" {
  type    = number
  default = 1
}
training_job "node" "a" {
  value = var.v
}
training_job "node" "b" {
  value = 4
  uses  = [training_job.a.parity]
}
gate "most" "g" {
  candidate = training_job.b.parity
}
"""
DATA = Address("dataset", "d")


def keeps(name: str, data: object) -> None:
    path = Path(__file__).parents[2] / "schema" / f"{name}.schema.json"
    Draft202012Validator(json.loads(path.read_text(encoding="utf-8"))).validate(data)


def told(world: World, address: str) -> str:
    return paint(chain(why(world.session(CHAIN), address)), colour=False)


def test_the_first_run_is_because_it_was_new(world: World) -> None:
    world.apply(CHAIN)
    [only] = why(world.session(CHAIN), "training_job.a")
    assert (str(only.address), only.action) == ("training_job.a", "run")
    assert only.reasons[0].what == "new"
    assert "not applied yet" in told(world, "training_job.a")


def test_a_change_is_followed_to_where_it_was_made(world: World) -> None:
    world.apply(CHAIN)
    world.apply(CHAIN, v=2)
    links = why(world.session(CHAIN), "training_job.b")
    assert [str(link.address) for link in links] == ["training_job.b", "training_job.a"]
    text = told(world, "training_job.b")
    assert "value: 1 → 2" in text
    assert text.index("training_job.b") < text.index("└─ training_job.a")
    data = chain_data(links)
    assert data[0]["alarm"] is None
    assert data[1]["reasons"][0]["subject"] == "value"
    assert data[0]["reasons"][0]["through"] == ["training_job.a"]
    keeps("why", data)


def test_what_is_not_recorded_has_no_reason(world: World) -> None:
    world.apply(CHAIN)
    session = world.session(CHAIN)
    with pytest.raises(DiagnosedError, match="is not recorded"):
        why(session, "training_job.c")
    with pytest.raises(DiagnosedError, match="is no address"):
        why(session, "training job")


def recorded(reasons: list[dict[str, Any]], at: str) -> Record:
    receipt = {"action": "run", "run": "r-1", "at": at, "by": "me@here", "reasons": reasons}
    return Record(DATA, "file", "k", None, "d", {}, {}, receipt=receipt)


def leaf(record: Record, *alarms: AlarmEvent) -> list[Link]:
    return explain(record, None, lambda _address, _before: None, alarms)


def test_an_alarm_that_moved_the_data_is_the_leaf() -> None:
    moved = {"trigger.retrain": "advances dataset.d by +9 rows"}
    alarm = AlarmEvent(
        "e7", "monitor.m", datetime(2030, 1, 1, tzinfo=UTC), {"summary": "age drifts"}, moved
    )
    idle = AlarmEvent("e8", "monitor.m", datetime(2030, 1, 1, tzinfo=UTC), {})
    record = recorded([{"what": "input", "subject": "d.csv"}], "2030-01-02T00:00:00+00:00")
    links = leaf(record, alarm, idle)
    assert links[0].alarm == alarm
    assert "alarm e7 of monitor.m, acted on by trigger.retrain: age drifts" in paint(
        chain(links), colour=False
    )
    assert chain_data(links)[0]["alarm"] == "e7"

    early = recorded([{"what": "input", "subject": "d.csv"}], "2029-01-01T00:00:00+00:00")
    assert leaf(early, alarm)[0].alarm is None
    by_hand = recorded([{"what": "code", "subject": "f"}], "2030-01-02T00:00:00+00:00")
    assert leaf(by_hand, alarm)[0].alarm is None


def test_an_alarm_that_moved_a_dataset_with_a_longer_name_is_not_the_cause() -> None:
    alarm = AlarmEvent(
        "e7",
        "monitor.m",
        datetime(2030, 1, 1, tzinfo=UTC),
        {},
        {"trigger.retrain": "advances dataset.data by +9 rows"},
    )
    record = recorded([{"what": "input", "subject": "d.csv"}], "2030-01-02T00:00:00+00:00")
    assert leaf(record, alarm)[0].alarm is None


def test_a_record_without_a_receipt_is_told_too() -> None:
    record = Record(DATA, "file", "k", None, "d", {}, {})
    text = paint(chain(leaf(record)), colour=False)
    assert text.startswith("dataset.d  recorded")


def test_the_first_champion_is_no_cause_where_the_candidate_is_another() -> None:
    """What ``prior`` gives where there was nothing has no cause of its own, and hides none."""

    def model(digest: str) -> dict[str, Any]:
        of = {"address": "training_job.t", "attribute": "model", "digest": f"sha256:{digest * 64}"}
        return {"$handle": of}

    baseline = {"what": "baseline", "subject": "baseline", "after": model("1")}
    candidate = {
        "what": "argument",
        "subject": "candidate",
        "before": model("1"),
        "after": model("2"),
    }
    trained = recorded(
        [{"what": "argument", "subject": "params.C", "before": 1, "after": 2}], "2030-01-01"
    )
    changed = {**trained.receipt, "changed": True}
    trained = replace(trained, address=Address("training_job", "t"), receipt=changed)
    entry = Entry(
        1, 1, "r-1", datetime(2030, 1, 1, tzinfo=UTC), "done", "training_job.t",
        {"record": record_data(trained)}, "",
    )  # fmt: skip

    def causes(*reasons: dict[str, Any]) -> list[str]:
        gate = replace(recorded(list(reasons), "2030-01-02"), address=Address("gate", "g"))
        made = explain(gate, None, lambda a, _: entry if a.kind == "training_job" else None, [])
        return [str(link.address) for link in made]

    assert causes(baseline, candidate) == ["gate.g", "training_job.t"]
    assert causes(baseline) == ["gate.g"]


# ---- which way is the shortest, and whose run is meant


def way(world: World, address: str, **about: Any) -> list[str]:
    return [str(link.address) for link in why(world.session(CHAIN), address, **about)]


def test_the_run_that_is_asked_for_is_told_and_not_a_later_one(world: World) -> None:
    world.apply(CHAIN)
    world.apply(CHAIN, v=2)
    [second] = {link.run for link in why(world.session(CHAIN), "gate.g")}
    world.apply(CHAIN, v=4)  # a runs again and gives the same: b and g are left alone
    told_again = why(world.session(CHAIN), "gate.g")
    assert [str(link.address) for link in told_again] == [
        "gate.g",
        "training_job.b",
        "training_job.a",
    ]
    assert {link.run for link in told_again} == {second}, "the later run of a is no cause of this"
    assert told_again[-1].reasons[0].after == 2
    assert way(world, "training_job.a", run=second) == ["training_job.a"]
    last = why(world.session(CHAIN), "training_job.a", run="last")
    assert last[0].reasons[0].after == 4
    with pytest.raises(DiagnosedError, match="did not run in"):
        why(world.session(CHAIN), "gate.g", run="last")
    with pytest.raises(DiagnosedError, match="No run r-none"):
        why(world.session(CHAIN), "gate.g", run="r-none")


def test_a_cause_of_its_own_ends_the_chain(world: World) -> None:
    world.apply(CHAIN)
    edited = CHAIN.replace("value = 4", "value = 6")
    world.apply(edited, v=2)
    links = why(world.session(edited), "training_job.b")
    assert [str(link.address) for link in links] == ["training_job.b"]
    assert links[0].reasons[0].at == "main.mlf.hcl:11:11"
    assert way(world, "gate.g") == ["gate.g", "training_job.b"]


def test_the_one_who_tainted_is_named(world: World) -> None:
    world.apply(CHAIN)
    taint(world.session(CHAIN), "training_job.a", tainted=True)
    plan = world.plan(CHAIN)
    assert plan.steps[0].reasons[0].subject == "tainted"
    world.apply(CHAIN)
    assert "tainted by " in told(world, "training_job.a")
    options = PlanOptions(replace=["training_job.b"])
    world.apply(CHAIN, options)
    assert "asked for with -replace" in told(world, "training_job.b")


def test_a_plan_is_explained_into_what_was_applied_before(world: World) -> None:
    world.apply(CHAIN)
    plan = world.plan(CHAIN, v=2)
    links = why(world.session(CHAIN), "gate.g", plan=plan)
    assert [(str(k.address), k.action) for k in links] == [
        ("gate.g", "run?"),
        ("training_job.b", "run?"),
        ("training_job.a", "run"),
    ]
    assert links[-1].reasons[0].subject == "value"
    with pytest.raises(DiagnosedError, match=r"no training_job\.z"):
        why(world.session(CHAIN), "training_job.z", plan=plan)


# ---- why not


def not_told(world: World, address: str, spec: str = CHAIN, **about: Any) -> WhyNot:
    return why_not(world.session(spec), address, **about)


def test_what_has_its_key_names_what_was_looked_at(world: World) -> None:
    world.apply(CHAIN)
    it = not_told(world, "training_job.b")
    assert (it.cause, it.does) == ("unchanged", False)
    assert it.looked_at["arguments"] == ["value", "uses"]
    assert it.looked_at["inputs"][0].startswith("training_job.a @ ")
    run = why(world.session(CHAIN), "training_job.b")[0].run
    assert run in it.text
    text = paint(shown_not(it), colour=False)
    assert "Looked at:" in text
    assert why_not_data(it)["cause"] == "unchanged"
    keeps("why-not", why_not_data(it))


def test_what_was_cut_off_names_what_came_out_the_same(world: World) -> None:
    world.apply(CHAIN)
    world.apply(CHAIN, v=3)
    it = not_told(world, "training_job.b", run="last")
    assert it.cause == "cutoff"
    assert it.details == ("training_job.a ran and gave what it had given before",)
    assert not_told(world, "training_job.a", run="last").does


def test_what_is_taken_again_names_the_run_that_made_it(world: World) -> None:
    world.apply(CHAIN)
    first = why(world.session(CHAIN), "training_job.a")[0].run
    world.apply(CHAIN, v=2)
    plan = world.plan(CHAIN, v=1)
    it = not_told(world, "training_job.a", plan=plan)
    assert it.cause == "reuse"
    assert first in it.text
    world.apply(CHAIN, v=1)
    assert not_told(world, "training_job.a", run="last").cause == "reuse"


def test_what_a_plan_leaves_out_says_by_which_option(world: World) -> None:
    targeted = world.plan(CHAIN, PlanOptions(targets=["training_job.a"]))
    assert not_told(world, "gate.g", plan=targeted).cause == "not targeted"
    excluded = world.plan(CHAIN, PlanOptions(exclude=["training_job.b"]))
    it = not_told(world, "gate.g", plan=excluded)
    assert it.cause == "excluded"
    assert "training_job.b" in it.text
    assert not_told(world, "training_job.a", plan=targeted).does
    with pytest.raises(DiagnosedError, match="neither declared nor recorded"):
        not_told(world, "gate.h")


def test_what_is_held_or_failed_says_so(world: World) -> None:
    held = (
        CHAIN
        + """
deployment "file" "d" {
  shows = training_job.b.parity
  gates = [gate.g]
}
"""
    )
    world.apply(held.replace("candidate = training_job.b.parity", "candidate = 3"))
    it = not_told(world, "deployment.d", run="last")
    assert it.cause == "held"
    assert "gate.g did not pass" in paint(shown_not(it), colour=False)
    failing = CHAIN.replace("value = var.v", "value = var.v\n  fail = true")
    world.apply(failing, v=7)
    assert not_told(world, "training_job.a", run="last").cause == "failed"
    skipped = not_told(world, "training_job.b", run="last")
    assert skipped.cause == "skipped"
    assert "training_job.a failed" in skipped.text
