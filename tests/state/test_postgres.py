"""What only a server does: it goes away, comes back, answers no commit, or is not to be trusted."""

import signal
import threading
from contextlib import contextmanager

import psycopg
import pytest
from tests.postgres import running
from tests.state.conftest import SCHEMAS, make_record, on_a_server

from mlform.address import Address
from mlform.diagnostics import DiagnosedError
from mlform.failpoints import arm
from mlform.state import LostLeaseError
from mlform.state.place import Place

A = Address("training_job", "a")


@pytest.fixture(scope="module")
def frail():
    """A server of these tests alone: it is killed and started again."""
    with running() as server:
        yield server


@pytest.fixture
def store(frail):
    made = Place(frail.url, schema=f"test_{next(SCHEMAS)}").store()
    yield made
    arm(None)
    made.close()


def cut(server):
    """End every connection of mlform, as a network does that breaks."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'mlform'"
        )


@contextmanager
def at_point(name, act):
    """Do something the first time that a point is come by."""
    left = [1]

    def hear(point):
        if point == name and left:
            left.pop()
            act()

    arm(hear)
    try:
        yield
    finally:
        arm(None)
    assert not left, f"nothing came by {name}"


def serials(store):
    return [e.serial for e in store.journal() if e.serial]


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL, signal.SIGINT])
def test_a_server_that_was_killed_and_came_back(frail, store, how):
    """Whatever it acknowledged is there, and what it was to be told is told once it is back."""
    with store.lock("apply") as lease:
        for n in range(5):
            store.put(lease, "r", make_record("a", n), {})
        frail.stop(how)
        back = threading.Timer(0.5, frail.start)
        back.start()
        assert store.put(lease, "r", make_record("a", 5), {}) == 6
        back.join()
    assert serials(store) == [1, 2, 3, 4, 5, 6]
    assert store.snapshot().records[A] == make_record("a", 5)
    assert store.verify() == []


@pytest.mark.parametrize("point", ["state.begun", "state.journalled", "state.commit"])
def test_a_connection_that_breaks_before_the_commit(frail, store, point):
    with store.lock("apply") as lease:
        store.put(lease, "r", make_record("a", 1), {})
        with at_point(point, lambda: cut(frail)):
            assert store.put(lease, "r", make_record("a", 2), {}) == 2
    assert serials(store) == [1, 2] and store.verify() == []


@pytest.mark.parametrize("done", [True, False])
def test_a_commit_whose_answer_was_lost_is_done_once(store, done, monkeypatch):
    """The database itself is asked whether it took place."""
    real = psycopg.Connection.commit
    lost = []

    def commit(connection):
        if not lost:
            lost.append(True)
            if done:
                real(connection)
            connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        real(connection)

    with store.lock("apply") as lease:
        store.put(lease, "r", make_record("a", 1), {})
        monkeypatch.setattr(psycopg.Connection, "commit", commit)
        assert store.put(lease, "r", make_record("a", 2), {}) == 2
        monkeypatch.undo()
        assert lost
    assert serials(store) == [1, 2] and store.verify() == []


def test_a_number_that_a_crash_gave_to_another_transaction_says_nothing(frail, store, monkeypatch):
    """What was not flushed when the server died is lost, and its transaction number used anew."""
    real = psycopg.Connection.commit
    lost = []

    def commit(connection):
        if lost:
            real(connection)
            return
        lost.append(connection.execute("SELECT txid_current()").fetchone()[0])
        frail.stop(signal.SIGQUIT)
        frail.start()
        with psycopg.connect(frail.url) as other:
            lost.append(other.execute("SELECT txid_current()").fetchone()[0])
            other.execute("CREATE TABLE IF NOT EXISTS another (number int)")
            real(other)
        connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    with store.lock("apply") as lease:
        store.put(lease, "r", make_record("a", 1), {})
        monkeypatch.setattr(psycopg.Connection, "commit", commit)
        assert store.put(lease, "r", make_record("a", 2), {}) == 2
        monkeypatch.undo()
    assert serials(store) == [1, 2] and store.verify() == []
    assert store.snapshot().records[A] == make_record("a", 2)
    lost.clear()
    monkeypatch.setattr(psycopg.Connection, "commit", commit)
    with store.lock("apply") as lease:
        monkeypatch.undo()
        assert store.put(lease, "r", make_record("a", 3), {}) == 3


@pytest.mark.parametrize("done", [True, False])
def test_a_lock_whose_answer_was_lost_is_held_once(store, done, monkeypatch):
    real = psycopg.Connection.commit
    with store.lock("apply"):
        pass
    lost = []

    def commit(connection):
        if not lost:
            lost.append(True)
            if done:
                real(connection)
            connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        real(connection)

    monkeypatch.setattr(psycopg.Connection, "commit", commit)
    with store.lock("apply") as lease:
        assert store.put(lease, "r", make_record("a", 2), {}) == 1


def test_a_writer_that_lost_the_lock_while_it_was_away(frail, store):
    other = Place(frail.url, schema=store._database.schema).store()
    with store.lock("apply") as lease:
        cut(frail)
        assert other.break_lock(lease.id)
        with other.lock("apply") as theirs:
            other.put(theirs, "r", make_record("b", 1), {})
        with pytest.raises(LostLeaseError):
            store.put(lease, "r", make_record("a", 1), {})
    assert [str(a) for a in store.snapshot().records] == ["training_job.b"]
    other.close()


def test_a_server_that_may_forget_is_refused(frail, explained):
    with psycopg.connect(frail.url, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET fsync = off")
        admin.execute("SELECT pg_reload_conf()")
        store = Place(frail.url, schema=f"test_{next(SCHEMAS)}").store()
        try:
            while admin.execute("SHOW fsync").fetchone() == ("on",):
                pass
            with explained("State backend is not durable", "fsync"), store.lock("apply"):
                pass
        finally:
            admin.execute("ALTER SYSTEM RESET fsync")
            admin.execute("SELECT pg_reload_conf()")
        store.close()


def test_commits_are_durable_whatever_the_database_says(frail, store):
    """``synchronous_commit`` may be off for a user or a database; not for a state."""
    seen = []
    with psycopg.connect(frail.url, autocommit=True) as admin:
        admin.execute("ALTER ROLE postgres SET synchronous_commit = off")
        try:
            with store._database.writing() as connection:
                show = (
                    "SELECT current_setting('synchronous_commit'), current_setting('lock_timeout')"
                )
                seen += connection.exec_driver_sql(show).one()
        finally:
            admin.execute("ALTER ROLE postgres RESET synchronous_commit")
    assert seen == ["on", "10s"]


def test_no_setting_outlives_its_transaction(store):
    """As a pooler needs it that gives each transaction another connection."""
    with store.lock("apply"):
        pass
    with store._database._engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "0"
        assert (
            connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar() == 0
        )


@pytest.mark.parametrize(
    ("user", "database", "words"),
    [
        ("nobody:s3cr3t", "postgres", ['role "nobody"', "PGPASSWORD"]),
        ("postgres:s3cr3t", "missing", ['"missing" does not exist', "createdb"]),
    ],
)
def test_who_may_not_connect_is_told_at_once(frail, user, database, words, explained):
    store = Place(frail.to(database, user)).store()
    with explained("State cannot be used", *words):
        store.snapshot()
    with pytest.raises(DiagnosedError) as raised:
        store.snapshot()
    assert "s3cr3t" not in str(raised.value) + repr(store._database.name)


def test_nobody_there(explained, monkeypatch):
    monkeypatch.setattr("mlform.state.postgres._FIRST_PATIENCE", 0.0)
    store = Place("postgresql://u:s3cr3t@127.0.0.1:1/db").store()
    with explained("State cannot be used", "postgresql://u@127.0.0.1:1/db", "reached"):
        store.snapshot()


def test_a_server_that_was_away_for_too_long_is_not_waited_for_again(
    frail, store, explained, monkeypatch
):
    with store.lock("apply"):
        pass
    monkeypatch.setattr("mlform.state.postgres.PATIENCE", 0.2)
    frail.stop()
    try:
        with explained("State cannot be used", "reached"):
            store.snapshot()
        with monkeypatch.context() as patched, explained("State cannot be used", "reached"):
            patched.setattr("mlform.state.postgres.time.sleep", lambda _: pytest.fail("it waits"))
            store.snapshot()
    finally:
        frail.start()
    store.snapshot()


def test_a_url_that_is_none_is_not_quoted(explained):
    with explained("Invalid state backend", "%40"):
        Place("postgresql://u:s3cr3t@h:port%zz/").store()


@on_a_server
def test_no_server_is_needed_to_name_one(place):
    assert not place.blank and place.file is None
