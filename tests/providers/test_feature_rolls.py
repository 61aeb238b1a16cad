"""A deployment whose feature view changes: it rolls, is canaried, and waits for its model."""

from __future__ import annotations

import json

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.providers.featured import CODE, NUMBERS, Bench, body
from tests.providers.serving_bench import Load
from tests.providers.test_queries import dataset

from mlform.sdk import ResourceError
from mlform_core import models
from mlform_core.http import Http
from mlform_core.serving import settings


@pytest.fixture(scope="module")
def rolling(tmp_path_factory: pytest.TempPathFactory):
    """A deployment whose view changes: the tests below are one story in order."""
    bench = Bench(tmp_path_factory.mktemp("rolling"))
    bench.features = bench.view("python")
    bench.served = bench.model(bench.features)
    bench.apply(bench.served, bench.features)
    yield bench
    if bench.old is not None:
        Http().destroy(bench.ctx, bench.old)


def test_other_code_that_makes_the_same_rolls_without_a_failed_request(rolling: Bench) -> None:
    before = rolling.old.attributes
    other = CODE.replace("np.log(flights", "1.0 * np.log(flights")
    view = rolling.view("python", other)
    request = json.dumps(body(rolling.late[:3])).encode()
    with Load(before.url, request, kept=2, fresh=1) as load:
        load.until(lambda mine: len(mine) > 3)
        after = rolling.apply(rolling.served, view)
        many = max(map(len, load.answers))
        load.until(lambda mine: len(mine) > many)
    assert load.failures == []
    assert (after.pid, after.answers) == (before.pid, before.answers)
    assert after.revision == before.revision + 1
    assert after.features != before.features


CANARY = {"kind": "canary", "steps": [50, 100], "bake": "1s"}


def test_other_code_of_the_same_model_is_canaried(rolling: Bench) -> None:
    before, code = rolling.old.attributes, CODE.replace("np.log(fl", "2.0 / 2.0 * np.log(fl")
    view = rolling.view("python", code)
    rolling.ctx.heard.clear()
    with Load(before.url, json.dumps(body(rolling.late[:3])).encode(), kept=2, fresh=0) as load:
        after = rolling.apply(rolling.served, view, rollout=CANARY)
    assert load.failures == []
    assert any("canary at 50%" in said for *_, said in rolling.ctx.heard)
    assert (after.pid, after.answers) == (before.pid, before.answers)
    assert (after.revision, after.features) == (before.revision + 1, view_of(rolling))
    rolling.ctx.heard.clear()
    known, rolling.weather = (
        rolling.weather,
        dataset(rolling.ctx, "weather", rolling.every[:-1], time="time_hour"),
    )
    newer = rolling.apply(rolling.served, rolling.view("python", code), rollout=CANARY)
    rolling.weather = known
    assert newer.features != after.features
    assert not any("canary" in said for *_, said in rolling.ctx.heard), "it looks up newer rows"
    rolling.apply(rolling.served, view, rollout=CANARY)


def view_of(bench: Bench) -> str:
    """Return the view that makes what is asked of the model that serves."""
    kept = settings.read(bench.ctx.home)
    return kept.views[kept.digest]


def test_other_code_that_fails_is_rolled_back_and_the_model_goes_on(rolling: Bench) -> None:
    before = rolling.old.attributes
    fails = "    if (flights['distance'] > 9000).any():\n        raise RuntimeError('too far')\n"
    view = rolling.view("python", CODE.replace("    airports[", f"{fails}    airports["))
    far = body(rolling.late[:3].assign(distance=9999))
    with Load(before.url, json.dumps(far).encode(), kept=2, fresh=0) as load:
        with pytest.raises(ResourceError, match="What it made before answers all") as caught:
            rolling.apply(rolling.served, view, rollout={**CANARY, "bake": "1h"})
        many = max(map(len, load.answers))
        load.until(lambda mine: len(mine) > many)
    assert load.failures == []
    error = caught.value
    assert (error.summary, error.argument) == ("Canary rolled back", "features")
    assert error.rejects == "", "the model is as good as it was"
    assert view_of(rolling) == before.features


FAULTS = """
    far = int(flights["distance"].iloc[0])
    if far == 9001:
        raise ValueError("no flight is that long")
    if far == 9002:
        raise KeyError("gate")
    if far == 9003:
        raise OSError("no space left")
    if far == 9004:
        return [far]
    if far == 9005:
        return pd.DataFrame({"far": [[1], "two"]}, index=flights.index)
"""


def test_whose_fault_it_is_that_there_is_no_answer(rolling: Bench) -> None:
    code = CODE.replace("    airports[", f"{FAULTS}    airports[", 1)
    rolling.apply(rolling.served, rolling.view("python", code))
    said = {}
    for far in range(9000, 9006):
        answer = rolling.ask(rolling.late[:2].assign(distance=far))
        said[far] = (answer[0], answer[1].get("error", ""))
    assert {far: status for far, (status, _) in said.items()} == {
        9000: 200,
        9001: 400,
        9002: 500,
        9003: 503,
        9004: 500,
        9005: 500,
    }, said
    assert said[9001][1] == "no flight is that long"
    assert "KeyError: 'gate'" in said[9002][1]
    assert "no answer now: the feature view: OSError: no space left" in said[9003][1]
    assert "returned list, not a pandas DataFrame" in said[9004][1]
    logged = (rolling.ctx.home / "server.log").read_text()
    for ours in ("KeyError: 'gate'", "OSError: no space left", "Not a table", "ArrowInvalid"):
        assert ours in logged, ours
    assert "no flight is that long" not in logged, "that is the client's"
    rolling.apply(rolling.served, rolling.view("python"))


def test_what_is_known_and_too_old_is_no_fault_of_the_client(rolling: Bench) -> None:
    view = rolling.view("python")
    frame = rolling.table(view).dropna(subset=NUMBERS)
    needs_all = rolling.model(view, frame, make_pipeline(StandardScaler(), LogisticRegression()))
    rolling.apply(needs_all, view)
    old = rolling.late[-1:]
    assert rolling.ask(rolling.late[:1])[0] == 200
    status, said = rolling.ask(old)
    assert (status, "what is known of weather is too old" in said["error"]) == (503, True), said
    status, said = rolling.ask(old.assign(origin="ZZZ"))
    assert (status, "is missing at 0" in said["error"]) == (400, True), said
    assert "weather is too old" in (rolling.ctx.home / "server.log").read_text()
    rolling.apply(rolling.served, view)


def test_code_that_makes_something_else_waits_for_a_model_of_it(rolling: Bench) -> None:
    before, rows = rolling.old.attributes, rolling.late[:3]
    said = rolling.ask(rows)[1]["outputs"]
    view = rolling.view("python", function="kilometres")
    kept = rolling.apply(rolling.served, view)
    assert "keeps its own until" in rolling.ctx.lines[-1]
    assert '"far"' in rolling.ctx.lines[-1]
    assert rolling.ask(rows)[1]["outputs"] == said
    fresh_model = rolling.model(view)
    fresh = rolling.apply(fresh_model, view)
    assert len({before.features, kept.features, fresh.features}) == 3
    model = models.load(rolling.ctx.artifacts.path(fresh.answers))
    offline = rolling.table(view).loc[rows.index]
    answer = rolling.ask(rows)[1]["outputs"][0]["data"]
    assert answer == pytest.approx(model.predict(offline).tolist(), rel=1e-4)
    rolling.apply(rolling.served, view)
    assert rolling.ask(rows)[1]["outputs"] == said, "rolled back, to its own transform"
    rolling.apply(fresh_model, view)
    assert rolling.ask(rows)[1]["outputs"][0]["data"] == answer


def test_a_canary_that_a_killed_run_left_goes_live_with_the_view_of_now(
    rolling: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = {"kind": "canary", "steps": [50, 100], "bake": "1s"}
    model = rolling.model(rolling.view("python"))
    with monkeypatch.context() as killed:
        killed.setattr("mlform_core.http_rolling._baked", _killed)
        with pytest.raises(KeyboardInterrupt):
            rolling.apply(model, rolling.view("python"), rollout=canary)
    rolling.weather = dataset(rolling.ctx, "weather", rolling.every, time="time_hour")
    view = rolling.view("python")
    found = rolling.apply(model, view, rollout=canary)
    assert found.answers == model.digest
    kept = settings.read(rolling.ctx.home)
    assert kept.views[model.digest] == found.features
    assert settings.view(rolling.ctx.home, found.features).is_dir()
    assert rolling.ask(rolling.late[:1])[0] == 200


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_model_of_another_transform_is_not_deployed_with_it(rolling: Bench) -> None:
    model, view = rolling.old.arguments.model, rolling.old.arguments.features
    other = rolling.view("python", CODE.replace("* 1.6", "* 3"), function="kilometres")
    with pytest.raises(ResourceError, match="trained with another transform"):
        rolling.apply(rolling.model(other), view)
    with pytest.raises(ResourceError, match="write online = "):
        rolling.apply(model.artifact, rolling.view("python", online=None))
    rolling_on = rolling.ask(rolling.late[:1])
    assert rolling_on[0] == 200


def test_a_worker_that_makes_other_features_does_not_serve(rolling: Bench) -> None:
    folder = settings.view(rolling.ctx.home, rolling.old.attributes.features)
    probe = json.loads((folder / "probe.json").read_text())
    probe["rows"][0]["features"]["far"] = [1.0]
    (folder / "probe.json").write_text(json.dumps(probe))
    arguments = rolling.old.arguments
    with pytest.raises(ResourceError, match=r"where the table has 1\.0: other versions"):
        rolling.apply(arguments.model.artifact, arguments.features, workers=2)
    assert rolling.ask(rolling.late[:1])[0] == 200
