"""``training_job "sklearn"`` on real data: what comes out, and that it repeats."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tests.providers import training_bench
from tests.providers.training_bench import (
    FOREST,
    HISTOGRAM,
    LOGISTIC,
    arguments,
    flights,
    loaded,
    refused,
    train,
)

from mlform.sdk import CancelledError, Stored
from mlform.sdk.testing import check_resource
from mlform_sklearn.training import Training

ctx, small = training_bench.ctx, training_bench.small


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


def test_a_column_transformer_has_the_columns_as_they_are(ctx, small):
    def made(name, **params):
        return {"estimator": f"sklearn.{name}", "params": params}

    texts = made("preprocessing.OneHotEncoder", handle_unknown="ignore")
    numbers = ["hour", "minute"]
    parts = [
        ["texts", texts, ["origin", "carrier"]],
        ["numbers", made("preprocessing.StandardScaler"), numbers],
    ]
    front = made("compose.ColumnTransformer", transformers=parts)
    last = made("linear_model.LogisticRegression", max_iter=300, C=0.1)
    done = train(ctx, small, pipeline=[front, last])
    rows = small[small["_split"] == "train"]
    own = make_pipeline(
        ColumnTransformer(
            [
                ("texts", OneHotEncoder(handle_unknown="ignore"), ["origin", "carrier"]),
                ("numbers", StandardScaler(), numbers),
            ]
        ),
        LogisticRegression(max_iter=300, C=0.1),
    ).fit(rows, rows["late"])
    held = small[small["_split"] == "holdout"]
    np.testing.assert_allclose(
        loaded(ctx, done).predict(held), own.predict_proba(held)[:, 1], rtol=1e-9
    )
    inside = made("pipeline.Pipeline", steps=[["front", front], ["last", last]])
    params = {"estimator": inside, "cv": 3}
    wrapped = train(
        ctx, small, estimator="sklearn.calibration.CalibratedClassifierCV", params=params
    )
    assert wrapped.metrics["holdout"]["roc_auc"] > 0.55


def test_stacked_estimators_are_put_together_by_default(ctx, small):
    trees = {"estimator": FOREST, "params": {"n_estimators": 5, "max_depth": 4}}
    linear = {"estimator": LOGISTIC, "params": {"max_iter": 5000}}
    params = {"estimators": [["trees", trees], ["linear", linear]], "cv": 3}
    rows = {"features": ["hour", "minute", "carrier"]}
    done = train(ctx, small, estimator="sklearn.ensemble.StackingClassifier", params=params, **rows)
    assert done.task == "binary"
    assert done.metrics["holdout"]["roc_auc"] > 0.55


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
