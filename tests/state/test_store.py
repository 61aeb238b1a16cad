"""What is put is what is found, and the journal tells the whole story."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.state.conftest import in_a_file, make_record

from mlform.address import Address
from mlform.state import Realisation
from mlform.state.codec import parse_record
from mlform.state.store import SqlStore

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
# Few, so that one is often put again, or forgotten.
ADDRESSES = st.sampled_from(
    [
        Address("model", "a"),
        Address("model", "a", 0),
        Address("model", "a", 'é.]"\\', (("m", "k"), ("n", 1))),
    ]
)
RECORDS = st.builds(
    lambda address, arguments, attributes, held: make_record(
        address=address, arguments={"x": arguments}, attributes={"y": attributes}, held=tuple(held)
    ),
    ADDRESSES,
    JSON,
    JSON,
    st.lists(st.text()),
)
STEPS = st.one_of(
    RECORDS.map(lambda r: ("put", r)),
    ADDRESSES.map(lambda a: ("forget", a)),
    st.integers(0, 2).map(lambda n: ("outputs", {"o": {"value": n, "sensitive": False}})),
    ADDRESSES.map(lambda a: ("intent", a)),
)


def fold(entries):
    """Give the state at every serial, from the journal alone."""
    records, outputs, states = {}, {}, {0: ({}, {})}
    for entry in entries:
        if entry.operation == "done":
            found = parse_record(entry.detail["record"])
            records[found.address] = found
        elif entry.operation == "forget":
            records.pop(Address.parse(entry.address), None)
        elif entry.operation == "outputs":
            outputs = entry.detail["outputs"]
        if entry.serial:
            assert entry.serial == len(states)
            states[entry.serial] = (dict(records), outputs)
    return states


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, max_size=12), st.integers(0, 11), st.sampled_from([0, 1 << 16]))
def test_a_store_is_a_dictionary_with_a_past(steps, reopen, long):
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch("mlform.state.codec._LONG", long),
    ):
        url = f"sqlite:///{folder}/state.db"
        store, records, outputs, serial = SqlStore(url), {}, {}, 0
        states = {0: ({}, {})}
        with store.lock("apply") as lease:
            for number, (what, value) in enumerate(steps):
                if number == reopen:
                    store.close()
                    store = SqlStore(url)
                match what:
                    case "put":
                        records[value.address] = value
                        serial += 1
                        assert store.put(lease, "r", value, {}) == serial
                    case "forget":
                        records.pop(value, None)
                        serial += 1
                        assert store.forget(lease, "r", value, {}) == serial
                    case "outputs":
                        serial += value != outputs
                        outputs = value
                        store.put_outputs(lease, "r", value)
                    case "intent":
                        store.intent(lease, "r", value, {})
                states[serial] = (dict(records), outputs)
                snapshot = store.snapshot()
                assert (snapshot.records, snapshot.outputs) == (records, outputs)
                assert snapshot.serial == serial
        assert fold(store.journal()) == states
        assert store.verify() == []
        store.close()


def test_threads_of_one_run_write_at_once(store):
    serials = []

    def write(name):
        serials.extend(store.put(lease, "r", make_record(name, n), {}) for n in range(10))

    with store.lock("apply") as lease, ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(write, f"t{n}") for n in range(6)]:
            done.result()
    assert sorted(serials) == list(range(1, 61))
    assert {r.arguments["value"] for r in store.snapshot().records.values()} == {9}
    assert store.verify() == []


def test_one_lineage_for_ever(store, another, record):
    with store.lock("apply") as lease:
        store.put(lease, "r", record(), {})
    first = store.snapshot().lineage
    store.close()
    with another().lock("apply"):
        pass
    assert store.snapshot().lineage == first


@in_a_file
def test_everything_is_in_the_one_file_when_the_lock_is_given_back(filled, file, tmp_path):
    copy = tmp_path / "backup.db"
    copy.write_bytes(file.read_bytes())
    store = SqlStore(f"sqlite:///{copy}")
    assert store.snapshot() == filled.snapshot()
    assert [e.sha256 for e in store.journal()] == [e.sha256 for e in filled.journal()]
    store.close()


def test_the_journal_of_one_address(filled):
    a = Address("training_job", "a")
    entries = list(filled.journal(a))
    assert [e.operation for e in entries] == ["intent", "done"]
    assert entries[1].detail["action"] == "create"
    assert parse_record(entries[1].detail["record"]) == filled.snapshot().records[a]
    assert [e.serial for e in filled.journal()] == [0, 1, 0, 2, 0, 3, 4, 5, 0]


def test_the_journal_of_what_moved(store):
    """Two change places, then one goes where something else was once."""
    a, b, c = (Address("trigger", name) for name in "abc")
    with store.lock("apply") as lease:
        for number, address in enumerate([a, b, c, a]):
            store.failed(lease, f"r{number}", address, {})
        swapped = {
            a: make_record(address=Address("trigger", "b")),
            b: make_record(address=Address("trigger", "a")),
        }
        store.move(lease, "m", swapped)
        store.failed(lease, "r4", b, {})
        store.move(lease, "m", {b: make_record(address=Address("trigger", "c"))})
        store.failed(lease, "r5", c, {})
        store.failed(lease, "r6", b, {})

    def runs(address):
        return [e.run for e in store.journal(address, moved=True)]

    assert runs(c) == ["r0", "r3", "r4", "r5"]
    assert runs(b) == ["r6"]
    assert runs(a) == ["r1"]


def test_a_long_journal_and_many_keys(store):
    """More than fits one page of reading, or one list of keys."""
    with store.lock("apply") as lease:
        for number in range(501):
            store.realise(lease, Realisation(f"k{number}", f"d{number}", {}, {}))
            store.failed(lease, "r", Address("model", "m", number), {"n": number})
    assert [e.detail["n"] for e in store.journal()] == list(range(501))
    keys = [f"k{number}" for number in range(700)]
    found = store.realisations(keys)
    assert {k: r.digest for k, r in found.items()} == {f"k{n}": f"d{n}" for n in range(501)}
    assert store.verify() == []


def test_the_realisation_made_last_is_selected_and_one_made_beside_is_not(store):
    first = Realisation("k", "d1", {"auc": 0.7}, {"run": "r1"})
    second, third = replace(first, digest="d2"), replace(first, digest="d3")

    def selected():
        return store.realisations(["k", "other"])["k"]

    with store.lock("apply") as lease:
        store.realise(lease, first)
        store.realise(lease, replace(first, receipt={"run": "r2"}))
        assert selected() == first
        store.realise(lease, third, select=False)
        assert selected() == first
        store.realise(lease, second)
        assert selected() == second
        store.realise(lease, first)
        assert selected() == first
    assert [r.digest for r in store.all_realisations("k")] == ["d1", "d2", "d3"]
    assert store.verify() == []


def test_an_alarm_is_recorded_once_and_consumed_once(store):
    drift, other = Address("monitor", "drift"), Address("monitor", "other")
    with store.lock("apply") as lease:
        first = store.raise_alarm(lease, "r", drift, {"psi": 1, "columns": ["x"]})
        again = store.raise_alarm(lease, "r", drift, {"columns": ["x"], "psi": 1.0})
        second = store.raise_alarm(lease, "r", other, {"psi": 1, "columns": ["x"]})
        store.consume(lease, "r", first.id, "trigger.t", "advanced")
        store.consume(lease, "r", first.id, "trigger.t", "something else")
        store.consume(lease, "r", first.id, "trigger.u", "ticked")
    assert again is None
    assert first.id.startswith("ev-") and len(first.id) == 15
    consumed = {"trigger.t": "advanced", "trigger.u": "ticked"}
    assert store.alarms() == [replace(first, consumed_by=consumed), second]
    operations = [e.operation for e in store.journal()]
    assert operations == ["event", "event", "consume", "consume"]
    assert store.snapshot().serial == 0


@pytest.mark.parametrize("same", [{}, {"o": {"value": 1, "sensitive": False}}])
def test_outputs_that_did_not_change_are_no_new_serial(store, same):
    with store.lock("apply") as lease:
        store.put_outputs(lease, "r", same)
        serial = store.snapshot().serial
        store.put_outputs(lease, "r", same)
    assert store.snapshot().serial == serial == len(same)
