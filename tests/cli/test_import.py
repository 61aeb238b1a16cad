"""A model that was trained elsewhere, and an endpoint left running, come under management."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from tests.scenarios.command import Folder

BLOCKS = """
dataset "file" "t" {
  path  = "t.parquet"
  key   = ["id"]
  split = { by = "hash", on = ["id"], seed = 3, parts = { train = 0.6, holdout = 0.4 } }
}

training_job "sklearn" "m" {
  data      = dataset.t
  target    = "ok"
  estimator = "sklearn.linear_model.LogisticRegression"
  params    = { C = 0.5 }
}

gate "evaluation" "g" {
  candidate = training_job.m.model
  data      = dataset.t
  require   = { roc_auc = { min = 0.7 } }
}

model "registry" "r" {
  candidate = training_job.m.model
  champion  = { require = [gate.g] }
}
"""
IMPORTS = """
import {
  to   = dataset.t
  type = "file"
  id   = "t.parquet"
}

import {
  to = training_job.m
  id = "elsewhere.skops"
}
"""
SERVED = """
deployment "http" "api" {
  model = training_job.m.model
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    random = np.random.default_rng(0)
    x, y = random.normal(size=600), random.normal(size=600)
    frame = pd.DataFrame({"id": np.arange(600), "x": x, "y": y, "ok": x + 0.3 * y > 0})
    frame.to_parquet(tmp_path / "t.parquet")
    model = LogisticRegression(C=0.5).fit(frame[["x", "y"]], frame["ok"])
    skops.io.dump(model, tmp_path / "elsewhere.skops")
    made = Folder(tmp_path)
    yield made
    made.mlform("destroy", "-auto-approve", expect=None)


def test_a_model_trained_elsewhere_is_judged_and_served_without_training(folder: Folder) -> None:
    spec = folder.path / "main.mlf.hcl"
    spec.write_text(BLOCKS + IMPORTS)
    planned = folder.mlform("plan").out
    assert "Plan: 2 to import, 1 create, 1 run; 0 unchanged." in planned
    outcome = folder.mlform("apply", "-auto-approve", "-json").lines[-1]
    assert outcome["imported"] == {"dataset.t": "t.parquet", "training_job.m": "elsewhere.skops"}
    assert outcome["done"] == {"gate.g": "run", "model.r": "create"}
    spec.write_text(BLOCKS)
    assert "No changes" in folder.mlform("plan").out
    assert "taken over from elsewhere.skops" in folder.mlform("why", "training_job.m").out
    record = folder.mlform("state", "show", "training_job.m", "-json").data
    assert record["attributes"]["metrics"]["holdout"]["roc_auc"] > 0.95


def test_blocks_are_written_for_what_is_imported(folder: Folder) -> None:
    spec = folder.path / "main.mlf.hcl"
    spec.write_text(IMPORTS.split("\n\n", maxsplit=1)[0])
    said = folder.mlform("plan", "-generate-config-out=written.mlf.hcl").out
    assert "Plan: 1 to import, 0 actions; 0 unchanged." in said
    written = (folder.path / "written.mlf.hcl").read_text()
    assert 'path = "t.parquet"' in written
    folder.mlform("fmt", "-check", "written.mlf.hcl")
    folder.mlform("apply", "-auto-approve")
    assert "No changes" in folder.mlform("plan").out


def test_an_endpoint_left_running_is_taken_up_again(folder: Folder) -> None:
    spec = folder.path / "main.mlf.hcl"
    model = BLOCKS.partition("gate ")[0]
    spec.write_text(model + SERVED)
    folder.mlform("apply", "-auto-approve")
    before = folder.mlform("state", "show", "deployment.api", "-json").data["attributes"]
    left = "removed {\n  from = deployment.api\n  lifecycle {\n    destroy = false\n  }\n}\n"
    spec.write_text(model + left)
    folder.mlform("apply", "-auto-approve")
    spec.write_text(model + SERVED)
    foreign = folder.mlform("import", "deployment.api", "http://127.0.0.1:1/x", expect=1)
    assert before["url"] in foreign.err
    said = folder.mlform("import", "deployment.api", before["url"]).out
    assert "The plan for it is empty: 0 actions." in said
    after = folder.mlform("state", "show", "deployment.api", "-json").data["attributes"]
    assert after == before
