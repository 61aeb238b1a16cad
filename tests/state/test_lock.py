"""One writer at a time, and no write by one who no longer is."""

import json
import os

import pytest
from tests.state.conftest import make_record

from mlform.address import Address
from mlform.state import LockedError, LostLeaseError, Realisation
from mlform.state.store import SqlStore

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
def test_who_counts_as_dead(file, store, sql, changed, free):
    """The holder is this very process, but for what is changed."""
    with store.lock("apply"):
        ((holder,),) = sql("SELECT holder FROM state")
        sql("UPDATE state SET holder = ?", json.dumps(json.loads(holder) | changed))
        other = SqlStore(f"sqlite:///{file}")
        if free:
            with other.lock("apply"):
                pass
        else:
            with pytest.raises(LockedError), other.lock("apply"):
                pass
