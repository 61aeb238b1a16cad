"""Workspaces share a database and nothing else but what results are known."""

import pytest
from tests.state.conftest import make_record

from mlform.address import Address
from mlform.state import LockedError, LostLeaseError, Realisation
from mlform.state.workspaces import Workspaces

A = Address("training_job", "a")


@pytest.fixture
def workspaces(place):
    made = Workspaces(place)
    yield made
    made.close()


def names(workspaces):
    return {it.name: (it.serial, it.records) for it in workspaces.all()}


def test_each_has_its_own_of_everything(filled, another, workspaces):
    workspaces.new("prod")
    before, journal = filled.snapshot(), list(filled.journal())
    prod = another("prod")
    assert prod.snapshot().lineage not in {"", before.lineage}
    assert (prod.snapshot().serial, prod.alarms(), list(prod.journal())) == (0, [], [])
    with prod.lock("apply") as lease, filled.lock("apply"):  # neither is in the other's way
        prod.put(lease, "r", make_record("a", 9), {"action": "run"})
        prod.put(lease, "r", make_record("b", 9), {"action": "run"})
        prod.forget(lease, "r", Address("training_job", "b"), {})
        prod.move(lease, "r", {A: make_record("z", 9)})
        prod.put_outputs(lease, "r", {"x": {"value": 1, "sensitive": False}})
        prod.raise_alarm(lease, "r", Address("monitor", "drift"), {"psi": 0.4})
        prod.intent(lease, "r", A, {})
        prod.realise(lease, Realisation("k", "sha256:other", {}, {}))
    assert filled.snapshot() == before
    assert list(filled.journal())[: len(journal)] == journal
    assert len(list(filled.journal())) == len(journal)
    assert filled.unfinished() == [] and [e.address for e in prod.unfinished()] == [str(A)]
    assert filled.realisations(["k"])["k"].digest == "sha256:d"
    assert prod.realisations(["k"])["k"].digest == "sha256:other"
    assert [r.digest for r in prod.all_realisations("k")] == ["sha256:other"]
    assert len(filled.alarms()) == len(prod.alarms()) == 1
    assert filled.verify() == prod.verify() == []
    assert names(workspaces) == {"default": (before.serial, 2), "prod": (5, 1)}


def test_a_result_of_one_is_taken_by_the_others(filled, another, workspaces):
    workspaces.new("prod")
    prod = another("prod")
    assert prod.realisations(["k"]) == filled.realisations(["k"])
    assert prod.all_realisations("k") == []


@pytest.mark.usefixtures("filled")
def test_one_that_is_none(another, workspaces, explained):
    other = another("prdo")
    workspaces.new("prod")
    with explained("No such workspace", '"prdo"', 'mean "prod"', "workspace new"):
        other.snapshot()
    with explained("No such workspace"), other.lock("apply"):
        pass
    with explained("Workspace exists"):
        workspaces.new("prod")


def test_deleted_with_all_its_past_and_nothing_else(filled, another, workspaces, sql, explained):
    workspaces.new("prod")
    before, prod = filled.snapshot(), another("prod")
    with prod.lock("apply") as lease:
        prod.put(lease, "r", make_record("a", 9), {})
        with pytest.raises(LockedError):
            workspaces.delete("prod", force=True)
    with explained("Workspace is not empty", "1 resource", "-force"):
        workspaces.delete("prod", force=False)
    assert workspaces.delete("prod", force=True).records == 1
    assert names(workspaces).keys() == {"default"}
    for table in ("records", "journal", "history", "realisations", "alarms", "consumed"):
        assert sql(f"SELECT count(*) FROM {table} WHERE workspace = 'prod'") == [(0,)]  # noqa: S608 - ours
    assert filled.snapshot() == before and filled.verify() == []
    with explained("No such workspace"):
        workspaces.delete("prod", force=True)


def test_a_lease_of_one_is_none_of_another(filled, another, workspaces):
    workspaces.new("prod")
    prod = another("prod")
    with filled.lock("apply") as mine, prod.lock("apply") as theirs:
        assert prod.break_lock(mine.id) is False
        if mine.fence != theirs.fence:
            with pytest.raises(LostLeaseError):
                prod.put(mine, "r", make_record(), {})


def test_all_there_is_before_anything_was_written(workspaces):
    assert names(workspaces) == {"default": (0, 0)}
