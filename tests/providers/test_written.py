"""Estimators and parameters by the source of their packages, which nobody imports for it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.utils import all_estimators
from tests.scenarios.command import Folder

from mlform_sklearn.written import absent, class_at

SPEC = """
dataset "file" "d" {{
  path = "d.csv"
}}
training_job "sklearn" "t" {{
  data   = dataset.d
  split  = null
  target = "b"
  {what}
}}
"""


def test_what_the_source_says_is_what_every_estimator_takes() -> None:
    told = 0
    for name, made in all_estimators():
        public = [part for part in made.__module__.split(".") if not part.startswith("_")]
        for module in {made.__module__, ".".join(public)}:
            if not hasattr(sys.modules.get(module), name):
                continue
            path = f"{module}.{name}"
            assert not absent(path)
            if (found := class_at(path)) is not None:
                assert list(found.parameters) == [*inspect.signature(made).parameters], path
                told += 1
    assert told > 350


OVER = """estimator = "sklearn.multiclass.OneVsRestClassifier"
  params = {
    estimator = { estimator = "sklearn.svm.LinearSVC", params = { CC = 1 } }
  }"""
PIPELINE = """pipeline = [
    { estimator = "sklearn.preprocessing.StandardScaler", params = { x = 1 } },
    { estimator = "sklearn.linear_model.Ridge" },
  ]"""


@pytest.mark.parametrize(
    ("what", "said", "marked"),
    [
        (
            'estimator = "sklearn.linear_model.LogisticRegresion"',
            "Did you mean sklearn.linear_model.LogisticRegression?",
            '"sklearn.linear_model.Log',
        ),
        (
            'estimator = "sklearn.linear_modl.Ridge"',
            "There is no module sklearn.linear_modl",
            '"sklearn.linear_modl',
        ),
        ('estimator = "skleran.svm.SVC"', "Did you mean sklearn?", '"skleran'),
        (
            'estimator = "sklearn.linear_model.Ridge"\n  params = { alpha = 1, solvr = "svd" }',
            'Ridge has no parameter "solvr". Did you mean solver',
            "solvr",
        ),
        (OVER, 'LinearSVC has no parameter "CC"', "CC"),
        (
            OVER.replace("svm.LinearSVC", "svm.(Linear"),
            '"sklearn.svm.(Linear" is no import path',
            '"sklearn.svm.(',
        ),
        (PIPELINE, 'StandardScaler has no parameter "x"', "x = 1"),
    ],
)
def test_what_is_not_there_is_told_where_it_is_written_before_anything_runs(
    tmp_path: Path, what: str, said: str, marked: str
) -> None:
    spec = SPEC.format(what=what)
    (tmp_path / "main.mlf.hcl").write_text(spec)
    (tmp_path / "d.csv").write_text("a,b\n1,2\n3,4\n")
    folder = Folder(tmp_path)
    for command in ("validate", "plan"):
        [found] = folder.mlform(command, "-json", expect=1).data["diagnostics"]
        assert said in found["detail"]
        assert found["address"] == "training_job.t"
        at = found["range"]["start"]
        assert spec.splitlines()[at["line"] - 1][at["column"] - 1 :].startswith(marked)


def test_what_the_source_does_not_tell_is_nothing_to_say_anything_of() -> None:
    assert class_at("xgboost.XGBClassifier") is None  # takes anything
    assert absent("numpy.linalg._umath_linalg.anything") == ""  # compiled
    assert absent("nobody.knows.It") == ""


def test_no_package_is_imported_for_it() -> None:
    code = (
        "import sys; from mlform_sklearn.written import absent, class_at\n"
        "assert class_at('sklearn.ensemble.RandomForestClassifier').parameters\n"
        "assert absent('sklearn.ensemble.RandomForst')\n"
        "assert not {'sklearn', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
