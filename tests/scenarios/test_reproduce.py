"""Results made again, and shared between checkouts, on real data through the installed command."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.scenarios.command import ROOT, Folder

SHARED = 'mlform {\n  store {\n    path = "../store"\n  }\n}\n'
ENTRY = """
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

def fit(raw, target, params, seed):
    rng = np.random.default_rng()
    of_each = [np.flatnonzero(target == outcome) for outcome in np.unique(target)]
    share = params["share"]
    taken = [rng.choice(i, min(len(i), int(len(i) * share) + 1), False) for i in of_each]
    chosen = np.concatenate(taken)
    names = list(raw.select_dtypes("number").columns)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    model = make_pipeline(
        ColumnTransformer([("numbers", numbers, names)]), LogisticRegression(max_iter=1000)
    )
    return model.fit(raw.iloc[chosen], target[chosen])
"""


@pytest.fixture
def lending(tmp_path: Path) -> Folder:
    path = tmp_path / "one"
    ignore = shutil.ignore_patterns("data", ".mlform", "__pycache__")
    shutil.copytree(ROOT / "examples" / "lending", path, ignore=ignore)
    subprocess.run([sys.executable, "fetch.py"], cwd=path, check=True, capture_output=True)
    return Folder(path)


def verdicts(folder: Folder, *arguments: str, expect: int = 0) -> dict[str, dict]:
    said = folder.mlform("reproduce", "-json", *arguments, expect=expect)
    return {line["address"]: line for line in said.lines if line["type"] == "reproduced"}


def test_a_whole_run_is_made_again_bit_by_bit(lending: Folder) -> None:
    lending.apply(expect=3)
    run = lending.mlform("state", "show", "-json", "gate.fair").data["receipt"]["run"]
    found = verdicts(lending, run, "-verify")
    assert {a: v["verdict"] for a, v in found.items()} == {
        "dataset.loans": "equal",
        "training_job.approval": "equal",
        "gate.fair": "equal",
    }
    assert lending.actions() == {"model.approval": "held"}


def test_code_that_throws_dice_is_within_tolerance_or_different(lending: Folder) -> None:
    features = lending.path / "fit.py"
    features.write_text(ENTRY)
    lending.edit(
        "main.mlf.hcl",
        'estimator = "sklearn.linear_model.LogisticRegression"\n'
        "  params    = { max_iter = 5000, C = 0.5 }",
        'entry     = "fit.py:fit"\n  params    = { share = 1.0 }',
    )
    target = ["-target", "training_job.approval"]
    lending.apply(*target)
    near = verdicts(lending, "training_job.approval", "-verify")["training_job.approval"]
    assert near["verdict"] == "within"
    model = next(d for d in near["differences"] if d["what"] == "model")
    assert "predictions on" in model["text"] and model["within"]

    lending.edit("main.mlf.hcl", "share = 1.0", "share = 0.02")
    lending.apply(*target)
    far = verdicts(lending, "training_job.approval", "-verify", expect=1)["training_job.approval"]
    assert far["verdict"] == "different"
    assert far["before"] != far["after"]
    record = lending.mlform("state", "show", "-json", "training_job.approval").data
    assert record["digest"] == far["before"]

    features.write_text(ENTRY.replace("max_iter=1000", "max_iter=50"))
    said = verdicts(lending, "training_job.approval", expect=1)["training_job.approval"]
    assert said["verdict"] == "failed"
    assert "fit.py:fit has changed since" in said["problem"]


def test_a_second_checkout_that_shares_a_store_trains_nothing(lending: Folder) -> None:
    spec = lending.path / "main.mlf.hcl"
    spec.write_text(SHARED + spec.read_text())
    other = Folder(lending.path.with_name("two"))
    shutil.copytree(lending.path, other.path)
    third = Folder(lending.path.with_name("three"))
    shutil.copytree(lending.path, third.path)
    lending.apply(expect=3)

    taken = {
        "dataset.loans": "reuse",
        "training_job.approval": "reuse",
        "gate.fair": "reuse",
        "model.approval": "create",
    }
    planned = other.actions()
    assert {a: planned[a] for a in list(taken)[:3]} == dict(list(taken.items())[:3])
    assert other.apply(expect=3) == taken
    model = other.mlform("state", "show", "-json", "training_job.approval").data
    digest = model["attributes"]["model"]["digest"].removeprefix("sha256:")
    file = lending.path.parent / "store" / "objects" / "sha256" / digest[:2] / digest[2:]
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-1] + b"!")

    said = third.mlform("apply", "-auto-approve", expect=3)
    assert "training_job.approval: ran" in said.out
    assert digest[:12] in said.err and said.err.count("missing or damaged") == 1
    assert (
        third.mlform("state", "show", "-json", "training_job.approval").data["digest"]
        == (model["digest"])
    )
