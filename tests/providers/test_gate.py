from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from pydantic import ValidationError
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from mlform.sdk import CancelledError, Handle, ResourceError, Stored
from mlform.sdk.testing import FakeContext, check_resource
from mlform_core import models, tables
from mlform_core.compare import Pair, delong, paired_bootstrap
from mlform_core.gate import Evaluation, EvaluationArguments
from mlform_core.metrics import Outcomes

TYPES = {"f": "float64", "i": "int64", "b": "bool"}


class Bench:
    """A spec's worth of handles: tables and models in one artifact store."""

    def __init__(self, base: Path) -> None:
        self.ctx = FakeContext(base)
        self.base = base

    def table(self, frame: pd.DataFrame, address: str = "feature_view.cells") -> Handle:
        artifact = tables.write_table(self.ctx, frame)
        splits = frame["_split"].value_counts().to_dict() if "_split" in frame else {}
        columns = {n: TYPES.get(d.kind, "string") for n, d in frame.dtypes.items() if n != "_split"}
        attributes = {
            "partitions": {"all": artifact.model_dump(mode="json")},
            "columns": columns,
            "rows": len(frame),
            "splits": splits,
            "time": None,
            "key": [],
        }
        return Handle(address=address, digest=artifact.digest, attributes=attributes)

    def model(self, fitted, frame, features, target, task, address="training_job.cells") -> Handle:
        classes = None if task == "regression" else fitted.classes_.tolist()
        meta = {
            "format": "skops",
            "task": task,
            "target": target,
            "classes": classes,
            "features": [{"name": n, "type": TYPES[frame[n].dtype.kind]} for n in features],
            "framework": "scikit-learn",
            "framework_version": sklearn.__version__,
        }
        name = hashlib.sha256(repr((address, features, fitted.get_params())).encode()).hexdigest()
        folder = self.base / "models" / name
        folder.mkdir(parents=True)
        path = models.save(fitted, meta, {}, folder, pickle_allowed=False)
        artifact = self.ctx.artifacts.put_file(path, "application/vnd.mlform.model")
        return Handle(address=address, attribute="model", digest=artifact.digest, artifact=artifact)

    def apply(self, old=None, **written):
        new = EvaluationArguments.model_validate(written)
        return Stored(new, Evaluation().apply(self.ctx, new, old))


def cells() -> pd.DataFrame:
    """Breast cancer: every second row is held out; ``site`` and ``sex`` are made up."""
    frame = load_breast_cancer(as_frame=True).frame
    frame.columns = [c.replace(" ", "_") for c in frame.columns]
    frame["site"] = np.where(np.arange(len(frame)) % 7 < 3, "north", "south")
    frame["sex"] = np.where(frame["mean_texture"] > 19, "x", "y")
    frame["_split"] = np.where(np.arange(len(frame)) % 2 == 0, "train", "holdout")
    return frame


FRAME = cells()
STRONG = ["mean_radius", "mean_texture", "mean_concavity", "worst_smoothness"]
WEAK = ["mean_smoothness", "mean_symmetry"]


def logistic(features, **parameters):
    train = FRAME[FRAME["_split"] == "train"]
    return LogisticRegression(max_iter=5000, **parameters).fit(train[features], train["target"])


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


def test_a_slice_with_one_positive_row_is_not_tested(bench, strong):
    frame = FRAME.assign(rare=np.where(FRAME["target"] == 1, "common", "zero"))
    held_out = frame.index[(frame["_split"] == "holdout") & (frame["target"] == 1)]
    frame.loc[held_out[0], "rare"] = "zero"
    slices = {"by": ["rare"], "min": {"roc_auc": 0.99}, "min_support": 20}
    found = bench.apply(candidate=strong, data=bench.table(frame), slices=slices).attributes
    reasons = {c.slice: c.message for c in found.checks if c.outcome == "skipped"}
    assert "is not defined" in reasons["rare=common"]
    assert "too few rows of one class" in reasons["rare=zero"]


def spoiled(bench, where: pd.Series) -> tuple[Handle, Handle]:
    """A model that reads ``hint``, which misleads in the rows ``where``, and its data."""
    frame = pd.concat([FRAME] * 3, ignore_index=True)
    where = pd.concat([where] * 3, ignore_index=True)
    rng = np.random.default_rng(7)
    told = np.where(where & (frame["_split"] == "holdout"), 1 - frame["target"], frame["target"])
    frame["hint"] = told + rng.normal(scale=0.6, size=len(frame))
    train = frame[frame["_split"] == "train"]
    fitted = LogisticRegression().fit(train[["hint"]], train["target"])
    model = bench.model(fitted, frame, ["hint"], "target", "binary", "training_job.spoiled")
    return model, bench.table(frame, "feature_view.spoiled")


def test_a_slice_that_regresses_fails_and_the_others_do_not(bench, strong):
    model, data = spoiled(bench, FRAME["site"] == "north")
    slices = {
        "by": ["site", "sex", ["site", "sex"], "mean_radius"],
        "max_regress": {"roc_auc": 0.05, "accuracy": 0.05},
        "min_support": 60,
    }
    found = bench.apply(
        candidate=model, baseline=strong, data=data, slices=slices, split="holdout"
    ).attributes
    by_slice = {c.slice: c for c in found.checks if c.metric == "roc_auc"}
    assert not found.passed
    assert by_slice["site=north"].outcome == "fail"
    assert by_slice["site=north"].p < 1e-6
    assert by_slice["site=south"].outcome == "pass"
    assert {"site=north, sex=x", "site=south, sex=y"} <= set(by_slice)
    quartiles = [name for name in by_slice if name.startswith("mean_radius=[")]
    assert len(quartiles) == 4
    assert sum(by_slice[name].support for name in quartiles) == found.rows


def test_small_slices_are_reported_and_never_fail(bench, data, strong, weak):
    slices = {"by": ["site"], "max_regress": {"roc_auc": 0.0}, "min_support": 140}
    found = bench.apply(candidate=weak, baseline=strong, data=data, slices=slices).attributes
    skipped = [c for c in found.checks if c.outcome == "skipped"]
    assert [c.slice for c in skipped] == ["site=north"]
    assert "not enough rows (122 < min_support 140)" in skipped[0].message


def test_holm_keeps_chance_from_failing_one_of_many_slices(bench, data, strong):
    twin = bench.model(logistic(STRONG, C=0.9), FRAME, STRONG, "target", "binary")
    columns = [c for c in FRAME.columns if c.startswith(("mean_", "worst_"))]
    slices = {"by": columns, "max_regress": {"accuracy": 0.0}, "min_support": 20}
    found = bench.apply(candidate=twin, baseline=strong, data=data, slices=slices).attributes
    assert len(found.checks) >= 60
    assert found.passed
    assert all(c.p >= 0.05 for c in found.checks)


def test_slice_bounds_without_a_baseline(bench):
    model, data = spoiled(bench, FRAME["site"] == "north")
    slices = {
        "by": ["site"],
        "min": {"roc_auc": 0.7},
        "max": {"log_loss": 1.0},
        "max_regress": {"roc_auc": 0.1},
        "min_support": 60,
    }
    found = bench.apply(candidate=model, data=data, slices=slices).attributes
    failed = {(c.slice, c.metric) for c in found.checks if c.outcome == "fail"}
    assert failed == {("site=north", "roc_auc"), ("site=north", "log_loss")}
    assert any("no baseline" in c.message for c in found.checks)


def test_fairness_counts_what_the_model_decides(bench, data, strong):
    held_out = FRAME[FRAME["_split"] == "holdout"]
    p = logistic(STRONG).predict_proba(held_out[STRONG])[:, 1]
    rates = pd.Series(p >= 0.3).groupby(held_out["sex"].to_numpy()).mean()
    ratio = rates.min() / rates.max()
    fairness = {
        "attribute": "sex",
        "threshold": 0.3,
        "demographic_parity_ratio": {"min": 0.8},
        "equalized_odds_difference": {"max": 0.5},
    }
    found = bench.apply(candidate=strong, data=data, fairness=fairness).attributes
    checks = {c.metric: c for c in found.checks}
    assert checks["demographic_parity_ratio"].estimate == pytest.approx(ratio)
    assert checks["demographic_parity_ratio"].outcome == ("pass" if ratio >= 0.8 else "fail")
    evidence = json.loads(bench.ctx.artifacts.read(found.evidence.digest))
    assert evidence["fairness"]["groups"]["x"]["selection_rate"] == pytest.approx(rates["x"])


def test_fairness_leaves_small_groups_out(bench, data, strong):
    fairness = {
        "attribute": "site",
        "demographic_parity_ratio": {"min": 0.99},
        "min_support": 150,
    }
    found = bench.apply(candidate=strong, data=data, fairness=fairness).attributes
    assert found.passed
    assert [c.outcome for c in found.checks] == ["skipped"]


def test_missing_labels_and_groups(bench, strong):
    frame = FRAME.copy()
    frame["target"] = frame["target"].astype("float64")
    frame.loc[frame.index[1:21:2], "target"] = np.nan
    frame["site"] = frame["site"].astype("object").where(frame.index % 5 != 0, None)
    slices = {"by": ["site"], "min": {"accuracy": 0.3}, "min_support": 10}
    found = bench.apply(
        candidate=strong, data=bench.table(frame), slices=slices, require={"f1": {"min": 0.1}}
    ).attributes
    assert found.rows == (FRAME["_split"] == "holdout").sum() - 10
    assert "site=(missing)" in {c.slice for c in found.checks}
    assert sum(c.support for c in found.checks if c.slice) == found.rows


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
        ({"slices": {"by": ["sit"]}}, "slices", 'no column "sit".*Did you mean "site"'),
        ({"fairness": {"attribute": "race"}}, "fairness", 'no column "race"'),
    ],
)
def test_what_cannot_be_judged_is_an_error(bench, data, strong, written, argument, message):
    given = {"require": {"roc_auc": {"min": 0.5}}, **written}
    with pytest.raises(ResourceError, match=message) as error:
        bench.apply(candidate=strong, data=data, **given)
    assert error.value.argument == argument


def test_data_that_does_not_fit_the_model(bench, strong):
    require = {"roc_auc": {"min": 0.5}}
    with pytest.raises(ResourceError, match="is not split"):
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


def challengers(rng, rows, separation):
    """Scores of a challenger and a champion (AUC 0.75) that agree much; labels."""
    y = (rng.random(rows) < 0.3).astype(float)
    common, one, two = rng.normal(size=(3, rows))
    ours = 0.9 * common + 0.436 * one + separation * y
    theirs = 0.9 * common + 0.436 * two + 0.95 * y
    return Outcomes("binary", y, ours), Outcomes("binary", y, theirs)


def test_a_worse_challenger_is_rarely_promoted():
    rng = np.random.default_rng(11)
    lower, point = [], []
    for _ in range(400):
        gain = delong(*challengers(rng, 1000, separation=0.93), alpha=0.05)
        lower.append(gain.low >= 0)
        point.append(gain.estimate > 0)
    assert np.mean(lower) < 0.05
    assert np.mean(point) > 0.25


def test_equals_pass_at_the_nominal_rate_and_the_better_one_mostly():
    rng = np.random.default_rng(12)
    equal = [delong(*challengers(rng, 1000, 0.95), alpha=0.05).low >= 0 for _ in range(600)]
    better = [delong(*challengers(rng, 1000, 1.15), alpha=0.05).low >= 0 for _ in range(100)]
    assert 0.02 < np.mean(equal) < 0.09
    assert np.mean(better) > 0.9


def test_bootstrap_and_delong_agree():
    candidate, baseline = challengers(np.random.default_rng(13), 2000, 1.0)
    (ours,) = paired_bootstrap([Pair("roc_auc", candidate, baseline)], 0.05, seed=1)
    theirs = delong(candidate, baseline, 0.05)
    assert ours.estimate == pytest.approx(theirs.estimate)
    assert ours.se == pytest.approx(theirs.se, rel=0.1)
    assert ours.low == pytest.approx(theirs.low, abs=theirs.se / 4)
