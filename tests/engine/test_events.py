"""What is told while applying: one line for people, one object for machines."""

from __future__ import annotations

import json
import re
from unittest.mock import patch

import pytest
from jsonschema import Draft202012Validator
from tests.engine.world import World

from mlform.address import Address
from mlform.apply import (
    Adopted,
    Begun,
    Event,
    Failed,
    Finished,
    Held,
    Imported,
    Interrupted,
    Log,
    Outcome,
    Progress,
    Skipped,
    Started,
)
from mlform.cli.terminal import Lines
from mlform.plan import Action, Reason
from mlform.render import schemas
from mlform.render.diagnostics import diagnostic
from mlform.render.events import as_data, event, outcome, outcome_data, problem
from mlform.render.style import paint

A = Address("training_job", "a")
DIGEST = "sha256:" + "a" * 64
CHANGED = Reason("argument", "value", 1, 2, "main.mlf.hcl:2:11")
EVENTS: list[tuple[Event, str]] = [
    (Begun("r-1", 1), "1 step to do, run r-1\n"),
    (Begun("r-1", 3, 4.0, 80.0), "3 steps to do in 4.0 s … 1 min 20 s, run r-1\n"),
    (Started(A, Action.RUN, (Reason("new"),)), "training_job.a: run …\n"),
    (Started(A, Action.RUN), "training_job.a: run …\n"),
    (
        Started(A, Action.RUN, (CHANGED,)),
        "training_job.a: run (value: 1 → 2   (main.mlf.hcl:2:11)) …\n",
    ),
    (Progress(A, 3, 10, "trees"), "training_job.a: 3/10 trees\n"),
    (Progress(A, 2.5, None, ""), "training_job.a: 2.5\n"),
    (Log(A, "a line"), "training_job.a: a line\n"),
    (
        Finished(A, Action.RUN, 61.2, DIGEST, changed=True, summary="AUC 0.9"),
        "training_job.a: ran in 1 min 1 s, output aaaaaaaaaaaa\n  AUC 0.9\n",
    ),
    (
        Finished(A, Action.REUSE, 0.05, DIGEST, changed=False),
        "training_job.a: reused in 50 ms, output unchanged\n",
    ),
    (Finished(A, Action.DESTROY, 0.5, None, changed=True), "training_job.a: destroyed in 0.5 s\n"),
    (
        Finished(A, Action.NO_OP, 0.0, DIGEST, changed=False),
        "training_job.a: unchanged: nothing upstream came out different\n",
    ),
    (
        Held(A, ("gate.g did not pass", "and so")),
        "training_job.a: held: gate.g did not pass; and so\n",
    ),
    (Failed(A, "Told to fail", "value is 1."), "training_job.a: failed: Told to fail\n"),
    (Skipped(A, "a step it needs failed"), "training_job.a: skipped, a step it needs failed\n"),
    (
        Imported(A, "risk.skops", DIGEST),
        "training_job.a: imported from risk.skops, output aaaaaaaaaaaa\n",
    ),
    (Adopted(A, ("url",), DIGEST), "training_job.a: recorded as it is there: url\n"),
    (Interrupted(A), "training_job.a: stopped; nothing of it was recorded\n"),
]


@pytest.mark.parametrize(("it", "line"), EVENTS, ids=lambda v: type(v).__name__)
def test_an_event_is_a_line_for_people(it: Event, line: str) -> None:
    assert paint(event(it), colour=False) == line
    assert "\x1b[" in paint(event(it), colour=True)


@pytest.mark.parametrize("it", [e for e, _ in EVENTS], ids=lambda v: type(v).__name__)
def test_an_event_is_an_object_for_machines(it: Event) -> None:
    data = json.loads(json.dumps(as_data(it)))
    assert data["type"] == type(it).__name__.lower()
    assert data.get("address", str(A)) == "training_job.a"
    Draft202012Validator(schemas.events()).validate(data)


def test_reasons_are_told_to_machines_by_what_and_where() -> None:
    assert as_data(Started(A, Action.RUN, (CHANGED,)))["reasons"] == [
        {"what": "argument", "subject": "value", "at": "main.mlf.hcl:2:11"}
    ]


def test_what_came_of_a_run_is_told_in_one_line() -> None:
    done = Outcome(done={A: Action.RUN, Address("gate", "g"): Action.RUN}, outputs={"o": [1]})
    assert paint(outcome(done), colour=False) == "Applied: 2 ran.\n\no = [1]\n"
    assert paint(outcome(Outcome()), colour=False) == "Applied: nothing changed.\n"
    moved = Outcome(output_changes={"a": "add", "b": "remove", "c": "change"})
    said = "Applied: outputs recorded: a, c; outputs removed: b.\n"
    assert paint(outcome(moved), colour=False) == said

    stopped = Outcome(done={A: Action.RUN}, interrupted=True)
    assert paint(outcome(stopped), colour=False).startswith("Interrupted. Recorded before that")

    held = Outcome(held={A: ("gate.g did not pass",)}, kept=["the files"])
    text = paint(outcome(held), colour=False)
    assert "Held: training_job.a: gate.g did not pass\n" in text
    assert "Kept: the files\n" in text


def test_a_failure_points_at_the_argument_to_blame(world: World) -> None:
    spec = """training_job "node" "a" {
  value = 1
  fail  = true
}
gate "most" "g" {
  candidate = training_job.a.parity
}
"""
    world.apply(spec)
    assert world.outcome is not None
    assert not world.outcome.complete
    [failure] = world.outcome.failures
    cause = problem(failure, {"main.mlf.hcl": spec})
    text = paint(diagnostic(cause, {"main.mlf.hcl": spec}), colour=False)
    assert text.startswith("Error: Told to fail\n")
    assert "  3 │   fail  = true\n    │           ^^^^\n" in text
    told = paint(outcome(world.outcome), colour=False)
    assert told.startswith("Failed: training_job.a.")
    assert "apply again" in told

    data = outcome_data(world.outcome)
    assert data["failed"] == ["training_job.a"]
    assert data["skipped"] == ["gate.g"]
    assert data["complete"] is False
    json.dumps(data)


@pytest.mark.parametrize("at", ["", "main.mlf.hcl:9:1", "gone.mlf.hcl:1:1", "nonsense:x:y"])
def test_a_failure_without_a_known_place_is_told_all_the_same(at: str) -> None:
    sources = {"main.mlf.hcl": "one line\n"}
    cause = problem(Failed(A, "Broken", "The disk is full.", at), sources)
    text = paint(diagnostic(cause, sources), colour=False)
    assert text.startswith("Error: Broken\n")
    assert "training_job.a" in text
    assert "The disk is full." in text


def test_progress_is_told_less_and_less_often_and_the_same_not_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = iter(range(1000))
    with patch("time.monotonic", lambda: float(next(clock))):
        lines = Lines()
        for second in range(100):
            lines(Progress(A, 1, 2, f"{second} requests"))
        told = [int(n) for n in re.findall(r"(\d+) requests", capsys.readouterr().out)]
        assert told == [0, 1, 3, 7, 15, 31, 61, 91]
        for _ in range(100):
            lines(Progress(A, 1, 2, "91 requests"))
        assert capsys.readouterr().out == ""
        lines(Interrupted(A))
        lines(Progress(A, 1, 2, "91 requests"))
        assert capsys.readouterr().out.endswith("training_job.a: 1/2 91 requests\n")
