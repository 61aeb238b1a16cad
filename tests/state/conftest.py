"""A store in a temporary folder, records to put in it, and processes that use it."""

import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mlform.address import Address
from mlform.state import Record
from mlform.state.store import SqlStore

ROOT = Path(__file__).parents[2]


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


@pytest.fixture
def store(file):
    made = SqlStore(f"sqlite:///{file}")
    yield made
    made.close()


@pytest.fixture
def sql(file):
    """Do something to the database behind the store's back; return the rows."""

    def call(statement, *values):
        with closing(sqlite3.connect(file)) as database, database:
            return database.execute(statement, values).fetchall()

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
def start(file):
    """Start ``python -m tests.state.worker ACT FILE …``; killed and reaped at the end."""
    begun = []

    def call(act, *more):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.state.worker", act, str(file), *map(str, more)],
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
