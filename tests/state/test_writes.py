"""Writes of several threads share a transaction, and each is as good as if it had its own."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from tests.state.conftest import make_record

from mlform import failpoints
from mlform.address import Address
from mlform.state import LostLeaseError, Realisation

A, B = Address("training_job", "a"), Address("training_job", "b")


@contextmanager
def together(store, *writes, fault=""):
    """Have some writes come while another is on its way.

    Give the points come by after that one, and what the writes return or raise, as futures. Each
    is a function of the lease. At the first point called ``fault`` something breaks.
    """
    hits, stopped, go = [], threading.Event(), threading.Event()

    def hear(name):
        if go.is_set():
            hits.append(name)
            if name == fault and hits.count(name) == 1:
                raise failpoints.FailpointError(name)
        elif name == "state.commit":
            stopped.set()
            assert go.wait(30)

    with ThreadPoolExecutor(len(writes) + 1) as pool, store.lock("apply") as lease:
        failpoints.arm(hear)
        try:
            first = pool.submit(store.intent, lease, "r1", Address("dataset", "first"), {})
            assert stopped.wait(30)
            futures = []
            for write in writes:
                futures.append(pool.submit(write, lease))
                while len(store._writer._waiting) < len(futures):
                    pass
            go.set()
            first.result(30)
            for future in futures:
                future.exception(30)
        finally:
            go.set()
            failpoints.arm(None)
        yield hits, futures


def put(store, address, value, **detail):
    spent = {"address": str(address), "action": "run", "seconds": 1.0}
    told = dict.fromkeys(("rows", "changed", "expected", "most")) | spent
    record = make_record(address.name, value)
    return lambda lease: store.put(lease, "r1", record, {"spent": told, **detail})


def test_what_came_meanwhile_goes_in_one_transaction(store):
    made = Realisation("key", "sha256:d", {"x": 1}, {})
    with together(
        store,
        lambda lease: store.intent(lease, "r1", A, {}),
        put(store, A, 1),
        lambda lease: store.realise(lease, made),
        put(store, B, 2),
        lambda lease: store.failed(lease, "r1", B, {"error": "no"}),
        put(store, A, 3),
        lambda lease: store.forget(lease, "r1", B, {}),
    ) as (hits, futures):
        results = [f.result() for f in futures]
    assert hits.count("state.commit") == 1
    assert results == [None, 1, None, 2, None, 3, 4], "each its own serial, in order"
    told = [(e.operation, e.address, e.serial) for e in store.journal()][1:]
    assert told == [
        ("intent", str(A), 0),
        ("done", str(A), 1),
        ("done", str(B), 2),
        ("failed", str(B), 0),
        ("done", str(A), 3),
        ("forget", str(B), 4),
    ]
    snapshot = store.snapshot()
    assert snapshot.serial == 4
    assert {a: r.arguments["value"] for a, r in snapshot.records.items()} == {A: 3}
    assert store.realisations(["key"]) == {"key": made}
    assert [s.seconds for s in store.history([str(A), str(B)], 9, 9)[str(A)]] == [1.0, 1.0]
    assert store.verify() == []


def test_one_that_fails_takes_no_other_with_it(store):
    with together(
        store,
        put(store, A, 1),
        lambda lease: store.put(lease, "r1", make_record("c", attributes={"x": {1}}), {}),
        put(store, B, 2),
    ) as (_, futures):
        one, wrong, two = futures
        assert (one.result(), two.result()) == (1, 2)
        with pytest.raises(TypeError):
            wrong.result()
    assert store.snapshot().records.keys() == {A, B}
    assert store.verify() == []


@pytest.mark.parametrize("point", ["state.begun", "state.advanced", "state.journalled"])
def test_what_breaks_while_several_are_written_is_taken_back(store, point):
    """Each is written by itself then: none is lost, none is there twice."""
    writes = [put(store, A, n) for n in range(1, 5)]
    with together(store, *writes, fault=point) as (hits, futures):
        assert [f.result() for f in futures] == [1, 2, 3, 4]
    assert hits.count("state.commit") == 4
    assert [e.serial for e in store.journal() if e.serial] == [1, 2, 3, 4]
    assert store.verify() == []


def test_what_breaks_a_single_write_is_told(store):
    with together(store, put(store, A, 1), fault="state.journalled") as (_, futures):
        assert isinstance(futures[0].exception(), failpoints.FailpointError)
    assert store.snapshot().serial == 0
    assert store.verify() == []


def test_who_lost_the_lock_learns_it_for_each_write(store, another):
    with store.lock("apply") as lease:
        store.put(lease, "r1", make_record("a", 1), {})
        assert another().break_lock(lease.id)
        with ThreadPoolExecutor(4) as pool:
            late = [pool.submit(put(store, A, n), lease) for n in range(4)]
        assert {type(f.exception()) for f in late} == {LostLeaseError}
    assert store.snapshot().records[A].arguments["value"] == 1
    assert store.verify() == []


def test_many_threads_lose_nothing_and_leave_no_gap(store):
    addresses = [Address("training_job", f"n{n}") for n in range(12)]

    def work(lease, address):
        serials = []
        for value in range(5):
            store.intent(lease, "r1", address, {"value": value})
            serials.append(store.put(lease, "r1", make_record(address.name, value), {}))
        return serials

    with store.lock("apply") as lease, ThreadPoolExecutor(12) as pool:
        found = list(pool.map(work, [lease] * 12, addresses))
    assert sorted(s for serials in found for s in serials) == list(range(1, 61))
    assert all(serials == sorted(serials) for serials in found)
    journal = [e for e in store.journal() if e.serial]
    assert [e.serial for e in journal] == list(range(1, 61))
    by_address = {str(a): s for a, s in zip(addresses, found, strict=True)}
    for entry in journal:
        assert entry.serial in by_address[entry.address]
    assert {r.arguments["value"] for r in store.snapshot().records.values()} == {4}
    assert store.unfinished() == []
    assert store.verify() == []
