"""A process dies at any moment: nothing acknowledged is lost, nothing is half there."""

import json
import signal

import pytest
from tests.state.conftest import in_a_file, make_record
from tests.state.worker import STEPS

from mlform.address import Address
from mlform.diagnostics import DiagnosedError
from mlform.state.store import SqlStore


def after(steps):
    """What a state must hold after some steps."""
    records, outputs, alarms = {}, {}, 0
    for what, name, value in steps:
        if what == "put":
            records[Address("training_job", name)] = make_record(name, value)
        elif what == "forget":
            del records[Address("training_job", name)]
        elif what == "outputs":
            outputs[name] = {"value": value, "sensitive": False}
        else:
            alarms += 1
    serial = sum(what != "alarm" for what, _, _ in steps)
    return records, outputs, serial, alarms


def wrong(folder):
    """What is not as it must be after a crash there, as text; empty if all is well."""
    acknowledged = folder / "acknowledged"
    lines = acknowledged.read_text().splitlines() if acknowledged.exists() else []
    count = len(lines)
    assert [json.loads(line) for line in lines] == STEPS[:count]
    store = SqlStore(f"sqlite:///{folder}/state.db")
    try:
        snapshot = store.snapshot()
        found = (snapshot.records, snapshot.outputs, snapshot.serial, len(store.alarms()))
        if found not in (after(STEPS[:count]), after(STEPS[: count + 1])):
            return f"after {count} acknowledged steps: {found}"
        if problems := store.verify():
            return f"{problems}"
        with store.lock("apply") as lease:
            put = store.put(lease, "r2", make_record("z"), {})
        if put != snapshot.serial + 1:
            return f"serial {put} after {snapshot.serial}"
        return "; ".join(store.verify())
    except DiagnosedError as error:
        return str(error)
    finally:
        store.close()


def crashed(start, file, *more):
    assert start("crash", *more).wait() == 0
    folders = sorted(p for p in file.parent.iterdir() if p.is_dir())
    assert (folders[-1] / "whole").exists()
    return folders


@in_a_file
def test_killed_before_any_statement_and_before_any_commit(start, file):
    folders = crashed(start, file)
    assert len(folders) > 60
    assert {f.name: w for f in folders if (w := wrong(f))} == {}


@in_a_file
def test_without_transactions_the_same_kills_are_noticed(start, file):
    """The control: what the test above cannot fail, it does not show."""
    assert [w for f in crashed(start, file, "mutant") if (w := wrong(f))]


@pytest.mark.parametrize("acknowledged", [1, 2, 5, 13, 40])
def test_killed_while_writing(start, store, acknowledged):
    writer = start("write")
    seen = [writer.stdout.readline().split() for _ in range(acknowledged)]
    writer.kill()
    seen += [line.split() for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    snapshot = store.snapshot()
    assert [int(serial) for *_, serial in seen] == list(range(1, len(seen) + 1))
    assert snapshot.serial in {len(seen), len(seen) + 1}
    last = {name: int(number) for name, number, _ in seen}
    for name, number in last.items():
        value = snapshot.records[Address("training_job", name)].arguments["value"]
        assert value in {number, snapshot.serial}
    assert store.verify() == []
    assert len(store.unfinished()) <= 1
    with store.lock("apply") as lease:
        assert store.put(lease, "r", make_record("z"), {}) == snapshot.serial + 1


def test_killed_between_intent_and_result(store, record):
    a, b = Address("training_job", "a"), Address("training_job", "b")
    with store.lock("apply") as lease:
        store.intent(lease, "r1", a, {"action": "create"})
        store.intent(lease, "r1", b, {})
        store.failed(lease, "r1", b, {"error": "disk"})
    (left,) = store.unfinished()
    assert (left.address, left.run, left.detail) == (str(a), "r1", {"action": "create"})
    with store.lock("apply") as lease:
        store.put(lease, "r2", record("a"), {})
    assert store.unfinished() == []


def test_an_alarm_of_a_monitor_does_not_finish_its_intent(store):
    monitor = Address("monitor", "drift")
    with store.lock("apply") as lease:
        store.intent(lease, "r1", monitor, {})
        store.raise_alarm(lease, "r1", monitor, {"psi": 1})
    assert [e.address for e in store.unfinished()] == ["monitor.drift"]


@in_a_file
def test_no_room(start, store):
    """What was acknowledged before the room ended is there, and it says what to do."""
    out, _ = start("cramped", 300_000).communicate()
    lines = out.splitlines()
    wrote = [int(line.split()[1]) for line in lines if line.startswith("wrote")]
    assert lines[-1].startswith("explained State cannot be used") and "room" in lines[-1]
    assert wrote == list(range(1, len(wrote) + 1))
    snapshot = store.snapshot()
    assert snapshot.serial == len(snapshot.records) == len(wrote) > 0
    assert store.verify() == []


def test_interrupted_by_the_user(start, store):
    holder = start("hold")
    holder.stdout.readline()
    holder.send_signal(signal.SIGINT)
    holder.wait()
    with store.lock("apply") as lease:
        assert lease.fence > 1
