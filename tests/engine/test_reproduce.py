"""Making results again: from where, what prevents it, and what stays as it is."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.histories.model import Block, Round
from tests.engine.histories.run import Place, written
from tests.engine.world import Inline

from mlform.apply import Reproduced
from mlform.commands.reproducing import reproduce
from mlform.diagnostics import DiagnosedError

ROUND = Round(
    (
        Block("dataset", "lines", "d", values={"path": '"d.txt"'}),
        Block("feature_view", "sum", "f", values={"transform": '"steps.py:build"'}, of="d"),
        Block("training_job", "odd", "a", values={"value": "1", "packages": '["toy"]'}, of="f"),
        Block("model", "channel", "m", of="a"),
    ),
    files={"d.txt": ("1", "2")},
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path / "spec")
    apply(found, ROUND)
    return found


def apply(place: Place, round_: Round) -> str:
    """Apply, and return the name of the run."""
    written(place, round_)
    done = place.apply(round_)
    assert done.applied and done.applied.outcome and done.applied.outcome.complete
    runs = [r.receipt["run"] for r in place.snapshot().records.values()]
    return max(runs)


def again(place: Place, what: str) -> dict[str, Reproduced]:
    session = place.session()
    with place.lent(Inline()):
        return {str(r.address): r for r in reproduce(session, what, lambda _event: None)}


def test_a_run_is_made_again_and_nothing_moves(place: Place) -> None:
    before = place.snapshot()
    run = before.records[min(before.records)].receipt["run"]
    found = again(place, run)
    assert {a: r.verdict for a, r in found.items()} == dict.fromkeys(
        ["dataset.d", "feature_view.f", "training_job.a"], "equal"
    )
    assert found["feature_view.f"].code == "as it is here"
    assert place.snapshot() == before
    assert place.plan(ROUND).empty


def test_an_old_run_takes_what_it_took_then(place: Place) -> None:
    first = place.snapshot().records
    run = next(iter(first.values())).receipt["run"]
    apply(place, replace(ROUND, files={"d.txt": ("1", "2", "3", "4")}))
    found = again(place, run)
    assert found["dataset.d"].verdict == "failed"
    assert "made from other data: 2, 3 changed at the source" in found["dataset.d"].problem
    assert found["feature_view.f"].verdict == "equal"
    assert found["training_job.a"].before == first[found["training_job.a"].address].digest
    assert found["training_job.a"].verdict == "equal"


def test_another_result_is_kept_beside_and_not_selected(place: Place) -> None:
    (place.root / "luck.json").write_text('{"noise": 1}')
    found = again(place, "training_job.a")["training_job.a"]
    assert found.verdict == "different"
    assert not found.kept
    assert [d["what"] for d in found.differences] == ["parity", "thing"]
    record = next(r for a, r in place.snapshot().records.items() if a.name == "a")
    kept = place.store.all_realisations(record.key)
    assert [r.digest for r in kept] == [found.before, found.after]
    assert kept[1].receipt["reproduces"] == record.receipt["run"]
    assert place.plan(ROUND).empty


def test_packages_that_differ_are_named(place: Place) -> None:
    place.package = 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlform.keys.environment", lambda names: dict.fromkeys(names, "2"))
        found = again(place, "training_job.a")["training_job.a"]
    assert found.verdict == "equal"
    assert found.environment == {"toy": ("1", "2")}


def git(place: Place, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", *identity, *arguments]
    done = subprocess.run(command, cwd=place.root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_code_that_has_changed_comes_from_the_commit(tmp_path: Path) -> None:
    place = Place(tmp_path / "spec")
    written(place, ROUND)
    git(place, "init", "-q")
    git(place, "add", "steps.py")
    git(place, "commit", "-qm", "first")
    place.provenance = {"commit": git(place, "rev-parse", "HEAD"), "dirty": False}
    apply(place, ROUND)
    place.provenance = {}
    (place.root / "steps.py").write_text("def build(rows):\n    return 7\n")
    found = again(place, "feature_view.f")["feature_view.f"]
    assert found.verdict == "equal"
    assert found.code.startswith("commit ")

    place.provenance = {"commit": git(place, "rev-parse", "HEAD"), "dirty": True}
    with place.lent(Inline()):
        changed = place.apply(replace(ROUND))
    assert changed.applied and changed.applied.outcome and changed.applied.outcome.complete
    (place.root / "steps.py").write_text("def build(rows):\n    return 8\n")
    found = again(place, "feature_view.f")["feature_view.f"]
    assert found.verdict == "failed"
    assert "with changes that were not committed, which has other code" in found.problem


def test_what_is_no_result_is_refused(place: Place) -> None:
    for what, problem in (
        ("model.m", "no result of its inputs alone"),
        ("r-20000101-000000-abcdef", "There is no run"),
        ("training_job.b", "not recorded"),
    ):
        with pytest.raises(DiagnosedError, match=problem):
            again(place, what)
