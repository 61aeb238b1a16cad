"""What was not computed: recorded by each run, added up by cause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.engine.world import World

from mlform.commands.saving import moment, savings
from mlform.diagnostics import DiagnosedError
from mlform.render.savings import savings as shown
from mlform.render.savings import savings_data
from mlform.render.style import paint
from mlform.state.savings import Savings

SPEC = """
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
training_job "node" "b" {
  value = 4
  uses  = [training_job.a.parity]
}
gate "most" "g" {
  candidate = training_job.b.parity
  most      = var.most
}
"""


def found(world: World, since: str | None = None) -> Savings:
    return savings(world.session(SPEC), since)


def steps(it: Savings) -> dict[str, int]:
    return {cause: saved.steps for cause, saved in it.causes.items()}


def test_before_any_run_nothing_was_saved(world: World) -> None:
    it = found(world)
    assert (it.runs, it.total.steps) == (0, 0)
    assert "nothing was saved" in paint(shown(it), colour=False)


def test_each_cause_is_told_apart(world: World) -> None:
    world.apply(SPEC)
    assert steps(found(world)) == {"reuse": 0, "cutoff": 0, "decide": 0}
    world.apply(SPEC, v=3)  # a runs and gives what it gave: b and g are cut off
    assert steps(found(world)) == {"reuse": 0, "cutoff": 2, "decide": 0}
    world.apply(SPEC, v=1)  # a had this result before
    assert steps(found(world)) == {"reuse": 1, "cutoff": 2, "decide": 0}
    world.apply(SPEC, most=3)
    it = found(world)
    assert steps(it) == {"reuse": 1, "cutoff": 2, "decide": 1}
    assert it.runs == 4
    assert it.untouched.steps == 2 + 2, "what the third and the fourth plan left alone"
    assert set(it.addresses) == {"training_job.a", "training_job.b", "gate.g"}


def test_an_apply_that_did_nothing_is_not_recorded(world: World) -> None:
    world.apply(SPEC)
    entries = list(world.session(SPEC).store.journal())
    world.apply(SPEC)
    assert list(world.session(SPEC).store.journal()) == entries


def test_seconds_are_those_that_the_work_took(world: World) -> None:
    world.apply(SPEC)
    took = world.records()["training_job.a"].receipt["seconds"]
    world.apply(SPEC, v=2)
    world.apply(SPEC, v=1)
    assert found(world).addresses["training_job.a"] == pytest.approx(took)


def test_since(world: World) -> None:
    world.apply(SPEC)
    world.apply(SPEC, v=3)
    assert found(world, since="1h").runs == 2
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert found(world, since=tomorrow).runs == 0
    with pytest.raises(DiagnosedError, match="is no time"):
        found(world, since="yesterday")


def test_times() -> None:
    now = datetime(2030, 1, 31, 12, tzinfo=UTC)
    assert moment("30d", now) == datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert moment("90m", now) == datetime(2030, 1, 31, 10, 30, tzinfo=UTC)
    assert moment("2030-01-02", now) == datetime(2030, 1, 2, tzinfo=UTC)
    assert moment("2030-01-02T03:04:05Z", now) == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert moment("99999999999d", now) < datetime(1000, 1, 1, tzinfo=UTC)


def test_text_and_data_say_the_same(world: World) -> None:
    world.apply(SPEC)
    world.apply(SPEC, v=3)
    it = found(world)
    text = paint(shown(it), colour=False)
    assert "in 2 runs" in text
    assert "cutoff" in text
    data = savings_data(it)
    assert data["causes"]["cutoff"]["steps"] == 2
    assert data["saved"]["steps"] == 2
    assert data["runs"] == 2
