"""Columns that a gate names and its table has not are told by the plan, if the table is known."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from tests.scenarios.command import Folder

SPEC = """
dataset "file" "d" {
  path  = "d.csv"
  split = {
    by    = "hash"
    parts = { train = 0.7, holdout = 0.3 }
    on    = ["patient"]
  }
}
training_job "sklearn" "t" {
  data      = dataset.d
  target    = "benign"
  exclude   = ["patient", "size"]
  estimator = "sklearn.tree.DecisionTreeClassifier"
  params    = { max_depth = 3 }
}
"""
GATE = """
gate "evaluation" "g" {
  candidate = training_job.t.model
  data      = dataset.d
  require   = { roc_auc = { min = 0.6 } }
  slices = {
    by  = [["size", "sice"]]
    min = { accuracy = 0.1 }
  }
  fairness = { attribute = "sizes", demographic_parity_ratio = { min = 0 } }
  group    = "patiant"
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    frame = load_breast_cancer(as_frame=True).frame.iloc[:, [0, 1, 2, 3, 30]]
    frame.columns = ["radius", "texture", "perimeter", "area", "benign"]
    frame["size"] = (frame["area"] > 600).map({True: "large", False: "small"})
    frame["patient"] = range(len(frame))
    frame.to_csv(tmp_path / "d.csv", index=False)
    (tmp_path / "main.mlf.hcl").write_text(SPEC)
    return Folder(tmp_path)


def test_a_misspelt_column_is_told_at_plan_with_its_place(folder: Folder) -> None:
    folder.apply()
    spec = folder.path / "main.mlf.hcl"
    lines = (SPEC + GATE).splitlines()
    spec.write_text(SPEC + GATE)
    said = folder.mlform("plan", expect=1).err
    for wrong, hint, named, line in (
        ("sice", "size", "slices.by", "    by  = "),
        ("sizes", "size", "fairness.attribute", '  fairness = { attribute = "sizes", '),
        ("patiant", "patient", "group", '  group    = "patiant"'),
    ):
        place = next(n for n, text in enumerate(lines, 1) if text.startswith(line))
        assert f"main.mlf.hcl:{place}:" in said
        told = f'dataset.d has no column "{wrong}", which {named} names. Did you mean "{hint}"?'
        assert told in said
    assert "^^^^^^^^^" in said
    # A model still to be trained keeps nothing from being told of the table.
    spec.write_text((SPEC + GATE).replace("max_depth = 3", "max_depth = 4"))
    assert 'no column "sice"' in folder.mlform("plan", expect=1).err
    right = SPEC + GATE.replace('"sice"', '"benign"').replace("sizes", "size")
    spec.write_text(right.replace("patiant", "patient"))
    assert folder.apply() == {"gate.g": "run"}
    assert folder.actions() == {}


def test_what_an_error_says_already_is_not_said_again(folder: Folder) -> None:
    tune = """
training_job "tune" "u" {
  data    = dataset.d
  target  = "benign"
  trainer = "sklearn"
  job     = { estimator = "sklearn.tree.DecisionTreeClassifier" }
  search  = { max_depth = { values = [2, 3] } }
  sampler = "grid"
  metric  = "auc"
}
"""
    (folder.path / "main.mlf.hcl").write_text(SPEC + tune)
    said = folder.mlform("validate", expect=1).err
    assert said.count('"auc" is no metric. Did you mean "roc_auc"?') == 1
    assert '(it is "auc")' not in said


def test_of_a_table_that_is_still_to_be_made_it_is_told_when_that_is_there(folder: Folder) -> None:
    frame = pd.read_csv(folder.path / "d.csv")
    frame.to_json(folder.path / "d.jsonl", orient="records", lines=True)
    spec = (SPEC + GATE).replace("d.csv", "d.jsonl")
    (folder.path / "main.mlf.hcl").write_text(spec)
    assert folder.actions().keys() == {"dataset.d", "training_job.t", "gate.g"}
    said = folder.mlform("apply", "-auto-approve", expect=1)
    assert 'dataset.d has no column "sice", which slices.by names' in said.out + said.err
