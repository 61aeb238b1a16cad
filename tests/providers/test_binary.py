"""Tensors in binary, as clients of the protocol send them."""

import json
import struct
import urllib.error
import urllib.request

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.providers.serving_bench import FEATURES, Life, body, bundle, call, table

from mlform_core.serving.binary import HEADER, decoded, encoded

KINDS = {"float64": ("FP32", "<f4"), "bool": ("BOOL", "?")}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    life = Life(tmp_path_factory.mktemp("binary"))
    yield life.apply(bundle(life.ctx)).url
    life.destroy()


def texts(values):
    return b"".join(struct.pack("<I", len(v.encode())) + v.encode() for v in values)


def packed(frame, **more):
    """Return a request whose tensors come in binary: its head and its whole."""
    inputs, parts = [], []
    for feature in FEATURES:
        values = frame[feature["name"]]
        kind, form = KINDS.get(feature["type"], ("BYTES", None))
        parts.append(texts(values) if form is None else values.to_numpy(form).tobytes())
        tensor = {"name": feature["name"], "datatype": kind, "shape": [len(frame)]}
        inputs.append({**tensor, "parameters": {"binary_data_size": len(parts[-1])}})
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head, head + b"".join(parts)


def post(url, head, data):
    request = urllib.request.Request(f"{url}/infer", data, {HEADER: str(len(head))})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_binary_and_json_are_answered_alike(url):
    rows = table()[:5]
    rows.loc[2, "mean radius"] = np.nan
    expected = call(f"{url}/infer", body(rows))[1]["outputs"]
    status, _, said = post(url, *packed(rows))
    assert status == 200
    found = json.loads(said)["outputs"]
    np.testing.assert_allclose(found[0]["data"], expected[0]["data"], atol=1e-6)
    assert found[1] == expected[1]


def test_answers_in_binary_are_for_those_who_ask(url):
    rows = table()[:3]
    expected = call(f"{url}/infer", body(rows))[1]["outputs"]
    asked = {"parameters": {"binary_data_output": True}}
    status, headers, said = post(url, *packed(rows, **asked))
    assert (status, headers["content-type"]) == (200, "application/octet-stream")
    size = int(headers[HEADER])
    probability, label = json.loads(said[:size])["outputs"]
    assert "data" not in probability
    end = size + probability["parameters"]["binary_data_size"]
    np.testing.assert_allclose(np.frombuffer(said[size:end], "<f8"), expected[0]["data"], atol=1e-6)
    assert said[end:] == texts(expected[1]["data"])
    assert label["shape"] == [3]

    one = {"outputs": [{"name": "label", "parameters": {"binary_data": True}}]}
    _, headers, said = post(url, *packed(rows, **one))
    assert said[int(headers[HEADER]) :] == texts(expected[1]["data"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data[:-1], '"dense" has 1 of 2 bytes'),
        (lambda data: data + b"xy", "2 bytes are left over after the tensors"),
    ],
)
def test_what_is_cut_off_is_told(url, change, says):
    head, data = packed(table()[:2])
    status, _, said = post(url, head, change(data))
    assert (status, json.loads(said)["error"]) == (400, says)


def test_heads_and_numbers_that_cannot_be(url):
    head, data = packed(table()[:2])
    status, _, said = post(url, head + data + b"x", data)
    assert status == 400
    assert HEADER in json.loads(said)["error"]
    for size in ("²", "9" * 5000):
        status, said = call(f"{url}/infer", data, headers={HEADER: size})
        assert status == 400
        assert HEADER in said["error"]
    rows = table()[:2]
    rows.loc[1, "mean radius"] = np.inf
    status, _, said = post(url, *packed(rows))
    assert (status, json.loads(said)["error"]) == (400, '"mean radius": infinity is no value')
    request = body(table()[:2])
    request["inputs"][0]["data"][1] = -1e300
    status, said = call(f"{url}/infer", request)
    assert (status, said["error"]) == (400, '"mean radius" has -1e+300 at 1, which is too large')


@settings(max_examples=50, deadline=None)
@given(
    numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False)),
    words=st.lists(st.text(st.characters(codec="utf-8"))),
)
def test_what_is_encoded_is_decoded(numbers, words):
    outputs = [
        {"name": "n", "datatype": "FP64", "shape": [len(numbers)], "data": numbers},
        {"name": "w", "datatype": "BYTES", "shape": [len(words)], "data": words},
    ]
    data, size = encoded({"outputs": outputs}, None)
    head = json.loads(data[:size])
    found = decoded({"inputs": head["outputs"]}, memoryview(data)[size:])["inputs"]
    assert [tensor["data"] for tensor in found] == [numbers, words]
