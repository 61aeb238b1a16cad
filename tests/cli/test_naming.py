"""Parts and columns that are named and are not there are told before anything runs, in place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sklearn.datasets import load_breast_cancer
from tests.scenarios.command import Folder

DATA = """
dataset "file" "d" {
  path    = "d.csv"
  version = { mode = "pin" }
  split   = { by = "hash", on = ["patient"], parts = { train = 0.7, holdout = 0.3 } }
}
"""
VIEW = """
feature_view "sql" "v" {
  from  = dataset.d
  query = "select * from d"
}
"""
RIGHT = """
training_job "sklearn" "t" {
  data      = feature_view.v
  target    = "benign"
  exclude   = ["patient"]
  estimator = "sklearn.tree.DecisionTreeClassifier"
  params    = { max_depth = 3 }
}
gate "evaluation" "g" {
  candidate = training_job.t.model
  data      = feature_view.v
  require   = { roc_auc = { min = 0.6 } }
}
"""
TARGET = '  target    = "age"'
COLUMNS = '  columns = ["radius", "age"]'


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    frame = load_breast_cancer(as_frame=True).frame.iloc[:, [0, 1, 30]]
    frame.columns = ["radius", "texture", "benign"]
    frame["patient"] = range(len(frame))
    frame.to_csv(tmp_path / "d.csv", index=False)
    return Folder(tmp_path)


def write(folder: Folder, text: str) -> None:
    (folder.path / "main.mlf.hcl").write_text(text)


def refused(folder: Folder, command: str, text: str, line: str, caret: str) -> str:
    """Have a spec refused with the caret under part of a line; return what is said."""
    write(folder, text)
    said = folder.mlform(command, expect=1).err
    carets = " " * line.index(caret) + "^" * len(caret)
    place = f"{text.splitlines().index(line) + 1} │ {re.escape(line)}\n *│ {re.escape(carets)}\n"
    assert re.search(place, said), said
    return said


@pytest.mark.parametrize(
    ("block", "line", "caret", "told"),
    [
        (
            """
training_job "sklearn" "t" {
  data      = feature_view.v
  split     = "trian"
  target    = "benign"
  estimator = "sklearn.tree.DecisionTreeClassifier"
}
""",
            '  split     = "trian"',
            '"trian"',
            'feature_view.v has no part "trian". Did you mean "train"? It has train, holdout.',
        ),
        (
            """
training_job "xgboost" "t" {
  data           = dataset.d
  target         = "benign"
  early_stopping = { rounds = 3, split = "holdot" }
}
""",
            '  early_stopping = { rounds = 3, split = "holdot" }',
            '"holdot"',
            'dataset.d has no part "holdot". Did you mean "holdout"? It has train, holdout.',
        ),
        (
            """
training_job "tune" "t" {
  data    = dataset.d
  split   = "tset"
  target  = "benign"
  trainer = "sklearn"
  job     = { estimator = "sklearn.tree.DecisionTreeClassifier" }
  search  = { max_depth = { values = [2, 3] } }
  sampler = "grid"
  metric  = "roc_auc"
}
""",
            '  split   = "tset"',
            '"tset"',
            'training_job.t: split: dataset.d has no part "tset". It has train, holdout.',
        ),
        (
            RIGHT.replace("require ", 'split     = "test"\n  require '),
            '  split     = "test"',
            '"test"',
            'gate.g: split: feature_view.v has no part "test". It has train, holdout.',
        ),
        (
            """
gate "python" "g" {
  check   = "c.py:f"
  data    = dataset.d
  split   = "valid"
  require = { n = { min = 1 } }
}
""",
            '  split   = "valid"',
            '"valid"',
            'gate.g: split: dataset.d has no part "valid". It has train, holdout.',
        ),
        (
            RIGHT
            + """
model "registry" "m" {
  candidate = training_job.t.model
  champion  = { require = [gate.g] }
}
deployment "http" "a" {
  model = model.m.champion
}
monitor "performance" "p" {
  target  = deployment.a
  release = gate.g
  data    = dataset.d
  split   = "old"
  window  = { rows = 100 }
  require = { roc_auc = { min = 0.5 } }
}
""",
            '  split   = "old"',
            '"old"',
            'dataset.d has no part "old". Did you mean "holdout"? It has train, holdout.',
        ),
    ],
)
def test_a_part_that_is_not_there_is_told_by_the_spec_alone(
    folder: Folder, block: str, line: str, caret: str, told: str
) -> None:
    (folder.path / "c.py").write_text("def f(frame):\n    return {'n': len(frame)}\n")
    said = refused(folder, "validate", DATA + VIEW + block, line, caret)
    assert said.count("Error: ") == 1
    assert told in said


def test_the_part_that_is_taken_by_default_is_told_of_a_dataset_without_parts(
    folder: Folder,
) -> None:
    whole = DATA.replace("  split   =", "  # split =") + RIGHT.replace(
        "feature_view.v", "dataset.d"
    )
    write(folder, whole)
    said = folder.mlform("validate", expect=1).err
    why = 'dataset.d is not split, so that it has no part "{}". Give its dataset a split, or write'
    assert f"training_job.t: split: {why.format('train')}" in said
    assert f"gate.g: split: {why.format('holdout')}" in said
    write(folder, whole.replace("  data ", "  split = null\n  data "))
    folder.mlform("validate")


def test_a_part_is_told_of_what_is_recorded_and_of_what_is_about_to_be_made_anew(
    folder: Folder,
) -> None:
    write(folder, DATA + VIEW + RIGHT)
    assert folder.apply().keys() == {"dataset.d", "feature_view.v", "training_job.t", "gate.g"}
    gate = DATA + VIEW + RIGHT.replace("  require ", '  split     = "fresh"\n  require ')
    said = refused(folder, "plan", gate, '  split     = "fresh"', '"fresh"')
    assert 'feature_view.v has no part "fresh". It has holdout (' in said
    # A part that the same change makes is there.
    write(folder, gate.replace("holdout = 0.3", "holdout = 0.2, fresh = 0.1"))
    assert "gate.g" in folder.apply()
    assert folder.actions() == {}


def test_columns_are_held_against_the_files_before_the_first_apply(folder: Folder) -> None:
    job = RIGHT.replace("feature_view.v", "dataset.d").replace(
        'exclude   = ["patient"]', 'features  = ["radius", "textur"]'
    )
    line = '  features  = ["radius", "textur"]'
    said = refused(folder, "plan", DATA + job, line, '"textur"')
    assert 'features: dataset.d has no column "textur". Did you mean "texture"?' in said
    assert "^" * len(line) not in said
    right = DATA + job.replace("textur", "texture")
    said = refused(
        folder, "plan", right.replace('"benign"', '"bening"'), '  target    = "bening"', '"bening"'
    )
    assert 'target: dataset.d has no column "bening". Did you mean "benign"?' in said
    # What columns says is known without a look at the file.
    some = right.replace("  version", '  columns = ["patient", "radius", "benign"]\n  version')
    said = refused(folder, "validate", some, '  features  = ["radius", "texture"]', '"texture"')
    assert 'dataset.d has no column "texture".' in said
    assert "It has patient, radius, benign." in said
    write(folder, right)
    assert folder.apply().keys() == {"dataset.d", "training_job.t", "gate.g"}


@pytest.mark.parametrize(
    ("block", "line"),
    [
        (RIGHT.replace("benign", "age").replace("feature_view.v", "dataset.d"), TARGET),
        (VIEW.replace("  query", f"{COLUMNS}\n  query"), COLUMNS),
        (
            VIEW
            + RIGHT
            + """
model "registry" "m" {
  candidate = training_job.t.model
  champion  = { require = [gate.g] }
}
deployment "http" "a" {
  model = model.m.champion
}
monitor "performance" "p" {
  target  = deployment.a
  labels  = dataset.d
  key     = ["patient"]
  label   = "age"
  release = gate.g
  window  = { rows = 100 }
  require = { roc_auc = { min = 0.5 } }
}
""",
            '  label   = "age"',
        ),
    ],
)
def test_a_column_behind_a_pin_is_told_with_what_moves_it(
    folder: Folder, block: str, line: str
) -> None:
    write(folder, DATA)
    folder.apply()
    rows = (folder.path / "d.csv").read_text().splitlines()
    aged = [f"{rows[0]},age", *(f"{row},{n % 2}" for n, row in enumerate(rows[1:]))]
    (folder.path / "d.csv").write_text("\n".join(aged) + "\n")
    said = refused(folder, "plan", DATA + block, line, '"age"')
    assert 'dataset.d has no column "age".' in said
    assert "`mlform update dataset.d` takes what is there." in said
    folder.mlform("update", "dataset.d")
    folder.mlform("plan")
