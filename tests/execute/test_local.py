import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.execute.processes import alive, plain, until

from mlform.demand import Demand
from mlform.execute import LocalExecutor, LogLine, ProgressNote, new_id

OLD = {"arguments": {"act": "say", "text": "x"}, "attributes": {"said": "before"}}


def test_apply_gives_the_attributes(run, task):
    result = run(task("say", "hello"))
    assert result.value == {"said": "hello km", "number": 0.0, "files": []}
    assert (result.error, result.lost, result.cancelled) == (None, "", False)
    assert result.max_rss > 1_000_000
    assert result.seconds > 0


def test_old_reaches_the_provider_and_an_old_schema_does_not_matter(run, task):
    old = {"arguments": {"gone": 1}, "attributes": OLD["attributes"]}
    assert run(task("say", "hi", old=OLD)).value["said"] == "hi km after before"
    assert run(task("say", "hi", old=old)).value["said"] == "hi km after before"


def test_destroy_gives_what_was_kept(run, task):
    assert run(task(method="destroy", old=OLD)).value == {"kept": "kept before"}


def test_run_gives_attributes_and_alarms(run, task):
    value = run(task(method="run", old=OLD)).value
    assert value["attributes"]["said"] == "x"
    assert value["alarms"] == [
        {
            "name": "moved",
            "window": {"rows": 5},
            "findings": [{"check": "psi", "value": 0.5}],
            "summary": "It moved",
            "incident": False,
        }
    ]


def test_a_worker_is_deterministic_alone_in_its_group_and_tidy(run, task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value = run(task("surroundings", "json.tool no_such_module")).value
    assert value["said"] == str(tmp_path)
    assert value["number"] == 1
    *told, loaded, workdir = value["files"]
    assert told == [
        "OMP_NUM_THREADS=1",
        "OPENBLAS_NUM_THREADS=1",
        "MKL_NUM_THREADS=1",
        "PYTHONHASHSEED=0",
        "PYTHONDONTWRITEBYTECODE=None",
    ]
    assert loaded == "json.tool"
    assert not Path(workdir).exists()


def test_all_output_is_told_in_order_and_kept(run, task):
    heard = []
    result = run(task("talk"), heard)
    lines = [m.text for m in heard if isinstance(m, LogLine)]
    assert lines == ["printed", "logged", "to stderr", "from a child", "100%", "no line end"]
    assert [m for m in heard if isinstance(m, ProgressNote)] == [ProgressNote(1, 2, "half")]
    assert heard.index(LogLine("to stderr")) < heard.index(ProgressNote(1, 2, "half"))
    assert result.log.read_text().startswith("printed\nlogged\nto stderr\nfrom a child\n")


def test_few_attempts_are_kept(run, task, tmp_path):
    logs = [run(task()).log for _ in range(7)]
    assert sorted((tmp_path / "work").iterdir()) == [log.parent for log in logs[-5:]]


def test_a_resource_error_comes_back_whole(run, task):
    error = run(task("refuse")).error
    assert (error.summary, error.argument, error.type) == ("Data missing", "act", "ResourceError")
    assert error.detail == "There is no month 13.\nMonths are 1 to 12."
    assert error.trace == ""


def test_an_error_in_user_code_shows_user_code_alone(run, task, tmp_path):
    (tmp_path / "mine.py").write_text("def f():\n    return g()\ndef g():\n    return 1 / 0\n")
    error = run(task("user_code", "mine.py:f")).error
    assert error.summary == "Error in user code"
    assert error.detail == 'monitor "probe" raised ZeroDivisionError: division by zero'
    assert 'mine.py", line 2, in f' in error.trace
    assert 'mine.py", line 4, in g' in error.trace
    assert "lab.py" not in error.trace


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("bug", "raised KeyError: 'missing'"),
        ("nan", "number = nan"),
        ("wrong", "returned dict where Answer is due"),
        ("sys_exit", "raised SystemExit: enough"),
    ],
)
def test_a_broken_provider_is_named(run, task, act, said):
    error = run(task(act)).error
    assert error.summary == "Provider error"
    assert said in error.detail
    assert 'monitor "probe"' in error.detail


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"provider": "no_such:Provider"}, "No module named 'no_such'"),
        ({"type": "other"}, 'offers no monitor "other"; it offers monitor "probe"'),
        ({"arguments": {"text": 3}}, "act: Field required\ntext: Input should be"),
        ({"settings": {"unit": 3}}, "unit"),
    ],
)
def test_what_does_not_fit_the_provider_is_told(run, task, changed, said):
    assert said in run(task(**changed)).error.detail


def test_user_code_runs_as_it_is_on_disk(run, task, tmp_path):
    """A quick edit of equal length must not run the compiled file of before."""
    found = []
    for number in (1, 2, 3):
        (tmp_path / "quick.py").write_text(f"def f():\n    return {number}\n")
        found.append(run(task("user_code", "quick.py:f")).value["number"])
    assert found == [1, 2, 3]


def test_runs_of_several_threads_do_not_mix(run, task, tmp_path):
    def said(text):
        # A folder is one resource's, which has one attempt at a time.
        where = {"root": str(tmp_path), "workdir": str(tmp_path / text)}
        return run(task("say", text, context=where))

    texts = [str(n) for n in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(said, texts))
    assert [(it.error, it.lost) for it in found] == [(None, "")] * len(texts)
    assert [it.value["said"] for it in found] == [f"{t} km" for t in texts]


LEFT = ("a variable", "a thread", "a child", "an open file", "a handler", "a number drawn")


@pytest.mark.parametrize("left", [*LEFT, "memory", "time"])
def test_a_process_that_a_call_left_a_trace_in_is_not_used_again(task, left):
    with LocalExecutor(1, ["tests.execute.lab:Lab"]) as executor:
        acts = ("nothing", "an import", left, "nothing")
        results = [executor.run(task("leaves", a), id, threading.Event()) for a in acts]
    first, second, third, fourth = (r.value["number"] for r in results)
    assert first == second == third, "what left nothing is used again"
    assert fourth != third


def test_what_cannot_share_a_process_gets_one_of_its_own(task, tmp_path):
    (tmp_path / "mine.py").write_text("import os\nf = os.getpid\n")
    with LocalExecutor(1, ["tests.execute.lab:Lab"]) as executor:

        def process(*asked, **changed):
            return executor.run(task(*asked, **changed), id, threading.Event()).value["number"]

        users = [process("user_code", "mine.py:f") for _ in range(2)]
        limited = [process("leaves", demand=Demand(cpu=1)) for _ in range(2)]
        assert executor.run(task("bug"), id, threading.Event()).error
        assert len({*users, *limited, process("leaves")}) == 5


def test_what_workers_need_is_said_once_they_are_begun(task, tmp_path, monkeypatch):
    """As an apply does, which knows what it needs only when it has planned."""
    with LocalExecutor(1, ["json.tool"]) as executor:
        executor.start()
        (tmp_path / "late_library.py").touch()
        monkeypatch.syspath_prepend(tmp_path)
        executor.preload(["late_library", "no_such_module"])
        asked = task("surroundings", "json.tool late_library no_such_module")
        *_, first, second, _workdir = executor.run(asked, id, threading.Event()).value["files"]
    assert (first, second) == ("json.tool", "late_library")


def test_who_was_not_told_what_it_is_for_ends_as_well():
    executor = LocalExecutor(1, ["json.tool"])
    executor.start()
    begun = executor._server._process
    executor.close()
    assert begun.returncode is not None


def test_each_call_of_a_process_has_its_own_log(run, task):
    """Nothing of one call is told as if it were of another."""
    for text in ("one", "two", "three"):
        heard = []
        result = run(task("says", text), heard)
        assert [m.text for m in heard] == [text]
        assert result.log.read_text() == f"{text}\n"


def test_a_process_that_died_while_it_waited_is_not_given_anything(task):
    with LocalExecutor(1, ["tests.execute.lab:Lab"]) as executor:
        first = executor.run(task("leaves"), id, threading.Event()).value["number"]
        os.kill(int(first), signal.SIGKILL)
        until(lambda: not alive(int(first)))
        assert executor.run(task("leaves"), id, threading.Event()).value["number"] != first


@pytest.mark.skipif(sys.platform != "linux", reason="the system counts no data segment")
def test_more_memory_than_allowed_is_said(run, task):
    error = run(task("grows", demand=Demand(memory=200 << 20))).error
    assert error.summary == "Out of memory"
    assert "more than the 200 MiB that its resources allow" in error.detail
    assert run(task("grows", demand=Demand(memory=2 << 30))).value["number"] == 60
    assert run(task("grows")).value["number"] == 60, "who declares none is not held to any"


def test_an_attempt_that_was_over_is_not_run_again(run, task, tmp_path):
    """Its engine may have been killed after the worker left its result."""
    (tmp_path / "mine.py").write_text(
        "from pathlib import Path\n"
        "def f():\n"
        "    with Path('ran').open('a') as file:\n"
        "        file.write('x')\n"
        "    return 1\n"
    )
    once = task("user_code", "mine.py:f", attempt=new_id())
    assert run(once).value == run(once).value
    assert (tmp_path / "ran").read_text() == "x"
    run(task("user_code", "mine.py:f", attempt=new_id()))
    assert (tmp_path / "ran").read_text() == "xx"


SCRIPT = """
import json, sys, threading
from pathlib import Path
with Path("ran").open("a") as file:
    file.write("x")
from mlform.execute import LocalExecutor, Task
with LocalExecutor(1) as executor:
    print(executor.run(Task(**json.loads(sys.argv[1])), id, threading.Event()).value["said"])
"""


def test_the_engines_main_module_is_not_run_again(task, tmp_path):
    (tmp_path / "main.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "main.py", json.dumps(plain(task("say", "hi")))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("hi km\n", "")
    assert (tmp_path / "ran").read_text() == "x"


def test_an_executor_can_be_used_after_close(task):
    executor = LocalExecutor(1)
    for _ in range(2):
        assert executor.run(task("say"), print, threading.Event()).value
        executor.close()
