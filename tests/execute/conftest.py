import threading

import pytest

from mlform.execute import LocalExecutor, Task


def pytest_collection_modifyitems(config, items):
    """Ask of an engine only what it has."""

    def asked(item):
        engine = getattr(item, "callspec", None) and item.callspec.params.get("engine")
        return getattr(item, "originalname", "") not in getattr(engine, "leaves_out", ())

    kept = [item for item in items if asked(item)]
    config.hook.pytest_deselected(items=[item for item in items if not asked(item)])
    items[:] = kept


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
