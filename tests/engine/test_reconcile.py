"""What triggers make of alarms: given alarms and what was seen, which datasets move."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mlform.address import Address
from mlform.reconcile import Moved, Pull, pull
from mlform.refresh import Observation
from mlform.render.loop import moved, moved_data, pull_data, pulls
from mlform.render.style import paint
from mlform.state.model import AlarmEvent, Record, Snapshot

LOANS, RATES = Address("dataset", "loans"), Address("dataset", "rates")
RETRAIN, OTHER = Address("trigger", "retrain"), Address("trigger", "other")
AT = datetime(2030, 1, 2, tzinfo=UTC)
OLD, NEW = {"a": "1"}, {"a": "1", "b": "2"}


def alarm(name: str, monitor: str = "monitor.inputs", **more: Any) -> AlarmEvent:
    consumed = more.pop("consumed_by", {})
    return AlarmEvent(name, monitor, AT, more, consumed)


def trigger(**more: Any) -> dict[str, Any]:
    return {"on": ["monitor.inputs.alarm"], "advance": ["dataset.loans"], **more}


def snapshot(rows: int | None = 10) -> Snapshot:
    receipt = {} if rows is None else {"rows": rows}
    record = Record(LOANS, "file", "k", None, "d", {}, {}, parts=OLD, receipt=receipt)
    return Snapshot("lineage", 3, {LOANS: record})


def one(
    alarms: list[AlarmEvent],
    seen: Observation | None,
    state: Snapshot | None = None,
    **arguments: Any,
) -> Pull:
    observations = {} if seen is None else {LOANS: seen}
    [found] = pull({RETRAIN: trigger(**arguments)}, alarms, observations, state or snapshot())
    return found


def test_without_an_alarm_nothing_is_pulled() -> None:
    seen = {LOANS: Observation(parts=NEW, rows=12)}
    assert pull({RETRAIN: trigger()}, [], seen, snapshot()) == []
    assert pull({RETRAIN: trigger()}, [alarm("e1", "monitor.other")], seen, snapshot()) == []
    done = alarm("e1", consumed_by={"trigger.retrain": "done"})
    assert pull({RETRAIN: trigger()}, [done], seen, snapshot()) == []


def test_new_data_move_the_dataset_and_use_the_alarm_up() -> None:
    found = one([alarm("e1"), alarm("e2")], Observation(parts=NEW, rows=1512))
    assert found.consume
    assert [a.id for a in found.alarms] == ["e1", "e2"]
    [advance] = found.advances
    assert (advance.dataset, advance.parts, advance.rows) == (LOANS, NEW, 1512)
    assert (advance.new_rows, advance.pinned) == (1502, False)
    assert found.why == "advances dataset.loans by +1,502 rows"


def test_what_is_pinned_is_compared_with_the_pin_and_moves_it() -> None:
    seen = Observation(parts=NEW, rows=12, pinned=OLD, pinned_rows=7)
    [advance] = one([alarm("e1")], seen).advances
    assert (advance.new_rows, advance.pinned) == (5, True)

    seen = Observation(parts=NEW, rows=12, pinned=NEW, pinned_rows=12)
    assert one([alarm("e1")], seen).advances == ()


def test_without_new_information_the_alarm_waits() -> None:
    for seen in (Observation(parts=OLD, rows=10), Observation(parts=None), None):
        found = one([alarm("e1")], seen)
        assert not found.consume
        assert found.advances == ()
        assert "nothing new at the source of dataset.loans" in found.why


def test_too_few_new_rows_wait_and_just_enough_do_not() -> None:
    found = one([alarm("e1")], Observation(parts=NEW, rows=14), need={"new_rows": 5})
    assert not found.consume
    assert found.why == "no new information: 4 new rows < 5 needed"
    assert one([alarm("e1")], Observation(parts=NEW, rows=15), need={"new_rows": 5}).consume


def test_rows_of_all_datasets_count_together() -> None:
    seen = {
        LOANS: Observation(parts=NEW, rows=12),
        RATES: Observation(parts=NEW, rows=33, pinned=OLD, pinned_rows=30),
    }
    arguments = trigger(advance=["dataset.loans", "dataset.rates"], need={"new_rows": 5})
    [found] = pull({RETRAIN: arguments}, [alarm("e1")], seen, snapshot())
    assert [a.dataset for a in found.advances] == [LOANS, RATES]
    assert found.why == "advances dataset.loans by +2 rows, dataset.rates by +3 rows"


def test_an_unknown_number_of_rows_is_not_told_as_none() -> None:
    [advance] = one([alarm("e1")], Observation(parts=NEW, rows=None)).advances
    assert advance.new_rows is None
    [advance] = one([alarm("e1")], Observation(parts=NEW, rows=9), snapshot(rows=None)).advances
    assert advance.new_rows is None
    found = one([alarm("e1")], Observation(parts=NEW, rows=None))
    assert "+0 rows" not in found.why, "unknown is not nothing"


def test_a_data_incident_uses_the_alarm_up_and_moves_nothing() -> None:
    bad = alarm("e2", incident=True, summary="half of `age` is empty")
    found = one([alarm("e1"), bad], Observation(parts=NEW, rows=99))
    assert found.consume
    assert found.advances == ()
    assert "e2 is a data incident (half of `age` is empty)" in found.why


def test_each_trigger_answers_for_itself_in_name_order() -> None:
    seen = {LOANS: Observation(parts=NEW, rows=12)}
    used = alarm("e1", consumed_by={"trigger.other": "done"})
    both = {RETRAIN: trigger(), OTHER: trigger()}
    assert [p.trigger for p in pull(both, [used], seen, snapshot())] == [RETRAIN]
    assert [p.trigger for p in pull(both, [alarm("e2")], seen, snapshot())] == [OTHER, RETRAIN]


def test_pulls_are_told_to_people_and_machines() -> None:
    found = one([alarm("e1")], Observation(parts=NEW, rows=12))
    assert paint(pulls([found]), colour=False) == (
        "trigger.retrain on e1: advances dataset.loans by +2 rows.\n"
    )
    assert pull_data(found) == {
        "type": "trigger",
        "address": "trigger.retrain",
        "alarms": ["e1"],
        "advances": ["dataset.loans"],
        "why": "advances dataset.loans by +2 rows",
        "consumed": True,
    }
    assert "No alarm waits" in paint(pulls([]), colour=False)


def test_moved_pins_are_told_to_people_and_machines() -> None:
    move = Moved(LOANS, None, "sha256:" + "b" * 64, None)
    assert "not pinned → " in paint(moved([move]), colour=False)
    more = Moved(LOANS, "sha256:" + "a" * 64, "sha256:" + "b" * 64, 1234)
    assert "+1,234 rows" in paint(moved([more]), colour=False)
    assert moved_data(more)["new_rows"] == 1234
    assert "Nothing to move" in paint(moved([]), colour=False)
