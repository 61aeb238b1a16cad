"""Performance of regressions without labels: how far one sees, on real weather."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from tests.browser import browse, in_browser
from tests.providers.measured import INPUTS, Watch

from mlform.sdk import Handle, ResourceError
from mlform_core.gate_rules import metrics_of
from mlform_core.metrics import Outcomes, value
from mlform_core.performance import LOSSES, Performance
from mlform_core.performance_losses import estimate, learn, loads

METRICS = {"mae": mean_absolute_error, "rmse": root_mean_squared_error, "r2": r2_score}
REQUIRE = {"mae": {"max_regress": 0.15}, "rmse": {"max_regress": 0.3}, "r2": {"min": -9.0}}


@pytest.fixture(scope="module")
def learned(sight):
    """What is known once the model serves: losses are learned once for all tests."""
    first = Watch(sight, "learned")
    first.given = {"data": sight.table, "require": REQUIRE}
    return first.apply()


@pytest.fixture
def watch(sight, learned, request):
    watch = Watch(sight, request.node.name)
    watch.given = {"data": sight.table, "require": REQUIRE}
    watch.known = learned
    return watch


def looked(watch, rows, labels=None, **given):
    """Ask for rows and look at them as one window."""
    watch.asked(rows)
    given = {"window": {"rows": len(rows)}, **given}
    return watch.run(watch.apply(labels, old=watch.known, **given))


@pytest.mark.parametrize("where", ["everywhere", "humid", "windy", "warm"])
def test_what_is_estimated_is_what_labels_say(watch, where):
    rows = watch.world.later
    some = {
        "everywhere": rows[:2000],
        "humid": rows[rows["humid"] > 85][:1000],
        "windy": rows[rows["wind_speed"] > 15][:1000],
        "warm": rows[rows["temp"] > 70][:1000],
    }[where]
    stored, _ = looked(watch, some)
    (window,) = stored.attributes.windows
    assert (window["estimated"], window["labelled"]) == (True, 0)
    predicted = watch.world.predicted(some)
    for one in window["statistics"]:
        real = METRICS[one["metric"]](some["visib"], predicted)
        # The bounds hold nine of ten times, a dozen figures: twice as wide hold of all.
        assert abs(one["value"] - real) < one["high"] - one["low"], one
    released = stored.attributes.released[watch.world.model.digest]["metrics"]["mae"]["value"]
    mae = window["statistics"][0]["value"]
    assert {"everywhere": 0.9, "humid": 2.5, "windy": 0.6, "warm": 0.5}[where] < mae / released
    assert mae / released < {"everywhere": 1.1, "humid": 5, "windy": 0.9, "warm": 0.9}[where]


def test_inputs_that_moved_to_where_errors_are_large_raise_an_alarm(watch):
    rows = watch.world.later
    rows = pd.concat([rows[:3000], rows[rows["humid"] > 85][:1000]])
    watch.asked(rows)
    stored, (alarm,) = watch.run(watch.apply(old=watch.known))
    assert [w["worse"] for w in stored.attributes.windows] == [False, False, False, True]
    assert alarm.name == "estimated performance"
    assert {f["check"] for f in alarm.findings} == {"max_regress mae", "max_regress rmse"}
    assert alarm.summary.startswith("estimated performance: ")
    page = watch.ctx.artifacts.read(stored.attributes.page.digest).decode()
    assert "estimated, without labels" in page
    lax = watch.arguments(require={"mae": {"max_regress": 9.0}})
    said = Performance().tried(lax, stored)
    assert said.endswith("0 would break these limits and 0 raise an alarm (1 did)")


def test_what_was_estimated_stands_beside_what_labels_say(watch):
    rows = watch.world.later[:2000]
    labels = rows[["station", "visib"]]
    watch.asked(rows)
    given = {"estimate": True, "label": "visib"}
    stored, alarms = watch.run(watch.apply(labels[:1950], old=watch.known, **given))
    assert alarms == []
    assert [w["labelled"] for w in stored.attributes.windows] == [1000, 950]
    for window, start in zip(stored.attributes.windows, (0, 1000), strict=True):
        some = rows[start : start + window["labelled"]]
        for one in window["statistics"]:
            real = METRICS[one["metric"]](some["visib"], watch.world.predicted(some))
            assert one["value"] == pytest.approx(real, abs=1e-5)
            guess = one["estimate"]
            assert guess["rows"] == window["labelled"]
            assert abs(guess["value"] - real) < guess["high"] - guess["low"]
    page = watch.ctx.artifacts.read(stored.attributes.page.digest).decode()
    assert "of 6 figures by labels lay in the 90 % bounds of their estimate" in page


def test_the_page_says_of_how_many_windows_a_heavy_tail_was_told(watch):
    rows = watch.world.later[:2000]
    labels = rows[["station", "visib"]].copy()
    labels.iloc[1000:, 1] += 5 * np.random.default_rng(1).standard_t(2, 1000)
    watch.asked(rows)
    stored, _ = watch.run(watch.apply(labels, old=watch.known, label="visib"))
    told = [
        {s["metric"] for s in w["statistics"] if s.get("tail", 0) > 1 / 3}
        for w in stored.attributes.windows
    ]
    assert told == [set(), {"mae", "rmse"}], "visibility has a few large errors as it is"
    page = watch.ctx.artifacts.read(stored.attributes.page.digest).decode()
    assert "have a heavy tail: the upper bound" in page
    assert "(1 of 2 windows)" in page


@in_browser
def test_the_page_shows_estimates_with_their_bounds_beside_labels_in_a_browser(watch, tmp_path):
    rows = watch.world.later[:3000]
    watch.asked(rows)
    labels = rows[["station", "visib", "origin"]]
    # The second window has too few from LaGuardia to say anything of them.
    gap = (labels.index // 1000 == 1) & (labels["origin"] == "LGA") & (labels.index % 5 > 0)
    given = {"window": {"rows": 1000, "enough": 0.5}, "label": "visib", "estimate": True}
    slices = {"by": ["origin"], "max": {"mae": 1.4}}
    applied = watch.apply(labels[~gap], old=watch.known, slices=slices, **given)
    stored, _ = watch.run(applied)
    page = watch.ctx.artifacts.read(stored.attributes.page.digest).decode()
    seen = browse(page, tmp_path)
    assert (seen.console, seen.requests) == ([], [])
    assert "Grey what was estimated without labels; the band is its 90 % bounds." in (
        seen.elements.words
    )
    drawn = pictures(seen.elements)
    assert set(drawn) == {"mae", "rmse", "r2", *(f"mae of origin={o}" for o in AIRPORTS)}
    for name, marks in drawn.items():
        parts = 2 if name == "mae of origin=LGA" else 1
        windows = 2 if name == "mae of origin=LGA" else 3
        lines = [marks.count((tag, kind)) for tag, kind in HISTORY]
        assert lines == [parts, parts, parts, windows], name
    for window in stored.attributes.windows:
        for one in window["statistics"]:
            guess = one["estimate"]
            assert guess["rows"] == one["rows"]
            assert abs(guess["value"] - one["value"]) < guess["high"] - guess["low"]


AIRPORTS = ("EWR", "JFK", "LGA")
HISTORY = [("polygon", "band"), ("polyline", "aside"), ("polyline", "one"), ("circle", "fone")]
"""Of what was estimated the bounds and the line, of what labels say the line and the dots."""


def pictures(elements):
    """What each picture of a page draws, by its name."""
    found, marks = {}, []
    for tag, attributes in elements.found:
        if tag == "svg":
            marks = found.setdefault(attributes["aria-label"], [])
        marks.append((tag, attributes.get("class")))
    return found


def test_a_change_of_what_inputs_mean_is_not_seen(watch):
    """The limit that the documentation names."""
    rows = watch.world.later[:1000]
    labels = rows[["station"]].assign(visib=rows["visib"].to_numpy()[::-1])
    _, (alarm,) = looked(watch, rows, labels, estimate=True, label="visib")
    assert alarm.name == "performance"
    _, alarms = looked(watch, rows)
    assert alarms == []


def test_slices_are_estimated_too(watch):
    rows = watch.world.later[:3000]
    slices = {"by": ["humid"], "max": {"mae": 1.2}}
    stored, (alarm,) = looked(watch, rows, require={}, slices=slices)
    (window,) = stored.attributes.windows
    assert len(window["statistics"]) == 4
    (finding,) = alarm.findings
    damp = window["statistics"][-1]
    assert finding["column"] == f"mae of {damp['slice']}"
    some = rows[rows["humid"] > rows["humid"].quantile(0.75)]
    real = mean_absolute_error(some["visib"], watch.world.predicted(some))
    assert damp["value"] == pytest.approx(real, abs=damp["high"] - damp["low"])


def test_every_metric_that_labels_are_measured_by_can_be_estimated():
    assert set(LOSSES) == set(metrics_of("regression"))


def test_texts_gaps_and_values_never_seen_before():
    chance = np.random.default_rng(0)
    places = chance.choice(["sea", "hill", None], 3000)
    frame = pd.DataFrame({"place": places, "far": chance.normal(size=3000), "high": 1.0})
    frame.loc[::7, "far"] = np.nan
    spread = np.where(frame["place"] == "sea", 3.0, 1.0)
    predictions = chance.uniform(50, 60, 3000)
    outcomes = Outcomes("regression", predictions + spread * chance.normal(size=3000), predictions)
    numbers = [{"name": n, "type": "float64"} for n in ("far", "high")]
    features = [{"name": "place", "type": "string"}, *numbers]
    found = loads(learn(frame, features, outcomes, list(LOSSES)).dumps())
    for name in ("sea", "hill"):
        rows = np.flatnonzero(frame["place"] == name)
        expected = found.of(frame, predictions).where(rows)
        for metric in LOSSES:
            one = estimate(metric, expected)
            real = value(metric, outcomes.where(rows))
            assert one["value"] == pytest.approx(real, abs=2 * (one["high"] - one["low"])), metric
    strange = frame.assign(place="moon", far=np.inf, high=None)
    assert 0.5 < estimate("mae", found.of(strange, predictions))["value"] < 2.5


def test_where_inputs_say_nothing_of_errors_nothing_is_estimated():
    chance = np.random.default_rng(1)
    frame = pd.DataFrame({"far": chance.normal(size=2000)})
    features = [{"name": "far", "type": "float64"}]

    def refused(rows, noise, said):
        predictions = frame["far"].to_numpy()[:rows]
        outcomes = Outcomes("regression", predictions + noise[:rows], predictions)
        with pytest.raises(ResourceError, match=said):
            learn(frame[:rows], features, outcomes, ["mae"])

    noise = chance.normal(size=2000)
    refused(2000, noise, "Nothing in the inputs tells how large the absolute error of a row is")
    refused(900, noise, "held out 900 rows; learning from them how large errors are takes 1,000")
    refused(2000, np.zeros(2000), "makes no error on the rows of the gate")


def test_what_is_learned_stays_until_more_is_asked_for(watch):
    model = watch.world.model.digest
    before = watch.known.attributes.released[model]["losses"]
    assert before["about"]["metrics"] == ["mae", "rmse", "r2"]
    assert before["about"]["inputs"] == INPUTS
    other = {**watch.world.gate.attributes, "candidate": "sha256:" + "0" * 64}
    gate = Handle(address="gate.fine", digest="x", attributes=other)
    later = watch.apply(old=watch.known, release=gate)
    assert later.attributes.released[model]["losses"] == before
    require = {"smape": {"max": 0.5}}
    later = watch.apply(old=watch.known, require=require)
    again = later.attributes.released[model]["losses"]
    assert again["about"]["metrics"] == ["smape"]
    assert again["digest"] != before["digest"]


def test_inputs_that_are_not_logged_are_not_learned_from(watch):
    target = watch.arguments().target
    redacted = target.model_copy(
        update={"attributes": {**target.attributes, "redacted": ["humid"]}}
    )
    rows = watch.world.later[:1000]
    watch.asked(rows, inputs=[n for n in INPUTS if n != "humid"])
    stored, _ = watch.run(watch.apply(old=watch.known, target=redacted))
    about = stored.attributes.released[watch.world.model.digest]["losses"]["about"]
    assert about["inputs"] == [n for n in INPUTS if n != "humid"]
    (window,) = stored.attributes.windows
    mae = window["statistics"][0]
    real = mean_absolute_error(rows["visib"], watch.world.predicted(rows))
    assert mae["value"] == pytest.approx(real, abs=mae["high"] - mae["low"])


def test_mistakes_are_explained(watch):
    with pytest.raises(ResourceError, match="write data and split as the gate has them"):
        watch.apply(data=None)
    with pytest.raises(
        ResourceError, match=r'the part "later" of feature_view\.cells does not have'
    ):
        watch.apply(split="later")
    with pytest.raises(ValidationError, match='has no part "held"'):
        watch.apply(split="held")
    narrow = watch.world.bench.table(watch.world.frame.drop(columns="temp"))
    with pytest.raises(ResourceError, match='has no column "temp", which the model takes'):
        watch.apply(data=narrow)
    for given, said in (
        ({"require": {"coverage@0.9": {"min": 0.8}}}, "cannot be estimated without labels"),
        ({"release": None, "require": {"mae": {"max": 1.0}}}, "write release = gate.NAME"),
    ):
        with pytest.raises(ValidationError, match=said):
            watch.arguments(**given)
