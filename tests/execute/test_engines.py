"""Every engine keeps the one contract, each of them really running on this machine."""

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from tests.execute.engines import Kubernetes, Process, Ray, Slurm
from tests.execute.processes import alive, plain, until

from mlform.demand import Demand
from mlform.execute import Executors, LocalExecutor, LogLine, Partial, ProgressNote, Submitted
from mlform.execute.attempt import new_id, opened, succeeded, write_once
from mlform.execute.engine import State

SECRET = "canary-8f2e"


@pytest.fixture(scope="module", params=[Process, Slurm, Kubernetes, Ray], ids=lambda e: e.name)
def engine(request):
    made = request.param()
    if why := getattr(made, "missing", str)():
        if os.environ.get("CI"):
            pytest.fail(f"CI tests {made.name}: {why}")
        pytest.skip(f"{made.name}: {why}")
    made.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        yield made
    made.stop()


@pytest.fixture
def executors(engine):
    with LocalExecutor(1) as local:
        yield Executors(local, {"there": engine.declared})


@pytest.fixture
def there(executors):
    """The executor of the engine itself."""
    return executors._others["there"]


@pytest.fixture
def asks(task):
    ours = new_id()  # an engine that still knows an earlier test's job must not take it for ours

    def make(act, text="", attempt="", handle=None, **demand):
        made = task(act, text)
        return replace(
            made, attempt=attempt or ours, handle=handle, demand=Demand(executor="there", **demand)
        )

    return make


@pytest.fixture
def run(executors):
    def call(task, heard=None, stop=None):
        sink = [] if heard is None else heard
        return executors.run(task, sink.append, stop or threading.Event())

    return call


@pytest.fixture(autouse=True)
def _nothing_waits_for_ever(tmp_path):
    yield
    (tmp_path / "go").touch()


def runs(place):
    """The pids of those that ran."""
    return [
        int(p)
        for p in until(
            lambda: (place / "runs").exists() and (place / "runs").read_text(), 90
        ).split()
    ]


def test_a_job_comes_back_whole_and_leaves_no_secret(run, asks, engine):
    heard = []
    result = run(asks("say", SECRET, **getattr(engine, "asks", {"cpu": 1})), heard)
    assert result.value["said"] == f"{SECRET} km", result
    assert (result.error, result.lost, result.cancelled) == (None, "", False)
    assert any(isinstance(m, Submitted) for m in heard)
    folder = result.log.parent
    assert not (folder / "request.json").exists()
    assert not (folder / "work").exists()
    told = [p for p in folder.rglob("*") if p.is_file() and p.name != "result.json"]
    assert not any(SECRET in p.read_text() for p in told)


def test_output_progress_and_errors_come_as_from_a_local_worker(run, asks):
    heard = []
    result = run(asks("talk"), heard)
    assert result.value, result
    lines = [m.text for m in heard if isinstance(m, LogLine)]
    assert lines[-6:] == ["printed", "logged", "to stderr", "from a child", "100%", "no line end"]
    assert ProgressNote(1, 2, "half") in heard
    error = run(asks("refuse", attempt=new_id())).error
    assert (error.summary, error.argument) == ("Data missing", "act")


def test_a_job_has_the_threads_it_declares(run, asks):
    told = run(asks("surroundings", cpu=2)).value["files"]
    assert told[0] == "OMP_NUM_THREADS=2"
    assert "PYTHONHASHSEED=0" in told


def test_a_killed_job_is_lost_not_failed(run, asks, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, asks("waits", str(tmp_path)))
        os.kill(runs(tmp_path)[0], signal.SIGKILL)
        result = running.result(60)
    assert "left no result" in result.lost, result
    assert not result.open
    assert result.error is None


def test_the_same_attempt_is_submitted_once(there, asks, tmp_path):
    task = asks("waits", str(tmp_path))
    attempt = opened(Path(task.context["workdir"]), task.attempt)
    attempt.write_request(task)
    job = there.job(task, attempt)
    first, second = there.engine.submit(job), there.engine.submit(job)
    pid = runs(tmp_path)[0]
    third = there.engine.submit(job)
    assert first.get("job") == second.get("job") == third.get("job")
    (tmp_path / "go").touch()
    until(attempt.ended)
    until(lambda: not alive(pid))
    assert runs(tmp_path) == [pid]


def twice(engine, there, asks, place):
    """Have two jobs made for one attempt: return the task, the handles, the pid of the first."""
    task = asks("waits", str(place))
    attempt = opened(Path(task.context["workdir"]), task.attempt)
    attempt.write_request(task)
    job = there.job(task, attempt)
    first = there.engine.submit(job)
    pid = runs(place)[0]
    second = engine.submit_again(there.engine, job)
    assert second != first
    until(lambda: "carried out by another process" in there.engine.logs(second), 90)
    return task, first, second, pid


def test_a_second_job_of_an_attempt_does_not_stand_for_it(engine, there, run, asks, tmp_path):
    task, first, second, pid = twice(engine, there, asks, tmp_path)
    if "job" in second:
        until(lambda: there.engine.poll(second).state is State.SUCCEEDED, 90)
    heard = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, replace(task, handle=second), heard)
        try:
            if "job" in second:
                carried = f"{task.attempt} is carried out by job {first['job']}"
                until(lambda: any(carried in getattr(m, "text", "") for m in heard))
            until(lambda: any(isinstance(m, ProgressNote) for m in heard))
            assert not running.done()
        finally:
            (tmp_path / "go").touch()
        result = running.result(60)
    assert result.value["said"] == "waited", result
    assert runs(tmp_path) == [pid]


def test_ending_an_attempt_ends_the_job_that_carries_it_out(engine, there, asks, tmp_path):
    task, _, second, pid = twice(engine, there, asks, tmp_path)
    attempt = opened(Path(task.context["workdir"]), task.attempt)
    there.end(attempt, tmp_path, second)
    until(lambda: not alive(pid))


def test_what_was_ended_before_it_began_never_begins(engine, there, asks, tmp_path):
    task = asks("waits", str(tmp_path))
    attempt = opened(Path(task.context["workdir"]), task.attempt)
    attempt.write_request(task)
    there.end(attempt, tmp_path, None)
    attempt.write_request(task)
    handle = engine.submit_again(there.engine, there.job(task, attempt))
    until(lambda: "carried out by another process" in there.engine.logs(handle), 90)
    assert not (tmp_path / "runs").exists()


def test_a_job_that_outlives_the_word_of_its_engine_is_not_lost(engine, run, asks, tmp_path):
    heard = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, asks("waits", str(tmp_path), cpu=1), heard)
        pid = runs(tmp_path)[0]
        engine.lose_daemons(pid)
        try:
            until(lambda: any("signs of life" in getattr(m, "text", "") for m in heard), 90)
            assert alive(pid)
            (tmp_path / "go").touch()
            result = running.result(60)
        finally:
            (tmp_path / "go").touch()
            engine.bring_node()
    assert result.value["said"] == "waited", result
    assert runs(tmp_path) == [pid]


def test_what_is_lost_stays_lost(run, asks, tmp_path):
    """A result that comes after the word that there is none does not count."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, asks("waits", str(tmp_path)))
        os.kill(runs(tmp_path)[0], signal.SIGKILL)
        result = running.result(60)
    assert "left no result" in result.lost, result
    folder = result.log.parent
    assert not write_once(folder, {"value": {}})
    assert succeeded(folder) is False


DRIVER = """
import json, sys, threading
from mlform.demand import Declared, Demand
from mlform.execute import Executors, LocalExecutor, Submitted, Task
task = Task(**json.loads(sys.argv[1]), demand=Demand(executor="there"))
executors = Executors(LocalExecutor(1), {"there": Declared(**json.loads(sys.argv[2]))})
def hear(message):
    if isinstance(message, Submitted):
        print(json.dumps(message.handle), flush=True)
executors.run(task, hear, threading.Event())
"""


@pytest.mark.parametrize("knows", ["handle", "attempt"])
def test_a_job_outlives_its_driver_and_is_taken_up(engine, run, asks, tmp_path, knows):
    task = asks("waits", str(tmp_path))
    given = json.dumps({**plain(task), "handle": None})
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, given, json.dumps(vars(engine.declared))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    handle = json.loads(driver.stdout.readline())
    pid = runs(tmp_path)[0]
    driver.kill()
    driver.wait()
    driver.stdout.close()
    assert alive(pid)
    heard = []
    with ThreadPoolExecutor(1) as pool:
        again = replace(task, handle=handle if knows == "handle" else None)
        running = pool.submit(run, again, heard)
        until(lambda: any(isinstance(m, ProgressNote) for m in heard))
        (tmp_path / "go").touch()
        result = running.result(60)
    assert result.value["said"] == "waited", result
    assert runs(tmp_path) == [pid]


def test_stop_ends_a_job_at_its_checkpoint(run, asks, tmp_path):
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, asks("spin", str(tmp_path / "pids")), None, stop)
        worker, child = map(
            int,
            until(
                lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text(), 90
            ).split(),
        )
        stop.set()
        assert running.result(60).cancelled
    assert (tmp_path / "pids.finally").exists(), "finally blocks run"
    until(lambda: not alive(worker))
    os.kill(child, signal.SIGKILL) if alive(child) else None


def test_cancelling_leaves_nothing_behind(executors, run, asks, tmp_path):
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, asks("spin_deaf", str(tmp_path / "pids")), None, stop)
        pids = [
            int(p)
            for p in until(
                lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text(), 90
            ).split()
        ]
        stop.set()
        executors.kill_all()
        assert running.result(90).cancelled
    until(lambda: not any(map(alive, pids)))


def test_a_job_whose_time_is_up_says_so(run, asks, tmp_path):
    result = run(asks("spin", str(tmp_path / "pids"), timeout=0.3))
    assert result.timed_out, result
    assert "not done after 0.3 s" in result.error.detail


def test_more_than_there_is(engine, executors, run, asks):
    if engine.refuses is not None:
        error = run(asks("say", **engine.refuses)).error
        assert error.summary == "Job refused"
        assert "equested" in error.detail, error.detail
        return
    settings = {**engine.declared.settings, "queue_timeout": 1.0}
    waits = Executors(
        executors._all["local"], {"there": replace(engine.declared, settings=settings)}
    )
    error = waits.run(asks("say", cpu=999), id, threading.Event()).error
    assert error.summary == "Never began"


def test_what_exists_is_told(run, asks):
    heard = []
    assert run(asks("halfway"), heard).error
    assert [m.attributes["said"] for m in heard if isinstance(m, Partial)] == ["half"]


def test_out_of_reach_is_not_failed(engine, there, run, asks, tmp_path):
    heard = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, asks("waits", str(tmp_path)), heard)
        runs(tmp_path)
        handle = next(m.handle for m in heard if isinstance(m, Submitted))
        with engine.out_of_reach():
            until(lambda: there.engine.poll(handle).state is State.UNKNOWN)
            until(lambda: any("does not answer" in getattr(m, "text", "") for m in heard))
            assert not running.done()
            # What the job wrote is the truth, whoever answers.
            (tmp_path / "go").touch()
            assert running.result(60).value["said"] == "waited"
    assert len(runs(tmp_path)) == 1


def test_an_engine_out_of_reach_for_too_long_is_left_open(engine, executors, asks):
    settings = {**engine.declared.settings, "patience": 0.5}
    impatient = Executors(
        executors._all["local"], {"there": replace(engine.declared, settings=settings)}
    )
    with engine.out_of_reach():
        result = impatient.run(asks("say"), id, threading.Event())
    assert result.open
    assert "gone on with, not run twice" in result.lost
    # The request is there for whoever goes on; asking again makes one job.
    assert executors.run(asks("say"), id, threading.Event()).value


def test_a_lost_node_loses_its_job(engine, run, asks, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, asks("waits", str(tmp_path), cpu=1))
        pid = runs(tmp_path)[0]
        engine.lose_node(pid)
        try:
            result = running.result(120)
        finally:
            engine.bring_node()
            (tmp_path / "go").touch()  # for what may still be running
    assert result.lost, result
    assert not result.open
    until(lambda: not alive(pid))
    assert len(runs(tmp_path)) == 1, "nobody but us tries again"
