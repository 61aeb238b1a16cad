"""A sweep on real data, through the installed command: a larger grid runs only what is new."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import xgboost
from tests.scenarios.command import ROOT, Folder

TRIAL = re.compile(r'data-trial="([^"]+)">([^<]+)<')


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Folder]:
    path = tmp_path / "sweep"
    ignore = shutil.ignore_patterns("data", ".mlform", "__pycache__")
    shutil.copytree(ROOT / "examples" / "sweep", path, ignore=ignore)
    subprocess.run([sys.executable, "fetch.py"], cwd=path, check=True, capture_output=True)
    folder = Folder(path)
    folder.edit("main.mlf.hcl", "prune   = { startup = 3 }", "")
    yield folder
    folder.mlform("destroy", "-auto-approve")


def works(folder: Folder) -> dict[str, Any]:
    told = folder.mlform("state", "show", "-json", "training_job.works").data
    found: dict[str, Any] = told["attributes"]
    return found


def served(folder: Folder, rows: pd.DataFrame) -> list[float]:
    """Ask the endpoint for these rows."""
    tensors = [
        {
            "name": name,
            "datatype": "INT64" if rows[name].dtype.kind == "i" else "FP64",
            "shape": [len(rows)],
            "data": [None if pd.isna(v) else v for v in rows[name].tolist()],
        }
        for name in rows.columns
    ]
    url = f"{folder.output('url')}/infer"
    answer = httpx.post(url, json={"inputs": tensors}, timeout=60)
    assert answer.status_code == 200, answer.text
    found: list[float] = answer.json()["outputs"][0]["data"]
    return found


def test_a_larger_grid_runs_only_new_trials(sweep: Folder) -> None:
    sweep.apply()
    first = works(sweep)
    assert len(first["trials"]) == 6
    assert first["receipt"]["sweep"]["folds_trained"] == 18
    best = max(first["trials"], key=lambda t: t["roc_auc"])
    wanted = {n: best[f"param.{n}"] for n in ("max_depth", "learning_rate")}
    assert first["receipt"]["sweep"]["best"] == wanted
    assert first["receipt"]["params"] == {"subsample": 0.8, **wanted}
    assert first["metrics"]["holdout"]["roc_auc"] > 0.75
    assert sweep.actions() == {}

    rows = pd.read_parquet(sweep.path / "data" / "women.parquet").drop(columns=["woman", "works"])
    # The best trial, once more by the library alone.
    digest = first["model"]["digest"].removeprefix("sha256:")
    kept = sweep.path / ".mlform" / "store" / "objects" / "sha256" / digest[:2] / digest[2:]
    with zipfile.ZipFile(kept) as bundle:
        booster = xgboost.Booster(model_file=bytearray(bundle.read("model.xgboost")))
    own = booster.predict(xgboost.DMatrix(rows[booster.feature_names].astype(float)))
    assert served(sweep, rows) == pytest.approx(own.tolist(), abs=1e-4)

    larger = ["-var", "depths=[2,3,5]"]
    assert sweep.actions(*larger)["training_job.works"] == "run"
    sweep.apply(*larger)
    second = works(sweep)
    assert len(second["trials"]) == 9
    assert second["receipt"]["sweep"]["folds_trained"] == 9, "three new trials of three folds"
    by = {(t["param.max_depth"], t["param.learning_rate"]): t["roc_auc"] for t in second["trials"]}
    for trial in first["trials"]:
        assert by[trial["param.max_depth"], trial["param.learning_rate"]] == trial["roc_auc"]

    subprocess.run([sys.executable, "trials.py"], cwd=sweep.path, check=True)
    drawn = dict(TRIAL.findall((sweep.path / "trials.svg").read_text()))
    committed = dict(TRIAL.findall((ROOT / "examples" / "sweep" / "trials.svg").read_text()))
    assert drawn.keys() == committed.keys()
    finished = {name: float(auc) for name, auc in committed.items() if auc != "given up"}
    assert len(finished) == 4
    assert {n: float(drawn[n]) for n in finished} == pytest.approx(finished, abs=0.005)

    # A fold that is remembered is remembered with every metric, and pruning trains nothing.
    sweep.edit(
        "main.mlf.hcl", '"roc_auc"\n  folds', '"log_loss"\n  prune = { startup = 2 }\n  folds'
    )
    sweep.apply(*larger)
    third = works(sweep)
    assert third["receipt"]["sweep"]["folds_trained"] == 0
    assert third["receipt"]["sweep"]["pruned"] > 0
