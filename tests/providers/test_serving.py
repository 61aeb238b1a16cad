"""What serves a deployment: workers, graphs, tokens, numbers, a description."""

import json
import os
import re
import signal
import urllib.request
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from pydantic import ValidationError
from tests.providers.serving_bench import (
    Deadly,
    Life,
    Load,
    body,
    bundle,
    call,
    fitted,
    handle,
    table,
    until,
)

from mlform.sdk import ResourceError
from mlform_core import models
from mlform_core.http_arguments import HttpArguments
from mlform_core.serving import control, convert, prepared, settings

TOKEN = "a token that is long enough"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that lets only some in, with two workers."""
    life = Life(tmp_path_factory.mktemp("guarded"))
    life.apply(bundle(life.ctx), tokens=[TOKEN, "another one, also long"], workers=2)
    yield life
    life.destroy()


def ours(token=TOKEN):
    return {"Authorization": f"Bearer {token}"}


def text(url):
    request = urllib.request.Request(url, headers=ours())
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.read().decode()


def metrics(found):
    """Return the numbers of a server by name and labels, summed over revisions."""
    root = found.url.partition("/v2")[0]
    lines = [line for line in text(f"{root}/metrics").splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def children(pid):
    """Return the processes that a process has started and that are there."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def test_a_graph_serves_where_it_answers_as_the_model_does(guarded):
    found = guarded.old.attributes
    assert found.runtime == "onnx"
    assert 0 < found.difference < 1e-5
    rows = table().astype({"dense": object})
    rows.loc[3, ["mean radius", "size", "dense"]] = None
    rows.loc[4, "size"] = "never seen"
    status, said = call(f"{found.url}/infer", body(rows), headers=ours())
    assert status == 200
    model = models.load(guarded.ctx.artifacts.path(found.answers))
    expected = model.predict(rows)
    np.testing.assert_allclose(said["outputs"][0]["data"], expected, atol=1e-5)


def test_nobody_is_told_what_runs(life, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", os.fspath(home))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    found = life.apply(bundle(life.ctx))
    assert found.runtime == "onnx"
    assert call(f"{found.url}/infer", body(table()[:1]))[0] == 200
    # What onnxruntime would report it keeps there, with a number for this machine.
    assert not list(home.rglob("*nnxruntime*"))


def test_the_model_itself_serves_where_a_graph_is_not_wanted(life):
    found = life.apply(bundle(life.ctx), runtime={"kind": "native"})
    assert found.runtime == "native"
    rows = table().iloc[::10]
    expected = models.load(life.ctx.artifacts.path(found.answers)).predict(rows)
    said = call(f"{found.url}/infer", body(rows))[1]
    np.testing.assert_allclose(said["outputs"][0]["data"], expected, rtol=1e-12)


def opened(life, model, **options):
    """Return how a model would run, without a server."""
    artifact = bundle(life.ctx, model=model)
    folder = settings.bundle(life.ctx.home, artifact.digest)
    folder.mkdir(parents=True)
    life.ctx.artifacts.checkout(artifact.digest, settings.model(folder))
    given = {"tolerance": 1e-4, "graph": True, "allow_pickle": False, **options}
    return folder, prepared.prepare(folder, artifact.digest, **given)


def test_a_graph_that_answers_otherwise_never_serves(life):
    found = opened(life, fitted(), tolerance=1e-12)[1]
    assert found.runtime == "native"
    assert re.match(
        r"the answers of a graph are up to [\d.]+e-0[678] from those of the model", found.why
    )


def test_a_graph_does_not_answer_what_the_model_refuses(life):
    found = opened(life, fitted(unknown="error"))[1]
    assert found.runtime == "native"
    assert found.why == 'the model refuses texts of "size" that it has not seen'


def test_without_the_packages_of_graphs_the_model_itself_serves(life, monkeypatch):
    monkeypatch.setattr(convert, "_NEEDS", ("a_package_that_is_nowhere",))
    found = opened(life, fitted())[1]
    assert (found.runtime, found.difference) == ("native", 0)
    assert found.why == "a_package_that_is_nowhere not installed (pip install 'mlform[onnx]')"


def test_a_worker_checks_the_models_answers_before_it_serves(life):
    folder, found = opened(life, fitted())
    other = [1 - value for value in found.expected]
    data = json.loads(settings.prepared(folder).read_text())
    settings.prepared(folder).write_text(json.dumps({**data, "expected": other}))
    with pytest.raises(ResourceError, match="Answers differ from the model"):
        prepared.opened(folder, allow_pickle=False)
    settings.graph(folder).write_bytes(b"no graph")
    with pytest.raises(ResourceError, match="is damaged"):
        prepared.opened(folder, allow_pickle=False)


def test_what_a_model_needs_is_said_when_it_is_missing(life):
    found = life.apply(bundle(life.ctx, model=fitted(impute=False)))
    request = body(table()[:2])
    request["inputs"][0]["data"][1] = None
    request["inputs"][3]["data"][0] = None
    status, said = call(f"{found.url}/infer", request)
    assert status == 400
    assert said["problems"] == [
        '"mean radius" has null at 1, where the model takes no missing value'
    ]


def test_killed_workers_fail_no_request(life):
    found = life.apply(bundle(life.ctx), workers=2)
    assert len(children(found.pid)) == 2
    with Load(found.url, json.dumps(body(table()[:3])).encode()) as load:
        for wanted in (5, 10):
            load.until(lambda answers, wanted=wanted: len(answers) >= wanted)
            for worker in children(found.pid):
                os.kill(worker, signal.SIGKILL)
        load.until(lambda answers: len(answers) >= 20)
    assert load.failures == []
    until(lambda: metrics(found)['mlform_workers{revision="1"}'] == 2)
    assert metrics(found)['mlform_worker_restarts_total{revision="1"}'] == 4


def test_a_request_that_kills_workers_is_given_up_and_others_are_answered(life):
    deadly = fitted(last=Deadly)
    artifact = bundle(life.ctx, model=deadly, format="pickle", framework="tests")
    found = life.apply(artifact, allow_pickle=True)
    request = body(table()[:1])
    with Load(found.url, json.dumps(request).encode(), kept=1, fresh=1) as load:
        load.until(lambda answers: len(answers) >= 5)
        request["inputs"][0]["data"] = [1e6]
        status, said = call(f"{found.url}/infer", request)
        assert (status, said["error"]) == (500, "The model failed: 3 workers died of it")
        load.until(lambda answers: len(answers) >= 10)
    assert load.failures == []


def test_only_who_has_a_token_is_let_in(guarded):
    url = guarded.old.attributes.url
    root = url.partition("/v2")[0]
    request = body(table()[:1])
    for headers in ({}, ours("a token that nobody has"), {"Authorization": f"Basic {TOKEN}"}):
        status, said = call(f"{url}/infer", request, headers=headers)
        assert status == 401
        assert "Authorization: Bearer TOKEN" in said["error"]
        for path in ("/metrics", "/openapi.json", "/v2/models/tumours", "/v2", "/nothing"):
            assert call(root + path, headers=headers)[0] == 401
    for token in (TOKEN, "another one, also long"):
        assert call(f"{url}/infer", request, headers=ours(token))[0] == 200
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/tumours/ready"):
        assert call(root + path)[0] == 200
    assert guarded.read() == guarded.old.attributes


def test_tokens_are_written_nowhere(guarded):
    kept = [p for p in guarded.ctx.home.rglob("*") if p.is_file()]
    assert len(kept) > 3
    assert not [p for p in kept if TOKEN.encode() in p.read_bytes()]


def test_tokens_from_the_environment(life, monkeypatch):
    artifact = bundle(life.ctx)
    monkeypatch.setenv("API_TOKENS", "short")
    with pytest.raises(ResourceError, match="API_TOKENS holds no tokens of at least 16"):
        life.apply(artifact, tokens_env="API_TOKENS")
    monkeypatch.setenv("API_TOKENS", f"one that is older by far, {TOKEN}")
    url = life.apply(artifact, tokens_env="API_TOKENS").url
    assert [call(url)[0], call(url, headers=ours())[0]] == [401, 200]
    assert [life.apply(artifact).url, call(url)[0]] == [url, 200]


def test_arguments_that_cannot_be(life):
    model = handle(bundle(life.ctx))
    with pytest.raises(ValidationError, match="one of tokens and tokens_env"):
        HttpArguments(model=model, tokens=[TOKEN], tokens_env="API_TOKENS")
    with pytest.raises(ValidationError, match="at least 16 characters"):
        HttpArguments(model=model, tokens=["short"])


def test_numbers_for_prometheus(guarded):
    found = guarded.old.attributes
    before = metrics(found)
    request = body(table()[:3])
    for _ in range(4):
        call(f"{found.url}/infer", request, headers=ours())
    request["inputs"].pop()
    call(f"{found.url}/infer", request, headers=ours())
    after = metrics(found)

    def more(name):
        return after[name] - before.get(name, 0)

    assert more('mlform_requests_total{revision="1",status="200"}') == 4
    assert more('mlform_requests_total{revision="1",status="400"}') == 1
    assert more('mlform_rows_total{revision="1"}') == 12
    assert more('mlform_request_seconds_count{revision="1"}') == 5
    assert more('mlform_batched_rows_total{revision="1"}') == 12
    assert after['mlform_workers{revision="1"}'] == 2
    info = 'mlform_revision_info{digest="%s",revision="1",role="current",runtime="onnx"}'
    assert after[info % found.answers] == 1


def test_the_description_is_what_is_answered(guarded):
    url = guarded.old.attributes.url
    root = url.partition("/v2")[0]
    said = json.loads(text(f"{root}/openapi.json"))
    assert said["openapi"] == "3.1.0"
    assert "/v2/models/tumours/infer" in said["paths"]

    def check(name, value):
        schema = {"$ref": f"#/components/schemas/{name}", **said}
        jsonschema.validate(value, schema, jsonschema.Draft202012Validator)

    request = body(table()[:2])
    request["inputs"][3]["data"] = [None, "l"]
    check("Request", request)
    check("Response", call(f"{url}/infer", request, headers=ours())[1])
    request["inputs"][3]["data"] = [1, 2]
    with pytest.raises(jsonschema.ValidationError):
        check("Request", request)
    check("Problem", call(f"{url}/infer", request, headers=ours())[1])


def test_settings_of_older_servers_are_no_settings(guarded):
    path = guarded.ctx.home / settings.SETTINGS
    whole = path.read_text()
    data = json.loads(whole)
    del data["workers"]
    try:
        path.write_text(json.dumps(data))
        assert settings.read(guarded.ctx.home) is None
    finally:
        path.write_text(whole)
    assert control.digest_at(settings.read(guarded.ctx.home), data["port"]) is not None
