"""``training_job "python"``: what an entry is given, and what becomes of what it returns."""

import sys

import numpy as np
import pandas as pd
import pytest
from tests.providers import training_bench
from tests.providers.training_bench import table

from mlform.sdk import CancelledError, ResourceError
from mlform.sdk.testing import check_resource
from mlform_core import models
from mlform_core.training.python import Python, PythonArguments

ctx = training_bench.ctx

CODE = """
import numpy as np
import xgboost
from sklearn.linear_model import LinearRegression, LogisticRegression


def logistic(job):
    X, y = job.read()
    job.report(1, 2, loss=0.5, bad=float("nan"))
    return LogisticRegression(C=job.params["C"], random_state=job.seed).fit(X, y)


def linear(job):
    X, y = job.read("train")
    assert len(job.read("holdout")[0]) and job.parts == ["train", "holdout"]
    assert list(job.table("more").columns) == ["a", "b"]
    return LinearRegression().fit(X, y)


def booster(job):
    X, y = job.read()
    return xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(X.to_numpy(), y), 5)


class Own:
    def predict(self, X):
        return np.zeros(len(X))


def own(job):
    return Own()


def nothing(job):
    return None


def broken(job):
    return job.params["missing"]


def other(job):
    job.table("mroe")


def part(job):
    job.read("valid")
"""


@pytest.fixture
def given(ctx, monkeypatch):
    (ctx.root / "own_entries.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(ctx.root))
    random = np.random.default_rng(1)
    frame = pd.DataFrame({"a": random.normal(size=200), "b": random.normal(size=200)})
    more = table(ctx, frame.assign(_split="x"))
    frame = frame.assign(high=frame["a"] + frame["b"] > 0, value=frame["a"] * 2)

    def arguments(entry, target="high", **told):
        told = {"features": ["a", "b"], "inputs": {"more": more}, **told}
        data = table(ctx, frame)
        return PythonArguments(data=data, entry=f"own_entries.py:{entry}", target=target, **told)

    yield arguments
    sys.modules.pop("own_entries", None)


def test_contract(ctx, given):
    first, second = given("logistic", params={"C": 1.0}), given("logistic", params={"C": 0.1})
    before, after = check_resource(Python(), first, second, ctx)
    assert before.attributes.model != after.attributes.model
    assert before.attributes.metrics["holdout"]["roc_auc"] > 0.9
    assert (1, 2, "loss 0.5, bad nan") in ctx.heard
    history = ctx.artifacts.read(before.attributes.history.digest)
    assert history == b'{"loss": 0.5, "step": 1}\n'
    card = ctx.artifacts.read(before.attributes.card.digest).decode()
    assert "the probability that `high` is `True`" in card
    assert before.attributes.model.digest in card
    assert f"| Estimator | `{before.attributes.receipt['model']}` |" in card
    assert "| C | `1.0` |" in card


def test_what_an_entry_may_return(ctx, given):
    done = Python().apply(ctx, given("linear", "value"), None)
    assert done.task == "regression"
    assert done.metrics["holdout"]["r2"] == pytest.approx(1)
    done = Python().apply(ctx, given("booster"), None)
    model = models.load(ctx.artifacts.path(done.model.digest))
    assert (model.meta["format"], model.meta["classes"]) == ("xgboost", [False, True])
    assert done.metrics["holdout"]["roc_auc"] > 0.9
    done = Python().apply(ctx, given("own", "value", format="pickle"), None)
    with pytest.raises(ResourceError, match="Pickle"):
        models.load(ctx.artifacts.path(done.model.digest))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("own", "gives no probabilities"),
        ("nothing", "returned NoneType, which has no predict"),
        ("broken", "KeyError: 'missing'\nat own_entries.py, line 39"),
        ("other", 'inputs has no "mroe"; it has more'),
        ("part", 'no part "valid" with rows here; there are train, holdout'),
    ],
)
def test_errors(entry, says, ctx, given):
    with pytest.raises(ResourceError) as error:
        Python().apply(ctx, given(entry), None)
    assert says in error.value.detail


def test_a_model_that_skops_cannot_hold_needs_a_pickle_by_name(ctx, given):
    with pytest.raises(ResourceError, match='format = "pickle"'):
        Python().apply(ctx, given("own", "value"), None)


def test_reports_stop(ctx, given):
    ctx.stop_after = 1
    with pytest.raises(CancelledError):
        Python().apply(ctx, given("logistic", params={"C": 1.0}), None)
