"""``dataset "python"``: tables that functions return, and when they are called again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.scenarios.command import Folder

from mlform.sdk import ResourceError
from mlform.sdk.testing import FakeContext, check_resource
from mlform_core.functions import Function, FunctionArguments

CODE = '''\
import json
from pathlib import Path

HERE = Path(__file__).parents[1]


def there():
    return json.loads((HERE / "world.json").read_text())


def months(factor=1):
    """Version by partition."""
    print("said on the way")
    return {name: len(rows) for name, rows in there().items()}


def month(name, factor=1):
    with (HERE / "called").open("a") as log:
        log.write(name + "\\n")
    return [{"n": n * factor, "name": name} for n in there()[name]]


def whole():
    import pandas as pd

    return pd.DataFrame({"n": [n for rows in there().values() for n in rows]})


def arrow():
    import pyarrow as pa

    return pa.table({"n": [1, 2]})


def number():
    return 1


def failing():
    raise ValueError("not today")


def ending():
    import os

    os._exit(3)
'''


@pytest.fixture
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    # Modules are imported by name, once for each process: each test has a name of its own.
    folder = tmp_path / "reading"
    folder.mkdir()
    (folder / f"{module(request)}.py").write_text(CODE)
    (tmp_path / "world.json").write_text('{"a": [1, 2], "b": [3]}')
    return tmp_path


def module(request: pytest.FixtureRequest) -> str:
    return "m" + "".join(c if c.isalnum() else "_" for c in request.node.name)


@pytest.fixture
def arguments(request: pytest.FixtureRequest) -> Any:
    def made(**given: Any) -> FunctionArguments:
        named = {
            name: f"reading/{module(request)}.py:{value}"
            if name in {"function", "token"}
            else value
            for name, value in given.items()
        }
        return FunctionArguments.model_validate(named)

    return made


def applied(ctx: FakeContext, new: FunctionArguments) -> Any:
    ctx.inputs = Function().inputs(ctx, new)
    return Function().apply(ctx, new, None)


def called(root: Path) -> list[str]:
    log = root / "called"
    found = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return found


def test_it_keeps_the_promises_of_every_resource(root: Path, arguments: Any) -> None:
    first = arguments(function="month", token="months", by="partition")
    second = arguments(function="month", token="months", by="partition", params={"factor": 2})
    before, after = check_resource(Function(), first, second, FakeContext(root))
    assert before.attributes.rows == 3 and after.attributes.profile["columns"]["n"]["max"] == 6


def test_only_partitions_whose_version_moved_are_asked_for(root: Path, arguments: Any) -> None:
    ctx, new = FakeContext(root), arguments(function="month", token="months", by="partition")
    before = applied(ctx, new)
    assert called(root) == ["a", "b"]
    pinned = ctx.inputs
    (root / "world.json").write_text('{"a": [1, 2], "b": [3, 4], "c": [5]}')
    after = applied(ctx, new)
    assert called(root) == ["b", "c"] and after.rows == 5
    assert after.partitions["a"] == before.partitions["a"]
    ctx.inputs = pinned
    assert Function().apply(ctx, new, None).partitions == before.partitions
    fresh = FakeContext(root / "elsewhere", root=root, inputs=pinned)
    with pytest.raises(ResourceError, match="Partition b was 1"):
        Function().apply(fresh, new, None)


def test_tables_of_all_sorts(root: Path, arguments: Any) -> None:
    ctx = FakeContext(root)
    assert applied(ctx, arguments(function="whole")).rows == 3
    assert applied(ctx, arguments(function="arrow", token="number")).columns == {"n": "int64"}
    assert ctx.inputs.parts == {"all": "1"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"function": "number"}, "returned int"),
        (
            {"function": "whole", "token": "failing"},
            r"Error: not today \(reading/m.*\.py:\d+\)",
        ),
        ({"function": "whole", "token": "ending"}, "exit 3"),
        ({"function": "whole", "token": "none"}, 'defines no "none"'),
        ({"function": "month", "token": "number", "by": "partition"}, "it returned 1"),
        ({"function": "whole", "schema": {"n": "string"}}, "n"),
        ({"function": "whole", "include": ["none.txt"]}, "names no file"),
    ],
)
def test_what_is_wrong_is_said(
    root: Path, arguments: Any, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ResourceError, match=said):
        applied(FakeContext(root), arguments(**given))


def test_commands_see_code_and_versions_move(tmp_path: Path) -> None:
    (tmp_path / "reading").mkdir()
    (tmp_path / "reading" / "made.py").write_text(CODE)
    world = tmp_path / "world.json"
    world.write_text('{"a": [1, 2], "b": [3]}')
    (tmp_path / "main.mlf.hcl").write_text("""
dataset "python" "d" {
  function = "reading/made.py:month"
  token    = "reading/made.py:months"
  by       = "partition"
  version  = { mode = "pin" }
}
""")
    folder = Folder(tmp_path)
    assert folder.apply() == {"dataset.d": "run"} and called(tmp_path) == ["a", "b"]
    world.write_text(json.dumps({"a": [1, 2], "b": [3, 4]}))
    plan = folder.mlform("plan").out
    assert "b changed at the source" in plan and "No changes" in plan
    folder.mlform("update")
    assert folder.apply() == {"dataset.d": "run"} and called(tmp_path) == ["b"]
    folder.edit("reading/made.py", "n * factor", "n + factor")
    assert "reading/made.py:month" in folder.mlform("plan").out
