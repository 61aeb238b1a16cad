"""Long attributes of a record: read when asked for, and the plan is what it would be anyway."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest
from tests.engine.test_apply import ABC, CHAIN
from tests.engine.world import World

from mlform.address import Address
from mlform.late import Late

ALONE = 'training_job "node" "a" {\n  value = 1\n}\n'


@pytest.fixture(autouse=True)
def every_record_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlform.state.codec._LONG", 0)


def attributes(world: World, name: str = "training_job.a") -> Late:
    """Return the attributes of what is recorded."""
    found = world.session(ALONE).snapshot().records[Address.parse(name)].attributes
    assert isinstance(found, Late)
    return found


def store(world: World) -> Path:
    return world.root / ".mlform" / "store" / "objects" / "sha256"


def grown_old(world: World) -> None:
    """Let nothing have come into the store or gone from it lately."""
    for folder in store(world).iterdir():
        stat = folder.stat()
        os.utime(folder, ns=(stat.st_atime_ns, stat.st_mtime_ns - 3_600_000_000_000))


def test_what_changes_runs_and_what_does_not_does_not(world: World) -> None:
    assert world.apply(CHAIN) == dict.fromkeys(ABC, "run")
    assert world.actions(CHAIN) == {}
    assert world.apply(CHAIN, v=2) == dict.fromkeys(ABC, "run")
    assert world.actions(CHAIN, v=2) == {}


def test_a_plan_of_no_change_reads_none(world: World) -> None:
    world.apply(ALONE)
    grown_old(world)
    for _ in range(2):  # the first looks for the artifact, and remembers that it is there
        session = world.session(ALONE)
        snapshot = session.snapshot()
        session.plan(snapshot)
        session.looker.save()
    found = snapshot.records[Address.parse("training_job.a")].attributes
    assert isinstance(found, Late) and found.unread("thing")
    assert found["parity"] == 1 and found["thing"]["size"] == len("parity 1")
    assert not found.unread("thing")


@pytest.mark.parametrize("old", [True, False])
def test_what_is_gone_is_missed_though_it_was_there(world: World, old: bool) -> None:
    world.apply(ALONE)
    if old:
        grown_old(world)
    session = world.session(ALONE)
    session.plan(session.snapshot())
    session.looker.save()
    digest = attributes(world)["thing"]["digest"].removeprefix("sha256:")
    (store(world) / digest[:2] / digest[2:]).unlink()
    assert world.actions(ALONE) == {"training_job.a": "run"}


def test_a_row_is_what_was_written_or_the_state_is_damaged(world: World) -> None:
    world.apply(ALONE)
    assert world.session(ALONE).store.verify() == []
    file = world.root / ".mlform" / "state.db"
    with sqlite3.connect(file) as database:
        (written,) = database.execute("SELECT data FROM records").fetchone()
        head, *lines = written.split("\n")
        assert json.loads(head)["late"] == ["thing"] and len(lines) == 1
        database.execute("UPDATE records SET data = ?", [f"{head}\n{lines[0][:-1]}A"])
    database.close()
    assert "the record of training_job.a was altered" in world.session(ALONE).store.verify()
    with pytest.raises(Exception, match="is not what was written"):
        world.session(ALONE).snapshot()
