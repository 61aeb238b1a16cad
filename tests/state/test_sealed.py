"""A store that encrypts: every kind of row, keys that change, and what others can see."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.state.conftest import make_record

from mlform.address import Address
from mlform.diagnostics import DiagnosedError
from mlform.state import Realisation, Revision
from mlform.state.cipher import AesCipher, Source
from mlform.state.tables import METADATA
from mlform.state.workspaces import Workspaces

OLD, NEW = Source("an old passphrase, long"), Source("a new passphrase, long")
CANARY = "canary-of-the-store"


@pytest.fixture
def opened(place):
    """Open the same database with any cipher."""
    made = []

    def call(cipher):
        made.append(replace(place, cipher=cipher).store())
        return made[-1]

    yield call
    for store in made:
        store.close()


@pytest.fixture
def shows(place, sql):
    """Tell whether anybody who can read the database, or its file, can read the canary."""

    def call():
        if place.file is not None:
            return CANARY.encode() in place.file.read_bytes()
        return any(CANARY in repr(sql(f"SELECT * FROM {name}")) for name in METADATA.tables)  # noqa: S608 - names of our own

    return call


def fill(store):
    a, monitor = Address("training_job", "a"), Address("monitor", "m")
    with store.lock("apply") as lease:
        store.intent(lease, "r1", a, {"why": CANARY})
        store.put(lease, "r1", make_record("a", attributes={"t": CANARY}), {"action": "create"})
        store.put(lease, "r1", make_record("b", attributes={"t": CANARY}), {"action": "create"})
        store.move(lease, "r1", {Address("training_job", "b"): make_record("c")})
        store.revise(lease, "r2", Revision({"action": CANARY}, {a: make_record("a", 2)}))
        store.put_outputs(lease, "r1", {"o": {"value": CANARY, "sensitive": False}})
        alarm = store.raise_alarm(lease, "r1", monitor, {"t": CANARY})
        store.consume(lease, "r1", alarm.id, "trigger.t", CANARY)
        store.realise(lease, Realisation("k", "sha256:d", {"t": CANARY}, {"by": CANARY}))
        store.realise(lease, Realisation("k", "sha256:e", {"t": CANARY}, {}), select=False)
        store.approve(lease, "r1", a, {"statement": CANARY})


def everything(store):
    """Return all that a store tells."""
    journal = list(store.journal())
    return (
        store.snapshot(),
        [(e.sequence, e.sha256, e.detail) for e in journal if e.operation != "resealed"],
        store.realisations(["k"]),
        store.all_realisations("k"),
        store.alarms(),
        store.approvals(),
        store.since(0),
        store.made(Address("training_job", "a")),
    )


def test_every_row_comes_back_and_none_shows(opened, shows):
    store = opened(AesCipher(NEW))
    fill(store)
    assert store.verify() == []
    assert store.snapshot().outputs["o"]["value"] == CANARY
    assert store.alarms()[0].consumed_by == {"trigger.t": CANARY}
    assert store.realisations(["k"])["k"].receipt == {"by": CANARY}
    assert store.approvals()[0].detail["statement"] == CANARY
    store.close()
    assert not shows()
    assert everything(opened(AesCipher(NEW))) == everything(store)


def test_a_new_key_and_none_tell_the_same(opened, shows):
    clear = opened(AesCipher(None, [OLD]))
    fill(clear)
    told = everything(clear)
    clear.close()
    assert shows()
    for cipher in (AesCipher(OLD), AesCipher(NEW, [OLD]), AesCipher(None, [NEW])):
        store = opened(cipher)
        with store.lock("state encrypt") as lease:
            store.reseal(lease, "r3")
        store.close()
        assert everything(opened(cipher)) == told
        assert opened(cipher).verify() == []
        assert shows() is not cipher.active


def test_another_key_is_said_and_never_taken_for_damage(opened):
    fill(opened(AesCipher(OLD)))
    other = opened(AesCipher(NEW))
    for ask in (other.snapshot, other.alarms, other.verify, lambda: list(other.journal())):
        with pytest.raises(DiagnosedError) as raised:
            ask()
        assert raised.value.diagnostics.errors[0].summary == "Wrong encryption key"


OTHER = "SELECT detail FROM journal WHERE sequence = 2"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE journal SET detail = (%s) WHERE sequence = 3", "journal entry 3"),
        ("UPDATE journal SET serial = serial + 1 WHERE operation = 'outputs'", "journal entry"),
        ("UPDATE alarms SET payload = (%s)", "the alarm"),
        ("UPDATE realisations SET attributes = receipt, receipt = attributes", "the realisation"),
    ],
)
def test_what_is_moved_or_swapped_is_found_out(opened, sql, change, words):
    store = opened(AesCipher(NEW))
    fill(store)
    sql(change.replace("%s", OTHER))
    assert any(words in problem for problem in store.verify()), store.verify()


@pytest.mark.parametrize("cipher", [AesCipher(None), AesCipher(OLD)])
def test_alarms_go_with_monitors_and_triggers(opened, cipher):
    store = opened(cipher)
    monitor, trigger = Address("monitor", "m"), Address("trigger", "t")
    with store.lock("apply") as lease:
        first = store.raise_alarm(lease, "r1", monitor, {"n": 1})
        other = store.raise_alarm(lease, "r1", Address("monitor", "o"), {"n": 2})
        store.consume(lease, "r1", first.id, str(trigger), "moved")
        store.consume(lease, "r1", other.id, "trigger.u", "moved")
        new = {
            monitor: make_record(address=Address("monitor", "n")),
            trigger: make_record(address=Address("trigger", "u")),
        }
        store.move(lease, "r2", new)
    found = {a.id: (a.monitor, a.payload, dict(a.consumed_by)) for a in store.alarms()}
    assert found == {
        first.id: ("monitor.n", {"n": 1}, {"trigger.u": "moved"}),
        other.id: ("monitor.o", {"n": 2}, {"trigger.u": "moved"}),
    }
    assert store.verify() == []


@pytest.mark.parametrize("cipher", [AesCipher(NEW), AesCipher(NEW, enforced=True), AesCipher(None)])
def test_results_of_a_workspace_with_another_key_are_none_here(place, cipher):
    Workspaces(place).new("prod")
    there = replace(place, workspace="prod", cipher=AesCipher(OLD)).store()
    here = replace(place, cipher=cipher).store()
    with there.lock("apply") as lease:
        there.realise(lease, Realisation("k", "sha256:d", {"t": CANARY}, {}))
    assert set(there.realisations(["k"])) == {"k"}
    assert here.realisations(["k"]) == {}
    with here.lock("apply") as lease:
        here.realise(lease, Realisation("k", "sha256:e", {}, {}))
    assert here.realisations(["k"])["k"].digest == "sha256:e"
    there.close()
    here.close()
