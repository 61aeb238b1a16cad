"""Feature views at request time: real flights and weather, asked of real servers."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from tests.providers.featured import ASKED, CODE, NUMBERS, QUERY, SINCE, Bench, body
from tests.providers.serving_bench import call, until
from tests.providers.test_queries import dataset

from mlform.sdk import Handle, ResourceError
from mlform.sdk.testing import FakeContext
from mlform_core import certifying, models, online
from mlform_core.http import Http
from mlform_core.serving import columnar, log, settings


@pytest.fixture(scope="module", params=["python", "sql"])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A deployment for the tests that only ask."""
    bench = Bench(tmp_path_factory.mktemp(request.param))
    bench.kind = request.param
    bench.features = bench.view(request.param)
    bench.served = bench.model(bench.features)
    bench.apply(bench.served, bench.features, log={"redact": ["origin"]})
    yield bench
    Http().destroy(bench.ctx, bench.old)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Tables to make views of; nothing is served."""
    return Bench(tmp_path_factory.mktemp("rows"))


def test_what_is_made_of_a_request_is_what_is_in_the_table(bench: Bench) -> None:
    late = pd.concat([bench.late[:40], bench.late[-40:]])  # within ttl, and beyond
    assert bench.ask(late, id="late")[0] == 200
    for place in (0, 79):
        assert bench.ask(late[place : place + 1], id=f"one {place}")[0] == 200
    until(lambda: {"late", "one 79"} <= {e.get("id") for e in bench.logged()})
    seen = {e["id"]: e for e in bench.logged() if "id" in e}
    offline = bench.table(bench.features).loc[late.index, NUMBERS]
    assert 0.3 < offline["temp"].notna().mean() < 0.7, "the case is one"
    made = pd.DataFrame(seen["late"]["i"])
    expected = offline.reset_index(drop=True)[list(made.columns)]
    pd.testing.assert_frame_equal(made, expected, check_exact=True, check_dtype=False)
    for place in (0, 79):
        one = {n: v[0] for n, v in seen[f"one {place}"]["i"].items()}
        assert one == {n: v[place] for n, v in seen["late"]["i"].items()}
    model = models.load(bench.ctx.artifacts.path(bench.served.digest))
    answered = seen["late"]["p"]
    assert answered == pytest.approx(model.predict(offline).tolist(), rel=1e-4)
    assert seen["late"]["raw"].keys() == {*ASKED} - {"origin"}, "redacted"
    found, old = (f'lookups_total{{input="weather",outcome="{o}"' for o in ("found", "old"))
    assert found in bench.metrics()
    assert old in bench.metrics()


def test_entities_that_are_not_known_are_missing_and_counted(bench: Bench) -> None:
    nowhere = bench.late[:2].assign(origin=["ZZZ", None])
    status, said = bench.ask(nowhere, id="nowhere")
    assert status == 200, said
    until(lambda: any(e.get("id") == "nowhere" for e in bench.logged()))
    entry = next(e for e in bench.logged() if e.get("id") == "nowhere")
    assert entry["i"]["temp"] == [None, None]
    assert 'input="weather",outcome="missing"' in bench.metrics()
    early = bench.late[:1].assign(time_hour=SINCE - pd.Timedelta("1h"))
    assert bench.ask(early)[0] == 200
    assert 'outcome="newer"' in bench.metrics(), "what was not known then is not used"


def test_requests_are_of_what_the_view_is_made_of(bench: Bench) -> None:
    url = bench.old.attributes.url
    assert {i["name"] for i in call(url)[1]["inputs"]} == {*ASKED}
    described = json.dumps(call(url.partition("/v2")[0] + "/openapi.json")[1])
    assert '"const": "distance"' in described
    assert '"const": "far"' not in described
    request = body(bench.late[:2])
    request["inputs"][2]["name"] = "far"
    status, said = call(f"{url}/infer", request)
    assert status == 400
    assert '"far" is no input' in said["error"]
    assert "missing inputs: dest" in said["error"]
    request = body(bench.late[:1])
    request["inputs"][0]["data"] = ["yesterday"]
    status, said = call(f"{url}/infer", request)
    assert (status, '"time_hour" should be timestamp' in said["error"]) == (400, True)
    request = body(bench.late[:1])
    request["inputs"][3]["data"] = [None]
    around = call(f"{url}/infer", body(bench.late[:1].assign(distance=40_000)))
    assert around[0] == (200 if bench.kind == "python" else 400), "no SMALLINT"
    # The function never saw a flight without a distance, and pandas has no whole number for it.
    assert call(f"{url}/infer", request)[0] == (400 if bench.kind == "python" else 200)


def test_the_log_in_columns_is_the_log_in_lines(bench: Bench) -> None:
    assert bench.ask(bench.late[:3])[0] == 200
    until(lambda: bool(bench.logged()))
    before = [e for e in bench.logged() if e and "raw" in e]
    newest = log.files(bench.ctx.home / "log")[-1]
    copied = bench.ctx.workdir / newest.name
    copied.write_bytes(newest.read_bytes())
    after = [e for e, _ in columnar.entries(columnar.convert(copied), 0) if "raw" in e]
    assert [e["raw"] for e in after][: len(before)] == [e["raw"] for e in before]


def test_what_is_exported_makes_the_same(bench: Bench, tmp_path: Path) -> None:
    app = Http().export(bench.ctx.home, tmp_path / "image")
    needed = (tmp_path / "image" / "requirements.txt").read_text()
    assert ("duckdb==" if bench.kind == "sql" else "pandas==") in needed
    process = subprocess.Popen(
        [sys.executable, "-m", "mlform_core.serving.server", str(app)],
        cwd=tmp_path,
        env={**os.environ, "PORT": "0", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    try:
        until(lambda: "port" in settings.started(app))
        url = f"http://127.0.0.1:{settings.started(app)['port']}/v2/models/late/infer"
        rows = bench.late[:5]
        assert call(url, body(rows))[1]["outputs"] == bench.ask(rows)[1]["outputs"]
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("python", {"function": "means"}, r'"far" of row [\d,]+ of dataset.flights \(time_hour'),
        ("python", {"function": "previous"}, "in the table, and .* among other rows"),
        ("python", {"function": "rounding"}, "If that is rounding, write tolerance"),
        ("python", {"function": "landed", "online": {"absent": ["arr_delay"]}}, "leaves out"),
        ("sql", {"what": QUERY.replace("ln(distance)", "distance / sum(distance) OVER ()")}, "far"),
        (
            "sql",
            {"what": QUERY.replace("ln(distance)", "lag(distance) OVER ()")},
            "among other rows",
        ),
        ("sql", {"online": {"absent": ["late"]}}, "late is no column"),
        (
            "sql",
            {"online": {"absent": ["arr_delay"], "stand_in": {"arr_delay": "none"}}},
            r'"arr_delay" should be \w+: .* stands in for it',
        ),
    ],
)
def test_what_looks_at_other_rows_is_refused(rows: Bench, kind: str, given, said: str) -> None:
    with pytest.raises(ResourceError, match=said):
        rows.view(kind, **given)


def told(ctx: FakeContext, view: Handle) -> dict:
    """Return what a view says of itself."""
    with zipfile.ZipFile(ctx.artifacts.path(view.artifact_at("transform").digest)) as bundle:
        return json.loads(bundle.read("transform.json"))


def test_what_is_made_of_what_no_request_has_is_not_served(rows: Bench) -> None:
    absent = {"absent": ["dest", "arr_delay"], "stand_in": {"dest": "ATL"}}
    view = rows.view("sql", online=absent)
    assert told(rows.ctx, view)["served"] == ["far", "temp", "windy"]


def test_rows_that_are_infinite_somewhere_are_no_probe(rows: Bench) -> None:
    far = "CASE WHEN distance > 1000 THEN 'inf'::DOUBLE ELSE ln(distance) END"
    view = rows.view("sql", QUERY.replace("ln(distance)", far))
    probe = json.loads(rows.ctx.artifacts.read(view.artifact_at("probe").digest))["rows"]
    assert probe
    assert max(row["features"]["far"][0] for row in probe) < math.log(1001)


def test_a_view_is_known_by_its_code_and_by_what_it_looks_up(rows: Bench) -> None:
    def online(view: Handle) -> tuple[str, str]:
        facets = view.attributes["facets"]["digests"]
        return facets["_transform"], facets["_lookups"]

    one, again = rows.view("sql"), rows.view("sql")
    older = rows.view("sql", as_of={"weather": {"on": ["origin"], "ttl": "4h"}})
    assert online(one) == online(again)
    assert online(one)[0] != online(older)[0]
    assert online(one)[1] == online(older)[1]


def test_what_is_tried_alone_costs_by_what_is_tried(
    rows: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = rows.view("sql")
    before = rows.every[rows.every["time_hour"] <= SINCE]
    others = [before.assign(origin=f"airport {i}")[:1] for i in range(1000)]
    many = dataset(rows.ctx, "weather", pd.concat([before, *others]), time="time_hour")
    counted = []

    def counting(connection, table, join):
        counted.append(table.num_rows)
        online.keep(connection, table, join)

    monkeypatch.setattr(certifying, "keep", counting)
    monkeypatch.setattr(rows, "weather", many)
    view = rows.view("sql")
    assert len(counted) == 24
    assert sum(counted) <= 24 * 3, "a row for each airport that flights left from"
    assert told(rows.ctx, view) == told(rows.ctx, usual)


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory):
    """A deployment of a view of a view, whose requests have what the inner one is made of."""
    bench = Bench(tmp_path_factory.mktemp("nested"))
    bench.served = bench.model(bench.over(bench.view("python")), names=["far", "temp", "felt"])
    yield bench
    if bench.old is not None:
        Http().destroy(bench.ctx, bench.old)


def test_a_view_of_a_view_is_asked_for_what_the_inner_one_is_made_of(nested: Bench) -> None:
    inner = nested.view("python")
    view = nested.over(inner)
    assert {*told(nested.ctx, view)["served"]} == {"far", "temp", "felt"}, "not yet late"
    nested.apply(nested.served, view)
    url = nested.old.attributes.url
    assert {i["name"] for i in call(url)[1]["inputs"]} == {*ASKED}
    late = pd.concat([nested.late[:10], nested.late[-10:]])
    assert nested.ask(late, id="nested")[0] == 200
    until(lambda: any(e.get("id") == "nested" for e in nested.logged()))
    seen = next(e for e in nested.logged() if e.get("id") == "nested")
    offline = nested.table(view).loc[late.index, list(seen["i"])].reset_index(drop=True)
    assert offline["temp"].isna().any()
    assert offline["felt"].notna().any()
    pd.testing.assert_frame_equal(
        pd.DataFrame(seen["i"]), offline, check_exact=True, check_dtype=False
    )
    assert {*seen["raw"]} == {*ASKED}
    assert 'lookups_total{input="weather",outcome="found"' in nested.metrics()
    request = body(late[:1])
    del request["inputs"][0]  # of now, when all that is known is old
    assert call(f"{url}/infer", request)[0] == 200
    assert 'outcome="old"' in nested.metrics()


def test_code_or_tables_of_the_inner_view_are_those_of_the_outer(nested: Bench) -> None:
    before, rows = nested.old.attributes, nested.late[:3]
    said = nested.ask(rows)[1]["outputs"]
    other = nested.over(nested.view("python", function="kilometres"))
    nested.apply(nested.served, other)
    assert "keeps its own until" in nested.ctx.lines[-1]
    assert '"far"' in nested.ctx.lines[-1]
    assert nested.ask(rows)[1]["outputs"] == said
    same = CODE.replace("np.log(flights", "1.0 * np.log(flights")
    nested.apply(nested.served, nested.over(nested.view("python", same)))
    assert nested.ask(rows)[1]["outputs"] == said
    colder = nested.every.assign(temp=nested.every["temp"] - 9)
    known = colder[colder["time_hour"] <= SINCE]
    nested.weather = dataset(nested.ctx, "weather", known, time="time_hour")
    newer = nested.apply(nested.served, nested.over(nested.view("python", function="kilometres")))
    assert newer.features != before.features
    assert nested.ask(rows)[1]["outputs"] != said, "its own transform, with the tables of now"


def test_a_view_of_a_view_is_exported_with_it(nested: Bench, tmp_path: Path) -> None:
    app = Http().export(nested.ctx.home, tmp_path / "image")
    needed = (tmp_path / "image" / "requirements.txt").read_text()
    assert "duckdb==" in needed
    assert "pandas==" in needed
    (folder,) = (app / settings.VIEWS).iterdir()
    assert (folder / "from" / "transform.json").is_file()
