"""The flagship, from nothing to a closed loop, through the installed command on real data.

The tests of this file are one story in order: each starts where the last one ended.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.scenarios.command import ROOT, Folder

EVERYTHING = {
    "dataset.flights": "run",
    "dataset.planes": "run",
    "dataset.weather": "run",
    "feature_view.flights": "run",
    "training_job.late": "run",
    "gate.better": "run",
    "model.late": "create",
    "deployment.late_api": "create",
    "monitor.inputs": "create",
    "trigger.retrain": "create",
}
FEATURES = "features/flights.py"


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    path = tmp_path_factory.mktemp("story") / "flights"
    ignore = shutil.ignore_patterns("data", ".mlform", "__pycache__", ".mlform.lock.hcl")
    shutil.copytree(ROOT / "examples" / "flights", path, ignore=ignore)
    subprocess.run([sys.executable, "fetch.py"], cwd=path, check=True, capture_output=True)
    folder = Folder(path)
    yield folder
    folder.mlform("destroy", "-auto-approve", expect=None)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def served(flights: Folder) -> str:
    """Return the digest that the endpoint says it answers with."""
    found = get(flights.output("url"))
    return str(found["parameters"]["digest"])


def ask(flights: Folder, month: str, rows: int) -> str:
    command = [sys.executable, "ask.py", month, "--rows", str(rows)]
    done = subprocess.run(command, cwd=flights.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_1_everything_is_made_and_the_endpoint_answers(flights: Folder) -> None:
    assert flights.actions() == EVERYTHING
    assert flights.apply() == EVERYTHING
    assert "3 answers" in ask(flights, "2013-01", 3)
    assert served(flights) == flights.output("serves")
    report = flights.mlform("report", "gate.better").out.strip()
    assert "gate.better: passed" in Path(report).read_text()
    missing = flights.mlform("report", "model.late", expect=1).err
    assert "No page" in missing
    assert "model.late made no page" in missing
    assert "These have one: gate.better" in missing


def test_2_nothing_to_do_even_if_the_data_were_touched(flights: Folder) -> None:
    assert flights.mlform("plan", "-detailed-exitcode").out.startswith("No changes.")
    for file in (flights.path / "data" / "flights").iterdir():
        os.utime(file)
    assert flights.actions() == {}
    assert flights.apply() == {}


def test_3_only_what_a_change_reaches_runs_and_going_back_computes_nothing(
    flights: Folder,
) -> None:
    code = (flights.path / FEATURES).read_text()
    (flights.path / FEATURES).write_text(f"{code}\n# A remark that means nothing.\n")
    assert flights.actions() == {}
    (flights.path / FEATURES).write_text(code)

    before = served(flights)
    changed = ["-var", "max_iter=60"]
    planned = flights.actions(*changed)
    assert planned["training_job.late"] == "run"
    assert planned["gate.better"] == "run?"
    assert planned["deployment.late_api"] == "run?"
    assert not planned.keys() & {"dataset.flights", "feature_view.flights"}
    ran = flights.apply(*changed)
    assert ran["training_job.late"] == "run"
    assert ran["deployment.late_api"] == "roll"
    assert served(flights) != before

    back = flights.apply()
    assert back["training_job.late"] == "reuse"
    assert not {"run", "create"} & set(back.values())
    assert served(flights) == before


def test_4_a_refactoring_runs_and_everything_after_is_cut_off(flights: Folder) -> None:
    code = (flights.path / FEATURES).read_text()
    (flights.path / FEATURES).write_text(f"{code}\n\ndef _unused(x: int) -> int:\n    return x\n")

    assert flights.apply() == {"feature_view.flights": "run"}
    assert flights.actions() == {}
    why = flights.mlform("why", "feature_view.flights").out
    assert "code changed: features/flights.py:_unused" in why


def test_5_a_worse_model_is_held_and_a_lowered_threshold_only_decides(flights: Folder) -> None:
    good = served(flights)
    worse = ["-var", "max_iter=1"]
    high = [*worse, "-var", "min_auc=0.9"]
    ran = flights.apply(*high, expect=3)
    assert ran["training_job.late"] == "run"
    assert "deployment.late_api" not in ran
    assert served(flights) == good

    assert flights.apply(*high, expect=3) == {}
    assert flights.actions(*high) == dict.fromkeys(flights.actions(*high), "held")
    assert "model.late" in flights.actions(*high)

    flights.edit("main.mlf.hcl", "min_gain = -0.02", "min_gain = -0.5")
    flights.edit("main.mlf.hcl", "max_regress = { roc_auc = 0.1 }", "max_regress = { roc_auc = 1 }")
    low = [*worse, "-var", "min_auc=0.5"]
    assert flights.actions(*low)["gate.better"] == "decide"
    ran = flights.apply(*low)
    assert ran["gate.better"] == "decide"
    assert ran["deployment.late_api"] == "roll"
    assert "training_job.late" not in ran
    assert served(flights) != good
    flights.apply()
    assert served(flights) == good


def test_6_drift_closes_the_loop(flights: Folder) -> None:
    ask(flights, "2013-07", 4000)
    said = flights.mlform("monitor", "run").out
    assert "alarm" in said
    assert "temp" in said or "dewp" in said

    quiet = flights.mlform("reapply")
    assert "no new information" in quiet.out
    assert "No changes." in quiet.out

    months = [f"2013-{m:02d}" for m in range(1, 8)]
    subprocess.run([sys.executable, "fetch.py", *months], cwd=flights.path, check=True)
    assert flights.actions() == {}
    waiting = flights.mlform("plan").out
    assert "new at the source, +114,794 rows; pinned" in waiting

    done = flights.mlform("reapply", "-json").ran()
    assert done == {
        "dataset.flights": "run",
        "feature_view.flights": "run",
        "training_job.late": "run",
        "gate.better": "run",
        "model.late": "update",
        "deployment.late_api": "roll",
        "monitor.inputs": "update",
    }
    assert served(flights) == flights.output("serves")
    why = flights.mlform("why", "training_job.late").out
    assert "alarm ev-" in why

    assert flights.mlform("reapply", "-json").ran() == {}


def test_7_killed_in_the_middle_it_goes_on(flights: Folder) -> None:
    process = flights.start("apply", "-auto-approve", "-json", "-var", "max_iter=400")
    seen = threading.Event()
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("type") == "started" and event["address"] == "training_job.late":
            seen.set()
            break
    assert seen.is_set()
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()

    ran = flights.apply("-var", "max_iter=400")
    assert ran["training_job.late"] == "run"
    assert "feature_view.flights" not in ran
    assert flights.actions("-var", "max_iter=400") == {}


def test_8_destroy_stops_the_server_and_leaves_the_data(flights: Folder) -> None:
    url = flights.output("url")
    said = flights.mlform("destroy", "-auto-approve").out

    assert "Kept: dataset.flights" in said
    assert len(list((flights.path / "data" / "flights").iterdir())) == 7
    with pytest.raises(OSError, match="refused"):
        get(url)
    assert flights.mlform("state", "list").out.startswith("Nothing is recorded")
