import threading

import pytest

from mlform.execute import LocalExecutor, Task


@pytest.fixture(scope="module")
def executor():
    with LocalExecutor(2, ["tests.execute.lab:Lab", "json.tool", "no_such_module"]) as made:
        yield made


@pytest.fixture
def task(tmp_path):
    def make(act="say", text="", **changed):
        fields = {
            "provider": "tests.execute.lab:Lab",
            "settings": {"unit": "km"},
            "kind": "monitor",
            "type": "probe",
            "method": "apply",
            "arguments": {"act": act, "text": text},
            "old": None,
            "context": {"root": str(tmp_path), "workdir": str(tmp_path / "work")},
            "context_factory": "tests.execute.lab:context",
        }
        return Task(**{**fields, **changed})

    return make


@pytest.fixture
def run(executor):
    def call(task, heard=None, stop=None):
        sink = [] if heard is None else heard
        return executor.run(task, sink.append, stop or threading.Event())

    return call
