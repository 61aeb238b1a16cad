"""How long a plan says it takes: from what earlier runs took, and no more than they tell."""

from __future__ import annotations

import math
import random
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.world import World

from mlform.address import Address
from mlform.plan import Action, Estimate, Plan, Reason, Step, dump, parse
from mlform.plan.estimate import LAST, History, accuracy, estimate, estimated
from mlform.plan.times import clock, times
from mlform.render.plan import plan as shown
from mlform.render.style import paint
from mlform.state.model import Spent
from mlform.state.store import SqlStore

SPEC = """
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
"""


def ran(*seconds: float, rows: int | None = None, action: str = "run") -> list[Spent]:
    return [Spent("a", action, s, rows) for s in seconds]


def found(spent: list[Spent], rows: int | None = None, action: Action = Action.RUN) -> Estimate:
    return estimate(spent, action, rows)


def test_what_never_ran_has_no_estimate() -> None:
    it = found([], rows=7)
    assert (it.expected, it.most, it.runs, it.rows) == (None, None, 0, 7)
    assert found(ran(3.0, action="decide")).expected is None, "judging is other work than running"
    assert found(ran(3.0, action="decide"), action=Action.DECIDE).expected == 3.0


def test_one_run_is_taken_with_a_wide_margin_and_many_alike_with_a_small_one() -> None:
    once, often = found(ran(10.0)), found(ran(*[10.0] * LAST))
    assert once.expected == often.expected == 10.0
    assert once.most is not None
    assert often.most is not None
    assert once.most > 15
    assert often.most < 12


@pytest.mark.parametrize("runs", [1, 2, 5, 12])
def test_about_nine_of_ten_take_no_longer_than_most(runs: int) -> None:
    rng = random.Random(runs)  # noqa: S311 - a simulation
    within = 0
    for _ in range(2000):
        spread = rng.choice([0.1, 0.25, 0.4])
        drawn = [10 * math.exp(rng.gauss(0, spread)) for _ in range(runs + 1)]
        most = found(ran(*drawn[1:])).most
        assert most is not None
        within += drawn[0] <= most
    assert 0.86 <= within / 2000 <= 0.98


def test_time_grows_with_rows_where_it_did() -> None:
    past = [Spent("a", "run", 2 + rows / 1000, rows) for rows in (1000, 2000, 4000, 5000)]
    it = found(past, rows=20_000)
    assert it.expected == pytest.approx(22.0, rel=0.1)
    constant = [Spent("a", "run", s, r) for s, r in ((5.0, 1000), (5.1, 4000), (4.9, 9000))]
    assert found(constant, rows=90_000).expected == pytest.approx(5.0, rel=0.2)


@pytest.mark.parametrize("law", [lambda r: r / 1000, lambda r: 20 + r / 2000, lambda _r: 45.0])
@pytest.mark.parametrize("runs", [2, 4, 12])
def test_about_nine_of_ten_do_where_data_grow(law: Callable[[int], float], runs: int) -> None:
    rng = random.Random(runs)  # noqa: S311 - a simulation
    within = 0
    for _ in range(500):
        rows, past = 20_000, []
        for _ in range(runs + 1):
            past.append(Spent("a", "run", law(rows) * math.exp(rng.gauss(0, 0.2)), rows))
            rows = int(rows * rng.uniform(1.0, 1.5))
        *earlier, now = past
        most = found(earlier[::-1], now.rows).most
        assert most is not None
        within += now.seconds <= most
    assert within / 500 >= 0.85


def test_one_size_alone_does_not_tell_how_time_grows() -> None:
    it = found(ran(10.0, 10.0, 10.0, rows=1000), rows=4000)
    assert it.expected == pytest.approx(20.0), "between not at all and in proportion"
    assert it.most is not None
    assert it.most >= 40, "in proportion is within what it may take"
    assert found(ran(10.0, rows=1000), rows=1050).expected == pytest.approx(10.0, rel=0.05)


@given(
    st.lists(
        st.tuples(st.floats(0, 1e5), st.none() | st.integers(0, 10**9)), min_size=1, max_size=20
    ),
    st.none() | st.integers(0, 10**9),
)
def test_an_estimate_is_a_length_of_time(past: list[tuple[float, int | None]], rows: Any) -> None:
    it = found([Spent("a", "run", s, r) for s, r in past], rows)
    assert it.expected is not None
    assert it.most is not None
    assert 0 < it.expected <= it.most < math.inf
    assert it.runs == min(len(past), LAST)


def step(name: str, *needs: str, action: Action = Action.RUN, **more: Any) -> Step:
    addresses = tuple(Address("training_job", n) for n in needs)
    reasons = tuple(Reason("upstream", str(a)) for a in addresses) if needs else ()
    address = Address("training_job", name)
    return Step(address, "node", "toy", action, {}, reasons, addresses, addresses, **more)


def test_how_likely_a_step_is_to_run_follows_from_how_often_upstream_changed() -> None:
    changes = [Spent("training_job.a", "run", 1.0, None, changed=c) for c in (True, False, False)]
    past = History({"training_job.a": changes})
    steps, _ = estimated(
        [
            step("a"),
            step("b", "a", action=Action.MAYBE),
            step("c", "a", "b", action=Action.MAYBE),
            step("d", "x", action=Action.MAYBE),
        ],
        lambda _addresses: past,
    )
    chances = [s.estimate.chance for s in steps if s.estimate]
    assert chances[:2] == [1.0, 0.5]
    assert chances[2] == pytest.approx(0.75), "b never ran: its output is taken to change"
    assert chances[3] == 1.0
    first = steps[0].estimate
    assert first is not None
    assert (first.changed, first.compared) == (1, 3)


def test_rows_are_those_of_the_largest_dataset_upstream() -> None:
    steps, _ = estimated(
        [step("a", rows=5), step("b", rows=9), step("c", "a", "b"), step("d", "c")],
        lambda _addresses: History(),
    )
    assert [s.estimate.rows for s in steps if s.estimate] == [5, 9, 9, 9]


def test_the_clock_is_that_of_so_many_steps_at_once() -> None:
    steps = [step("a"), step("b"), step("c"), step("d", "a", "b", "c")]
    seconds = [2.0 for _ in steps]
    assert clock(steps, seconds, 1) == 8.0
    assert clock(steps, seconds, 2) == 6.0
    assert clock(steps, seconds, 9) == 4.0


@given(st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=10), st.integers(1, 5))
def test_the_clock_lies_between_the_longest_path_and_all_work(
    shape: list[list[int]], workers: int
) -> None:
    steps = [
        step(str(n), *sorted({str(a) for a in needs if a < n})) for n, needs in enumerate(shape)
    ]
    seconds = [1.0 + n % 3 for n in range(len(steps))]
    longest: dict[Address, float] = {}
    for it, lasts in zip(steps, seconds, strict=True):
        before = max((longest[a] for a in it.needs), default=0.0)
        longest[it.address] = before + lasts
    taken, work = clock(steps, seconds, workers), sum(seconds)
    assert max(longest.values(), default=0.0) <= taken <= work
    assert taken >= work / workers


def plan_of(*steps: Step) -> Plan:
    return Plan("l", 1, "", "", "", None, steps)


def test_a_plan_says_what_is_certain_what_is_likely_and_the_worst() -> None:
    it = times(
        plan_of(
            step("a", estimate=Estimate(2.0, 3.0, 4)),
            step("b", "a", action=Action.MAYBE, estimate=Estimate(10.0, 20.0, 4, chance=0.5)),
            step("c", estimate=Estimate()),
        )
    )
    assert it is not None
    assert (it.certain.work, it.likely.work, it.worst.work) == (2.0, 7.0, 23.0)
    assert [str(a) for a in it.unknown] == ["training_job.c"]


def test_how_far_estimates_were_off() -> None:
    assert accuracy(ran(1.0)) is None
    assert accuracy([Spent("a", "run", 0.001, None, None, 0.01, 0.02)]) is None, "too short to tell"
    found = [Spent("a", "run", s, None, None, 2.0, 3.0) for s in (1.0, 2.0, 5.0)]
    it = accuracy(found)
    assert it is not None
    assert (it.steps, it.median, it.worst, it.within) == (3, 2.0, 2.5, 2)


def text(world: World, spec: str, **variables: object) -> str:
    return paint(shown(world.plan(spec, **variables)), colour=False)


def test_the_first_plan_says_that_nothing_ran_before(world: World) -> None:
    assert "nothing of this was done before" in text(world, SPEC)


def test_what_is_reused_beside_what_is_new_was_done_before(world: World) -> None:
    for value in (1, 2):
        world.apply(SPEC, v=value)
    new = 'training_job "node" "c" {\n  value = 9\n}\n'
    assert (
        world.actions(SPEC + new, v=1).items()
        >= {
            "training_job.a": "reuse",
            "training_job.c": "run",
        }.items()
    )
    said = text(world, SPEC + new, v=1)
    assert "results of before are taken again, which takes none; there is no estimate" in said
    assert "of which nothing was done before: training_job.c." in said
    assert "nothing of this was done before" not in said


def test_a_plan_learns_from_each_apply(world: World) -> None:
    for value in (1, 2, 4, 3):
        world.apply(SPEC, v=value)
    plan = world.plan(SPEC, v=6)
    a, b = plan.steps
    assert a.estimate is not None
    assert b.estimate is not None
    assert (a.estimate.runs, a.estimate.changed, a.estimate.compared) == (4, 2, 3)
    assert b.estimate.chance == 0.75
    assert "if training_job.a comes out different (it did 2 of the last 3 times)" in text(
        world, SPEC, v=6
    )
    assert parse(dump(plan)) == plan
    assert dump(plan) == dump(world.plan(SPEC, v=6))
    session = world.session(SPEC)
    spent = session.store.estimated(session.store.snapshot().serial, 50)
    assert {s.address for s in spent} == {"training_job.a", "training_job.b"}
    assert all(s.expected is not None and s.most is not None for s in spent)


def test_history_after_the_serial_of_a_plan_does_not_count(world: World) -> None:
    world.apply(SPEC)
    session = world.session(SPEC)
    snapshot = session.store.snapshot()
    before = dump(session.plan(snapshot))
    for value in (2, 3):
        world.apply(SPEC, v=value)
    assert len(session.store.history(["training_job.a"], 99, LAST)["training_job.a"]) == 3
    assert len(session.store.history(["training_job.a"], snapshot.serial, LAST)) == 1
    assert dump(world.session(SPEC).plan(snapshot)) == before


def test_a_plan_without_work_reads_no_history(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.apply(SPEC)
    monkeypatch.setattr(SqlStore, "history", None)
    assert world.plan(SPEC).empty


def test_what_moved_keeps_its_history(world: World) -> None:
    world.apply(SPEC)
    moved = SPEC.replace('"a"', '"c"').replace("job.a", "job.c")
    moved += "moved {\n  from = training_job.a\n  to = training_job.c\n}\n"
    before = world.plan(moved, v=2).steps[0].estimate
    assert before is not None
    assert before.runs == 1
    world.apply(moved)
    after = world.plan(moved, v=2).steps[0].estimate
    assert after is not None
    assert after.runs == 1
    store = world.session(moved).store
    assert store.verify() == []
    assert set(store.history(["training_job.a", "training_job.c"], 99, 9)) == {"training_job.c"}


def test_a_history_that_is_not_the_journals_is_found(world: World) -> None:
    world.apply(SPEC)
    with sqlite3.connect(world.root / ".mlform" / "state.db") as state:
        state.execute("UPDATE history SET seconds = 99")
    assert "history" in " ".join(world.session(SPEC).store.verify())


SERVICES = """
variable "all" {
  default = true
}
variable "where" {
  default = "here"
}
deployment "file" "a" {
  shows = 1
  where = var.where
}
deployment "file" "b" {
  count = var.all ? 1 : 0
  shows = 2
}
deployment "file" "c" {
  count = var.all ? 1 : 0
  shows = 3
}
"""


def test_what_destroying_takes_is_learnt_from_what_was_destroyed(world: World) -> None:
    world.apply(SERVICES)
    gone = world.plan(SERVICES, all="false")
    assert [(s.action.value, s.estimate) for s in gone.changes] == [("destroy", Estimate())] * 2
    assert "nothing of this was done before" in text(world, SERVICES, all="false")
    world.apply(SERVICES, all="false")
    world.apply(SERVICES)
    again = {str(s.address): s.estimate for s in world.plan("").changes}
    assert [e and e.runs for e in again.values()] == [2, 1, 1], "of its own, else of its kind"
    assert all(e and e.most and 0 < (e.expected or 0) < e.most for e in again.values())
    world.apply("")
    session = world.session("")
    serial = session.store.snapshot().serial
    told = session.store.destroyed(serial, LAST)
    assert [s.expected is not None for s in told] == [True, True, True, False, False]
    assert {s.action for s in session.store.estimated(serial, 3)} == {"destroy"}
    assert session.store.verify() == []


def test_destroying_what_is_replaced_counts_as_well(world: World) -> None:
    world.apply(SERVICES)
    world.apply(SERVICES, where="there")
    (spent,) = world.session(SERVICES).store.destroyed(99, LAST)
    assert (spent.address, spent.expected) == ("deployment.a", None)
    assert [e.runs for s in world.plan("").changes if (e := s.estimate)] == [1, 1, 1]


def test_two_steps_at_one_address_take_the_time_of_both() -> None:
    left = step("a", action=Action.DESTROY, deposed="x", estimate=Estimate(5.0, 6.0, 1))
    it = times(plan_of(step("a", estimate=Estimate(2.0, 3.0, 4)), left))
    assert it is not None
    assert (it.certain.work, it.certain.clock, it.worst.work) == (7.0, 5.0, 9.0)
