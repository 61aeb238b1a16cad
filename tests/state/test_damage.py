"""A state that cannot be believed, read or written says so, and never by a traceback."""

import os
import random
import sqlite3
import subprocess
import sys
from contextlib import contextmanager

import pytest
from tests.state.conftest import in_a_file

from mlform.diagnostics import DiagnosedError
from mlform.state.store import SqlStore

DAMAGED = "State is damaged"
UNUSABLE = "State cannot be used"
NOBODY = 65534


def at(file):
    return SqlStore(f"sqlite:///{file}")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE records SET data = replace(data, '0.14', '0.15') WHERE address LIKE '%.a'", ".a "),
        ("UPDATE records SET data = substr(data, 2) WHERE address LIKE '%.b'", ".b "),
        ("UPDATE records SET data = x'ff00' WHERE address LIKE '%.a'", ".a "),
        ("UPDATE records SET address = 'training_job.q' WHERE address LIKE '%.b'", ".q "),
        ("UPDATE records SET sha256 = 'x' WHERE address LIKE '%.a'", ".a "),
        ("UPDATE state SET outputs = '{}'", "outputs"),
    ],
)
def test_a_row_that_was_altered(filled, sql, explained, change, told):
    assert filled.verify() == []
    sql(change)
    with explained(DAMAGED, told, "backup"):
        filled.snapshot()
    assert any(told.strip() in line for line in filled.verify())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE journal SET detail = '[]' WHERE sequence = 3", "entry 3 or one before"),
        ("UPDATE journal SET run = 'r9' WHERE sequence = 1", "entry 1 or"),
        ("DELETE FROM journal WHERE sequence = 4", "entry 4 is missing"),
        ("DELETE FROM journal WHERE serial = 5", "at serial 5"),
        ("DELETE FROM records WHERE address LIKE '%.a'", "training_job.a is missing"),
        ("UPDATE state SET lineage = 'another'", "entry 1 or"),
        ("UPDATE state SET serial = 9", "at serial 9, its journal at 5"),
        ("UPDATE realisations SET digest = 'x'", "realisation k"),
        ("UPDATE alarms SET payload = '{}'", "alarm ev-"),
    ],
)
def test_what_only_a_look_at_everything_finds(filled, sql, change, told):
    if "serial = 5" in change:  # the end of the journal cut off
        sql("DELETE FROM journal WHERE sequence > (SELECT min(sequence) FROM journal "
            "WHERE serial = 5)")  # fmt: skip
    sql(change)
    assert any(told in line for line in filled.verify()), filled.verify()


def test_an_old_row_put_back_with_its_hash(store, sql, record):
    with store.lock("apply") as lease:
        store.put(lease, "r", record("a", 1), {})
        old = sql("SELECT * FROM records")[0]
        store.put(lease, "r", record("a", 2), {})
    sql("DELETE FROM records")
    sql("INSERT INTO records VALUES (?, ?, ?, ?)", *old)
    assert store.verify() == ["the record of training_job.a is not the journal's"]


def test_a_damaged_realisation_is_none_and_is_made_anew(filled, sql):
    (whole,) = filled.realisations(["k"]).values()
    sql("UPDATE realisations SET attributes = '{}'")
    assert filled.realisations(["k"]) == {}
    with filled.lock("apply") as lease:
        filled.realise(lease, whole)
    assert filled.realisations(["k"]) == {"k": whole}


def test_a_damaged_journal_entry_and_holder(filled, sql, explained):
    sql("UPDATE journal SET detail = '{' WHERE sequence = 2")
    with explained(DAMAGED, "entry 2"):
        list(filled.journal())
    with filled.lock("apply"):
        sql("UPDATE leases SET holder = '{}'")
        with explained(DAMAGED, "lock"), filled.lock("apply"):
            pass


@in_a_file
def test_flipped_bits_are_noticed(filled, file, tmp_path):
    """One bit anywhere in the file: seen on reading, found by ``verify``, or it changed nothing."""
    filled.close()
    whole = filled.snapshot()
    filled.close()
    content = file.read_bytes()
    used = [place for place, byte in enumerate(content) if byte]  # most of a page is empty
    chance = random.Random(20)  # noqa: S311 - the same bits every time
    seen = 0
    for _ in range(250):
        place, bit = chance.choice(used), chance.randrange(8)
        rotten = bytearray(content)
        rotten[place] ^= 1 << bit
        other = tmp_path / "rotten.db"
        other.write_bytes(rotten)
        store = at(other)
        try:
            same = store.snapshot() == whole
            if not same:
                assert store.verify(), (place, bit)
        except DiagnosedError:
            seen += 1
        store.close()
    assert seen > 20


def test_nothing_there_yet_and_nothing_made_by_looking(tmp_path):
    store = at(tmp_path / "no" / "state.db")
    snapshot = store.snapshot()
    assert (snapshot.lineage, snapshot.serial, snapshot.records) == ("", 0, {})
    assert list(store.journal()) == [] == store.verify() == store.unfinished() == store.alarms()
    assert store.realisations(["k"]) == {}
    assert list(tmp_path.iterdir()) == []
    with store.lock("apply"):
        pass
    assert len(store.snapshot().lineage) == 36


def test_an_empty_file_is_no_state_yet(file):
    file.touch()
    assert at(file).snapshot().serial == 0
    with at(file).lock("apply"):
        pass


def test_no_database(file, explained):
    file.write_text("terraform state, version 4\n" * 100)
    with explained(UNUSABLE, "not a database", str(file), "backup"):
        at(file).snapshot()
    with explained(UNUSABLE, "not a database"), at(file).lock("apply"):
        pass


@in_a_file
def test_another_program_s_database(file, sql, explained):
    sql("CREATE TABLE state (name TEXT, version INT)")
    with explained(UNUSABLE, "version of mlform"):
        at(file).snapshot()


@in_a_file
def test_a_state_whose_table_cannot_be_found_is_no_new_one(filled, file, sql, explained):
    filled.close()
    sql("ALTER TABLE state RENAME TO stbte")
    with explained(DAMAGED, "backup"):
        at(file).snapshot()
    with explained(DAMAGED, "backup"), at(file).lock("apply"):
        pass
    with explained(DAMAGED, "backup"):
        at(file).verify()


def test_a_folder_where_the_file_should_be(tmp_path, explained):
    with explained(UNUSABLE, str(tmp_path), "right to"):
        at(tmp_path).snapshot()
    (tmp_path / "file").touch()
    with explained(UNUSABLE), at(tmp_path / "file" / "state.db").lock("apply"):
        pass


def test_of_a_newer_version(filled, sql, explained):
    filled.close()
    sql("UPDATE state SET schema_version = 4")
    sql("ALTER TABLE state DROP COLUMN outputs_sha256")
    for _ in range(2):
        with explained("State is of a newer version", "format 4", "knows 3", "upgrade"):
            filled.snapshot()
    with explained("State is of a newer version"), filled.lock("apply"):
        pass


@pytest.mark.parametrize("url", ["mysql://u:secret@h/db", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused(url, explained):
    with explained("State backend is not supported", "sqlite:///"):
        SqlStore(url)


def test_a_path_is_a_path(tmp_path, record):
    file = tmp_path / "a b?mode=ro&x=%41#é" / "state.db"
    with at(file).lock("apply") as lease:
        at(file).put(lease, "r", record(), {})
    assert file.exists()
    assert at(file).snapshot().serial == 1


@contextmanager
def unprivileged(folder):
    """Be someone who may read a folder and not write it."""
    root = os.geteuid() == 0
    for path in (folder, *folder.iterdir()):
        path.chmod(0o555 if path.is_dir() else 0o444)
    if root:
        for parent in folder.parents:
            if "pytest-of-" in str(parent):
                parent.chmod(0o755)
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_may_not_write(tmp_path, record, explained):
    folder = tmp_path / "shared"
    store = at(folder / "state.db")
    with store.lock("apply") as lease:
        store.put(lease, "r", record(), {})
    store.close()
    with unprivileged(folder):
        with explained(UNUSABLE, "right to"), at(folder / "state.db").lock("apply"):
            pass
        with explained(UNUSABLE), at(folder / "sub" / "state.db").lock("apply"):
            pass
    assert store.snapshot().serial == 1


@in_a_file
@pytest.mark.usefixtures("filled")
def test_a_writer_that_hangs(file, explained, monkeypatch):
    monkeypatch.setattr("mlform.state.sqlite.PATIENCE", 0)
    waiting = at(file)
    hanging = sqlite3.connect(file, isolation_level=None)
    try:
        hanging.execute("BEGIN IMMEDIATE")
        with explained(UNUSABLE, "locked", "hangs"), waiting.lock("apply"):
            pass
        assert waiting.snapshot().serial == 5  # readers need not wait
    finally:
        hanging.close()


def test_types_are_cheap_to_import():
    code = "import sys, mlform.state; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
