"""A state that an older mlform wrote is read as it is, and brought up by the first write."""

import gzip
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from tests.state.conftest import in_a_file, make_record

from mlform.address import Address
from mlform.state import LockedError
from mlform.state.file import snapshot
from mlform.state.holder import Holder
from mlform.state.place import Place
from mlform.state.store import SqlStore
from mlform.state.tables import METADATA

DATA = Path(__file__).parent / "data"
OLD = sorted(DATA.glob("version-*.db.gz"))
MOVED = Address("training_job", "moved")
A = Address("training_job", "a")


@pytest.fixture(params=OLD, ids=lambda path: path.name.split(".")[0])
def old(request, file):
    """A state as an older version left it."""
    file.write_bytes(gzip.decompress(request.param.read_bytes()))
    return file


def told(store):
    """All that a store can tell."""
    return {
        "snapshot": store.snapshot(),
        "journal": list(store.journal()),
        "realisations": [(r.digest, r.attributes) for r in store.all_realisations("k")],
        "alarms": store.alarms(),
        "unfinished": store.unfinished(),
        "history": store.history([str(A), str(MOVED)], 99, 9),
        "estimated": store.estimated(99, 9),
        "runs": store.runs(),
        "wrong": store.verify(),
    }


def tables(file):
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {name: " ".join(sql.split()) for name, sql in rows}


def test_there_is_a_state_of_every_version():
    assert [path.name for path in OLD] == ["version-1.db.gz"]


def test_looking_changes_nothing_and_tells_all(old):
    before = old.read_bytes()
    store = SqlStore(f"sqlite:///{old}")
    found = told(store)
    store.close()
    assert old.read_bytes() == before
    assert sorted(p.name for p in old.parent.iterdir()) == [old.name]
    assert found["snapshot"] == snapshot(old)
    assert found["snapshot"].records == {A: make_record("a", 4), MOVED: make_record("moved", 2)}
    assert found["snapshot"].outputs == {"auc": {"value": 0.7, "sensitive": False}}
    assert found["snapshot"].serial == 7
    assert [d for d, _ in found["realisations"]] == ["sha256:d1", "sha256:d2"]
    assert [a.consumed_by for a in found["alarms"]] == [{"trigger.retrain": "advanced"}]
    assert [e.address for e in found["unfinished"]] == ["training_job.cut"]
    assert [s.seconds for s in found["history"][str(A)]] == [4.5, 0.0]
    assert [s.seconds for s in found["history"][str(MOVED)]] == [1.5]
    assert found["wrong"] == []


def test_the_first_write_brings_it_up_and_keeps_a_backup(old):
    store, before = SqlStore(f"sqlite:///{old}"), old.read_bytes()
    first = told(store)
    with store.lock("apply"):
        pass
    second = told(store)
    assert second == first
    with store.lock("apply") as lease:
        assert store.put(lease, "r9", make_record("new"), {}) == first["snapshot"].serial + 1
    assert store.verify() == []
    (backup,) = (p for p in old.parent.iterdir() if p.name.startswith("state.db.version"))
    assert snapshot(backup) == first["snapshot"]
    with closing(sqlite3.connect(backup)) as kept:
        assert kept.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert tables(backup) == _tables_of(before, old.parent / "again.db")


def _tables_of(content, file):
    file.write_bytes(content)
    return tables(file)


def test_a_state_brought_up_has_the_tables_of_a_new_one(old, tmp_path):
    store, new = SqlStore(f"sqlite:///{old}"), SqlStore(f"sqlite:///{tmp_path}/new.db")
    for it in (store, new):
        with it.lock("apply"):
            pass
        it.close()
    engine = create_engine(f"sqlite:///{old}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()
    assert tables(old).keys() == tables(tmp_path / "new.db").keys()


@in_a_file
def test_killed_while_it_is_brought_up(old, start):
    """Before any statement, and before the commit: the old state, or the new one whole."""
    store = SqlStore(f"sqlite:///{old}")
    first, content = told(store), old.read_bytes()
    store.close()
    assert start("crash", "migration").wait() == 0
    folders = sorted(p for p in old.parent.iterdir() if p.is_dir())
    assert len(folders) > 10 and old.read_bytes() == content
    for folder in folders:
        store = SqlStore(f"sqlite:///{folder}/state.db")
        assert told(store) == first, folder.name
        with store.lock("apply"):
            pass
        found = told(store)
        found["journal"] = [e for e in found["journal"] if e.operation != "takeover"]
        assert found == first, folder.name
        store.close()


@in_a_file
def test_not_while_an_older_mlform_writes(old, sql):
    """It would not know the new tables."""
    sql("UPDATE state SET holder = ?", Holder.me("apply").dump())
    with pytest.raises(LockedError), SqlStore(f"sqlite:///{old}").lock("apply"):
        pass
    assert sql("SELECT schema_version FROM state") == [(1,)]
    holder = json.loads(sql("SELECT holder FROM state")[0][0])
    sql("UPDATE state SET holder = ?", json.dumps(holder | {"pid": 2**22 + 1}))
    with SqlStore(f"sqlite:///{old}").lock("apply"):
        pass


@in_a_file
def test_a_first_history_was_none(old, sql):
    """The first states of version 1 had no table of it."""
    sql("DROP TABLE history")
    store = SqlStore(f"sqlite:///{old}")
    assert store.history([str(A)], 99, 9) == {}
    with store.lock("apply"):
        pass
    assert store.history([str(A)], 99, 9) == {}


def test_no_migration_is_loaded_where_none_is_due(file):
    SqlStore(f"sqlite:///{file}").close()
    code = (
        "import sys; from mlform.state.place import Place; from pathlib import Path\n"
        f"place = Place.in_file(Path({str(file)!r}))\n"
        "place.snapshot(); assert 'sqlalchemy' not in sys.modules\n"
        "with place.store().lock('apply'): pass\n"
        "place.snapshot(); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert Place.in_file(file).snapshot().lineage
