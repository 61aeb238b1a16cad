"""What triggers make of alarms: given alarms and what was seen, which datasets move."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mlform.address import Address
from mlform.reconcile import Act, Known, Moved, Past, Pull
from mlform.reconcile import pull as decide
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


def pull(
    triggers: dict[Address, dict[str, Any]],
    alarms: list[AlarmEvent],
    seen: dict[Address, Observation],
    state: Snapshot,
    acts: list[Act] | None = None,
    now: datetime = AT,
) -> list[Pull]:
    past = Past(tuple(acts or ()), frozenset(a.id for a in alarms))
    return decide(triggers, alarms, Known(seen, state, dict.fromkeys(triggers, past), now))


def one(
    alarms: list[AlarmEvent],
    seen: Observation | None,
    state: Snapshot | None = None,
    acts: list[Act] | None = None,
    now: datetime = AT,
    **arguments: Any,
) -> Pull:
    observations = {} if seen is None else {LOANS: seen}
    given = {RETRAIN: trigger(**arguments)}
    [found] = pull(given, alarms, observations, state or snapshot(), acts, now)
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


def test_a_name_without_a_key_means_all_instances() -> None:
    inner = Address("dataset", "loans", module=(("m", "eu"),))
    north, south = (Address("dataset", "loans", key, inner.module) for key in ("n", "s"))
    record = snapshot().records[LOANS]
    state = Snapshot("lineage", 3, {a: replace(record, address=a) for a in (LOANS, north, south)})
    seen = {a: Observation(parts=NEW, rows=12) for a in (LOANS, north, south)}
    given = trigger(on=['module.m["eu"].monitor.inputs'], advance=['module.m["eu"].dataset.loans'])
    rung = [alarm("e1", 'module.m["eu"].monitor.inputs["x"]'), alarm("e2")]
    [found] = pull({RETRAIN: given}, rung, seen, state)
    assert [a.id for a in found.alarms] == ["e1"]
    assert [a.dataset for a in found.advances] == [north, south]


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


def test_fewer_alarms_than_are_needed_wait() -> None:
    seen = Observation(parts=NEW, rows=12)
    found = one([alarm("e1")], seen, need={"alarms": 2})
    assert (found.moves, found.consume) == (False, False)
    assert found.why == "1 of 2 alarms that are needed wait"
    assert one([alarm("e1"), alarm("e2")], seen, need={"alarms": 2}).moves


def test_a_trigger_rests_after_it_moved_something() -> None:
    seen, acts = Observation(parts=NEW, rows=12), [Act(AT, moved=True)]
    early, late = AT + timedelta(hours=5, minutes=59), AT + timedelta(hours=6)
    found = one([alarm("e1")], seen, acts=acts, now=early, cooldown="6h")
    assert not found.consume
    assert found.why == "rests until 2030-01-02T06:00:00Z (cooldown 6h)"
    assert one([alarm("e1")], seen, acts=acts, now=late, cooldown="6h").moves


def test_a_budget_limits_how_often_it_moves_in_a_while() -> None:
    seen, budget = Observation(parts=NEW, rows=12), {"runs": 2, "per": "1d", "time": None}
    acts = [Act(AT - timedelta(hours=h), moved=True) for h in (30, 20, 3)]
    acts.append(Act(AT - timedelta(hours=1), moved=False))
    found = one([alarm("e1")], seen, acts=acts, budget=budget)
    assert not found.consume
    assert found.why == "its budget of 2 in 1d is used up until 2030-01-02T04:00:00Z"
    later = AT + timedelta(hours=4, seconds=1)
    assert one([alarm("e1")], seen, acts=acts, now=later, budget=budget).moves


def ticking(as_of: str | None = "2030-01-01T03:00:00Z", **more: Any) -> Snapshot:
    record = Record(RETRAIN, "", "k", None, "d", {}, {"as_of": as_of, **more})
    return Snapshot("lineage", 3, {**snapshot().records, RETRAIN: record})


def test_a_schedule_ticks_once_and_advances_what_is_new() -> None:
    daily = {"schedule": "0 3 * * *", "on": []}
    before, after = AT.replace(hour=2, minute=59), AT.replace(hour=3)
    seen = {LOANS: Observation(parts=NEW, rows=12)}
    assert pull({RETRAIN: trigger(**daily)}, [], seen, ticking(), now=before) == []
    [found] = pull({RETRAIN: trigger(**daily)}, [], seen, ticking(), now=after)
    assert found.tick == "2030-01-02T03:00:00Z"
    assert found.why == "advances dataset.loans by +2 rows, as of 2030-01-02T03:00:00Z"
    done = ticking("2030-01-02T03:00:00Z")
    assert pull({RETRAIN: trigger(**daily)}, [], seen, done, now=after) == []
    let_go = ticking(dismissed="2030-01-02T03:00:00Z")
    assert pull({RETRAIN: trigger(**daily)}, [], seen, let_go, now=after) == []


def test_a_tick_moves_the_date_alone_unless_rows_are_needed() -> None:
    daily = {"schedule": "0 3 * * *", "on": []}
    old = Observation(parts=OLD, rows=10)
    now = AT.replace(hour=4)
    found = one([], old, ticking(), now=now, **daily)
    assert (found.moves, found.advances) == (True, ())
    waits = one([], old, ticking(), now=now, **daily, need={"new_rows": 1})
    assert (waits.moves, waits.tick) == (False, "2030-01-02T03:00:00Z")
    assert waits.why.startswith("no new information")


def test_ticks_that_were_missed_are_made_up_for_by_one() -> None:
    found = one([], None, ticking("2029-11-01T03:00:00Z"), schedule="0 3 * * *", on=[], advance=[])
    assert found.tick == "2030-01-01T03:00:00Z"


def test_an_incident_stops_a_tick_too() -> None:
    bad = alarm("e2", incident=True, summary="no values")
    seen = Observation(parts=NEW, rows=99)
    found = one([bad], seen, ticking(), now=AT.replace(hour=4), schedule="0 3 * * *")
    assert (found.consume, found.moves) == (True, False)


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
        "tick": None,
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
