"""Gates beyond metrics: weak slices, robustness, costs, rankings and forecasts."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from tests.providers.gate_bench import FRAME, STRONG, WEAK, Bench

from mlform.sdk import ResourceError
from mlform_core.gate import EvaluationArguments
from mlform_core.gate_conditions import Search
from mlform_core.gate_search import searched


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    made = Bench(tmp_path_factory.mktemp("beyond"))
    made.cells = made.table(FRAME)
    train = FRAME[FRAME["_split"] == "train"]
    fitted = LogisticRegression(max_iter=5000).fit(train[STRONG], train["target"])
    made.strong = made.model(fitted, FRAME, STRONG, "target", "binary")
    fitted = LogisticRegression(max_iter=5000).fit(train[WEAK], train["target"])
    made.weak = made.model(fitted, FRAME, WEAK, "target", "binary")
    return made


def evidence(bench, judged):
    return json.loads(bench.ctx.artifacts.read(judged.attributes.evidence.digest))


def judge(bench, **written):
    written = {"candidate": bench.strong, "data": bench.cells, "split": "holdout", **written}
    return bench.apply(**written)


def test_a_model_that_loses_too_much_to_noise_or_gaps_fails(bench):
    calm = judge(bench, robustness={"noise": 0.01, "max_loss": {"roc_auc": 0.02}})
    assert calm.attributes.passed
    rough = judge(bench, robustness={"noise": 5, "missing": 0.1, "max_loss": {"roc_auc": 0.02}})
    assert not rough.attributes.passed
    noise, missing = (c.message for c in rough.attributes.checks)
    assert noise.startswith("roc_auc loses 0.")
    assert "with noise 5: > max_loss 0.02" in noise
    assert "with missing 0.1 the model refuses the rows" in missing
    found = evidence(bench, rough)["robustness"]
    assert found["noise"]["loses"]["roc_auc"] > 0.1
    again = judge(bench, robustness={"noise": 5, "max_loss": {"roc_auc": 0.9}})
    assert again.attributes.passed, "a bound decides over what was measured"
    assert evidence(bench, again)["robustness"]["noise"] == found["noise"]


def test_what_a_model_costs_is_measured_here_and_said(bench):
    bounds = {"size_mb": 1, "p50_ms": 1e4, "p99_ms": 1e-6, "per_million": 1e9, "price_per_hour": 2}
    judged = judge(bench, costs=bounds).attributes
    assert [c.outcome for c in judged.checks] == ["pass", "pass", "fail", "pass"]
    assert "one row at a time on " in judged.checks[2].message
    assert judged.checks[2].support >= 100
    costs = judged.costs
    assert 0 < costs["p50_ms"] <= costs["p99_ms"]
    assert costs["per_million"] == pytest.approx(costs["mean_ms"] * 1e6 / 3.6e6 * 2)
    assert judge(bench, costs={"p99_ms": 1e4}).attributes.costs["p99_ms"] == costs["p99_ms"]
    assert judge(bench, costs={"size_mb": 1}).attributes.costs == {"size_mb": costs["size_mb"]}


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ({"costs": {"per_million": 3}}, "per_million needs price_per_hour"),
        ({"robustness": {"max_loss": {"roc_auc": 0.1}}}, "write noise or missing or unseen"),
        ({"robustness": {"noise": 1, "max_loss": {"auc": 0.1}}}, '"auc" is no metric'),
        ({"require": {"ndcg@0": {"min": 1}}}, 'write how many of the first count, as in "ndcg@10"'),
        ({"require": {"pinball": {"max": 1}}}, 'write of which quantile, as in "pinball@0.9"'),
        ({"require": {"mae@3": {"max": 1}}}, "mae takes no number"),
        ({"require": {"coverage@0.9": {"min_gain": 0}}}, "write min and max"),
        (
            {"group": "site", "require": {"roc_auc": {"min_gain": 0, "test": "delong"}}},
            'use "paired_bootstrap"',
        ),
        ({"slices": {"by": ["sit"]}}, 'no column "sit".*Did you mean "site"'),
        ({"fairness": {"attribute": "race"}}, 'no column "race"'),
        ({"search": {"columns": ["site", "sitte"]}}, 'no column "sitte", which search.columns'),
        ({}, "the gate requires nothing"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(bench, written, why):
    with pytest.raises(ValidationError, match=why):
        EvaluationArguments.model_validate(
            {"candidate": bench.strong, "data": bench.cells, **written}
        )


def test_a_search_finds_the_very_slice_in_which_a_candidate_lost(bench):
    random = np.random.default_rng(0)
    rows = 6000
    frame = pd.DataFrame({"x": random.normal(size=rows), "z": random.normal(size=rows)})
    frame["site"] = random.choice(["north", "south", "west"], rows)
    frame["size"] = random.choice(["s", "m", "l"], rows)
    bad = (frame["site"] == "west") & (frame["size"] == "l")
    frame["flag"] = bad.astype("int64")
    frame["y"] = frame["x"] + 2.0 * bad + random.normal(size=rows) * 0.3
    frame["_split"] = "holdout"
    table = bench.table(frame, "feature_view.sites")
    knows = LinearRegression().fit(frame[["x", "flag"]], frame["y"])
    ours = LinearRegression().fit(frame[~bad][["x"]], frame[~bad]["y"])
    candidate = bench.model(ours, frame, ["x"], "y", "regression")
    baseline = bench.model(knows, frame, ["x", "flag"], "y", "regression")
    asked = {"candidate": candidate, "baseline": baseline, "data": table, "split": "holdout"}
    columns = {"columns": ["site", "size", "z"]}
    judged = bench.apply(**asked, search=columns)
    assert not judged.attributes.passed
    worst = judged.attributes.checks[0]
    assert worst.slice == "site=west, size=l"
    assert "lost 4." in worst.message or "lost 3." in worst.message
    assert worst.p < 1e-6
    assert "squared error > max_regress 0 (p" in worst.message
    found = evidence(bench, judged)["search"]
    assert found["tried"] > 40
    swapped = {**asked, "candidate": baseline, "baseline": candidate}
    calm = bench.apply(**swapped, search=columns)
    assert calm.attributes.passed
    assert (
        "slices searched: none lost more than 0 squared error" in calm.attributes.checks[0].message
    )
    alone = bench.apply(**{**asked, "baseline": None}, search=columns).attributes
    assert alone.passed
    page = bench.ctx.artifacts.read(judged.attributes.page.digest).decode()
    assert "Weak slices" in page
    assert "site=west, size=l" in page


def test_a_search_where_nothing_is_weak_finds_nothing_more_often_than_it_says():
    """400 searches of 90 slices each: 5 % may find something, and 2.1 % more is chance."""
    random = np.random.default_rng(3)
    rules, wrong = Search(min_support=50), 0
    for _ in range(400):
        frame = {n: pd.Series(random.integers(0, 4, 800)) for n in "abc"}
        found = searched(random.normal(size=800), frame, rules, 0.0)
        wrong += found[0].p < rules.alpha
    assert wrong / 400 < 0.071


def test_a_search_takes_rows_of_one_group_for_one():
    random = np.random.default_rng(4)
    groups = np.repeat(np.arange(40), 20)
    rules, wrong, found = Search(min_support=50), 0, 0
    for _ in range(200):
        frame = {n: pd.Series(random.integers(0, 2, 40)[groups]) for n in "ab"}
        lost = random.normal(size=40)[groups]
        wrong += searched(lost, frame, rules, 0.0, groups)[0].p < rules.alpha
        hurt = lost + 3 * (frame["a"] == 1).to_numpy()
        found += searched(hurt, frame, rules, 0.0, groups)[0].p < rules.alpha
    assert wrong <= 18, "10 of 200, and their error; taken one by one, rows find 167"
    assert found > 190


def test_a_slice_where_every_row_lost_the_same_is_found():
    cells = pd.Series(np.repeat(["north", "south"], 200))
    rules = Search(min_support=50)
    for lost in (2.2, 0.1):
        same = np.where(cells == "north", lost, 0.0)
        worst, best = searched(same, {"site": cells}, rules, 0.0)
        assert (worst.name, worst.p, best.p) == ("site=north", 0, 0.5)
        assert min(it.p for it in searched(same, {"site": cells}, rules, lost)) > 0.99


def test_rankings_are_judged_by_group(bench):
    random = np.random.default_rng(1)
    frame = pd.DataFrame({"query": np.repeat(np.arange(80), 12), "x": random.normal(size=960)})
    frame["y"] = np.clip(np.round(frame["x"] + random.normal(size=960) * 0.5 + 1), 0, 3)
    frame["noise"] = random.normal(size=960)
    frame["_split"] = "holdout"
    table = bench.table(frame, "feature_view.ranked")
    good = bench.model(
        LinearRegression().fit(frame[["x"]], frame["y"]), frame, ["x"], "y", "regression"
    )
    bad = bench.model(
        LinearRegression().fit(frame[["noise"]], frame["y"]), frame, ["noise"], "y", "regression"
    )
    gains = {"ndcg@5": {"min": 0.8, "min_gain": 0.05}, "mrr": {"min": 0.5}, "map": {"min": 0.5}}
    asked = {"data": table, "split": "holdout", "group": "query", "require": gains}
    assert bench.apply(candidate=good, baseline=bad, **asked).attributes.passed
    lost = bench.apply(candidate=bad, baseline=good, **asked).attributes
    assert "ndcg@5 gain -0." in lost.summary
    with pytest.raises(ResourceError, match="ndcg@5 ranks rows within groups: write group"):
        bench.apply(candidate=good, **{**asked, "group": None})


def test_forecasts_are_held_against_the_naive_one_of_each_series(bench):
    random = np.random.default_rng(2)
    weeks, shops = np.tile(np.arange(120), 3), np.repeat(["a", "b", "c"], 120)
    level = np.repeat([10.0, 100.0, 1000.0], 120)
    season = 1 + 0.4 * np.sin(2 * np.pi * weeks / 12)
    frame = pd.DataFrame({"week": weeks, "shop": shops, "level": level, "season": season})
    frame["y"] = level * season * (1 + random.normal(size=360) * 0.05)
    frame["lag"] = level * season
    frame["horizon"] = (weeks % 12) // 4
    frame["_split"] = np.where(weeks < 96, "train", "holdout")
    table = bench.table(frame, "feature_view.sales")
    train = frame[frame["_split"] == "train"]
    fitted = LinearRegression().fit(train[["lag"]], train["y"])
    model = bench.model(fitted, frame, ["lag"], "y", "regression")
    flat = bench.model(
        DummyRegressor(strategy="constant", constant=0.0).fit(train[["lag"]], train["y"]),
        frame, ["lag"], "y", "regression",
    )  # fmt: skip
    asked = {
        "data": table,
        "split": "holdout",
        "forecast": {"time": "week", "series": ["shop"], "season": 12},
        "group": ["shop", "horizon"],
        "require": {"mase": {"max": 1.0, "min_gain": 0.0}, "smape": {"max": 0.2}},
        "slices": {"by": ["horizon"], "max": {"mase": 1.2}, "min_support": 20},
    }
    judged = bench.apply(candidate=model, baseline=flat, **asked)
    assert judged.attributes.passed, judged.attributes.summary
    scaled = evidence(bench, judged)["metrics"]["mase"]["candidate"]
    held = frame[frame["_split"] == "holdout"]
    naive = train.groupby("shop")["y"].apply(lambda s: s.diff(12).abs().mean())
    errors = (held["y"] - fitted.predict(held[["lag"]])).abs() / held["shop"].map(naive)
    assert scaled == pytest.approx(errors.mean())
    assert not bench.apply(candidate=flat, baseline=model, **asked).attributes.passed
    with pytest.raises(ResourceError, match='no rows in a part "past"'):
        bench.apply(candidate=model, **{**asked, "forecast": {"time": "week", "train": "past"}})
    with pytest.raises(ResourceError, match="nothing to hold errors against"):
        bench.apply(candidate=model, **{**asked, "forecast": {"time": "week", "season": 999}})


def test_a_season_is_a_season_in_a_training_part_with_gaps(bench):
    random = np.random.default_rng(3)
    weeks, shops = np.tile(np.arange(200), 2), np.repeat(["a", "b"], 200)
    season = np.array([1.0, 5.0, 2.0, 9.0])[weeks % 4]
    frame = pd.DataFrame({"week": weeks, "shop": shops, "lag": season})
    frame["y"] = season + random.normal(size=400) * 0.1
    drawn = random.random(50)[weeks // 4] < 0.7
    frame["_split"] = np.where(drawn & (weeks % 4 != 1), "train", "holdout")
    train, held = (frame[frame["_split"] == part] for part in ("train", "holdout"))
    fitted = LinearRegression().fit(train[["lag"]], train["y"])
    judged = bench.apply(
        candidate=bench.model(fitted, frame, ["lag"], "y", "regression"),
        data=bench.table(frame, "feature_view.gaps"),
        split="holdout",
        forecast={"time": "week", "series": ["shop"], "season": 4},
        require={"mase": {"max": 2.0}},
    )
    wide = train.pivot_table(index="week", columns="shop", values="y").reindex(range(200))
    naive = held["shop"].map((wide - wide.shift(4)).abs().mean())
    errors = (held["y"] - fitted.predict(held[["lag"]])).abs() / naive
    found = evidence(bench, judged)["metrics"]["mase"]["candidate"]
    assert found == pytest.approx(errors.mean())
    by_rows = train.groupby("shop")["y"].apply(lambda s: s.diff(4).abs().mean())
    assert by_rows.mean() > 5 * naive.mean(), "so many rows before is another season"


def test_a_quantile_is_judged_by_its_pinball_loss_and_its_coverage(bench):
    random = np.random.default_rng(4)
    frame = pd.DataFrame({"x": random.normal(size=1500)})
    frame["y"] = frame["x"] + random.normal(size=1500)
    frame["_split"] = np.where(np.arange(1500) < 750, "train", "holdout")
    table = bench.table(frame, "feature_view.quantiles")
    train = frame[frame["_split"] == "train"]
    fitted = HistGradientBoostingRegressor(
        loss="quantile", quantile=0.9, max_iter=60, max_depth=2
    ).fit(train[["x"]], train["y"])
    model = bench.model(fitted, frame, ["x"], "y", "regression")
    bounds = {"coverage@0.9": {"min": 0.85, "max": 0.95}, "pinball@0.9": {"max": 0.25}}
    asked = {"candidate": model, "data": table, "split": "holdout"}
    assert bench.apply(**asked, require=bounds).attributes.passed
    assert not bench.apply(**asked, require={"pinball@0.1": {"max": 0.25}}).attributes.passed


def test_looks_at_held_out_rows_are_counted_over_all_gates_and_warn_past_a_budget(tmp_path):
    bench = Bench(tmp_path)
    table = bench.table(FRAME)
    train = FRAME[FRAME["_split"] == "train"]
    fitted = LogisticRegression(max_iter=5000)
    one, two = (
        bench.model(fitted.set_params(C=c).fit(train[WEAK], train["target"]), FRAME, WEAK,
                    "target", "binary", address=f"training_job.c{c}")
        for c in (1, 2)
    )  # fmt: skip
    asked = {"data": table, "split": "holdout", "require": {"roc_auc": {"min": 0.5}}}
    assert bench.apply(candidate=one, **asked).attributes.uses == 1
    assert bench.apply(candidate=one, **asked).attributes.uses == 1, "the same look again"
    last = bench.apply(candidate=two, **asked, held_out={"uses": 1}).attributes
    assert last.uses == 2
    assert last.passed, "it warns"
    assert "2 candidates have been judged on these rows (" in last.summary
    page = bench.ctx.artifacts.read(last.page.digest).decode()
    assert "2 candidates have been judged on these rows so far" in page
    elsewhere = bench.apply(candidate=two, **{**asked, "split": "train"}).attributes
    assert elsewhere.uses == 1
