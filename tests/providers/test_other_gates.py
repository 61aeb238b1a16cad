"""``gate "data"`` and ``gate "python"``: expectations and a project's own checks as gates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.browser import Elements
from tests.providers.gate_bench import FRAME, STRONG, Bench, logistic

from mlform.sdk import Handle, ResourceError, Stored
from mlform_core.gate_data import Data, DataArguments
from mlform_core.gate_python import Python, PythonArguments

CHECK = """
import pathlib


def robust(model, frame, noise=0.0):
    with (pathlib.Path(__file__).parent / "called").open("a") as file:
        file.write(",".join(sorted(frame.columns)) + "\\n")
    p = model.predict(frame + noise)
    return {"mean": p.mean(), "rows": len(frame)}


def shares(frame):
    return {"north": (frame["site"] == "north").mean()}


def text(frame):
    return "fine"


def words(frame):
    return {"mean": "fine"}
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "checks.py").write_text(CHECK)
    return Bench(tmp_path)


@pytest.fixture
def data(bench: Bench) -> Handle:
    return bench.table(FRAME)


def judged(bench: Bench, data: Handle, expect: dict[str, Any], **more: Any) -> Any:
    new = DataArguments.model_validate({"data": data, "expect": expect, **more})
    return Data().apply(bench.ctx, new, None)


def test_data_that_are_as_expected_pass(bench: Bench, data: Handle) -> None:
    expect = {
        "rows_min": 500,
        "range": {"mean_radius": [0, 30]},
        "in_set": {"site": ["north", "south"]},
    }
    found = judged(bench, data, expect)
    assert (found.passed, found.summary) == (True, "passed 3 checks")
    words = Elements(bench.ctx.artifacts.read(found.page.digest).decode()).words
    assert "test.it: passed" in words
    assert "mean_radius" in words


def test_broken_expectations_are_a_result_with_what_was_found(bench: Bench, data: Handle) -> None:
    expect = {"rows_max": 500, "range": {"mean_radius": [None, 20]}, "null_rate_max": {"gone": 0.1}}
    found = judged(bench, data, expect)
    assert not found.passed
    largest = FRAME["mean_radius"].max()
    assert f"mean_radius: largest value {largest:g} > 20" in found.summary
    assert "rows: 569 > rows_max 500" in found.summary
    assert "gone: no such column" in found.summary
    evidence = json.loads(bench.ctx.artifacts.read(found.evidence.digest))
    assert len(evidence["broken"]) == 3
    warned = judged(bench, data, expect, on_fail="warn")
    assert warned.passed
    assert warned.summary.startswith("passed with warnings: rows")


def test_a_gate_on_data_that_expects_nothing_is_refused(data: Handle) -> None:
    with pytest.raises(ValidationError, match="expects nothing"):
        DataArguments.model_validate({"data": data, "expect": {}})


def checked(bench: Bench, check: str, old: Any = None, doing: str = "run", **more: Any) -> Stored:
    new = PythonArguments.model_validate({"check": f"checks.py:{check}", **more})
    bench.ctx.inputs = Python().inputs(bench.ctx, new)
    bench.ctx.doing = doing
    return Stored(new, Python().apply(bench.ctx, new, old))


def test_a_check_gets_the_model_and_the_rows_and_its_numbers_are_bounded(
    bench: Bench, data: Handle
) -> None:
    model = bench.model(logistic(STRONG), FRAME, STRONG, "target", "binary")
    given = {"candidate": model, "data": data, "split": "holdout", "columns": STRONG}
    held_out = FRAME[FRAME["_split"] == "holdout"]
    mean = logistic(STRONG).predict_proba(held_out[STRONG])[:, 1].mean()
    stored = checked(bench, "robust", require={"mean": {"min": 0.3, "max": 0.9}}, **given)
    assert stored.attributes.passed
    assert stored.attributes.candidate == model.digest
    assert stored.attributes.metrics == {"mean": pytest.approx(mean), "rows": len(held_out)}
    strict = checked(bench, "robust", stored, "decide", require={"mean": {"max": 0.1}}, **given)
    assert not strict.attributes.passed
    assert strict.attributes.summary == f"failed: mean {mean:.6g} > max 0.1"
    assert (bench.ctx.root / "called").read_text().count("\n") == 1, "a bound measures nothing"
    moved = checked(bench, "robust", params={"noise": 5.0}, require={"mean": {"min": 0}}, **given)
    assert moved.attributes.metrics["mean"] != pytest.approx(mean)


def test_a_check_may_be_about_data_alone(bench: Bench, data: Handle) -> None:
    found = checked(bench, "shares", data=data, columns=["site"], require={"north": {"min": 0.4}})
    assert found.attributes.passed
    assert found.attributes.candidate is None
    assert found.attributes.metrics["north"] == pytest.approx((FRAME["site"] == "north").mean())


@pytest.mark.parametrize(
    ("check", "message"),
    [("text", "returned str, not numbers"), ("words", 'mean = "fine": no number')],
)
def test_what_returns_no_numbers_is_an_error(
    bench: Bench, data: Handle, check: str, message: str
) -> None:
    with pytest.raises(ResourceError, match=message) as error:
        checked(bench, check, data=data, require={"mean": {"min": 0}})
    assert error.value.argument == "check"


def test_a_bound_on_what_is_not_returned_is_an_error(bench: Bench, data: Handle) -> None:
    with pytest.raises(ResourceError, match="returned no south; it returned north"):
        checked(bench, "shares", data=data, require={"south": {"min": 0}})
    with pytest.raises(ValidationError, match="give min, max, or both"):
        checked(bench, "shares", data=data, require={"north": {}})
