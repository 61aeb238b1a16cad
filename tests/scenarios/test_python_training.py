"""``training_job "python"`` through the command: killed while it trains, and gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.scenarios.command import Folder

SPEC = """
dataset "file" "cars" {
  path  = "cars.csv"
  split = { by = "hash", on = ["id"], seed = 1, parts = { train = 0.7, holdout = 0.3 } }
}
training_job "python" "mpg" {
  data     = dataset.cars
  target   = "heavy"
  features = ["power", "length"]
  entry    = "train.py:train"
  params   = { steps = 40, rate = 0.3 }
  seed     = 5
}
gate "evaluation" "good" {
  candidate = training_job.mpg.model
  data      = dataset.cars
  require   = { roc_auc = { min = 0.7 } }
}
"""

CODE = """
import os
import pathlib

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def train(job):
    # Stochastic gradient descent by hand: its state is weights and a random generator.
    X, y = job.read("train")
    scale = StandardScaler().fit(X)
    rows, goal = scale.transform(X), y.astype(float)
    weights, random, first = np.zeros(3), np.random.default_rng(job.seed), 0
    if (found := job.resume()) is not None:
        first, folder = found
        with np.load(folder / "state.npz") as kept:
            weights = kept["weights"]
        for _ in range(first):
            random.permutation(len(rows))
    pathlib.Path("began.txt").open("a").write(f"{first} ")
    wide = np.column_stack([rows, np.ones(len(rows))])
    for step in range(first, job.params["steps"]):
        for chunk in np.array_split(random.permutation(len(rows)), 8):
            chance = 1 / (1 + np.exp(-wide[chunk] @ weights))
            weights = weights - job.params["rate"] * wide[chunk].T @ (chance - goal[chunk]) / 50
        chance = 1 / (1 + np.exp(-wide @ weights))
        loss = -np.mean(goal * np.log(chance) + (1 - goal) * np.log(1 - chance))
        job.report(step + 1, job.params["steps"], loss=loss)
        if (step + 1) % 5 == 0:
            with job.checkpoint(step + 1) as folder:
                np.savez(folder / "state.npz", weights=weights)
        if step == 22 and os.environ.get("KILL_ME"):
            os.kill(os.getpid(), 9)
    last = LogisticRegression()
    last.coef_, last.intercept_ = weights[None, :2], weights[2:]
    last.classes_, last.n_features_in_, last.n_iter_ = np.unique(y), 2, np.array([step + 1])
    return make_pipeline(scale, last)
"""


def made(path: Path) -> Folder:
    path.mkdir()
    random = np.random.default_rng(0)
    power, length = random.normal(100, 20, 600), random.normal(4, 0.5, 600)
    heavy = power / 20 + length * 2 + random.normal(0, 1.5, 600) > 13
    cars = {"id": range(600), "power": power, "length": length, "heavy": heavy}
    pd.DataFrame(cars).to_csv(path / "cars.csv", index=False)
    (path / "main.mlf.hcl").write_text(SPEC)
    (path / "train.py").write_text(CODE)
    return Folder(path)


def attributes(folder: Folder) -> dict[str, Any]:
    told = folder.mlform("state", "show", "-json", "training_job.mpg").data
    found: dict[str, Any] = told["attributes"]
    return found


def test_what_is_killed_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made(tmp_path / "whole")
    whole.apply()
    killed = made(tmp_path / "killed")
    monkeypatch.setenv("KILL_ME", "1")
    killed.mlform("apply", "-auto-approve", expect=1)
    assert (killed.path / "began.txt").read_text() == "0 "
    kept = sorted(p.parent.name for p in killed.path.rglob("checkpoint.json"))
    assert [int(step) for step in kept] == [15, 20]

    # The newer one is damaged: the one before is as good.
    (newer,) = killed.path.rglob("000000000020/state.npz")
    newer.write_bytes(newer.read_bytes()[:-1])
    monkeypatch.delenv("KILL_ME")
    killed.apply()
    assert (killed.path / "began.txt").read_text() == "0 15 "
    assert not list(killed.path.rglob("checkpoint.json"))
    found, wanted = attributes(killed), attributes(whole)
    assert found["model"] == wanted["model"], "going on gives the model that one run gives"
    digest = found["history"]["digest"].removeprefix("sha256:")
    (file,) = [p for p in (killed.path / ".mlform" / "store").rglob("*") if digest.endswith(p.name)]
    steps = [json.loads(line)["step"] for line in file.read_text().splitlines()]
    assert steps == list(range(1, 41)), "the history has no gap, and no step twice"
    file = Path(killed.mlform("report", "training_job.mpg").out.strip())
    assert file.suffix == ".md"
    assert "| power | float64 |" in file.read_text()

    assert killed.actions() == {}
    killed.edit("train.py", 'rate"] * wide', 'rate"] * 0.5 * wide')
    assert killed.actions()["training_job.mpg"] == "run"
