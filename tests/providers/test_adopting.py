"""Models trained elsewhere as results of a training: what is taken, what is told, what refused."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge

from mlform.sdk import Handle, ResourceError
from mlform.sdk.testing import FakeContext
from mlform_core import models, tables
from mlform_sklearn.training import Training, TrainingArguments

LOGISTIC = "sklearn.linear_model.LogisticRegression"


@pytest.fixture(scope="module")
def frame():
    random = np.random.default_rng(0)
    x, y = random.normal(size=200), random.normal(size=200)
    part = np.where(np.arange(200) % 4, "train", "holdout")
    return pd.DataFrame({"x": x, "y": y, "ok": x > 0, "_split": part})


@pytest.fixture
def ctx(tmp_path):
    return FakeContext(tmp_path, doing="import", address="training_job.m")


def arguments(ctx, frame, **given):
    part = tables.write_table(ctx, frame)
    attributes = {
        "partitions": {"all": part.model_dump()},
        "columns": {"x": "float64", "y": "float64", "ok": "bool"},
        "rows": len(frame),
        "splits": {"train": 150, "holdout": 50},
        "time": None,
        "key": [],
    }
    data = Handle(address="dataset.it", digest=part.digest, attributes=attributes)
    return TrainingArguments.model_validate(
        {"data": data, "target": "ok", "estimator": LOGISTIC, **given}
    )


def fitted(frame, model=None, columns=("x", "y")):
    model = LogisticRegression(C=0.5) if model is None else model
    return model.fit(frame[list(columns)], frame["ok"])


def test_a_skops_file_is_measured_and_bundled_and_predicts_as_it_did(ctx, frame):
    model = fitted(frame)
    skops.io.dump(model, ctx.root / "m.skops")
    found = Training().import_(ctx, "m.skops", arguments(ctx, frame, params={"C": 0.5}))
    assert found.arguments == {}
    made = found.attributes
    assert (made.task, made.rows, made.seconds) == ("binary", 150, 0.0)
    assert made.receipt["imported"]["path"] == "m.skops"
    assert made.metrics["holdout"]["roc_auc"] > 0.9
    bundle = models.load(ctx.artifacts.path(made.model.digest))
    wanted = model.predict_proba(frame[["x", "y"]])[:, 1]
    np.testing.assert_array_equal(bundle.predict(frame), wanted)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (LogisticRegression(C=0.5), {"params": {"C": 0.5}}),
        (
            RandomForestClassifier(n_estimators=3),
            {
                "estimator": "sklearn.ensemble.RandomForestClassifier",
                "params": {"n_estimators": 3},
            },
        ),
    ],
    ids=["parameter", "estimator"],
)
def test_what_a_file_says_otherwise_than_its_block_is_told(model, told, ctx, frame):
    skops.io.dump(fitted(frame, model), ctx.root / "m.skops")
    found = Training().import_(ctx, "m.skops", arguments(ctx, frame, params={"C": 2.0}))
    assert found.arguments == told


def test_a_bundle_tells_its_block_without_data(ctx, frame):
    skops.io.dump(fitted(frame), ctx.root / "m.skops")
    made = Training().import_(ctx, "m.skops", arguments(ctx, frame)).attributes
    (ctx.root / "m.mlform").write_bytes(ctx.artifacts.read(made.model.digest))
    found = Training().import_(ctx, "m.mlform", None)
    assert found.attributes.model == made.model
    assert found.arguments == {
        "target": "ok",
        "format": "skops",
        "features": ["x", "y"],
        "estimator": LOGISTIC,
        "params": {"C": 0.5},
    }
    other = arguments(ctx, frame, features=["x"], params={"C": 0.5})
    assert Training().import_(ctx, "m.mlform", other).arguments["features"] == ["x", "y"]


def test_a_pickle_only_where_the_block_allows_it(ctx, frame):
    joblib.dump(fitted(frame), ctx.root / "m.joblib")
    with pytest.raises(ResourceError, match="runs code of its maker"):
        Training().import_(ctx, "m.joblib", arguments(ctx, frame))
    allowed = arguments(ctx, frame, format="pickle", params={"C": 0.5})
    found = Training().import_(ctx, "m.joblib", allowed)
    assert found.arguments == {}
    assert found.attributes.metrics["train"]["accuracy"] > 0.9


def test_what_is_refused(ctx, frame):
    (ctx.root / "m.txt").write_text("no model")
    skops.io.dump(fitted(frame, columns=["y", "x"]), ctx.root / "order.skops")
    skops.io.dump(Ridge(), ctx.root / "bare.skops")
    new = arguments(ctx, frame)
    with pytest.raises(ResourceError, match="neither a bundle of mlform, nor a skops file"):
        Training().import_(ctx, "m.txt", new)
    with pytest.raises(ResourceError, match="takes them in the order y, x"):
        Training().import_(ctx, "order.skops", new)
    with pytest.raises(ResourceError, match="not fitted"):
        Training().import_(ctx, "bare.skops", new)
    with pytest.raises(ResourceError, match="Data not applied yet"):
        Training().import_(ctx, "order.skops", None)
    assert Training().import_(ctx, "nowhere.skops", new) is None
