"""``store gc`` and ``store verify``: what is held stays, what is not goes, what rotted is named."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.engine.world import World

from mlform.artifacts import LocalStore
from mlform.artifacts.roots import Collecting
from mlform.commands.options import PlanOptions
from mlform.commands.session import Session
from mlform.commands.storing import collect, users, verify
from mlform.diagnostics import DiagnosedError

SPEC = """
training_job "node" "a" {
  value = 1
}
deployment "file" "s" {
  shows = training_job.a.parity
}
"""
SHARED = 'mlform {\n  store { path = "../shared" }\n}\n'
DAY = 86_400


def texts(store: LocalStore) -> set[str]:
    objects = (store.root / "objects").rglob("*")
    return {p.read_text() for p in objects if p.is_file() and p.stat().st_size < 100}


def aged(store: LocalStore, days: float = 2) -> None:
    """Let everything in a store be as old as this."""
    then = time.time() - days * DAY
    for path in store.root.rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def session_of(world: World, spec: str) -> Session:
    return world.session(spec)


def test_what_nothing_holds_goes_once_it_is_old_enough(world: World) -> None:
    world.apply(SPEC)
    session = session_of(world, SPEC)
    session.artifacts.put_bytes(b"left by a run that failed")
    done, _ = collect(session)
    assert (len(done.objects), done.young) == (0, 1)
    aged(session.artifacts)
    done, _ = collect(session, dry_run=True)
    assert len(done.objects) == 1 and len(texts(session.artifacts)) == 2
    done, others = collect(session)
    assert len(done.objects) == 1 and not others
    assert texts(session.artifacts) == {"parity 1"}


def test_every_result_of_a_key_and_the_past_within_the_window_are_held(world: World) -> None:
    world.apply(SPEC)
    world.apply(SPEC.replace("1", "2"))
    world.apply("")
    session = session_of(world, "")
    aged(session.artifacts)
    collect(session)
    assert texts(session.artifacts) == {"parity 0", "parity 1"}


def test_what_was_deleted_for_good_is_not_held_by_the_past(world: World) -> None:
    shared, spec = SHARED, SHARED + 'training_job "node" "x" {\n  value = 1\n}\n'
    world.apply(spec)
    world.apply(shared, PlanOptions(purge=True))
    session = session_of(world, shared)
    assert "parity 1" in texts(session.artifacts)
    aged(session.artifacts)
    collect(session)
    assert texts(session.artifacts) == set()


def test_what_another_state_holds_stays(tmp_path: Path) -> None:
    one, two = World(tmp_path / "one"), World(tmp_path / "two")
    spec = SHARED + 'training_job "node" "x" {\n  value = 1\n}\n'
    one.apply(spec)
    assert two.apply(spec) == {"training_job.x": "reuse"}
    one.apply(SHARED, PlanOptions(purge=True))
    session = session_of(one, SHARED)
    aged(session.artifacts, 100)
    done, others = collect(session)
    # What `one` told the store of its result is withdrawn; the result itself is `two`'s as well.
    assert len(done.objects) == 1 and [r.about["folder"] for r in others] == [str(two.root)]
    assert "parity 1" in texts(session.artifacts)
    assert two.actions(spec) == {}
    # The other folder is no more.
    collect(session, drop=others[0].lineage)
    assert texts(session.artifacts) == set()
    assert len(users(session)) == 1


def test_a_result_taken_from_a_shared_store_is_held_before_it_is_recorded(tmp_path: Path) -> None:
    one, two = World(tmp_path / "one"), World(tmp_path / "two")
    spec = SHARED + 'training_job "node" "x" {\n  value = 1\n}\n'
    one.apply(spec)
    aged(LocalStore(tmp_path / "shared"))
    two.apply(spec)
    held = {r.about["folder"]: r.digests for r in users(session_of(one, spec))}
    [digest] = [a["digest"] for a in [two.records()["training_job.x"].attributes["thing"]]]
    assert digest in held[str(two.root)]


def test_a_root_that_cannot_be_read_stops_the_collection(tmp_path: Path) -> None:
    one, two = World(tmp_path / "one"), World(tmp_path / "two")
    spec = SHARED + 'training_job "node" "x" {\n  value = 1\n}\n'
    one.apply(spec)
    two.apply(spec)
    session = session_of(one, spec)
    [other] = [r for r in users(session) if r.about["folder"] == str(two.root)]
    (session.artifacts.root / other.files[0]).write_text("[broken")
    aged(session.artifacts)
    with pytest.raises(DiagnosedError, match="A root of the store cannot be read"):
        collect(session)
    assert "parity 1" in texts(session.artifacts)


def test_one_collection_at_a_time(world: World) -> None:
    world.apply(SPEC)
    session = session_of(world, SPEC)
    with Collecting(session.artifacts.blobs):
        with pytest.raises(DiagnosedError, match="Store is being collected"):
            collect(session)
        aged(session.artifacts, 1)  # the other one was killed
        collect(session)


def test_no_short_grace_where_others_are_at_work(tmp_path: Path) -> None:
    one, two = World(tmp_path / "one"), World(tmp_path / "two")
    spec = SHARED + 'training_job "node" "x" {\n  value = 1\n}\n'
    one.apply(spec)
    two.apply(spec)
    with pytest.raises(DiagnosedError, match="Grace time is too short"):
        collect(session_of(one, spec), grace=0)


def test_an_object_put_again_is_young_again(world: World) -> None:
    world.apply(SPEC)
    session = session_of(world, SPEC)
    session.artifacts.put_bytes(b"again")
    aged(session.artifacts)
    session.artifacts.put_bytes(b"again")
    assert collect(session)[0].young == 1


def test_corruption_is_set_aside_and_named_and_mended_by_an_apply(world: World) -> None:
    world.apply(SPEC)
    session = session_of(world, SPEC)
    digest = world.records()["training_job.a"].attributes["thing"]["digest"]
    path = session.artifacts.path(digest)
    path.chmod(0o644)
    path.write_bytes(b"parity 0")
    found = verify(session)
    assert [(c.digest, c.users) for c in found.corrupt] == [(digest, ("training_job.a",))]
    assert not path.exists() and list((session.artifacts.root / "corrupt").iterdir())
    assert world.apply(SPEC) == {"training_job.a": "run"}
    assert not verify(session_of(world, SPEC)).corrupt


def test_an_artifact_that_was_edited_is_planned_anew(world: World) -> None:
    """By its size, as reading all there is would take its time; the rest when it is first read."""
    world.apply(SPEC)
    digest = world.records()["training_job.a"].attributes["thing"]["digest"]
    path = session_of(world, SPEC).artifacts.path(digest)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b" and more")
    assert world.actions(SPEC)["training_job.a"] == "run"
    assert world.apply(SPEC)["training_job.a"] == "run"
    assert world.plan(SPEC).empty and not verify(session_of(world, SPEC)).corrupt


def test_what_is_missing_is_named(world: World) -> None:
    world.apply(SPEC)
    session = session_of(world, SPEC)
    digest = world.records()["training_job.a"].attributes["thing"]["digest"]
    session.artifacts.remove(digest)
    assert [(c.digest, c.users) for c in verify(session).missing] == [(digest, ("training_job.a",))]


def test_results_of_an_encrypted_state_are_held_as_well(world: World) -> None:
    spec = 'mlform {\n  encryption {\n    passphrase = "long enough to be one"\n  }\n}\n'
    job = 'training_job "node" "x" {\n  value = 1\n}\n'
    spec = spec.replace("mlform {\n", 'mlform {\n  retention { audit_window = "0s" }\n')
    world.apply(spec + job)
    world.apply(spec)
    session = session_of(world, spec)
    aged(session.artifacts)
    collect(session)
    assert texts(session.artifacts) == {"parity 1"}
    assert world.apply(spec + job) == {"training_job.x": "reuse"}
