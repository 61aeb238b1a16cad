from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from mlform_core import fairness
from mlform_core.compare import Pair, delong, p_below, paired_bootstrap
from mlform_core.gate_rules import metrics_of
from mlform_core.holm import holm
from mlform_core.metrics import Outcomes, ece_by_chance, prepare, value

few = st.integers(0, 6).map(lambda n: n / 6)
weights_of = st.integers(0, 3)


@st.composite
def binary(draw):
    """Both classes, many ties, and weights as a bootstrap gives them."""
    rows = draw(st.lists(st.tuples(st.integers(0, 1), few, weights_of), min_size=2, max_size=40))
    y, p, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    y[0], y[1], w[0], w[1] = 0, 1, 1, 1
    return y, p, w


def weighted(name, outcomes, w, threshold=0.5):
    both = np.stack([w, np.ones_like(w)])
    found = prepare(name, outcomes, threshold)(both)
    assert found[1] == pytest.approx(value(name, outcomes, threshold), abs=1e-12, nan_ok=True)
    return found[0]


@settings(max_examples=150, deadline=None)
@given(binary())
def test_binary_metrics_are_sklearns(data):
    y, p, w = data
    outcomes = Outcomes("binary", y, p)
    decided = (p >= 0.5).astype(float)
    expected = {
        "roc_auc": reference.roc_auc_score(y, p, sample_weight=w),
        "average_precision": reference.average_precision_score(y, p, sample_weight=w),
        "log_loss": reference.log_loss(y, p, sample_weight=w),
        "brier": reference.brier_score_loss(y, p, sample_weight=w),
        "accuracy": reference.accuracy_score(y, decided, sample_weight=w),
        "precision": reference.precision_score(y, decided, sample_weight=w, zero_division=0),
        "recall": reference.recall_score(y, decided, sample_weight=w, zero_division=0),
        "f1": reference.f1_score(y, decided, sample_weight=w, zero_division=0),
    }
    assert {*expected, "ece"} == set(metrics_of("binary"))
    for name, known in expected.items():
        assert weighted(name, outcomes, w) == pytest.approx(known, abs=1e-9), name


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), few, few, few, weights_of), min_size=3, max_size=30))
def test_multiclass_metrics_are_sklearns(rows):
    table = np.array(rows, dtype=float)
    y, w = table[:, 0], table[:, 4]
    w[0] = 1
    p = table[:, 1:4] + 0.1
    p /= p.sum(axis=1, keepdims=True)
    outcomes = Outcomes("multiclass", y, p)
    kept = w > 0
    decided = p.argmax(axis=1)
    expected = {
        "accuracy": reference.accuracy_score(y, decided, sample_weight=w),
        "log_loss": reference.log_loss(y, p, sample_weight=w, labels=[0, 1, 2]),
        "macro_f1": reference.f1_score(
            y[kept], decided[kept], sample_weight=w[kept], average="macro", zero_division=0
        ),
    }
    assert set(expected) == set(metrics_of("multiclass"))
    for name, known in expected.items():
        assert weighted(name, outcomes, w) == pytest.approx(known, abs=1e-9), name


number = st.integers(-1000, 1000).map(lambda n: n / 10)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(number, number, weights_of), min_size=3, max_size=30))
def test_regression_metrics_are_sklearns(rows):
    y, p, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    y[0], y[1], w[0], w[1] = 1000, 2000, 1, 1
    outcomes = Outcomes("regression", y, p)
    expected = {
        "rmse": reference.root_mean_squared_error(y, p, sample_weight=w),
        "mae": reference.mean_absolute_error(y, p, sample_weight=w),
        "r2": reference.r2_score(y, p, sample_weight=w),
        "pinball@0.9": reference.mean_pinball_loss(y, p, sample_weight=w, alpha=0.9),
        "coverage@0.5": np.average(y <= p, weights=w),
        "smape": np.average(2 * abs(y - p) / np.maximum(abs(y) + abs(p), 1e-300), weights=w),
    }
    assert {*expected} - {"pinball@0.9", "coverage@0.5"} == set(metrics_of("regression"))
    for name, known in expected.items():
        assert weighted(name, outcomes, w) == pytest.approx(known, rel=1e-9, abs=1e-9), name


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), few), min_size=1, max_size=40))
def test_rankings_are_sklearns_within_each_group(rows):
    of, y, p = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    groups = np.unique(of, return_inverse=True)[1].astype(np.intp)
    relevant = [g for i in range(groups.max() + 1) if (y[g := groups == i] > 0).any()]
    for most in (None, 2):
        name = "ndcg" if most is None else f"ndcg@{most}"
        known = [
            reference.ndcg_score([y[g]], [p[g]], k=most) if g.sum() > 1 else 1.0 for g in relevant
        ]
        expected = np.mean(known) if known else np.nan
        found = value(name, Outcomes("regression", y, p, groups))
        assert found == pytest.approx(expected, nan_ok=True)
    # Without equal predictions all agree on what the average precision is.
    apart = np.random.default_rng(1).permutation(len(y)) + 0.0
    grouped = Outcomes("regression", y, apart, groups)
    known = [reference.average_precision_score(y[g] > 0, apart[g]) for g in relevant]
    firsts = [1 / (1 + int(np.argmax(y[g][np.argsort(-apart[g])] > 0))) for g in relevant]
    for name, each in (("map", known), ("mrr", firsts)):
        expected = np.mean(each) if each else np.nan
        assert value(name, grouped) == pytest.approx(expected, nan_ok=True)


def test_rows_of_a_group_are_drawn_together():
    random = np.random.default_rng(5)
    groups = np.repeat(np.arange(60), 20).astype(np.intp)
    y = np.abs(random.normal(size=60))[groups] + random.normal(size=1200) * 0.1
    alone = Outcomes("regression", y, np.zeros(1200))
    together = Outcomes("regression", y, np.zeros(1200), groups)
    narrow, wide = (
        paired_bootstrap([Pair("mae", it, None)], 0.05, seed=1)[0] for it in (alone, together)
    )
    assert narrow.estimate == wide.estimate
    assert wide.se > 3 * narrow.se, "equal errors are no evidence of their own"


def test_r2_keeps_its_digits_far_from_zero():
    y = np.array([1.0, 2.0, 3.0, 4.0]) + 1e9
    outcomes = Outcomes("regression", y, y + np.array([0.5, -0.5, 0.5, -0.5]))
    assert value("r2", outcomes) == pytest.approx(0.8, abs=1e-6)


def test_calibration_error_by_hand():
    # Bin of 0.1: one of two positive, gap |1 - 0.2| / 4; bin of 0.9: gap |2 - 1.8| / 4.
    outcomes = Outcomes("binary", np.array([0.0, 1, 1, 1]), np.array([0.1, 0.1, 0.9, 0.9]))
    assert value("ece", outcomes) == pytest.approx((0.8 + 0.2) / 4)


def calibrated(rng, rows):
    """Labels that come as often as the probabilities say."""
    p = rng.beta(2, 4, rows)
    return Outcomes("binary", (rng.random(rows) < p).astype(float), p)


def test_calibration_error_by_chance_is_that_of_probabilities_that_are_right():
    rng = np.random.default_rng(3)
    drawn = [calibrated(rng, 400) for _ in range(200)]
    errors = [value("ece", each) for each in drawn]
    foreseen = [ece_by_chance(each) for each in drawn]
    assert np.mean(foreseen) == pytest.approx(np.mean(errors), rel=0.05)
    # Each row twice tells no more than once.
    one, two = drawn[0], drawn[0].where(np.repeat(np.arange(400), 2))
    twice = Outcomes("binary", two.labels, two.predictions, np.repeat(np.arange(400), 2))
    assert ece_by_chance(twice) == pytest.approx(ece_by_chance(one))
    assert ece_by_chance(two) < 0.8 * ece_by_chance(one)


def test_a_calibrated_model_keeps_its_limit_though_few_rows_look_worse():
    rng = np.random.default_rng(4)
    wrong = beyond = found = 0
    for run in range(60):
        right = calibrated(rng, 400)
        off = Outcomes("binary", right.labels, right.predictions**2)
        (kept,) = paired_bootstrap([Pair("ece", right, None)], 0.05, run)
        (broken,) = paired_bootstrap([Pair("ece", off, None)], 0.05, run)
        assert kept.estimate < -0.01
        wrong += p_below(kept, -0.01) < 0.05
        beyond += kept.high < 0
        found += p_below(broken, -0.05) < 0.05
    assert max(wrong, beyond) <= 6, "one in twenty, and the error of sixty runs"
    assert found > 40


def test_the_threshold_decides_at_equality_for_yes():
    outcomes = Outcomes("binary", np.array([0.0, 1, 1]), np.array([0.2, 0.3, 0.8]))
    assert value("recall", outcomes, threshold=0.3) == 1
    assert value("recall", outcomes, threshold=0.31) == 0.5


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_a_ranking_of_one_class_is_undefined(name):
    assert np.isnan(value(name, Outcomes("binary", np.zeros(3), np.arange(3) / 3)))


def test_a_metric_of_another_task_is_refused():
    with pytest.raises(ValueError, match="rmse is not defined for binary"):
        value("rmse", Outcomes("binary", np.array([0.0, 1]), np.array([0.1, 0.2])))


def test_fairness_by_hand():
    # Group a: 4 rows, 3 selected, 2 of 2 positives, 1 of 2 negatives.
    # Group b: 4 rows, 1 selected, 1 of 2 positives, 0 of 2 negatives.
    codes = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    labels = np.array([1.0, 1, 0, 0, 1, 1, 0, 0])
    decided = np.array([1, 1, 1, 0, 1, 0, 0, 0], dtype=bool)
    found = fairness.groups(codes, ["a", "b"], labels, decided)
    assert found["a"] == fairness.Group(4, 0.75, 1.0, 0.5)
    assert found["b"] == fairness.Group(4, 0.25, 0.5, 0.0)
    assert fairness.measures(found) == {
        "demographic_parity_ratio": 0.25 / 0.75,
        "demographic_parity_difference": 0.5,
        "equalized_odds_ratio": 0.0,
        "equalized_odds_difference": 0.5,
        "equal_opportunity_difference": 0.5,
    }


def test_a_group_without_positives_has_no_say_on_their_rate():
    codes = np.array([0, 0, 1, 1, 2])
    labels = np.array([1.0, 0, 1, 0, 0])
    decided = np.array([1, 0, 1, 1, 0], dtype=bool)
    found = fairness.measures(fairness.groups(codes, ["a", "b", "c"], labels, decided))
    assert found["equal_opportunity_difference"] == 0
    assert found["equalized_odds_difference"] == 1


def test_nobody_selected_is_parity():
    found = fairness.groups(np.array([0, 1]), ["a", "b"], np.array([1.0, 1]), np.zeros(2, bool))
    assert fairness.measures(found)["demographic_parity_ratio"] == 1


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


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
