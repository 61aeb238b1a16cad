"""Why a resource last ran: cause by cause, down to the change that began it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.engine.world import World

from mlform.address import Address
from mlform.commands.queries import why
from mlform.diagnostics import DiagnosedError
from mlform.plan.why import explain
from mlform.render.style import paint
from mlform.render.why import chain, chain_data
from mlform.state.model import AlarmEvent, Record, Snapshot

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


def told(world: World, address: str) -> str:
    return paint(chain(why(world.session(CHAIN), address)), colour=False)


def test_the_first_run_is_because_it_was_new(world: World) -> None:
    world.apply(CHAIN)
    [only] = why(world.session(CHAIN), "training_job.a")
    assert (str(only.address), only.action) == ("training_job.a", "run")
    assert only.reasons[0]["what"] == "new"
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


def test_an_alarm_that_moved_the_data_is_the_leaf() -> None:
    moved = {"trigger.retrain": "advances dataset.d by +9 rows"}
    alarm = AlarmEvent(
        "e7", "monitor.m", datetime(2030, 1, 1, tzinfo=UTC), {"summary": "age drifts"}, moved
    )
    idle = AlarmEvent("e8", "monitor.m", datetime(2030, 1, 1, tzinfo=UTC), {})
    record = recorded([{"what": "input", "subject": "d.csv"}], "2030-01-02T00:00:00+00:00")
    links = explain(record, Snapshot("l", 1, {DATA: record}), [alarm, idle])
    assert links[0].alarm == alarm
    assert "alarm e7 of monitor.m: age drifts" in paint(chain(links), colour=False)
    assert chain_data(links)[0]["alarm"] == "e7"

    early = recorded([{"what": "input", "subject": "d.csv"}], "2029-01-01T00:00:00+00:00")
    assert explain(early, Snapshot("l", 1, {DATA: early}), [alarm])[0].alarm is None
    by_hand = recorded([{"what": "code", "subject": "f"}], "2030-01-02T00:00:00+00:00")
    assert explain(by_hand, Snapshot("l", 1, {DATA: by_hand}), [alarm])[0].alarm is None


def test_an_alarm_that_moved_a_dataset_with_a_longer_name_is_not_the_cause() -> None:
    alarm = AlarmEvent(
        "e7",
        "monitor.m",
        datetime(2030, 1, 1, tzinfo=UTC),
        {},
        {"trigger.retrain": "advances dataset.data by +9 rows"},
    )
    record = recorded([{"what": "input", "subject": "d.csv"}], "2030-01-02T00:00:00+00:00")
    assert explain(record, Snapshot("l", 1, {DATA: record}), [alarm])[0].alarm is None


def test_a_record_without_a_receipt_is_told_too() -> None:
    record = Record(DATA, "file", "k", None, "d", {}, {})
    text = paint(chain(explain(record, Snapshot("l", 1, {DATA: record}), [])), colour=False)
    assert text.startswith("dataset.d  recorded")
