"""Several leases at once, each for a part of the state: what one writes no other touches."""

import json

import pytest
from tests.state.conftest import make_record, on_a_server

from mlform.address import Address
from mlform.diagnostics import DiagnosedError
from mlform.state import Extent, LockedError, LostLeaseError

A, B = Address("training_job", "a"), Address("training_job", "b")


def part(*writes, reads=()):
    return Extent(frozenset(map(str, writes)), frozenset(map(str, reads)))


def test_parts_that_do_not_meet_are_written_in_turn(another):
    store, other = another(), another()
    shared = ["dataset.d"]
    with (
        store.lock("apply", extent=part(A, reads=shared)) as mine,
        other.lock("apply", extent=part(B, reads=shared)) as theirs,
    ):
        assert [it.operation for it in store.leases()] == ["apply", "apply"]
        for value in (1, 2):
            store.intent(mine, "r1", A, {})
            other.intent(theirs, "r2", B, {})
            assert store.put(mine, "r1", make_record("a", value), {}) == 2 * value - 1
            assert other.put(theirs, "r2", make_record("b", value), {}) == 2 * value
    assert store.snapshot().records == {A: make_record("a", 2), B: make_record("b", 2)}
    assert store.verify() == [] and store.leases() == []


@pytest.mark.parametrize(
    ("held", "wanted", "named"),
    [
        (part(A), part(A, B), "training_job.a"),
        (part(A), part(B, reads=[A]), "training_job.a"),
        (part(A, reads=[B]), part(B), "training_job.b"),
        (part("output.o"), part("output.o"), "output.o"),
        (part(A), None, "the state"),
        (None, part(A), "the state"),
    ],
)
def test_who_is_in_the_way_is_told_and_of_what(another, held, wanted, named):
    with another().lock("destroy", extent=held), pytest.raises(LockedError) as refused:
        another().lock("apply", extent=wanted).__enter__()
    assert f"has held {named} since" in str(refused.value)
    assert refused.value.holder.operation == "destroy"
    with another().lock("apply", extent=wanted):
        pass


def test_nothing_is_written_outside_of_the_part(store):
    with store.lock("apply", extent=part(A)) as lease:
        for write in (
            lambda: store.put(lease, "r", make_record("b"), {}),
            lambda: store.forget(lease, "r", B, {}),
            lambda: store.intent(lease, "r", B, {}),
            lambda: store.move(lease, "r", {}),
            lambda: store.purged(lease, "r", ["k"], {}),
        ):
            with pytest.raises(DiagnosedError, match="Outside of the lease"):
                write()
    assert list(store.journal()) == []


def test_each_writes_its_own_outputs(another):
    store, other = another(), another()
    with (
        store.lock("apply", extent=part("output.x", "output.gone")) as mine,
        other.lock("apply", extent=part("output.y")) as theirs,
    ):
        store.put_outputs(mine, "r", {"gone": 0, "x": 1, "y": "not mine"})
        other.put_outputs(theirs, "r", {"x": "not theirs", "y": 2})
        store.put_outputs(mine, "r", {"x": 3})
    assert store.snapshot().outputs == {"x": 3, "y": 2}
    assert store.verify() == []


def test_one_broken_leaves_the_other(another):
    store, other = another(), another()
    with (
        store.lock("apply", extent=part(A)) as mine,
        other.lock("apply", extent=part(B)) as theirs,
    ):
        assert other.break_lock(mine.id)
        with pytest.raises(LostLeaseError):
            store.put(mine, "r", make_record("a"), {})
        assert other.put(theirs, "r", make_record("b"), {}) == 1


def test_the_dead_and_the_slow_lose_their_part_alone(another, sql):
    store, other, third = another(), another(), another()
    with (
        store.lock("apply", extent=part(A)) as mine,
        other.lock("apply", extent=part(B)) as theirs,
    ):
        sql("UPDATE leases SET expires = 1.0 WHERE fence = ?", mine.fence)
        with third.lock("apply", extent=part(A)) as new:
            with pytest.raises(LostLeaseError):
                store.put(mine, "r", make_record("a"), {})
            third.put(new, "r", make_record("a"), {})
            other.put(theirs, "r", make_record("b"), {})
            ((holder,),) = sql("SELECT holder FROM leases WHERE fence = ?", theirs.fence)
            dead = json.dumps(json.loads(holder) | {"pid": 2**22 + 1})
            sql("UPDATE leases SET holder = ? WHERE fence = ?", dead, theirs.fence)
        with store.lock("apply"), pytest.raises(LostLeaseError):
            other.put(theirs, "r", make_record("b"), {})
    taken = [e.detail["from"]["id"] for e in store.journal() if e.operation == "takeover"]
    assert taken == [mine.id, theirs.id]
    assert store.verify() == []


def test_a_duty_is_in_nobodys_way_but_of_who_would_have_it_too(another, sql):
    store, other, third = another(), another(), another()
    with store.lock("watch", extent=Extent.for_duty("watch")) as lead:
        with other.lock("apply"), third.lock("watch", extent=Extent.for_duty("another")):
            pass
        with pytest.raises(LockedError) as refused:
            other.lock("watch", extent=Extent.for_duty("watch")).__enter__()
        assert refused.value.holder.id == lead.id
        assert refused.value.holder.duty == "watch"
        assert store.leases() == [] and store.renew(lead)
        with other.lock("apply", extent=part(A)) as theirs:
            assert [it.id for it in store.leases()] == [theirs.id]
        for write in (
            lambda: store.put(lead, "r", make_record("a"), {}),
            lambda: store.pull(lead, "r", A, [], {}),
        ):
            with pytest.raises(DiagnosedError, match="Outside of the lease"):
                write()
        sql("UPDATE leases SET expires = 1.0 WHERE fence = ?", lead.fence)
        assert store.renew(lead)  # nobody asked meanwhile
        sql("UPDATE leases SET expires = 1.0 WHERE fence = ?", lead.fence)
        with other.lock("watch", extent=Extent.for_duty("watch")):
            assert not store.renew(lead)
    assert store.verify() == []


def test_who_waits_for_a_part_waits_for_its_holder_alone(start, another):
    holder = start("hold", str(A))
    holder.stdout.readline()
    store, heard = another(), []

    def waiting(held_by):
        heard.append(held_by.pid)
        holder.stdin.write("go\n")
        holder.stdin.flush()

    with store.lock("apply", extent=part(B)):
        pass
    with store.lock("apply", 60.0, waiting, part(A)) as lease:
        assert heard == [holder.pid]
        assert store.put(lease, "r", make_record("a"), {}) == 2


@on_a_server
def test_tables_of_version_2_on_a_server(filled, sql, another):
    """They are read as if they were brought up, and brought up by the first write."""
    filled.close()
    before = filled.snapshot()
    filled.close()
    sql("DROP TABLE leases")
    sql("ALTER TABLE state DROP COLUMN fences")
    for column in ("holder text", "expires double precision", "work text"):
        sql(f"ALTER TABLE state ADD COLUMN {column}")
    sql("UPDATE state SET schema_version = 2")
    store = another()
    assert store.snapshot() == before and store.leases() == [] and store.verify() == []
    assert sql("SELECT schema_version FROM state") == [(2,)]
    with store.lock("apply", extent=part(A)) as lease:
        assert store.put(lease, "r", make_record("a"), {}) == before.serial + 1
    assert sql("SELECT schema_version, fences FROM state") == [(3, " ")]
    assert store.verify() == []
