"""Windows of the performance monitor whose labels come after those of later ones."""

import itertools

import pandas as pd
import pytest
from tests.providers.measured import Watch, flipped

from mlform.sdk import Alarm
from mlform_core.monitoring import Rule, Watched, iso, remembered


@pytest.fixture
def watch(measured, request):
    return Watch(measured, request.node.name)


LATE = {"window": {"rows": 1000, "wait": "100000d"}}
"""Windows that wait for their labels as long as it takes."""


def told(stored):
    return [(w["number"], w["labelled"], w.get("late", False)) for w in stored.attributes.windows]


def figures(stored):
    return [(w["first"], w["rows"], w["statistics"], w["worse"]) for w in stored.attributes.windows]


def test_a_window_whose_labels_come_late_holds_up_no_other(watch):
    rows = watch.world.later[:4000]
    labels = rows[["station", "hazy"]]
    again = pd.concat([rows[:3000], rows[500:700], rows[3000:]])  # 200 are asked for again
    watch.asked(again)
    early = pd.concat([labels[:300], labels[1000:2000], labels[2900:]])
    stored, alarms = watch.run(watch.apply(early, **LATE))
    assert (alarms, told(stored)) == ([], [(1, 1000, False)])
    assert watch.ctx.lines[-1] == "judged before one that waits: 1 later window"
    assert "1 window judged before an earlier one" in page(watch, stored)
    same, _ = watch.run(stored)
    assert same.attributes == stored.attributes, "none is judged twice"

    early = pd.concat([labels[:300], labels[1000:]])
    stored, _ = watch.run(watch.apply(early, old=stored, **LATE))
    assert told(stored) == [(1, 1000, False), (2, 1000, False)]
    assert [a["number"] for a in stored.attributes.ahead] == [1, 2]

    stored, _ = watch.run(watch.apply(labels, old=stored, **LATE))
    assert told(stored) == [(0, 1000, True), (1, 1000, False), (2, 1000, False)]
    assert (stored.attributes.ahead, stored.attributes.judged) == ([], 3)
    assert "was judged late: later ones had their labels before" in page(watch, stored)
    in_order = Watch(watch.world, "in-order")
    in_order.asked(again)
    at_once, _ = in_order.run(in_order.apply(labels, **LATE))
    assert figures(stored) == figures(at_once)
    watch.asked(rows[:200])
    stored, _ = watch.run(stored)
    assert told(stored)[3:] == [], "800 rows, and 400 that were asked for before, are open"


def page(watch, stored):
    return watch.ctx.artifacts.read(stored.attributes.page.digest).decode()


def test_windows_of_other_sizes_begin_where_those_that_were_judged_end(watch):
    rows = watch.world.later[:4000]
    labels = rows[["station", "hazy"]]
    watch.asked(rows)
    stored, _ = watch.run(watch.apply(labels[1000:2000], **LATE))
    assert told(stored) == [(1, 1000, False)]
    other = {"window": {"rows": 1500, "wait": "100000d"}}
    stored, _ = watch.run(watch.apply(labels, old=stored, **other))
    assert told(stored) == [(0, 1000, True), (1, 1000, False), (2, 1500, False)]
    assert stored.attributes.ahead == []


def test_only_so_many_are_judged_before_one_that_waits(watch, monkeypatch):
    monkeypatch.setattr("mlform_core.performance_windows.MOST_AHEAD", 1)
    rows = watch.world.later[:3000]
    labels = rows[["station", "hazy"]]
    watch.asked(rows)
    stored, _ = watch.run(watch.apply(labels[1000:], **LATE))
    assert (told(stored), stored.attributes.missing) == ([(1, 1000, False)], 1000)
    stored, _ = watch.run(watch.apply(labels, old=stored, **LATE))
    assert told(stored) == [(0, 1000, True), (1, 1000, False), (2, 1000, False)]


def test_a_late_window_neither_joins_what_is_apart_nor_ends_the_quiet(watch):
    rows = watch.world.later[:4000]
    labels = flipped(rows)[["station", "hazy"]]
    watch.asked(rows)
    rule = {"alarm": {"sustain": 2, "cooldown": "5h"}, **LATE}
    some = pd.concat([labels[:1000], labels[2000:3000]])
    stored, alarms = watch.run(watch.apply(some, **rule))
    assert ([n for n, *_ in told(stored)], alarms) == ([0, 2], []), "they are not in a row"
    stored, (alarm,) = watch.run(watch.apply(labels[:3000], old=stored, **rule))
    at = stored.attributes.windows[1]["last"]
    assert alarm.window["last"] == at
    assert stored.attributes.last_alarm == pd.Timestamp(at).timestamp()
    stored, alarms = watch.run(watch.apply(labels, old=stored, **rule))
    assert (len(told(stored)), alarms) == (4, [])


VERDICTS = [v for n in (2, 3, 4) for v in itertools.product([False, True], repeat=n)]


@pytest.mark.parametrize("sustain", [1, 2, 3])
def test_in_whatever_order_they_come_there_is_an_alarm_where_there_would_have_been(sustain):
    def alarms(order, verdicts, cooldown="0s"):
        rule, seen, there = Rule(sustain=sustain, cooldown=cooldown), Watched(), set()

        def apart(a, b):
            return any(n not in there for n in range(a["number"] + 1, b["number"]))

        for n in order:
            entry = {"number": n, "model": "m", "worse": verdicts[n], "last": iso(float(n))}
            row = seen.row(entry, "worse", rule, apart)
            entry["alarmed"] = row is not None and not seen.quiet(rule, float(n))
            said = Alarm(name="a", window={}, findings=[], summary=str(n))
            before = seen.last_alarm or 0.0
            seen = remembered(seen, entry, said if entry["alarmed"] else None, float(n), row or ())
            assert (seen.last_alarm or 0.0) >= before
            there.add(n)
        assert [w["number"] for w in seen.windows] == sorted(order)
        return sum(w["alarmed"] for w in seen.windows)

    for verdicts in VERDICTS:
        expected = alarms(range(len(verdicts)), verdicts)
        for order in itertools.permutations(range(len(verdicts))):
            found = alarms(order, verdicts)
            assert (found > 0) == (expected > 0), (order, verdicts)
            assert found <= expected, (order, verdicts)
            assert alarms(order, verdicts, "1h") == min(expected, 1)
