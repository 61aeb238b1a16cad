"""One writer at a time, and no write by one who no longer is."""

import json
import os
import threading
from datetime import UTC, datetime

import pytest
from tests.state.conftest import make_record

from mlform.address import Address
from mlform.state import LockedError, LostLeaseError, Realisation, Work
from mlform.state.lock import Lock

A = Address("training_job", "a")


def fence_of(line):
    word, fence = line.split()
    assert word == "held"
    return int(fence)


def test_the_second_is_refused_at_once_and_told_by_whom(start, store):
    holder = start("hold")
    fence = fence_of(holder.stdout.readline())
    with pytest.raises(LockedError) as refused, store.lock("destroy"):
        pass
    assert refused.value.holder.pid == holder.pid
    assert refused.value.holder.fence == fence
    assert refused.value.holder.operation == "apply"
    assert f"process {holder.pid}" in str(refused.value)
    holder.communicate("go\n")
    with store.lock("destroy") as lease:
        assert lease.fence > fence


def test_a_killed_holder_loses_it_though_nobody_reaps_it(start, store):
    holder = start("hold")
    fence = fence_of(holder.stdout.readline())
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie
    with store.lock("apply") as lease:
        assert lease.fence > fence


def test_many_at_once_on_a_state_that_does_not_exist_yet(start, store):
    racers = [start("compete", f"p{number}") for number in range(5)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    serials = sorted(int(racer.communicate()[0].split()[1]) for racer in racers)
    assert serials == [1, 2, 3, 4, 5]
    assert len(store.snapshot().records) == 5
    assert store.verify() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_free_again_whatever_ended_the_block(store, error):
    with pytest.raises(error), store.lock("apply"):
        raise error
    with store.lock("apply"):
        pass


def test_not_twice_in_one_process(store):
    with store.lock("apply"), pytest.raises(LockedError) as refused, store.lock("apply"):
        pass
    assert refused.value.holder.pid == os.getpid()


WRITES = {
    "put": lambda s, lease: s.put(lease, "r", make_record("a"), {}),
    "forget": lambda s, lease: s.forget(lease, "r", A, {}),
    "outputs": lambda s, lease: s.put_outputs(lease, "r", {}),
    "intent": lambda s, lease: s.intent(lease, "r", A, {}),
    "failed": lambda s, lease: s.failed(lease, "r", A, {}),
    "realise": lambda s, lease: s.realise(lease, Realisation("k", "d", {}, {})),
    "alarm": lambda s, lease: s.raise_alarm(lease, "r", A, {}),
    "consume": lambda s, lease: s.consume(lease, "r", "ev-1", "t", "done"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_lease_given_back_writes_nothing(store, write):
    with store.lock("apply") as old:
        pass
    before = store.snapshot()
    with pytest.raises(LostLeaseError, match=old.id):
        write(store, old)
    with store.lock("apply"), pytest.raises(LostLeaseError):
        write(store, old)
    assert store.snapshot() == before
    assert list(store.journal()) == []
    assert store.realisations(["k"]) == {} and store.alarms() == []


def test_a_broken_lock_fences_its_holder_out(start, store, record):
    holder = start("hold")
    holder.stdout.readline()
    with pytest.raises(LockedError) as refused, store.lock("apply"):
        pass
    assert store.break_lock("another") is False
    assert store.break_lock(refused.value.holder.id) is True
    with store.lock("apply") as lease:
        out, _ = holder.communicate("go\n")
        assert out == "lost\n"
        assert store.put(lease, "r", record(), {}) == 1  # its release took nothing from us


@pytest.mark.parametrize(
    ("changed", "free"),
    [
        ({}, False),
        ({"host": "elsewhere"}, False),
        ({"space": "pid:[1]"}, False),
        ({"boot": "another"}, True),
        ({"started": "1"}, True),
        ({"pid": 2**22 + 1}, True),
    ],
)
def test_who_counts_as_dead(another, store, sql, changed, free):
    """The holder is this very process, but for what is changed."""
    with store.lock("apply"):
        ((holder,),) = sql("SELECT holder FROM leases")
        sql("UPDATE leases SET holder = ?", json.dumps(json.loads(holder) | changed))
        other = another()
        if free:
            with other.lock("apply"):
                pass
        else:
            with pytest.raises(LockedError), other.lock("apply"):
                pass


def expire(sql):
    sql("UPDATE leases SET expires = 1.0")


def test_a_lease_that_was_not_renewed_is_taken_over(another, store, sql, record):
    """Its holder lives, and may be stopped or hang: whatever it writes then is refused."""
    other = another()
    with store.lock("apply") as lease:
        with pytest.raises(LockedError), other.lock("apply"):
            pass
        expire(sql)
        with other.lock("destroy") as theirs:
            assert theirs.fence > lease.fence
            with pytest.raises(LostLeaseError):
                store.put(lease, "r", record(), {})
            other.put(theirs, "r", record(), {})
        with pytest.raises(LostLeaseError):
            store.put(lease, "r", record(), {})
    entry = next(e for e in store.journal() if e.operation == "takeover")
    assert entry.detail["from"]["id"] == lease.id
    assert store.verify() == []


def test_a_beating_heart_keeps_the_lease(another, store, sql, monkeypatch):
    monkeypatch.setattr("mlform.state.lock.TTL", 0.06)
    renewed, expired = threading.Event(), threading.Event()
    beat = Lock.beat

    def seen(lock, fence):
        assert expired.wait(30)
        monkeypatch.setattr("mlform.state.lock.TTL", 60.0)
        found = beat(lock, fence)
        renewed.set()
        return found

    monkeypatch.setattr(Lock, "beat", seen)
    with store.lock("apply"):
        expire(sql)
        expired.set()
        assert renewed.wait(30)
        with pytest.raises(LockedError), another().lock("apply"):
            pass


def test_who_lost_the_lease_is_told_without_writing(another, store, monkeypatch):
    monkeypatch.setattr("mlform.state.lock.TTL", 0.06)
    told = threading.Event()
    with store.lock("apply") as lease:
        lease.when_lost(told.set)
        assert another().break_lock(lease.id)
        assert told.wait(30) and lease.lost.is_set()


def test_waiting_for_the_lock(start, store):
    holder = start("hold")
    holder.stdout.readline()
    heard = []

    def waiting(held_by):
        heard.append(held_by.pid)
        holder.stdin.write("go\n")
        holder.stdin.flush()

    with store.lock("apply", 60.0, waiting) as lease:
        assert heard == [holder.pid]
        assert store.put(lease, "r", make_record("b"), {}) == 2
    with pytest.raises(LockedError), store.lock("apply"), store.lock("apply", 0.01):
        pass


def test_what_the_lock_is_held_for(another, store):
    until = datetime(2226, 1, 31, 6, tzinfo=UTC)
    work = Work.of([f"model.m{n}" for n in range(23)], until)
    with store.lock("apply") as lease:
        store.announce(lease, work)
        with pytest.raises(LockedError) as refused, another().lock("apply"):
            pass
    assert refused.value.holder.work == work
    for words in ("model.m0, model.m1,", "and 3 more", "takes until 2226-01-31 06:00:00 UTC."):
        assert words in str(refused.value)
    assert refused.value.holder.as_data()["until"] == "2226-01-31T06:00:00+00:00"
    with store.lock("apply"), pytest.raises(LockedError) as refused, another().lock("apply"):
        pass
    assert refused.value.holder.work == Work()  # that of the one before is not told


def test_an_estimate_that_has_passed_is_told_as_that(another, store):
    with store.lock("apply") as lease:
        store.announce(lease, Work.of(["model.m"], datetime(2026, 1, 31, 6, tzinfo=UTC)))
        with pytest.raises(LockedError) as refused, another().lock("apply"):
            pass
    assert "it was to end at 2026-01-31 06:00:00 UTC; it is late by" in str(refused.value)
    assert "takes until" not in str(refused.value)


def test_a_lock_broken_by_hand_is_journalled(another, store):
    with store.lock("apply") as lease:
        assert another().break_lock(lease.id)
    (entry,) = store.journal()
    assert (entry.operation, entry.detail["from"]["id"]) == ("unlock", lease.id)
    assert "@" in entry.detail["by"]
