"""The service monitor: a real server, and windows of counts that are made up to the number."""

import numpy as np
import pytest
from pydantic import ValidationError
from tests.providers.gate_bench import Bench
from tests.providers.serving_bench import Life, body, bundle, call, table

from mlform.sdk import Handle, ResourceError, Stored
from mlform.sdk.testing import lasting
from mlform_core import service, service_counts
from mlform_core.service import Service, ServiceArguments, ServiceAttributes

LES = ["0.001", "0.01", "0.1", "1.0", "+Inf"]


def arguments(target=None, **given):
    attributes = {"answers": "sha256:x", "log_dir": "nowhere/log", "redacted": []}
    handle = target or Handle(address="deployment.api", digest="d", attributes=attributes)
    asked = {"target": handle, "checks": {"error_rate": {"max": 0.01}}}
    return ServiceArguments.model_validate({**asked, **given})


def counted(at, times=(), statuses=None, started=0.0, busy=0.0, workers=1.0):
    """Return what a server has counted by then: of requests that took so many seconds."""
    taken = np.asarray(times, dtype=float)
    return {
        "at": at,
        "started": started,
        "workers": workers,
        "statuses": {"200": float(len(taken))} if statuses is None else statuses,
        "buckets": {le: float((taken <= float(le)).sum()) for le in LES},
        "busy": {"1": busy},
    }


def judged(checks, **given):
    window = service_counts.window(counted(0.0), counted(600.0, **given)) | {"age": None}
    return service_counts.judge(window, arguments(checks=checks))


def test_latency_is_judged_by_how_many_were_late():
    times = np.random.default_rng(0).gamma(2, 0.004, 2000)
    window = service_counts.window(counted(0.0), counted(600.0, times))
    exact = np.quantile(times, 0.5) * 1000
    assert service_counts.latency(window["buckets"], 0.5) == pytest.approx(exact, rel=0.3)
    assert judged({"latency_ms": {"p50": 10, "p99": 100}}, times=times) == []
    (found,) = judged({"latency_ms": {"p50": 1, "p99": 100}}, times=times)
    assert found["check"] == "latency p50 ms"
    # Three of a hundred are late where one may be: that happens, in eight of a hundred windows.
    late = {"latency_ms": {"p99": 100}}
    assert judged(late, times=[0.005] * 97 + [0.5] * 3) == []
    assert judged(late, times=[0.005] * 9700 + [0.5] * 300)


def test_errors_and_refusals_are_apart():
    statuses = {"200": 900.0, "400": 60.0, "500": 30.0, "504": 10.0}
    asked = {"error_rate": {"max": 0.01}, "refusal_rate": {"max": 0.1}}
    (found,) = judged(asked, times=[0.005] * 1000, statuses=statuses)
    assert (found["check"], found["value"]) == ("error rate", 0.04)
    asked = {"error_rate": {"max": 0.1}, "refusal_rate": {"max": 0.01}}
    (found,) = judged(asked, times=[0.005] * 1000, statuses=statuses)
    assert (found["check"], found["value"]) == ("refusal rate", 0.06)


def test_volume_and_saturation():
    times = [0.005] * 300  # thirty a minute
    assert judged({"volume": {"min": 29, "max": 31}}, times=times) == []
    (few,) = judged({"volume": {"min": 60}}, times=times)
    assert (few["value"], few["sign"]) == (30, "<")
    (many,) = judged({"volume": {"max": 10}}, times=times)
    assert (many["value"], many["sign"]) == (30, ">")
    (none,) = judged({"volume": {"min": 1, "max": 5}}, times=[])
    assert none["value"] == 0
    (busy,) = judged({"saturation": {"max": 0.5}}, times=times, busy=900.0, workers=2.0)
    assert busy["value"] == 0.75
    assert judged({"saturation": {"max": 0.8}}, times=times, busy=900.0, workers=2.0) == []


def test_a_rule_that_holds_is_broken_by_chance_as_rarely_as_said():
    chance = np.random.default_rng(5)
    alarms = 0
    for _ in range(400):
        bad = float(chance.binomial(500, 0.01))
        times = chance.choice([0.005, 0.5], 500, p=[0.99, 0.01])
        asked = {"error_rate": {"max": 0.01}, "latency_ms": {"p99": 100}}
        alarms += bool(judged(asked, times=times, statuses={"200": 500 - bad, "500": bad}))
    assert alarms / 400 < 0.05


def test_a_server_that_started_again_is_counted_from_its_start():
    before, after = counted(0.0, [0.005] * 500), counted(600.0, [0.005] * 20, started=300.0)
    window = service_counts.window(service_counts.since(before, after), after)
    assert (window["requests"], window["seconds"]) == (20, 300.0)
    same = counted(600.0, [0.005] * 520)
    window = service_counts.window(service_counts.since(before, same), same)
    assert (window["requests"], window["seconds"]) == (20, 600.0)


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        ahead = 0.0

        @classmethod
        def time(cls):
            return service_time() + cls.ahead

    service_time = service.time.time
    monkeypatch.setattr(service, "time", Clock)
    return Clock


def test_a_real_server_is_counted_and_missed_when_it_is_gone(tmp_path, clock):
    life = Life(tmp_path)
    found = life.apply(bundle(life.ctx))
    target = Handle(address="deployment.tumours", digest="d", attributes=lasting(found))
    rules = arguments(target, window={"every": "10m"}, checks={"refusal_rate": {"max": 0.05}})

    def run(stored):
        attributes, alarms = Service().run(life.ctx, stored)
        again = ServiceAttributes.model_validate(attributes.model_dump(mode="json"))
        assert again == attributes, "attributes must survive the state"
        return Stored(rules, attributes), list(alarms)

    try:
        stored = Stored(rules, Service().apply(life.ctx, rules, None))
        for _ in range(5):
            call(f"{found.url}/infer", body(table()[:2]))
        stored, alarms = run(stored)
        assert (alarms, stored.attributes.windows) == ([], [])
        assert life.ctx.lines[-1].endswith("s since the last window: one takes 10m")
        clock.ahead = 700.0
        stored, alarms = run(stored)
        (window,) = stored.attributes.windows
        assert (alarms, window["requests"], window["answers"]) == ([], 5, True)
        assert window["statuses"] == {"200": 5}
        assert 0 < window["saturation"] < 1
        for _ in range(5):
            call(f"{found.url}/infer", {"inputs": []})
        clock.ahead = 1400.0
        stored, (alarm,) = run(stored)
        assert alarm.summary == "refusal rate 1 > 0.05"
        assert (alarm.name, alarm.window["requests"]) == ("service", 5)
        lax = arguments(target, checks={"refusal_rate": {"max": 0.99}, "error_rate": {"max": 0.5}})
        decided = Service().apply(life.ctx, lax, stored)
        assert [w["broken"] for w in decided.windows] == [False, False], "five of five are chance"
        said = Service().tried(lax, stored)
        assert said.endswith("0 would break these limits and 0 raise an alarm (1 did)")
        page = life.ctx.artifacts.read(decided.page.digest).decode()
        assert "refusal rate: 1 at last, held to 0.99" in page
        clock.ahead = -100_000.0
        back, alarms = run(stored)
        assert (alarms, back.attributes.windows) == ([], stored.attributes.windows)
        assert life.ctx.lines[-1].startswith("the clock went back")
        clock.ahead += 700.0
        back, _ = run(back)
        assert (len(back.attributes.windows), back.attributes.windows[-1]["requests"]) == (3, 0)
        clock.ahead = 1400.0
    finally:
        life.destroy()
    _, (alarm,) = run(stored)
    assert alarm.summary == "the endpoint does not answer"


def test_data_that_stay_out_are_seen(tmp_path, clock):
    import pandas as pd

    bench = Bench(tmp_path)
    now = pd.Timestamp.now(tz="UTC").tz_localize(None)
    seen = pd.DataFrame({"at": [now - pd.Timedelta(days=5), now - pd.Timedelta(days=3)]})
    data = bench.table(seen, "dataset.orders")
    checks = {"freshness": {"max_age": "2d"}}
    rules = arguments(data=data, time="at", checks=checks)
    Service().apply(bench.ctx, rules, None)
    age = service._age(bench.ctx, rules, clock.time())
    assert age == pytest.approx(3 * 86400, rel=0.01)
    window = service_counts.window(counted(0.0), counted(600.0)) | {"age": age}
    (found,) = service_counts.judge(window, rules)
    assert (found["value"], found["threshold"]) == (pytest.approx(3, rel=0.01), 2)
    assert service_counts.describe([found]) == "age of the newest row in d 3 > 2"
    (*_, shown) = service_counts.series([window], rules)
    assert (shown.name, [*shown.limits]) == (found["check"], [2])
    with pytest.raises(ResourceError, match=r"dataset.orders says no time of its rows"):
        Service().apply(bench.ctx, arguments(data=data, checks=checks), None)


def test_mistakes_are_explained():
    for wrong, said in (
        ({"checks": {"latency_ms": {"median": 3}}}, '"median" is no quantile'),
        ({"checks": {"latency_ms": {"p99": 0}}}, "is no time"),
        ({"checks": {"volume": {}}}, "write min or max"),
        ({"checks": {"freshness": {"max_age": "1d"}}}, "write data and checks.freshness"),
        ({"window": {"every": "0s"}}, "of no length"),
    ):
        with pytest.raises(ValidationError, match=said):
            arguments(**wrong)
