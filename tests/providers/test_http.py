"""A deployment: a real server process, asked over real connections."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from tests.providers.serving_bench import (
    ADDRESS,
    Life,
    Load,
    body,
    bundle,
    call,
    end_of,
    handle,
    refuses,
    table,
    until,
)

from mlform.sdk import Handle, ResourceError, Stored
from mlform.sdk.testing import FakeContext, check_resource, lasting
from mlform_core import models
from mlform_core.http import Http
from mlform_core.http_arguments import HttpArguments
from mlform_core.serving import control, log, settings
from mlform_core.serving.protocol import DATATYPES


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A server for the tests that only ask."""
    life = Life(tmp_path_factory.mktemp("shared"))
    life.apply(bundle(life.ctx), max_body_mb=0.2)
    yield life
    life.destroy()


@pytest.fixture
def url(shared):
    return shared.old.attributes.url


def test_answers_are_the_models(shared, url):
    rows = table().iloc[::10]
    status, said = call(f"{url}/infer", {**body(rows), "id": "r1"})
    digest = shared.old.attributes.answers
    assert status == 200
    assert (said["id"], said["model_name"], said["model_version"]) == ("r1", "tumours", digest)
    assert said["parameters"]["digest"] == digest
    probability, label = said["outputs"]
    expected = models.load(shared.ctx.artifacts.path(digest)).predict(rows)
    np.testing.assert_allclose(probability["data"], expected, rtol=1e-4, atol=1e-6)
    assert label["data"] == [str(int(p >= 0.5)) for p in expected]
    assert probability["shape"] == label["shape"] == [len(rows)]


def test_routes_of_the_protocol(shared, url):
    root = url.partition("/v2")[0]
    digest = shared.old.attributes.answers
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/tumours/ready", "/v2"):
        assert call(root + path)[0] == 200
    status, said = call(url)
    assert status == 200
    assert said["versions"] == [digest]
    assert said["parameters"]["digest"] == digest
    assert [t["name"] for t in said["outputs"]] == ["probability", "label"]
    assert said["inputs"][-1] == {"name": "dense", "datatype": "BOOL", "shape": [-1]}
    status, said = call(f"{root}/v2/models/other/infer", body(table()[:1]))
    assert (status, said["error"]) == (
        404,
        "There is nothing at /v2/models/other/infer. The model is at /v2/models/tumours.",
    )
    assert call(f"{url}/infer")[0] == 405
    assert call(url, b"{}")[0] == 405


def test_only_the_outputs_asked_for(url):
    request = {**body(table()[:2]), "outputs": [{"name": "label"}]}
    assert [o["name"] for o in call(f"{url}/infer", request)[1]["outputs"]] == ["label"]
    request["outputs"] = [{"name": "odds"}]
    status, said = call(f"{url}/infer", request)
    assert (status, said["error"]) == (400, '"odds" is no output; there is probability, label')
    request["outputs"] = 5
    status, said = call(f"{url}/infer", request)
    assert (status, said["error"]) == (400, '"outputs" must be a list of {"name": … }')


@pytest.mark.parametrize("data", ["ms", {"m": 1, "s": 2}])
def test_data_is_a_list(url, data):
    request = body(table()[:2])
    request["inputs"][3]["data"] = data
    status, said = call(f"{url}/infer", request)
    assert (status, said["error"]) == (400, '"size" has no list as "data"')


def test_columns_of_one_and_missing_values(url):
    request = body(table()[:2])
    request["inputs"][0] |= {"shape": [2, 1], "data": [[12.5], [None]]}
    request["inputs"][3] |= {"data": [None, "huge"]}
    request["inputs"][4] |= {"data": [None, True]}
    assert call(f"{url}/infer", request)[0] == 200
    for tensor in request["inputs"]:
        tensor |= {"shape": [2], "data": [None, None]}
    assert call(f"{url}/infer", request)[0] == 200


def test_every_problem_of_a_request_is_told_at_once(url):
    request = body(table()[:2])
    radius, texture, smoothness, size, dense = request["inputs"]
    radius["data"] = [1.5, "wide"]
    texture["shape"] = [3]
    size["name"] = "sise"
    dense["datatype"] = "BIT"
    smoothness["data"] = "0.1"
    status, said = call(f"{url}/infer", request)
    assert status == 400
    inputs = "mean radius, mean texture, mean smoothness, size, dense"
    assert said["problems"] == [
        "\"mean radius\" has 'wide' at 1, which is not a number (FP64)",
        '"mean texture" has shape [3] and 2 values; use [2]',
        '"mean smoothness" has no list as "data"',
        f'"sise" is no input of this model; it has {inputs}',
        f"\"dense\" has datatype 'BIT'; the protocol has {', '.join(sorted(DATATYPES))}",
        "missing inputs: size",
    ]


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        (b"{", 400, "the body is no JSON"),
        (b'{"inputs": [NaN]}', 400, "write a missing value as null"),
        (b"[]", 400, 'the body must be {"inputs"'),
        (b'{"inputs": [1]}', 400, 'inputs[0] must be a tensor with a "name"'),
        (b'{"inputs": []}', 400, "missing inputs: mean radius"),
        (b" " * 200_001, 413, "larger than 200,000 bytes"),
    ],
)
def test_broken_bodies(url, sent, status, says):
    found, said = call(f"{url}/infer", sent)
    assert found == status
    assert says in said["error"]


def test_wrong_datatype_lengths_twice_and_empty(url):
    request = body(table()[:2])
    request["inputs"][3] |= {"datatype": "INT64", "data": [1, 2]}
    said = call(f"{url}/infer", request)[1]
    assert said["problems"] == ['"size" has datatype INT64; the model takes BYTES']

    request = body(table()[:2])
    request["inputs"][0] |= {"shape": [1], "data": [1.0]}
    said = call(f"{url}/infer", request)[1]
    assert said["problems"] == [
        'inputs differ in their number of rows: 1 in "mean radius", 2 in "mean texture"'
    ]

    request = body(table()[:1])
    request["inputs"].append(request["inputs"][0])
    assert call(f"{url}/infer", request)[1]["problems"] == ['"mean radius" is given twice']
    assert call(f"{url}/infer", body(table()[:0]))[1]["problems"] == ["there are no rows"]


def test_nobody_without_the_token_changes_the_model(url):
    root = url.partition("/v2")[0]
    wrong = {"Authorization": "Bearer guess"}
    assert call(f"{root}/control/load", b"{}")[0] == 403
    assert call(f"{root}/control/load", b"{}", headers=wrong)[0] == 403


def test_a_roll_under_load_fails_no_request(life):
    first, second = bundle(life.ctx, 1.0), bundle(life.ctx, 0.01)
    before = life.apply(first)
    request = json.dumps(body(table()[:3])).encode()
    with Load(before.url, request) as load:
        load.until(lambda answers: len(answers) >= 20)
        after = life.apply(second)
        load.until(lambda answers: answers.count(second.digest) >= 20)

    assert load.failures == []
    for answers in load.answers:
        order = [digest for digest, _ in itertools.groupby(answers)]
        assert order == [first.digest, second.digest]
    assert (after.pid, after.url) == (before.pid, before.url)
    assert (before.revision, after.revision) == (1, 2)
    life.destroy()
    answered = sum(map(len, load.answers))
    assert len(life.logged()) == answered


def test_settings_change_without_a_restart(life):
    artifact = bundle(life.ctx)
    before = life.apply(artifact)
    call(f"{before.url}/infer", body(table()[:1]))
    after = life.apply(artifact, log={"sample": 0}, max_body_mb=0.001)
    assert (after.pid, after.revision) == (before.pid, 1)
    assert call(f"{after.url}/infer", body(table()[:50]))[0] == 413
    assert call(f"{after.url}/infer", body(table()[:1]))[0] == 200
    life.destroy()
    assert len(life.logged()) == 1


def test_a_model_that_cannot_predict_is_refused_and_the_old_one_serves(life):
    good = bundle(life.ctx)
    life.apply(good)
    other = [*models.load(life.ctx.artifacts.path(good.digest)).meta["features"]]
    broken = bundle(life.ctx, features=other[:-1])
    with pytest.raises(ResourceError, match=r"cannot predict a typical row.*goes on as before"):
        life.apply(broken)
    assert life.read().answers == good.digest
    assert settings.read(life.ctx.home).digest == good.digest


def test_a_pickle_is_loaded_only_where_it_is_allowed(life):
    artifact = bundle(life.ctx, format="pickle")
    with pytest.raises(ResourceError, match="Pickle is not allowed"):
        life.apply(artifact)
    assert settings.holder(life.ctx.home) is None
    assert life.apply(artifact, allow_pickle=True).answers == artifact.digest


def test_killed_it_comes_back_where_it_was(life):
    artifact = bundle(life.ctx)
    before = life.apply(artifact)
    end_of(before.pid, signal.SIGKILL)
    assert life.read() is None

    life.old = None
    after = life.apply(artifact)
    assert after.pid != before.pid
    assert lasting(after) == lasting(before)
    assert after.revision == 1
    assert call(f"{after.url}/infer", body(table()[:1]))[0] == 200


def test_it_starts_again_without_the_store(life, tmp_path):
    artifact = bundle(life.ctx)
    before = life.apply(artifact)
    end_of(before.pid, signal.SIGKILL)
    (tmp_path / "artifacts" / artifact.digest.removeprefix("sha256:")).unlink()
    assert life.apply(artifact).url == before.url


def test_a_damaged_copy_never_serves(life):
    artifact = bundle(life.ctx)
    before = life.apply(artifact)
    end_of(before.pid, signal.SIGKILL)
    settings.model(settings.bundle(life.ctx.home, artifact.digest)).write_bytes(b"not a model")
    with pytest.raises(ResourceError, match="is damaged"):
        life.apply(artifact)


def test_another_server_on_the_port_is_not_taken_for_ours(life, shared):
    life.apply(bundle(life.ctx))
    theirs = shared.old.attributes.port
    moved = life.old.attributes.model_copy(update={"port": theirs})
    assert Http().read(life.ctx, Stored(life.old.arguments, moved)) is None


def test_a_new_port_restarts_and_a_taken_one_leaves_all_as_it_was(life):
    artifact = bundle(life.ctx)
    before = life.apply(artifact)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ResourceError, match="cannot be bound") as caught:
            life.apply(artifact, port=port)
        assert caught.value.argument == "port"
        assert life.read() == before
    after = life.apply(artifact, port=port)
    assert after.port == port
    assert call(after.url)[0] == 200
    assert life.apply(artifact).port == port


def test_a_second_server_in_the_same_folder_gives_up(life):
    life.apply(bundle(life.ctx))
    command = [sys.executable, "-m", "mlform_core.serving.server", str(life.ctx.home)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "Another server has" in done.stderr
    assert life.read() == life.old.attributes


def test_destroy_leaves_no_process_and_keeps_the_log(life):
    found = life.apply(bundle(life.ctx))
    call(f"{found.url}/infer", body(table()[:2]))
    kept = life.destroy()
    assert kept == f"the request log in {found.log_dir}"
    assert not Path(f"/proc/{found.pid}").exists()
    assert life.read() is None
    entry = life.logged()[0]
    assert entry["d"] == found.answers
    assert entry["i"]["size"] == table()["size"].tolist()[:2]
    assert len(entry["p"]) == 2
    life.destroy()


def test_destroy_ends_a_server_that_does_not_listen(life, monkeypatch):
    monkeypatch.setattr(control, "STOP_SECONDS", 0.1)
    found = life.apply(bundle(life.ctx))
    os.kill(found.pid, signal.SIGSTOP)
    life.destroy()
    assert not Path(f"/proc/{found.pid}").exists()


def test_a_request_under_way_is_answered_before_the_server_ends(life):
    found = life.apply(bundle(life.ctx))
    request = json.dumps(body(table()[:3])).encode()
    head = f"POST /v2/models/tumours/infer HTTP/1.1\r\nhost: x\r\ncontent-length: {len(request)}"
    address = ("127.0.0.1", found.port)
    with socket.create_connection(address, timeout=30) as client:
        client.sendall(head.encode() + b"\r\n\r\n" + request[:10])
        client.sendall(request[10:20])
        assert call(found.url)[0] == 200
        ending = threading.Thread(target=life.destroy)
        ending.start()
        try:
            until(lambda: refuses(address))
            client.sendall(request[20:])
            with client.makefile("rb") as answer:
                assert b" 200 " in answer.readline()
        finally:
            ending.join(30)
    assert len(life.logged()) == 1


def test_an_answer_that_takes_too_long_is_given_up(life):
    found = life.apply(bundle(life.ctx), timeout_s=1e-6)
    status, said = call(f"{found.url}/infer", body(table()[:1]))
    assert (status, said["error"]) == (504, "No answer within 1e-06 s.")
    life.apply(bundle(life.ctx))
    assert call(f"{found.url}/infer", body(table()[:1]))[0] == 200


def test_refusals_are_logged_with_their_size(life):
    found = life.apply(bundle(life.ctx))
    request = body(table()[:7])
    request["inputs"].pop()
    assert call(f"{found.url}/infer", request)[0] == 400
    life.destroy()
    (entry,) = life.logged()
    assert (entry["n"], entry["e"]) == (7, "missing inputs: dense")


def test_the_log_goes_from_file_to_file_and_forgets_the_oldest(tmp_path):
    sink = log.RequestLog(tmp_path, keep=3000, file_bytes=1000)
    for number in range(200):
        sink.put({"t": number, "p": ["x" * 50]})
    sink.close()
    assert len(log.files(tmp_path)) > 1
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= 4000
    seen = [e["t"] for e, _ in log.entries(tmp_path, None)]
    assert seen == list(range(seen[0], 200))
    cursors = [c for _, c in log.entries(tmp_path, None)]
    rest = [e["t"] for e, _ in log.entries(tmp_path, cursors[4])]
    assert rest == seen[5:]


def test_what_is_secret_is_its_owners(life):
    life.apply(bundle(life.ctx))
    assert (life.ctx.home / settings.SETTINGS).stat().st_mode & 0o077 == 0
    token = settings.read(life.ctx.home).token
    assert token not in life.old.attributes.model_dump_json()


def test_the_contract_of_every_resource(tmp_path):
    ctx = FakeContext(tmp_path, address=ADDRESS)
    first, second = (HttpArguments(model=handle(bundle(ctx, c))) for c in (1.0, 0.1))
    before, after = check_resource(Http(), first, second, ctx, exists=lambda it: it.url)
    assert before.attributes.pid == after.attributes.pid
    assert before.attributes.answers != after.attributes.answers


def test_arguments_are_checked():
    nothing = Handle(address="dataset.flights", digest="x")
    with pytest.raises(ValidationError, match="pattern"):
        HttpArguments(model=nothing, name="a/b")


def test_a_handle_without_a_model_is_explained(tmp_path):
    ctx = FakeContext(tmp_path, address=ADDRESS)
    nothing = HttpArguments(model=Handle(address="dataset.flights", digest="x"))
    with pytest.raises(ResourceError, match=r"dataset.flights gives no model"):
        Http().apply(ctx, nothing, None)


def test_a_model_that_is_gone_is_explained(tmp_path):
    ctx = FakeContext(tmp_path, address=ADDRESS)
    artifact = bundle(ctx)
    (tmp_path / "artifacts" / artifact.digest.removeprefix("sha256:")).unlink()
    with pytest.raises(ResourceError, match="not in the artifact store any more"):
        Http().apply(ctx, HttpArguments(model=handle(artifact)), None)
