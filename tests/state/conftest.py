"""A store in a temporary folder, records to put in it, and processes that use it."""

import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

from mlform.address import Address
from mlform.state import Record
from mlform.state.place import Place

ROOT = Path(__file__).parents[2]
SCHEMAS = count(1)
in_a_file = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""For what is about files: the others run on every backend."""
on_a_server = pytest.mark.parametrize("place", ["postgres"], indirect=True)


def make_record(name="risk", value=1, **changed):
    fields = {
        "address": Address("training_job", name),
        "type": "node",
        "key": f"sha256:key-{name}-{value}",
        "decision_key": None,
        "digest": f"sha256:digest-{value}",
        "arguments": {"value": value, "name": "Größe"},
        "attributes": {"auc": value / 7, "nan": None},
        "parts": {"file": "sha256:f"},
        "code": {"a.py": {"f": "sha256:c"}},
        "environment": {"numpy": "2.0"},
        "needs": (Address("dataset", "loans", "eu"),),
        "held": ("gate",),
        "protected": True,
        "receipt": {"run": "r1"},
    }
    return Record(**{**fields, **changed})


@pytest.fixture
def record():
    return make_record


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, file):
    """A place for a state, on each backend."""
    if request.param == "sqlite":
        return Place.in_file(file)
    return Place(request.getfixturevalue("postgres").url, schema=f"test_{next(SCHEMAS)}")


@pytest.fixture
def another(place):
    """Make another store of the same state; closed at the end."""
    made = []

    def call(workspace="default"):
        made.append(Place(place.url, workspace, place.schema).store())
        return made[-1]

    yield call
    for it in made:
        it.close()


@pytest.fixture
def store(another):
    return another()


@pytest.fixture
def sql(place):
    """Do something to the database behind the store's back; return the rows."""

    def call(statement, *values):
        if place.file is not None:
            with closing(sqlite3.connect(place.file)) as database, database:
                return database.execute(statement, values).fetchall()
        options = f"-csearch_path={place.schema}"
        with psycopg.connect(place.url, options=options) as connection:
            for_driver = statement.replace("%", "%%").replace("?", "%s") if values else statement
            cursor = connection.execute(for_driver, values or None)
            return cursor.fetchall() if cursor.description else []

    return call


@pytest.fixture
def filled(store):
    """A store with two records, outputs, an alarm and a realisation; a third was forgotten."""
    from mlform.state import Realisation

    with store.lock("apply") as lease:
        for name in ("a", "b", "c"):
            store.intent(lease, "r1", Address("training_job", name), {})
            store.put(lease, "r1", make_record(name), {"action": "create"})
        store.forget(lease, "r1", Address("training_job", "c"), {})
        store.put_outputs(lease, "r1", {"auc": {"value": 0.7, "sensitive": False}})
        store.raise_alarm(lease, "r1", Address("monitor", "drift"), {"psi": 0.4})
        store.realise(lease, Realisation("k", "sha256:d", {"auc": 0.7}, {"run": "r1"}))
    return store


@pytest.fixture
def start(place):
    """Start ``python -m tests.state.worker ACT URL SCHEMA …``; killed and reaped at the end."""
    begun = []

    def call(act, *more):
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.state.worker",
                act,
                place.url,
                place.schema or "",
                *map(str, more),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    yield call
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def explained():
    """Expect a problem explained to the user; look at its text after the block."""
    from mlform.diagnostics import DiagnosedError

    @contextmanager
    def expect(summary, *words):
        with pytest.raises(DiagnosedError) as raised:
            yield
        (only,) = raised.value.diagnostics.errors
        assert only.summary == summary
        for word in words:
            assert word in only.detail, only.detail

    return expect
