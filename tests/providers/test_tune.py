"""``training_job "tune"``: what is tried, in which folds, and what is told of it."""

import sys

import numpy as np
import pandas as pd
import pydantic
import pytest
from tests.providers import training_bench
from tests.providers.training_bench import table
from tests.scenarios.command import Folder

from mlform.sdk import Handle, ResourceError
from mlform.sdk.testing import check_resource
from mlform_core import models
from mlform_core.training.choosing import choose
from mlform_core.training.folds import Folds, divided
from mlform_core.training.tune import Tune, TuneArguments

ctx = training_bench.ctx

RIDGE = {"estimator": "sklearn.linear_model.Ridge"}
ALPHA = {"alpha": {"values": [0.1, 10, 1000]}}


@pytest.fixture
def frame():
    random = np.random.default_rng(3)
    a, b = random.normal(size=(2, 240))
    day = pd.date_range("2024-01-01", periods=60).repeat(4)
    value = 3 * a - b + random.normal(size=240)
    group = random.integers(0, 12, 240).astype("int64")
    told = {"a": a, "b": b, "value": value, "high": value > 0, "group": group, "day": day}
    return pd.DataFrame(told).assign(_split="train")


def arguments(ctx, frame, **given):
    given = {"trainer": "sklearn", "job": RIDGE, "search": ALPHA, "sampler": "grid", **given}
    given = {"target": "value", "features": ["a", "b"], "metric": "rmse", **given}
    return TuneArguments(data=table(ctx, frame), **given)


def test_contract(ctx, frame):
    first = arguments(ctx, frame)
    second = arguments(ctx, frame, search={"alpha": {"values": [10, 1000]}})
    before, after = check_resource(Tune(), first, second, ctx)
    assert after.attributes.receipt["sweep"]["folds_trained"] == 0
    best = min(before.attributes.trials, key=lambda t: t["rmse"])
    model = models.load(ctx.artifacts.path(before.attributes.model.digest))
    assert model.estimator[-1].alpha == best["param.alpha"]
    assert [t["param.alpha"] for t in before.attributes.trials] == [0.1, 10, 1000]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_more_trials_begin_with_those_there_were(sampler, ctx, frame):
    space = {"alpha": {"low": 0.01, "high": 1000, "log": True}, "fit_intercept": {"values": [True]}}
    given = {"sampler": sampler, "search": space, "seed": 4}
    few = Tune().apply(ctx, arguments(ctx, frame, trials=12, **given), None)
    many = Tune().apply(ctx, arguments(ctx, frame, trials=15, **given), None)
    assert many.trials[:12] == few.trials
    assert many.receipt["sweep"]["folds_trained"] == 15
    assert all(0.01 <= t["param.alpha"] <= 1000 for t in many.trials)


def test_estimators_are_searched_like_parameters(ctx, frame):
    names = ["sklearn.linear_model.LogisticRegression", "sklearn.tree.DecisionTreeClassifier"]
    given = {"job": {}, "search": {"estimator": {"values": names}}}
    given |= {"target": "high", "metric": "roc_auc"}
    done = Tune().apply(ctx, arguments(ctx, frame, **given), None)
    assert done.receipt["sweep"]["best"] == {"estimator": names[0]}


ENTRY = """
from sklearn.linear_model import Ridge


def train(job):
    X, y = job.read()
    job.report(1, 1, rows=len(X))
    return Ridge(alpha=job.params["alpha"]).fit(X, y)
"""


def test_code_of_the_project_is_searched_too(ctx, frame, monkeypatch):
    (ctx.root / "tuned_entry.py").write_text(ENTRY)
    monkeypatch.syspath_prepend(str(ctx.root))
    given = {"trainer": "python", "job": {}, "entry": "tuned_entry.py:train"}
    done = Tune().apply(ctx, arguments(ctx, frame, **given), None)
    plain = Tune().apply(ctx, arguments(ctx, frame), None)
    assert [t["rmse"] for t in done.trials] == pytest.approx([t["rmse"] for t in plain.trials])
    sys.modules.pop("tuned_entry", None)


def test_a_trial_that_fails_is_a_row(ctx, frame):
    given = {"search": {"alpha": {"values": [-1, 1]}}}
    done = Tune().apply(ctx, arguments(ctx, frame, **given), None)
    assert [t["state"] for t in done.trials] == ["failed", "complete"]
    assert any("alpha" in line for line in ctx.lines)
    with pytest.raises(ResourceError, match="alpha"):
        Tune().apply(ctx, arguments(ctx, frame, search={"alpha": {"values": [-1, -2]}}), None)


def test_folds_keep_groups_and_time(ctx, frame):
    chosen = choose(arguments(ctx, frame))
    target = frame["value"].to_numpy()
    by_group = divided(ctx, Folds(count=4, by="group", column="group"), chosen, target, 0)
    seen = []
    for train, held in by_group:
        assert not set(frame["group"].iloc[train]) & set(frame["group"].iloc[held])
        seen += held.tolist()
    assert sorted(seen) == list(range(240))
    for train, held in divided(ctx, Folds(count=4, by="time", column="day"), chosen, target, 0):
        assert frame["day"].iloc[train].max() < frame["day"].iloc[held].min()
    classes = choose(arguments(ctx, frame, target="high", metric="roc_auc"))
    high = frame["high"].to_numpy()
    for _, held in divided(ctx, Folds(count=4), classes, high, 0):
        assert high[held].mean() == pytest.approx(high.mean(), abs=0.02)


@pytest.mark.parametrize(
    ("given", "argument", "says"),
    [
        ({"trainer": "nothing"}, "trainer", 'no installed provider has a training_job "nothing"'),
        ({"job": {"estimatr": "x"}}, "job", "estimatr"),
        ({"folds": {"count": 3, "by": "group", "column": "grup"}}, "folds", '"group"'),
    ],
)
def test_the_plan_knows(given, argument, says, ctx, frame):
    with pytest.raises(ResourceError) as error:
        Tune().inputs(ctx, arguments(ctx, frame, **given))
    assert error.value.argument == argument
    assert says.lower() in error.value.detail.lower()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"metric": "auc"}, "no metric"),
        ({"sampler": "tpe"}, "needs trials"),
        ({"trials": 3}, "leave trials out"),
        ({"search": {"a": {"low": 0, "high": 1}}}, "a grid needs"),
        ({"search": {"a": {"low": 2, "high": 1, "step": 1}}}, "above high"),
        ({"search": {"a": {"values": list(range(11_000))}}}, "11,000 combinations"),
        ({"folds": {"by": "time"}}, "needs a column"),
    ],
)
def test_arguments_that_do_not_fit(given, says):
    told = {"trainer": "sklearn", "search": ALPHA, "sampler": "grid", "metric": "rmse", **given}
    with pytest.raises(pydantic.ValidationError, match=says):
        TuneArguments(data=Handle(address="dataset.it", digest="d"), target="t", **told)


def test_cross_validation_trains_no_other_model(ctx, frame):
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GroupKFold, cross_val_score

    from mlform.sdk import Stored
    from mlform_sklearn.training import Training, TrainingArguments

    told = {
        "target": "value",
        "features": ["a", "b"],
        "encode": "none",
        "metrics": ["mae"],
        **RIDGE,
    }
    plain = TrainingArguments(data=table(ctx, frame), **told)
    before = Training().apply(ctx, plain, None)
    folds = Folds(count=4, by="group", column="group")
    given = plain.model_copy(update={"cross_validation": folds})
    assert "group" in Training().uses(given)["dataset.it"]
    ctx.doing = "update"
    after = Training().apply(ctx, given, Stored(plain, before))
    assert after.model == before.model
    by = GroupKFold(4, shuffle=True, random_state=0)
    scores = -cross_val_score(
        Ridge(), frame[["a", "b"]], frame["value"], groups=frame["group"], cv=by,
        scoring="neg_mean_absolute_error",
    )  # fmt: skip
    assert after.metrics["folds"]["mae"] == pytest.approx(scores.mean())
    assert after.metrics["folds"]["mae_sd"] == pytest.approx(scores.std(ddof=1))


def test_a_trainer_that_nobody_offers_is_an_error_of_the_spec(tmp_path):
    (tmp_path / "d.csv").write_text("a,b\n1,x\n2,y\n")
    (tmp_path / "main.mlf.hcl").write_text("""
dataset "file" "d" {
  path = "d.csv"
}
training_job "tune" "best" {
  data    = dataset.d
  target  = "b"
  trainer = "catboost"
  trials  = 2
  search  = { depth = { values = [1, 2] } }
  metric  = "roc_auc"
}
""")
    said = Folder(tmp_path).mlform("plan", expect=1).err
    assert "Error: Unknown trainer" in said
    assert "main.mlf.hcl:8:13, in training_job.best" in said
    assert 'No installed provider has a training_job "catboost" that a sweep can train.' in said
