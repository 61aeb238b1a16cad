"""``training_job "sklearn"``: code of the project's own, and what is refused with its reason."""

import subprocess
import sys

import pydantic
import pytest
from tests.providers import training_bench
from tests.providers.training_bench import (
    FOREST,
    HISTOGRAM,
    LOGISTIC,
    arguments,
    loaded,
    refused,
    table,
    train,
)

from mlform.sdk import Handle, ResourceError, Stored
from mlform_sklearn.training import Training, TrainingArguments

ctx, small = training_bench.ctx, training_bench.small

ENTRY = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer


def fit(X, y, params, seed):
    return LogisticRegression(C=params["C"], max_iter=1000, random_state=seed).fit(X, y)


def hours(X):
    return X[["hour"]] / 24


def own(X, y, params, seed):
    return make_pipeline(FunctionTransformer(hours), LogisticRegression()).fit(X, y)


def broken(X, y, params, seed):
    return fit(X, y, params["none"], seed)


def nothing(X, y, params, seed):
    return None
"""


@pytest.fixture
def code(ctx, monkeypatch):
    """The user's code, in a folder whose modules are forgotten after the test."""
    (ctx.root / "trainers.py").write_text(ENTRY)
    monkeypatch.syspath_prepend(str(ctx.root))
    monkeypatch.delitem(sys.modules, "trainers", raising=False)
    yield
    sys.modules.pop("trainers", None)


@pytest.mark.usefixtures("code")
def test_entry(ctx, small):
    names = ["hour", "minute"]
    done = train(ctx, small, entry="trainers.py:fit", features=names, params={"C": 0.1})
    assert loaded(ctx, done).estimator.C == 0.1
    error = refused(ctx, small, entry="trainers.py:own", features=names)
    assert "trainers.hours" in error.detail
    assert 'format = "pickle"' in error.detail
    done = train(ctx, small, entry="trainers.py:own", features=names, format="pickle")
    with pytest.raises(ResourceError, match="Pickle"):
        loaded(ctx, done)
    assert len(loaded(ctx, done, allow_pickle=True).predict(small)) == len(small)


@pytest.mark.usefixtures("code")
def test_what_goes_wrong_in_an_entry(ctx, small):
    error = refused(ctx, small, entry="trainers.py:broken", features=["hour"])
    assert "KeyError: 'none'" in error.detail
    assert "at trainers.py, line 20" in error.detail
    assert error.argument == "entry"
    error = refused(ctx, small, entry="trainers.py:nothing", features=["hour"])
    assert "NoneType, which has no predict" in error.detail
    assert "defines no" in refused(ctx, small, entry="trainers.py:fitt").detail


CASES = [
    (
        {"estimator": "sklearn.ensemble.HistGradientBoostingClassifer"},
        "estimator",
        ["There is no sklearn.ensemble.HistGradientBoostingClassifer", HISTOGRAM],
    ),
    (
        {"estimator": "sklearn.ensembl.RandomForestClassifier"},
        "estimator",
        ["no module sklearn.ensembl", FOREST],
    ),
    ({"estimator": "nowhere.Model"}, "estimator", ["not an installed package", "entry"]),
    ({"estimator": "skleran.svm.SVC"}, "estimator", ["Did you mean sklearn?"]),
    ({"estimator": "sklearn.metrics.log_loss"}, "estimator", ["no class with fit"]),
    ({"estimator": "sklearn.cluster.KMeans"}, "estimator", ["neither a classifier nor"]),
    ({"estimator": "sklearn.svm.LinearSVC"}, "estimator", ["CalibratedClassifierCV"]),
    (
        {"estimator": LOGISTIC, "params": {"max_itr": 3, "zzz": 1}},
        "params",
        ['LogisticRegression has no parameter "max_itr". Did you mean max_iter?', '"zzz". It has'],
    ),
    (
        {"estimator": LOGISTIC, "params": {"C": "high"}},
        "params",
        ["'C' parameter of LogisticRegression must be a float", "Got 'high'"],
    ),
    (
        {"pipeline": [{"estimator": LOGISTIC}, {"estimator": FOREST}]},
        "pipeline",
        ["is not the last and transforms nothing"],
    ),
    (
        {"pipeline": [{"estimator": LOGISTIC}], "params": {"logisticregresion__C": 1}},
        "params",
        ["Did you mean logisticregression__C"],
    ),
    ({"estimator": LOGISTIC, "target": "lat"}, "target", ['Did you mean "late"?', "time_hour"]),
    ({"estimator": LOGISTIC, "features": ["hours"]}, "features", ['Did you mean "hour"?']),
    ({"estimator": LOGISTIC, "exclude": ["desk"]}, "exclude", ['Did you mean "dest"?']),
    (
        {"estimator": LOGISTIC, "split": "trian"},
        "split",
        ['no part "trian". Did you mean "train"?', "holdout ("],
    ),
    ({"estimator": LOGISTIC, "metrics": ["r2"]}, "metrics", ["r2: not defined for binary"]),
    ({"estimator": "sklearn.linear_model.Ridge", "target": "dest"}, "target", ["is a string"]),
    (
        {"estimator": LOGISTIC, "encode": "none"},
        "estimator",
        ["could not convert string", 'encode = "auto"'],
    ),
]


@pytest.mark.parametrize(("given", "argument", "says"), CASES, ids=[str(c[2][0]) for c in CASES])
def test_errors(given, argument, says, ctx, small):
    error = refused(ctx, small, **given)
    assert error.argument == argument
    for text in says:
        assert text in error.detail


def test_what_is_wrong_with_the_rows(ctx, small):
    missing = small.assign(distance=small["distance"].where(small["hour"] != 8))
    error = refused(ctx, missing, target="distance", estimator="sklearn.linear_model.Ridge")
    assert '"distance" is missing in' in error.detail
    constant = small.assign(late=True)
    error = refused(ctx, constant, estimator=LOGISTIC)
    assert error.summary == "One class only"
    parts = small.assign(odd=small["hour"] / 7)
    error = refused(ctx, parts, target="odd", estimator=LOGISTIC)
    assert "which are no classes" in error.detail
    handle = table(ctx, small, splits={})
    with pytest.raises(pydantic.ValidationError, match="split = null"):
        TrainingArguments(data=handle, target="late", estimator=LOGISTIC)


def test_nothing_is_read_before_names_are_checked(ctx, small):
    """A typo shows at once, even if the data are large, or not there."""
    gone = Handle(address="dataset.it", digest="d", attributes=table(ctx, small).attributes)
    gone.attributes["partitions"] = {}
    given = TrainingArguments(data=gone, target="late", estimator=LOGISTIC, params={"max_itr": 3})
    with pytest.raises(ResourceError, match="max_iter"):
        Training().apply(ctx, given, None)


def test_the_plan_knows_of_missing_columns(ctx, small):
    with pytest.raises(pydantic.ValidationError, match='Did you mean "late"'):
        arguments(ctx, small, estimator=LOGISTIC, target="lat")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "exactly one of estimator, pipeline and entry"),
        ({"estimator": LOGISTIC, "entry": "a.py:f"}, "not estimator and entry"),
        ({"estimator": LOGISTIC, "features": ["late"]}, "among the features"),
        ({"estimator": LOGISTIC, "metrics": ["auc"]}, '"auc" is no metric'),
        ({"estimator": "LogisticRegression"}, "estimator"),
    ],
)
def test_arguments_that_do_not_fit(given, says):
    handle = Handle(address="dataset.it", digest="d")
    with pytest.raises(pydantic.ValidationError, match=says):
        TrainingArguments(data=handle, target="late", **given)


def test_distributions():
    def of(**given):
        handle = Handle(address="dataset.it", digest="d")
        found = Training().distributions(TrainingArguments(data=handle, target="t", **given))
        assert set(found) >= {"pandas", "pyarrow", "skops"}
        return [name for name in found if name not in {"pandas", "pyarrow", "skops"}]

    assert of(estimator=LOGISTIC) == ["scikit-learn"]
    assert of(estimator="lightgbm.LGBMClassifier") == ["lightgbm", "scikit-learn"]
    steps = [{"estimator": "sklearn.preprocessing.StandardScaler"}, {"estimator": "xgboost.X"}]
    assert of(pipeline=steps) == ["scikit-learn", "xgboost"]
    nested = {"estimator": {"estimator": "pydantic.Model"}}
    assert of(estimator=LOGISTIC, params=nested) == ["pydantic", "scikit-learn"]


def test_importing_the_type_loads_no_library():
    script = (
        "import sys, mlform_sklearn.training as t; t.Training();"
        "print(sorted({'sklearn', 'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert out == "[]\n"


def test_read_misses_what_is_gone(ctx, small):
    given = arguments(ctx, small, estimator=LOGISTIC, params={"max_iter": 5})
    done = Stored(given, Training().apply(ctx, given, None))
    assert Training().read(ctx, done) == done.attributes
    ctx.artifacts.path(done.attributes.model.digest).unlink()
    assert Training().read(ctx, done) is None
