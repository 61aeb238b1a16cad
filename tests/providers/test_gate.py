from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from tests.providers.gate_bench import FRAME, STRONG, WEAK, Bench, logistic
from tests.providers.training_bench import explained

from mlform.sdk import CancelledError, ResourceError
from mlform.sdk.testing import check_resource
from mlform_core.gate import Evaluation, EvaluationArguments


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def data(bench):
    return bench.table(FRAME)


@pytest.fixture
def strong(bench):
    return bench.model(logistic(STRONG), FRAME, STRONG, "target", "binary")


@pytest.fixture
def weak(bench):
    return bench.model(logistic(WEAK), FRAME, WEAK, "target", "binary", "model.old")


def outcome(stored, kind="min_gain"):
    (check,) = [c for c in stored.attributes.checks if c.check == kind]
    return check.outcome


def test_thresholds_on_the_held_out_part(bench, data, strong):
    held_out = FRAME[FRAME["_split"] == "holdout"]
    p = logistic(STRONG).predict_proba(held_out[STRONG])[:, 1]
    require = {"roc_auc": {"min": 0.9}, "log_loss": {"max": 0.5}, "recall": {"min": 0.8}}
    found = bench.apply(candidate=strong, data=data, require=require).attributes
    assert found.passed
    assert found.candidate == strong.digest
    assert found.rows == len(held_out)
    estimates = {c.metric: c.estimate for c in found.checks}
    assert estimates["roc_auc"] == pytest.approx(roc_auc_score(held_out["target"], p))
    assert estimates["log_loss"] == pytest.approx(log_loss(held_out["target"], p))
    assert found.summary == "passed 3 checks"


def test_failing_is_a_result_that_says_why(bench, data, weak):
    found = bench.apply(candidate=weak, data=data, require={"roc_auc": {"min": 0.9}}).attributes
    assert not found.passed
    assert found.summary.startswith("failed: roc_auc 0.")
    assert found.summary.endswith("< min 0.9")
    evidence = json.loads(bench.ctx.artifacts.read(found.evidence.digest))
    assert evidence["passed"] is False
    assert evidence["checks"][0]["message"] in found.summary
    assert set(evidence["metrics"]) >= {"roc_auc", "brier", "ece"}


def test_on_fail_warn_passes_and_says_so(bench, data, weak):
    require = {"roc_auc": {"min": 0.9}}
    found = bench.apply(candidate=weak, data=data, require=require, on_fail="warn").attributes
    assert found.passed
    assert [c.outcome for c in found.checks] == ["warn"]
    assert found.summary.startswith("passed with warnings: roc_auc")


@pytest.mark.parametrize("test", ["paired_bootstrap", "delong", "none"])
def test_against_the_champion(bench, data, strong, weak, test):
    require = {"roc_auc": {"min_gain": 0.0, "test": test}}
    up = bench.apply(candidate=strong, baseline=weak, data=data, require=require)
    down = bench.apply(candidate=weak, baseline=strong, data=data, require=require)
    same = bench.apply(candidate=weak, baseline=weak, data=data, require=require)
    assert [outcome(s) for s in (up, down, same)] == ["pass", "fail", "pass"]
    assert up.attributes.checks[0].gain == pytest.approx(-down.attributes.checks[0].gain)
    assert same.attributes.checks[0].low == 0


def test_no_baseline_passes(bench, data, weak):
    found = bench.apply(candidate=weak, data=data, require={"roc_auc": {"min_gain": 0.1}})
    assert found.attributes.passed
    assert "no baseline" in found.attributes.checks[0].message


def test_gains_count_in_the_direction_of_better(bench, data, strong, weak):
    require = {"log_loss": {"min_gain": 0.01}, "brier": {"min_gain": 0.01}}
    found = bench.apply(candidate=strong, baseline=weak, data=data, require=require).attributes
    assert found.passed
    assert all(c.gain > 0 and c.estimate < c.baseline for c in found.checks)


def test_a_near_twin_passes_as_not_worse_and_not_as_better(bench, data, strong):
    twin = bench.model(logistic(STRONG, C=0.97), FRAME, STRONG, "target", "binary")
    assert twin.digest != strong.digest
    verdicts = []
    for asked in (-0.02, 0.02):
        require = {"log_loss": {"min_gain": asked}}
        found = bench.apply(candidate=twin, baseline=strong, data=data, require=require)
        verdicts.append(outcome(found))
    assert verdicts == ["pass", "fail"]


def test_deciding_anew_computes_nothing(bench, data, strong, weak, monkeypatch):
    first = bench.apply(
        candidate=strong, baseline=weak, data=data, require={"roc_auc": {"min": 0.99}}
    )
    assert bench.ctx.made == 2
    monkeypatch.setattr(
        "mlform_core.gate_measure.load", lambda *_, **__: pytest.fail("a model was loaded")
    )
    bench.ctx.doing = "decide"
    again = bench.apply(
        first,
        candidate=strong,
        baseline=None,
        data=data,
        require={"roc_auc": {"min": 0.9}, "f1": {"min": 0.5}},
        slices={"by": ["site"], "min": {"roc_auc": 0.6}, "min_support": 30},
        fairness={"attribute": "sex", "demographic_parity_ratio": {"min": 0.1}},
    )
    assert bench.ctx.made == 2
    assert not first.attributes.passed
    assert again.attributes.passed


def test_the_old_candidates_measurement_serves_as_baseline(bench, data, strong, weak):
    require = {"roc_auc": {"min_gain": 0.0}}
    bench.apply(candidate=weak, data=data, require=require)
    bench.apply(candidate=strong, baseline=weak, data=data, require=require)
    assert bench.ctx.made == 2


def test_looks_at_the_same_rows_are_counted(bench, data, strong, weak):
    require = {"roc_auc": {"min": 0.5}}
    one = bench.apply(candidate=weak, data=data, require=require)
    two = bench.apply(one, candidate=strong, data=data, require=require)
    same = bench.apply(two, candidate=strong, data=data, require={"f1": {"min": 0.5}})
    other = bench.apply(same, candidate=strong, data=data, split="train", require=require)
    assert [s.attributes.looks for s in (one, two, same, other)] == [1, 2, 2, 1]


def test_many_looks_at_the_same_rows_are_warned_of(bench, data, strong, weak):
    stored = None
    for candidate in (weak, strong, weak, strong, weak):
        assert bench.ctx.lines == []
        require = {"roc_auc": {"min_gain": -1.0}}
        stored = bench.apply(stored, candidate=candidate, data=data, require=require)
    assert "probability of up to 23%" in bench.ctx.lines[0]


def test_multiclass_with_a_class_the_champion_never_saw(bench):
    frame = load_iris(as_frame=True).frame
    frame.columns = [c.replace(" ", "_").removesuffix("_(cm)") for c in frame.columns]
    frame["target"] = frame["target"].map({0: "setosa", 1: "versicolor", 2: "virginica"})
    frame["_split"] = np.where(np.arange(len(frame)) % 2 == 0, "train", "holdout")
    features = list(frame.columns[:4])
    train = frame[frame["_split"] == "train"]
    fit = LogisticRegression(max_iter=5000).fit
    candidate = bench.model(
        fit(train[features], train["target"]), frame, features, "target", "multiclass"
    )
    three = train.assign(target=np.where(train.index % 3 == 0, "other", train["target"]))
    three = three[three["target"] != "versicolor"]
    fitted = LogisticRegression(max_iter=5000, C=0.5).fit(three[features], three["target"])
    baseline = bench.model(fitted, frame, features, "target", "multiclass", "model.old")
    require = {"accuracy": {"min": 0.9, "min_gain": 0.1}, "macro_f1": {"min_gain": 0.1}}
    found = bench.apply(
        candidate=candidate, baseline=baseline, data=bench.table(frame), require=require
    ).attributes
    assert found.passed, found.summary
    assert 0.3 < found.checks[1].baseline < 0.7


def test_regression(bench):
    frame = load_diabetes(as_frame=True).frame
    frame["_split"] = np.where(np.arange(len(frame)) % 2 == 0, "train", "holdout")
    train = frame[frame["_split"] == "train"]
    good = ["bmi", "bp", "s5"]
    handles = []
    for features in (good, ["age"]):
        fitted = LinearRegression().fit(train[features], train["target"])
        handles.append(bench.model(fitted, frame, features, "target", "regression"))
    require = {"rmse": {"max": 65, "min_gain": 5}, "r2": {"min": 0.3}, "mae": {"min_gain": 1}}
    data = bench.table(frame)
    found = bench.apply(candidate=handles[0], baseline=handles[1], data=data, require=require)
    assert found.attributes.passed, found.attributes.summary
    with pytest.raises(ResourceError, match="yes/no decisions"):
        bench.apply(candidate=handles[0], data=data, fairness={"attribute": "sex"})


@pytest.mark.parametrize(
    ("written", "argument", "message"),
    [
        ({"split": "holdot"}, "split", 'Did you mean "holdout"'),
        ({"require": {"rmse": {"max": 1}}}, "require", "rmse is not defined for a binary model"),
    ],
)
def test_what_cannot_be_judged_is_an_error(bench, data, strong, written, argument, message):
    given = {"require": {"roc_auc": {"min": 0.5}}, **written}
    with pytest.raises((ResourceError, ValidationError), match=message) as error:
        bench.apply(candidate=strong, data=data, **given)
    assert explained(error.value).argument == argument


def test_data_that_does_not_fit_the_model(bench, strong):
    require = {"roc_auc": {"min": 0.5}}
    with pytest.raises(ValidationError, match="is not split"):
        bench.apply(
            candidate=strong, data=bench.table(FRAME.drop(columns="_split")), require=require
        )
    with pytest.raises(ResourceError, match='no column "target", the target'):
        bench.apply(
            candidate=strong, data=bench.table(FRAME.drop(columns="target")), require=require
        )
    with pytest.raises(ResourceError, match='no column "mean_radius"'):
        bench.apply(
            candidate=strong, data=bench.table(FRAME.drop(columns="mean_radius")), require=require
        )
    strange = FRAME.assign(target=FRAME["target"].replace(0, 5))
    with pytest.raises(ResourceError, match=r"value 5 .* tell 0 and 1 apart"):
        bench.apply(candidate=strong, data=bench.table(strange), require=require)
    alike = FRAME[FRAME["target"] == 1]
    with pytest.raises(ResourceError, match="all labels are equal"):
        bench.apply(candidate=strong, data=bench.table(alike), require=require)


def test_columns_of_another_type_are_an_error(bench, strong):
    words = FRAME.assign(mean_radius="wide")
    with pytest.raises(ResourceError, match="mean_radius") as error:
        bench.apply(candidate=strong, data=bench.table(words), require={"roc_auc": {"min": 0.5}})
    assert error.value.argument == "candidate"


def test_a_model_that_is_gone_is_an_error(bench, data, strong):
    bench.ctx.artifacts.path(strong.digest).unlink()
    with pytest.raises(ResourceError, match="no longer in the artifact store"):
        bench.apply(candidate=strong, data=data, require={"roc_auc": {"min": 0.5}})


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({}, "requires nothing"),
        ({"require": {"roc_acu": {"min": 1}}}, 'Did you mean "roc_auc"'),
        ({"require": {"f1": {"test": "delong"}}}, "delong"),
        ({"require": {"f1": {"min": 0.9, "max": 0.1}}}, "nothing can pass"),
        ({"slices": {"by": ["a"], "min": {"log_loss": 1}}}, "bound log_loss of a slice with max"),
        ({"slices": {"by": ["a"], "max_regress": {"f1": -0.1}}}, "is negative"),
    ],
)
def test_nonsense_is_refused_before_anything_runs(data, strong, written, message):
    with pytest.raises(ValidationError, match=message):
        EvaluationArguments.model_validate({"candidate": strong, "data": data, **written})


def test_data_must_be_a_table(strong):
    with pytest.raises(ValidationError, match="must be a dataset or a feature_view"):
        EvaluationArguments.model_validate(
            {"candidate": strong, "data": strong, "require": {"f1": {"min": 0}}}
        )


def test_stopping_in_the_middle(bench, data, strong):
    bench.ctx.stop_after = 0
    with pytest.raises(CancelledError):
        bench.apply(candidate=strong, data=data, require={"f1": {"min": 0}})


def test_contract(bench, data, strong, weak):
    first = {"candidate": weak, "data": data, "require": {"roc_auc": {"min": 0.9}}}
    second = {**first, "candidate": strong, "baseline": weak}
    before, after = check_resource(
        Evaluation(),
        EvaluationArguments.model_validate(first),
        EvaluationArguments.model_validate(second),
        bench.ctx,
    )
    assert (before.attributes.passed, after.attributes.passed) == (False, True)


def test_equal_measurements_are_equal_bytes(tmp_path):
    digests = []
    for name in ("one", "two"):
        bench = Bench(tmp_path / name)
        data = bench.table(FRAME)
        candidate = bench.model(logistic(STRONG), FRAME, STRONG, "target", "binary")
        baseline = bench.model(logistic(WEAK), FRAME, WEAK, "target", "binary")
        require = {"roc_auc": {"min_gain": 0.0}, "log_loss": {"min_gain": 0.0}}
        found = bench.apply(candidate=candidate, baseline=baseline, data=data, require=require)
        digests.append(found.attributes.evidence.digest)
    assert digests[0] == digests[1]
