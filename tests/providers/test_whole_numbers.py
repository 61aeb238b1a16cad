"""JSON has one type of numbers: a whole number may be written with a fraction of nothing."""

import pytest
from tests.providers.serving_bench import FEATURES, body, bundle, call, table

COUNTED = [*FEATURES[:-1], {"name": "dense", "type": "int64"}]


def request(rows, *dense):
    """Ask about ``rows`` with whole numbers of that text in the last input."""
    asked = body(table()[:rows])
    asked["inputs"][-1] |= {"datatype": "INT64", "data": list(dense)}
    return asked


@pytest.mark.parametrize("kind", ["auto", "native"])
def test_a_whole_number_with_a_fraction_of_nothing_is_a_whole_number(life, kind):
    found = life.apply(bundle(life.ctx, features=COUNTED), runtime={"kind": kind})
    assert found.runtime == {"auto": "onnx", "native": "native"}[kind]

    def said(*dense):
        status, answer = call(f"{found.url}/infer", request(len(dense), *dense))
        assert status == 200, answer
        return [output["data"] for output in answer["outputs"]]

    assert said(1.0) == said(1)
    assert said(0.0, 1.0, None, 1, 0) == said(0, 1, None, 1, 0)
    column = request(2, [1.0], [0.0])
    column["inputs"][-1]["shape"] = [2, 1]
    assert call(f"{found.url}/infer", column)[0] == 200
    life.destroy()
    logged = {type(v) for e in life.logged() for v in e["i"]["dense"] if v is not None}
    assert logged == {int}, "the log has what the model takes"


@pytest.mark.parametrize(
    ("sent", "told"), [(4.5, "4.5"), (1e20, "1e+20"), (-(2.0**63) - 2048, "-9.2"), (True, "True")]
)
def test_what_is_no_whole_number_of_64_bits_is_refused(life, sent, told):
    found = life.apply(bundle(life.ctx, features=COUNTED))
    status, answer = call(f"{found.url}/infer", request(3, 1.0, sent, 0))
    assert status == 400
    assert answer["problems"][0].startswith(f'"dense" has {told}')
    assert answer["problems"][0].endswith("at 1, which is not a whole number (INT64)")


def test_keys_may_be_written_so_too(life):
    found = life.apply(bundle(life.ctx), log={"keys": ["patient"]})
    asked = body(table()[:2])
    key = {"name": "patient", "datatype": "INT64", "shape": [2], "data": [7.0, 8]}
    asked["inputs"].append(key)
    assert call(f"{found.url}/infer", asked)[0] == 200
    key["data"] = [7.5, 8]
    status, answer = call(f"{found.url}/infer", asked)
    assert status == 400
    assert '"patient" says which row is which' in answer["error"]
    life.destroy()
    assert [e["k"] for e in life.logged() if "k" in e] == [{"patient": [7, 8]}]
