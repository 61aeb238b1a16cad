import json
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.execute.processes import alive, plain, until, written

from mlform.execute import LocalExecutor, ProgressNote
from mlform.execute.wire import Reader, send


class Telling:
    """A message sink on whose first progress one can wait."""

    def __init__(self):
        self.going = threading.Event()

    def append(self, message):
        if isinstance(message, ProgressNote):
            self.going.set()


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("die", "ended by signal 9 (SIGKILL)"),
        ("crash", "ended by signal 11 (SIGSEGV)"),
        ("exit", "exit code 3"),
    ],
)
def test_a_dead_worker_is_lost_not_failed(run, task, act, said):
    result = run(task(act))
    assert said in result.lost
    assert (result.error, result.value, result.cancelled) == (None, None, False)
    assert run(task("say")).value, "the others go on"


def test_what_a_dead_worker_said_is_kept(run, task):
    heard = []
    result = run(task("die"), heard)
    assert [m.text for m in heard] == ["last words"]
    assert result.log.read_text() == "last words\n"
    assert "Fatal Python error" in run(task("crash")).log.read_text()


def test_stop_ends_a_run_at_its_checkpoint(run, task, tmp_path):
    stop, telling = threading.Event(), Telling()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, task("spin", str(tmp_path / "pids")), telling, stop)
        assert telling.going.wait(30)
        stop.set()
        result = running.result(30)
    assert result.cancelled
    assert result.lost == ""
    assert (tmp_path / "pids.finally").exists(), "finally blocks run"
    worker, child = map(int, (tmp_path / "pids").read_text().split())
    until(lambda: not alive(worker) and not alive(child))


def test_sigterm_asks_a_worker_to_stop(run, task, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, task("spin", str(tmp_path / "pids")))
        os.kill(int(written(tmp_path / "pids").split()[0]), signal.SIGTERM)
        assert running.result(30).cancelled


def test_a_set_stop_starts_nothing(run, task, tmp_path):
    stop = threading.Event()
    stop.set()
    assert run(task("deaf", str(tmp_path / "pid")), stop=stop).cancelled
    assert not (tmp_path / "pid").exists()


SLOW = """
from pathlib import Path
import time
here = Path(__file__).parent
(here / "begun").write_text("yes")
while not (here / "go").exists():
    time.sleep(0.01)
"""


def test_a_stop_before_the_worker_is_there_is_heard(task, tmp_path, monkeypatch):
    (tmp_path / "slow_library.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    stop = threading.Event()
    with LocalExecutor(1, ["slow_library"]) as executor, ThreadPoolExecutor(1) as pool:
        running = pool.submit(executor.run, task("spin", str(tmp_path / "pid")), print, stop)
        written(tmp_path / "begun")
        stop.set()
        (tmp_path / "go").touch()
        assert running.result(30).cancelled


def test_a_stop_that_comes_with_the_task_is_not_lost():
    engine, worker = socket.socketpair()
    with engine, worker:
        send(engine, {"task": 1})
        send(engine, {"stop": True})
        reader = Reader(worker)
        assert reader.one() == {"task": 1}
        assert reader.more


def test_kill_all_ends_what_does_not_listen(task, tmp_path):
    stop = threading.Event()
    telling = Telling()
    with LocalExecutor(2) as executor, ThreadPoolExecutor(2) as pool:
        deaf = pool.submit(executor.run, task("deaf", str(tmp_path / "deaf")), telling.append, stop)
        spin = pool.submit(executor.run, task("spin", str(tmp_path / "spin")), print, stop)
        pids = [*written(tmp_path / "spin").split(), written(tmp_path / "deaf")]
        assert telling.going.wait(30)
        stop.set()
        executor.kill_all()
        assert deaf.result(30).cancelled
        assert spin.result(30).cancelled
        until(lambda: not any(alive(int(p)) for p in pids))


def test_without_a_free_slot_stop_still_works(task, tmp_path):
    stop = threading.Event()
    with LocalExecutor(1) as executor, ThreadPoolExecutor(2) as pool:
        first = pool.submit(executor.run, task("spin", str(tmp_path / "one")), print, stop)
        written(tmp_path / "one")
        second = pool.submit(executor.run, task("spin", str(tmp_path / "two")), print, stop)
        stop.set()
        assert first.result(30).cancelled
        assert second.result(30).cancelled
    assert not (tmp_path / "two").exists()


def test_a_listener_that_raises_ends_the_worker(executor, task, tmp_path):
    def listener(message):
        raise RuntimeError(f"cannot show {message}")

    with pytest.raises(RuntimeError, match="cannot show ProgressNote"):
        executor.run(task("deaf", str(tmp_path / "pid")), listener, threading.Event())
    pid = int(written(tmp_path / "pid"))
    until(lambda: not alive(pid))


def test_a_run_that_cannot_begin_has_failed(run, task, tmp_path):
    (tmp_path / "work").write_text("a file where a folder is due")
    result = run(task())
    assert result.error.summary == "No worker process"
    assert str(tmp_path / "work") in result.error.detail
    assert result.lost == ""


def test_a_server_that_dies_at_once_says_why(task, tmp_path, monkeypatch):
    text = "import os\nos.write(2, b'bad library')\nos._exit(1)\n"
    (tmp_path / "deadly_library.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with LocalExecutor(1, ["deadly_library"]) as executor:
        assert "bad library" in executor.run(task(), print, threading.Event()).lost


def test_a_detached_server_outlives_its_stage(run, task):
    result = run(task("serve"))
    pid = int(result.value["number"])
    try:
        size = result.log.stat().st_size
        until(lambda: result.log.stat().st_size > size + 100)
        assert alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


ENGINE = """
import json, sys, threading
from mlform.execute import LocalExecutor, Task
LocalExecutor(1).run(Task(**json.loads(sys.argv[1])), print, threading.Event())
"""


@pytest.mark.parametrize("act", ["spin", "deaf"])
def test_nothing_outlives_a_killed_engine(task, tmp_path, act):
    pids = tmp_path / "pids"
    given = json.dumps(plain(task(act, str(pids))))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    engine = subprocess.Popen(
        [sys.executable, "-c", ENGINE, given], env=environment, stdout=subprocess.DEVNULL
    )
    workers = [int(p) for p in written(pids).split()]
    server = _parent(workers[0])
    assert alive(server)
    engine.kill()
    engine.wait()
    until(lambda: not any(alive(p) for p in (*workers, server)))


def test_a_killed_server_takes_its_workers_and_the_next_run_starts_another(task, tmp_path):
    with LocalExecutor(1) as executor, ThreadPoolExecutor(1) as pool:
        run = pool.submit(
            executor.run, task("deaf", str(tmp_path / "pid")), print, threading.Event()
        )
        pid = int(written(tmp_path / "pid"))
        os.kill(_parent(pid), signal.SIGKILL)
        assert "process that starts workers ended" in run.result(30).lost
        until(lambda: not alive(pid))
        assert executor.run(task("say"), print, threading.Event()).value


def _parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
