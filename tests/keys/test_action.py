import pytest

from mlform.keys import action_key

HANDLE = {"$handle": {"address": "dataset.loans", "attribute": None, "digest": "sha256:aa"}}
GIVEN = {
    "kind": "training_job",
    "type_": "sklearn",
    "version": 1,
    "arguments": {"data": HANDLE, "params": {"n": 2, "c": 1.0}, "code": "a.py:f"},
    "parts": {"2013-01": "sha256:bb"},
    "code": {"code": "sha256:cc"},
    "environment": {"python": "3.11", "pandas": "3.0"},
}


def key(**changed):
    return action_key(**{**GIVEN, **changed})


def arguments(**changed):
    return {"arguments": {**GIVEN["arguments"], **changed}}


@pytest.mark.parametrize(
    "changed",
    [
        {"environment": {"pandas": "3.0", "python": "3.11"}},
        arguments(params={"c": 1, "n": 2.0}),
        arguments(code="moved/b.py:f"),
        arguments(data={"$handle": {**HANDLE["$handle"], "address": "dataset.renamed"}}),
    ],
)
def test_what_does_not_matter(changed):
    assert key(**changed) == key()


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "gate"},
        {"type_": "xgboost"},
        {"version": 2},
        {"parts": {}},
        {"code": {"code": "sha256:dd"}},
        {"environment": {"python": "3.12", "pandas": "3.0"}},
        arguments(params={"n": 2}),
        arguments(params={"n": 2, "c": 1.0, "d": None}),
        arguments(data={"$handle": {**HANDLE["$handle"], "digest": "sha256:ee"}}),
    ],
)
def test_what_matters(changed):
    assert key(**changed) != key()
