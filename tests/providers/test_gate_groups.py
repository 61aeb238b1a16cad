from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from tests.providers.gate_bench import FRAME, STRONG, WEAK, Bench, logistic

from mlform.sdk import Handle


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


def test_a_slice_with_one_positive_row_is_not_tested(bench, strong):
    frame = FRAME.assign(rare=np.where(FRAME["target"] == 1, "common", "zero"))
    held_out = frame.index[(frame["_split"] == "holdout") & (frame["target"] == 1)]
    frame.loc[held_out[0], "rare"] = "zero"
    slices = {"by": ["rare"], "min": {"roc_auc": 0.99}, "min_support": 20}
    found = bench.apply(candidate=strong, data=bench.table(frame), slices=slices).attributes
    reasons = {c.slice: c.message for c in found.checks if c.outcome == "skipped"}
    assert "is not defined" in reasons["rare=common"]
    assert "too few rows of one class" in reasons["rare=zero"]


def test_a_slice_of_errors_with_a_heavy_tail_says_that_its_bounds_are_too_narrow(bench):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.normal(size=4000), "site": np.tile(["calm", "rough"], 2000)})
    noise = np.where(frame["site"] == "calm", rng.normal(size=4000), rng.standard_t(3, 4000))
    frame["y"] = 2 * frame["x"] + noise
    frame["_split"] = "holdout"
    fitted = LinearRegression().fit(frame[["x"]], frame["y"])
    model = bench.model(fitted, frame, ["x"], "y", "regression")
    slices = {"by": ["site"], "max": {"rmse": 3.0, "mae": 2.0}}
    judged = bench.apply(candidate=model, data=bench.table(frame), slices=slices).attributes
    told = {(c.slice, c.metric) for c in judged.checks if "have a heavy tail" in c.message}
    assert told == {("site=rough", "rmse")}
    page = bench.ctx.artifacts.read(judged.page.digest).decode()
    assert "the upper bound of their mean holds less often than it says" in page


def test_a_slice_that_missed_one_of_one_is_no_evidence(bench):
    frame = pd.DataFrame({"x": np.linspace(-1, 1, 400), "site": np.repeat(["few", "many"], 200)})
    frame["y"] = (frame["x"] > 0).astype(int)
    frame.loc[100, "y"] = 1
    frame["_split"] = "holdout"
    model = bench.model(
        LogisticRegression().fit(frame[["x"]], frame["y"]), frame, ["x"], "y", "binary"
    )
    slices = {"by": ["site"], "min": {"recall": 0.5, "f1": 0.5}}
    judged = bench.apply(candidate=model, data=bench.table(frame), slices=slices).attributes
    found = {c.metric: c for c in judged.checks if c.slice == "site=few"}
    assert {m: c.outcome for m, c in found.items()} == {"recall": "pass", "f1": "pass"}
    assert (found["recall"].estimate, found["recall"].high) == (0, pytest.approx(0.95))
