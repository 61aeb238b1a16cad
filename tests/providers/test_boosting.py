"""``training_job "xgboost"`` and ``"lightgbm"`` on real flights."""

import json
import re

import numpy as np
import pandas as pd
import pydantic
import pytest
from sklearn.datasets import load_iris
from sklearn.metrics import roc_auc_score
from tests.providers import training_bench
from tests.providers.training_bench import explained, flights, table

from mlform.sdk import CancelledError, Handle, ResourceError
from mlform.sdk.testing import check_resource
from mlform_core import models
from mlform_core.bundles import BundleError
from mlform_core.native import loads
from mlform_core.serving.runtime import Native, Parts
from mlform_core.training.boosting import BoostingArguments
from mlform_core.training.lgbm import LightGBM
from mlform_core.training.xgb import XGBoost

ctx = training_bench.ctx

TYPES = {"xgboost": XGBoost, "lightgbm": LightGBM}
DEPTH = {"max_depth": 4}

pytestmark = pytest.mark.usefixtures("ctx")


@pytest.fixture(params=TYPES)
def resource(request):
    return TYPES[request.param]()


@pytest.fixture(scope="module")
def weeks():
    """Two weeks of flights and a part to stop by."""
    frame = flights(12_000)
    day = frame["time_hour"].str[:10] if frame["time_hour"].dtype == object else frame["time_hour"]
    parts = np.select([day < "2013-01-09", day < "2013-01-11"], ["train", "valid"], "holdout")
    return frame.assign(_split=parts)


def arguments(ctx, frame, **given):
    given = {"target": "late", "exclude": ["flight"], "rounds": 20, "params": DEPTH, **given}
    return BoostingArguments(data=table(ctx, frame, time="time_hour"), **given)


def loaded(ctx, done):
    return models.load(ctx.artifacts.path(done.model.digest))


def test_contract(resource, ctx, weeks):
    first, second = arguments(ctx, weeks), arguments(ctx, weeks, rounds=5)
    before, after = check_resource(resource, first, second, ctx)
    assert before.attributes.model != after.attributes.model
    done, model = before.attributes, loaded(ctx, before.attributes)
    assert model.meta["format"] == resource.type
    held = weeks[weeks["_split"] == "holdout"]
    auc = roc_auc_score(held["late"], model.predict(held))
    assert done.metrics["holdout"]["roc_auc"] == pytest.approx(auc)
    assert 0.55 < auc < 0.9
    lines = ctx.artifacts.read(done.history.digest).decode().splitlines()
    assert [json.loads(line)["round"] for line in lines] == list(range(1, 21))
    losses = [next(v for n, v in json.loads(x).items() if n != "round") for x in lines]
    assert losses[-1] < losses[0]
    assert len([h for h in ctx.heard if "train-" in h[2]]) >= 20


def test_it_predicts_what_the_library_predicts(resource, ctx, weeks):
    """Categories by the library's own way, from a frame of pandas."""
    names = ["hour", "distance", "carrier", "origin"]
    given = {"features": names, "exclude": [], "seed": 3}
    model = loaded(ctx, resource.apply(ctx, arguments(ctx, weeks, **given), None))
    rows = weeks[weeks["_split"] == "train"]
    kinds = {n: pd.CategoricalDtype(sorted(rows[n].dropna().unique())) for n in names[2:]}
    as_is = rows[names].astype(kinds)
    if resource.type == "xgboost":
        import xgboost

        data = xgboost.DMatrix(as_is, rows["late"], enable_categorical=True)
        params = {"max_depth": 4, "objective": "binary:logistic", "seed": 3, "nthread": 1}
        wanted = xgboost.train(params, data, 20).predict(data)
    else:
        import lightgbm

        params = {"max_depth": 4, "objective": "binary", "seed": 3, "deterministic": True}
        params |= {"force_row_wise": True, "verbosity": -1, "num_threads": 1}
        data = lightgbm.Dataset(as_is, rows["late"].astype(float))
        wanted = lightgbm.train(params, data, 20).predict(as_is)
    np.testing.assert_allclose(model.predict(rows), wanted, atol=1e-6)


@pytest.mark.parametrize("split", ["valid", None])
def test_early_stopping_keeps_the_best_round(split, resource, ctx, weeks):
    stop = {"rounds": 3, "split": split}
    params = {"max_depth": 8, "learning_rate": 0.8}
    given = arguments(ctx, weeks, rounds=200, params=params, early_stopping=stop)
    done = resource.apply(ctx, given, None)
    rows = [json.loads(x) for x in ctx.artifacts.read(done.history.digest).decode().splitlines()]
    name = next(n for n in rows[0] if n.startswith("valid-"))
    assert len(rows) < 200
    best = int(np.argmin([row[name] for row in rows])) + 1
    assert len(rows) == best + 3
    assert loaded(ctx, done).meta["best_rounds"] == best
    if split is not None:
        plain = arguments(ctx, weeks, rounds=best, params=params)
        wanted = loaded(ctx, resource.apply(ctx, plain, None)).predict(weeks)
        np.testing.assert_allclose(loaded(ctx, done).predict(weeks), wanted, atol=1e-6)


def test_threads_change_nothing(resource, ctx, weeks, monkeypatch):
    params = (
        {"subsample": 0.7, "bagging_freq": 1} if resource.type == "lightgbm" else {"subsample": 0.7}
    )
    given = arguments(ctx, weeks, params=params)
    found = []
    for threads in ("1", "2", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found.append(resource.apply(ctx, given, None).model.digest)
    assert len(set(found)) == 1


def test_rows_with_surprises(resource, ctx, weeks):
    model = loaded(ctx, resource.apply(ctx, arguments(ctx, weeks), None))
    row = {"hour": 8, "minute": 0, "distance": None, "carrier": "??", "origin": None, "dest": ""}
    assert 0 < model.predict(pd.DataFrame([row]))[0] < 1
    with pytest.raises(ValueError, match='"dest" \\(string\\) is missing'):
        model.predict(pd.DataFrame([{k: v for k, v in row.items() if k != "dest"}]))
    asked = {n: [None if pd.isna(v) else v for v in [*weeks[n][:50], row[n]]] for n in row}
    by_columns, by_frames = (it(model).predict(asked) for it in (Parts, Native))
    np.testing.assert_array_equal(by_columns, by_frames)


def test_two_whole_numbers_are_said_to_be_predicted_as_numbers(resource, ctx, weeks):
    frame = weeks.assign(late=weeks["late"].astype("int64"))
    hint = 'task = "binary" tells them apart'
    stop = {"rounds": 5, "split": "valid"}
    done = resource.apply(ctx, arguments(ctx, frame, early_stopping=stop), None)
    assert done.task == "regression"
    assert f'"late" has two values and is predicted as a number, since it is int64; {hint}' in (
        ctx.lines
    )
    assert not any("keyword" in line for line in ctx.lines), "the library is called as it wants"
    ctx.lines.clear()
    done = resource.apply(ctx, arguments(ctx, frame, task="binary"), None)
    assert done.task == "binary"
    card = ctx.artifacts.read(done.card.digest).decode()
    assert f"| Estimator | `{resource.type}: 20 of 20 rounds` |" in card
    whole = re.findall(r"\| int64 \| `(.*)` \|", card)
    assert whole and not any("." in example for example in whole)
    assert not any(hint in line for line in ctx.lines)


def test_classes_and_values(resource, ctx):
    flowers = load_iris(as_frame=True)
    frame = flowers.data.assign(kind=flowers.target_names[flowers.target].astype(object))
    given = {"exclude": [], "rounds": 10, "params": {}}
    done = resource.apply(ctx, arguments(ctx, frame, target="kind", **given), None)
    assert done.task == "multiclass"
    assert done.metrics["holdout"]["accuracy"] > 0.8
    assert loaded(ctx, done).labels(frame)[0] == "setosa"
    given["exclude"] = ["kind"]
    done = resource.apply(ctx, arguments(ctx, frame, target="petal width (cm)", **given), None)
    assert done.task == "regression"
    assert done.metrics["train"]["r2"] > 0.6


@pytest.mark.parametrize(
    ("given", "argument", "says"),
    [
        ({"params": {"max_dept": 3}}, "params", 'no parameter "max_dept"'),
        ({"params": {"objective": "regression_l1"}}, "params", "does not predict 2 classes"),
        ({"early_stopping": {"rounds": 2, "split": "vald"}}, "early_stopping", "no part"),
        ({"params": {"learning_rate": "fast"}}, "params", "fast"),
    ],
)
def test_errors(given, argument, says, resource, ctx, weeks):
    with pytest.raises((ResourceError, pydantic.ValidationError)) as error:
        resource.apply(ctx, arguments(ctx, weeks, **given), None)
    wrong = explained(error.value)
    assert wrong.argument == argument
    assert says in wrong.detail


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"params": {"n_jobs": 4}}, "resources"),
        ({"params": {"random_state": 4}}, "write seed"),
        ({"params": {"n_estimators": 4}}, "write rounds"),
        ({"early_stopping": {"rounds": 1, "split": "train"}}, "is the part trained on"),
    ],
)
def test_what_has_a_place_of_its_own(given, says):
    with pytest.raises(pydantic.ValidationError, match=says):
        BoostingArguments(data=Handle(address="dataset.it", digest="d"), target="t", **given)


def test_stopping(resource, ctx, weeks):
    ctx.stop_after = 4
    with pytest.raises(CancelledError):
        resource.apply(ctx, arguments(ctx, weeks), None)


def test_made_up_models_are_refused(resource, ctx, weeks):
    """The libraries follow the indices in a file without looking."""
    model = loaded(ctx, resource.apply(ctx, arguments(ctx, weeks, rounds=2), None))
    whole = model.estimator.dumps().decode()
    loads(whole.encode(), model.meta)
    if resource.type == "xgboost":
        tree = json.loads(whole)
        tree["learner"]["gradient_booster"]["model"]["trees"][0]["left_children"][0] = 10**6
        wrong = json.dumps(tree)
    else:
        wrong = re.sub("left_child=-?[0-9]+", "left_child=1000000", whole, count=1)
    assert wrong != whole
    for data in (wrong, whole[: len(whole) // 2], "{}"):
        with pytest.raises(BundleError):
            loads(data.encode(), model.meta)
