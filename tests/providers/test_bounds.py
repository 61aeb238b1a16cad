"""How often the bounds of gates and monitors hold, and what they say of themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score

from mlform_core import compare_alone
from mlform_core.compare import Pair, delong, p_below, paired_bootstrap
from mlform_core.metrics import Outcomes
from mlform_core.monitoring import Rule
from mlform_core.performance import Bound, PerformanceArguments
from mlform_core.performance_figures import by_labels, judge


def _rmse(errors, groups=None):
    outcomes = Outcomes("regression", np.asarray(errors, float), np.zeros(len(errors)), groups)
    (found,) = paired_bootstrap([Pair("rmse", outcomes, None)], 0.05, 1)
    return -found.high, -found.estimate, -found.low


def test_the_bounds_of_an_rmse_allow_for_skew_errors():
    random = np.random.default_rng(5)
    held = np.zeros(2)
    for _ in range(300):
        low, _, high = _rmse(random.standard_t(5, 200))
        held += low <= np.sqrt(5 / 3), high >= np.sqrt(5 / 3)
    # Quantiles of resamples hold in 295 and 255 of these, Hall's transformation alone in 271 above.
    assert abs(held[0] - 285) <= 6
    assert abs(held[1] - 285) <= 6
    low, estimate, high = _rmse(random.standard_t(5, 200))
    assert high - estimate > estimate - low > 0
    assert _rmse([1.0, -1, 1]) == (1, 1, 1)
    few = random.normal(size=6)
    assert 0 <= _rmse(few)[0] < _rmse(few)[2]


def _squared(errors, groups=None):
    """Return the upper bounds of the mean of squares, by skewness alone and by the tail."""
    it = Outcomes("regression", errors, np.zeros(len(errors)), groups)
    return [compare_alone.mean(errors**2, it, 0.05, squares=s)[1] for s in (False, True)]


def test_a_sample_without_its_large_errors_does_not_look_as_calm_as_it_comes_out():
    rng = np.random.default_rng(12)
    drawn = (rng.standard_t(5, 500) for _ in range(1500))
    held = [np.array(_squared(e)) >= 5 / 3 for e in drawn if abs(e).max() < 6]
    by_skewness, by_tail = np.mean(held, axis=0)
    assert len(held) > 300
    assert by_skewness < 0.83
    assert by_tail > 0.89


@pytest.mark.parametrize(
    ("truth", "draw"),
    [
        (1, lambda rng: rng.normal(size=400)),
        (2, lambda rng: rng.laplace(size=400)),
        (2.2, lambda rng: rng.normal(size=400) * np.where(rng.random(400) < 0.05, 5, 1)),
    ],
)
def test_errors_of_lighter_tails_have_bounds_of_nearly_the_same_width(truth, draw):
    rng = np.random.default_rng(13)
    errors = [draw(rng) for _ in range(500)]
    by_skewness, by_tail = np.sqrt([_squared(e) for e in errors]).T
    estimates = np.sqrt([np.mean(e**2) for e in errors])
    assert np.mean(by_tail**2 >= truth) >= 0.93
    assert (by_tail >= by_skewness).all()
    assert (by_tail - estimates).mean() < 1.5 * (by_skewness - estimates).mean()


def test_errors_no_more_peaked_than_normal_ones_have_the_bounds_of_skewness_alone():
    by_skewness, by_tail = _squared(np.random.default_rng(14).random(300) - 0.5)
    assert by_tail == by_skewness


def test_the_unit_of_errors_and_rows_without_any_change_no_tail():
    errors = np.random.default_rng(15).standard_t(5, 300)
    errors = errors[abs(errors) < 4]
    by_skewness, bound = _squared(errors)
    assert bound > by_skewness, "it is the tail's"
    for unit in (1e-9, 1e9):
        assert _squared(errors * unit)[1] == pytest.approx(bound * unit**2)
    padded = np.append(errors, np.zeros(100))
    assert _squared(padded)[1] * len(padded) == pytest.approx(bound * len(errors), rel=0.02)
    assert np.isfinite(_squared(np.append(np.zeros(300), errors[:3]))).all()


def test_rows_of_one_group_are_one_for_the_bounds_of_an_rmse():
    errors = np.random.default_rng(6).standard_t(5, 90)
    together = _rmse(np.repeat(errors, 3), np.repeat(np.arange(90), 3))
    assert together == pytest.approx(_rmse(errors), rel=1e-9)


def test_bounds_of_an_area_near_one_hold_below_as_above():
    rng = np.random.default_rng(6)
    truth = stats.norm.cdf(2.6 / np.sqrt(2))
    below = above = 0
    for _ in range(1000):
        y = (rng.random(300) < 0.3).astype(float)
        p = stats.norm.cdf(rng.normal(size=300) + 2.6 * y - 1.3)
        found = delong(Outcomes("binary", y, p), None, 0.05)
        below += found.low > truth
        above += found.high < truth
        assert 0 < found.low < found.estimate < found.high < 1
    # The error of a thousand runs is 14; without log odds 90 are beyond below, and 25 above.
    assert max(below, above) < 68 and min(below, above) > 32


def test_bounds_of_few_rows_are_as_wide_as_those_of_a_t_test():
    widths = []
    for seed in range(6):
        chance = np.random.default_rng(seed)
        p = chance.random(12)
        y = (chance.random(12) < p).astype(float)
        two = Outcomes("binary", y, p), Outcomes("binary", y, np.full(12, 0.5))
        (found,) = paired_bootstrap([Pair("brier", *two)], 0.05, seed)
        error = ((y - p) ** 2).std(ddof=1) / np.sqrt(12)
        widths.append((found.high - found.low) / (2 * stats.t.ppf(0.95, 11) * error))
    # Percentiles as they are would be 0.88 of it.
    assert np.mean(widths) == pytest.approx(1, abs=0.05)


def _precision(y, p, groups=None):
    pair = Pair("average_precision", Outcomes("binary", y, p, groups), None)
    (found,) = paired_bootstrap([pair], 0.05, 1)
    return found


def test_bounds_of_an_average_precision_hold_of_few_rows():
    # What it is worth in the long run: a 1 is drawn from N(1, 1), a 0 from N(0, 1).
    score = np.linspace(-9, 10, 40_001)
    ones, zeros = 0.3 * stats.norm.sf(score, 1), 0.7 * stats.norm.sf(score)
    truth = np.average(ones / (ones + zeros), weights=stats.norm.pdf(score, 1))
    rng = np.random.default_rng(6)
    below = above = 0
    for _ in range(1000):
        y = (rng.random(100) < 0.3).astype(float)
        found = _precision(y, rng.normal(size=100) + y)
        below += found.low > truth
        above += found.high < truth
    # The error of a thousand runs is 14; bounds around the estimate as it is miss 76 below.
    assert max(below, above) < 60 and min(below, above) > 38


@pytest.mark.parametrize("digits", [1, 9])
def test_the_error_of_an_average_precision_is_the_jackknifes(digits):
    rng = np.random.default_rng(7)
    y = (rng.random(150) < 0.4).astype(float)
    p = (rng.random(150) / 2 + y / 4).round(digits)
    found = _precision(y, p)
    assert found.estimate == pytest.approx(average_precision_score(y, p))

    def centre(kept):
        """The mean over 1s of the precision among the other rows from there up."""
        y_, p_ = y[kept], p[kept]
        others = (p_ >= p_[:, None]) & ~np.eye(len(y_), dtype=bool)
        most = np.maximum(others.sum(axis=1), 1)
        alone = np.where(others.any(axis=1), others @ y_ / most, 1.0)
        return alone[y_ == 1].mean()

    left_out = [centre(np.arange(150) != i) for i in range(150)]
    assert found.se == pytest.approx(np.sqrt(149 / 150 * np.var(left_out) * 150), rel=0.02)


def test_rows_of_one_group_are_one_for_the_bounds_of_an_average_precision():
    rng = np.random.default_rng(8)
    y = (rng.random(200) < 0.3).astype(float)
    p = rng.random(200) / 2 + y / 5
    order = rng.permutation(600)
    three = [np.repeat(a, 3)[order] for a in (y, p, np.arange(200))]
    alone, together = _precision(y, p), _precision(*three)
    assert (together.low, together.high, together.se) == pytest.approx(
        (alone.low, alone.high, alone.se)
    )
    assert _precision(*three[:2]).se < 0.7 * alone.se


@pytest.mark.parametrize("ones", [1, 8])
def test_an_average_precision_of_one_1_or_no_0_has_no_bounds(ones):
    found = _precision((np.arange(8) < ones).astype(float), np.arange(8) / 8)
    assert np.isnan([found.low, found.high, found.se]).all()


def test_errors_without_a_variance_of_squares_are_told():
    def told(metric, draw):
        drawn = (Outcomes("regression", draw(), np.zeros(2000)) for _ in range(40))
        return sum(
            bool(paired_bootstrap([Pair(metric, it, None)], 0.05, 1)[0].doubt) for it in drawn
        )

    rng = np.random.default_rng(9)
    assert told("rmse", lambda: rng.normal(size=2000)) == 0
    assert told("rmse", lambda: rng.standard_t(5, 2000)) <= 10, "bounds hold"
    assert told("rmse", lambda: rng.standard_t(3, 2000)) >= 25
    assert told("rmse", lambda: rng.standard_t(2, 2000)) >= 38
    assert told("mae", lambda: rng.standard_t(5, 2000)) <= 10
    assert told("mae", lambda: rng.standard_t(2, 2000)) >= 30


def _share(name, y, p):
    (found,) = paired_bootstrap([Pair(name, Outcomes("binary", y, p), None)], 0.05, 1)
    return found


def test_a_share_of_few_rows_is_no_certainty():
    ones, missed = np.repeat([1.0, 0.0], [3, 97]), np.zeros(100)
    recall = _share("recall", ones, missed)
    assert (recall.estimate, recall.low) == (0, 0)
    assert recall.high == pytest.approx(1 - 0.05 ** (1 / 3)), "what three misses leave open"
    assert p_below(recall, 0.6) == pytest.approx(0.4**3)
    assert p_below(_share("accuracy", ones, missed), 0.98) == pytest.approx(0.237, abs=0.08)
    assert np.isnan(_share("precision", ones, missed).se), "nothing was decided for yes"
    all_hit = _share("recall", ones, ones)
    assert (all_hit.low, all_hit.high) == (pytest.approx(0.05 ** (1 / 3)), 1)


def test_a_share_is_of_as_many_rows_as_its_groups_are_worth():
    rng = np.random.default_rng(3)
    hit, groups = (rng.random(50) < 0.7).astype(float), np.repeat(np.arange(50), 8)
    label = np.ones(400)
    bounds = [
        paired_bootstrap([Pair("accuracy", Outcomes("binary", *it), None)], 0.05, 1)[0]
        for it in ((label, np.repeat(hit, 8), groups), (label[:50], hit))
    ]
    assert bounds[0].of == pytest.approx(50, rel=0.03)
    assert bounds[0].low == pytest.approx(bounds[1].low, abs=0.005)


@pytest.mark.parametrize(("ones", "worse"), [(3, []), (12, ["min recall"])])
def test_a_window_with_few_rows_that_count_raises_no_alarm(ones, worse):
    missed = Outcomes("binary", np.repeat([1.0, 0.0], [ones, 500]), np.zeros(ones + 500))
    figure = {"metric": "recall", "slice": None, **by_labels("recall", missed, 0.5, "w")}
    rules = PerformanceArguments.model_construct(
        require={"recall": Bound(min=0.6)}, slices=None, fairness=None, alarm=Rule()
    )
    found = judge({"statistics": [figure], "groups": {}}, rules, {})
    assert [f["check"] for f in found] == worse


@pytest.mark.parametrize("name", ["recall", "f1", "precision", "roc_auc", "average_precision"])
def test_who_lost_one_row_that_counts_is_not_tested(name):
    y = np.repeat([1.0, 0.0], [1, 99])
    better, worse = y * 0.9, np.linspace(0, 0.4, 100)
    pair = Pair(name, Outcomes("binary", y, worse), Outcomes("binary", y, better))
    (found,) = paired_bootstrap([pair], 0.05, 1)
    assert found.estimate < 0
    assert p_below(found, -0.02) == 1
    assert np.isnan(found.low)


@pytest.mark.parametrize("baseline", [None, np.full(40, 0.5)])
def test_rows_of_one_group_alone_tell_nothing_of_others(baseline):
    rng = np.random.default_rng(2)
    y, one = (rng.random(40) < 0.5).astype(float), np.zeros(40, dtype=np.intp)
    theirs = None if baseline is None else Outcomes("binary", y, baseline, one)
    ours = Outcomes("binary", y, rng.random(40), one)
    (found,) = paired_bootstrap([Pair("brier", ours, theirs)], 0.05, 1)
    assert np.isnan([found.low, found.high]).all()
    assert p_below(found, 1.0) == 1
