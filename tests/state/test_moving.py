"""A state moves between backends with all its past; stopped at any moment, nothing is lost."""

from dataclasses import replace

import pytest
from tests.state.conftest import SCHEMAS, make_record

from mlform.address import Address
from mlform.failpoints import arm
from mlform.state import LockedError, moving
from mlform.state.cipher import AesCipher, Source
from mlform.state.place import Place
from mlform.state.tables import METADATA
from mlform.state.workspaces import Workspaces

A = Address("training_job", "a")
KEY, OTHER = Source("a passphrase, long enough"), Source("another passphrase, long")
CANARY = "canary-on-the-move"


@pytest.fixture
def elsewhere(place, postgres, tmp_path):
    """A place on the other backend."""
    if place.file is None:
        return Place.in_file(tmp_path / "other" / "state.db")
    return Place(postgres.url, schema=f"test_{next(SCHEMAS)}")


def told(place):
    store = place.store()
    try:
        return {
            "snapshot": store.snapshot(),
            "journal": list(store.journal()),
            "realisations": store.all_realisations("k"),
            "alarms": store.alarms(),
            "history": store.history([str(A)], 99, 9),
            "wrong": store.verify(),
        }
    finally:
        store.close()


@pytest.fixture
def crowded(filled, place):
    """A state of two workspaces, with some of everything."""
    others = Workspaces(place)
    others.new("prod")
    others.close()
    prod = Place(place.url, "prod", place.schema)
    store = prod.store()
    with store.lock("apply") as lease:
        store.put(lease, "r1", make_record("prod", 7), {"action": "run"})
    store.close()
    filled.close()
    return place, prod


def at(place, workspace):
    return Place(place.url, workspace, place.schema)


def test_all_of_it_arrives_and_goes_back(crowded, elsewhere, explained):
    place, prod = crowded
    before, before_prod = told(place), told(prod)
    moved = moving.move(place, elsewhere)
    assert moved.workspaces == ("default", "prod")
    assert told(elsewhere) == before and told(at(elsewhere, "prod")) == before_prod
    for old in (place, prod):
        with explained("State has moved", "backup"):
            old.store().snapshot()
        with explained("State has moved"), old.store().lock("apply"):
            pass
    store = elsewhere.store()
    with store.lock("apply") as lease:
        serial = before["snapshot"].serial
        assert store.put(lease, "r5", make_record("later"), {}) == serial + 1
    after = told(elsewhere)
    store.close()
    moving.move(elsewhere, place)
    assert told(place) == after and told(prod) == before_prod
    assert after["wrong"] == []


def test_an_encrypted_state_moves_as_it_is_and_back(place, elsewhere, explained, sql):
    """What is encrypted is so on the way, and there; without the key it cannot be checked there."""
    here, there = (replace(p, cipher=AesCipher(KEY)) for p in (place, elsewhere))
    store = here.store()
    with store.lock("apply") as lease:
        for name in ("a", "b"):
            made = make_record(name, attributes={"t": CANARY})
            store.put(lease, "r", made, {"action": "create", "why": CANARY})
        store.put_outputs(lease, "r", {"o": {"value": CANARY, "sensitive": False}})
    store.close()
    before = told(here)
    assert before["wrong"] == []
    for target in (elsewhere, replace(elsewhere, cipher=AesCipher(OTHER))):
        with explained("Wrong encryption key" if target.cipher.active else "State is encrypted"):
            moving.move(here, target)
    moving.move(here, there)
    assert told(there) == before
    with explained("State has moved"):
        here.store().snapshot()
    elsewhere_store = there.store()
    with elsewhere_store.lock("apply") as lease:
        elsewhere_store.put(lease, "r2", make_record("later"), {})
    elsewhere_store.close()
    after = told(there)
    moving.move(there, here)
    assert told(here) == after and after["wrong"] == []
    for file in (place.file or elsewhere.file).parent.glob("*"):
        assert not file.is_file() or CANARY.encode() not in file.read_bytes()
    if place.file is None:
        assert not any(CANARY in repr(sql(f"SELECT * FROM {n}")) for n in METADATA.tables)  # noqa: S608 - names of our own


@pytest.mark.parametrize("point", ["state.commit", "state.committed"])
def test_stopped_at_any_commit_and_done_again(crowded, elsewhere, point, sql):
    place, prod = crowded
    before, before_prod = told(place), told(prod)
    stops = 0
    for at_hit in range(1, 9):
        hits = [at_hit]

        def hear(name, hits=hits):
            hits[0] -= name == point
            if hits[0] == 0 and name == point:
                raise KeyboardInterrupt

        arm(hear)
        try:
            moving.move(place, elsewhere)
        except KeyboardInterrupt:
            stops += 1
            arm(None)
            sql("DELETE FROM leases")  # this process lives on; one that died does not
            whole = [p for p in (place, elsewhere) if _counts(p)]
            assert whole and all(told(p)["snapshot"] == before["snapshot"] for p in whole)
            if not _counts(place):
                break
        else:
            break
        finally:
            arm(None)
    assert stops >= 3
    if _counts(place):
        moving.move(place, elsewhere)
    found = told(elsewhere)
    assert {n: v for n, v in found.items() if n != "journal"} == {
        n: v for n, v in before.items() if n != "journal"
    }
    assert [e.sha256 for e in found["journal"]][: len(before["journal"])] == [
        e.sha256 for e in before["journal"]
    ]
    assert told(at(elsewhere, "prod"))["snapshot"] == before_prod["snapshot"]


def _counts(place):
    """Whether there is a state here to go on with."""
    from mlform.diagnostics import DiagnosedError

    store = place.store()
    try:
        return store.snapshot().serial > 0
    except DiagnosedError:
        return False
    finally:
        store.close()


def test_another_state_is_left_alone(crowded, elsewhere, explained):
    place, _ = crowded
    store = elsewhere.store()
    with store.lock("apply") as lease:
        store.put(lease, "r", make_record("mine"), {})
    before = told(elsewhere)
    with explained("There is another state", "1 resource", "-reconfigure"):
        moving.move(place, elsewhere)
    assert told(elsewhere) == before and _counts(place)
    store.close()


def test_not_while_someone_writes(crowded, elsewhere):
    place, prod = crowded
    store = prod.store()
    with store.lock("apply"), pytest.raises(LockedError):
        moving.move(place, elsewhere)
    assert _counts(place) and not _counts(elsewhere)


def test_what_is_damaged_does_not_move(crowded, elsewhere, sql, explained):
    place, _ = crowded
    sql("UPDATE realisations SET digest = 'x'")
    with explained("State was not moved", "realisation"):
        moving.move(place, elsewhere)
    assert _counts(place) and not _counts(elsewhere)


def test_nothing_to_move(place, elsewhere, explained):
    with explained("Nothing to move", "no state"):
        moving.move(place, elsewhere)
    with elsewhere.store().lock("apply"):
        pass
    with explained("Nothing to move", "already"):
        moving.move(elsewhere, elsewhere)
