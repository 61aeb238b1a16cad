"""What a gate shows: its page, the curves on it, and waivers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import binomtest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import auc, confusion_matrix, roc_auc_score
from tests.browser import Elements, browse, in_browser
from tests.providers.gate_bench import FRAME, STRONG, WEAK, Bench, logistic

from mlform.sdk import Stored
from mlform_core.gate import Evaluation, EvaluationArguments
from mlform_core.gate_curves import curves, wilson
from mlform_core.metrics import Outcomes

HELD_OUT = FRAME[FRAME["_split"] == "holdout"]
RULES = {
    "require": {"roc_auc": {"min": 0.9, "min_gain": 0.0}},
    "slices": {
        "by": ["site", ["site", "sex"]],
        "max_regress": {"roc_auc": 0.01},
        "min_support": 30,
    },
    "fairness": {"attribute": "sex", "demographic_parity_ratio": {"min": 0.99}},
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def judged(bench: Bench, **more: Any) -> Stored[Any, Any]:
    strong = bench.model(logistic(STRONG), FRAME, STRONG, "target", "binary")
    weak = bench.model(logistic(WEAK), FRAME, WEAK, "target", "binary", "model.old")
    data = bench.table(FRAME)
    return bench.apply(candidate=strong, baseline=weak, data=data, **{**RULES, **more})


def shown(bench: Bench, stored: Stored[Any, Any]) -> str:
    return bench.ctx.artifacts.read(stored.attributes.page.digest).decode()


def evidence(bench: Bench, stored: Stored[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bench.ctx.artifacts.read(stored.attributes.evidence.digest))
    return found


def test_the_page_has_every_check_metric_slice_and_group(bench: Bench) -> None:
    stored = judged(bench)
    text = shown(bench, stored)
    seen = Elements(text)
    for check in stored.attributes.checks:
        assert check.message in seen.words
    found = evidence(bench, stored)
    for name in (*found["metrics"], *(s["slice"] for s in found["slices"]), "x", "y"):
        assert name in seen.words
    pictures = [a["aria-label"] for tag, a in seen.found if tag == "svg"]
    assert pictures == [
        "ROC",
        "Precision over recall",
        "Calibration",
        "Predictions",
        "gains of slices",
    ]
    assert "<script" not in text
    assert "http" not in text


def test_curves_are_those_of_the_predictions() -> None:
    y = HELD_OUT["target"].to_numpy(dtype=float)
    p = logistic(STRONG).predict_proba(HELD_OUT[STRONG])[:, 1]
    found = curves(Outcomes("binary", y, p))
    x, hits = np.array(found["roc"]).T
    assert auc(x, hits) == pytest.approx(roc_auc_score(y, p), abs=2e-3)
    assert found["precision_recall"][-1][0] == 1.0
    assert sum(b["rows"] for b in found["calibration"]) == len(y)
    assert sum(b["rate"] * b["rows"] for b in found["calibration"]) == pytest.approx(y.sum())
    assert sum(found["scores"]["yes"]) == y.sum()
    assert "roc" not in curves(Outcomes("binary", np.ones(5), p[:5]))


@pytest.mark.parametrize(("hits", "rows"), [(0, 10), (3, 10), (10, 10), (250, 1000)])
def test_bounds_of_a_share_are_wilsons(hits: int, rows: int) -> None:
    theirs = binomtest(hits, rows).proportion_ci(0.95, "wilson")
    assert wilson(hits / rows, rows) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def other_tasks(bench: Bench) -> dict[str, Stored[Any, Any]]:
    iris = load_iris(as_frame=True).frame.rename(columns=lambda c: c.replace(" ", "_"))
    names = list(iris.columns[:2])
    flowers = LogisticRegression(max_iter=500).fit(iris[names], iris["target"])
    sick = load_diabetes(as_frame=True).frame
    line = LinearRegression().fit(sick[["bmi", "bp"]], sick["target"])
    given = {
        "multiclass": (flowers, iris, names, {"accuracy": {"min": 0.5}}),
        "regression": (line, sick, ["bmi", "bp"], {"rmse": {"max": 100}}),
    }
    found = {}
    for task, (fitted, frame, features, require) in given.items():
        model = bench.model(fitted, frame, features, "target", task)
        data = bench.table(frame, f"feature_view.{task}")
        found[task] = bench.apply(candidate=model, data=data, split=None, require=require)
    return found


def test_other_tasks_have_other_pictures(bench: Bench) -> None:
    found = other_tasks(bench)
    iris = load_iris()
    decided = LogisticRegression(max_iter=500).fit(iris.data[:, :2], iris.target)
    matrix = confusion_matrix(iris.target, decided.predict(iris.data[:, :2]))
    assert (
        evidence(bench, found["multiclass"])["curves"]["candidate"]["confusion"] == matrix.tolist()
    )
    seen = Elements(shown(bench, found["regression"]))
    assert [a["aria-label"] for tag, a in seen.found if tag == "svg"] == [
        "Predicted and true",
        "Residuals",
    ]


@in_browser
def test_in_a_browser_it_is_laid_out_and_asks_for_nothing(bench: Bench, tmp_path: Path) -> None:
    stored = judged(bench)
    measure = """<script>
    const wide = document.documentElement.scrollWidth <= window.innerWidth;
    const boxes = [...document.querySelectorAll("svg")].map(s => s.getBoundingClientRect());
    const inside = [...document.querySelectorAll("svg")].every(s => {
      const outer = s.getBoundingClientRect();
      return [...s.querySelectorAll("polyline,circle,rect,line")].every(e => {
        const box = e.getBoundingClientRect();
        return box.left >= outer.left - 1 && box.right <= outer.right + 1
          && box.top >= outer.top - 1 && box.bottom <= outer.bottom + 1;
      });
    });
    document.documentElement.dataset.wide = wide;
    document.documentElement.dataset.inside = inside;
    document.documentElement.dataset.seen = boxes.every(b => b.width > 200 && b.height > 60);
    </script></body>"""
    seen = browse(shown(bench, stored).replace("</body>", measure), tmp_path)
    assert (seen.console, seen.requests) == ([], [])
    [html] = [a for tag, a in seen.elements.found if tag == "html"]
    assert (html["data-wide"], html["data-inside"], html["data-seen"]) == ("true",) * 3


TOMORROW = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
TODAY = datetime.now(UTC).date().isoformat()
WAIVER = {"by": "anna", "why": "the audit knows", "until": TOMORROW}


def test_a_waiver_lets_what_it_names_pass_and_says_so(bench: Bench) -> None:
    assert not judged(bench).attributes.passed
    waive = [{**WAIVER, "metric": "demographic_parity_ratio"}]
    found = judged(bench, waive=waive).attributes
    assert found.passed
    [check] = [c for c in found.checks if c.outcome == "waived"]
    assert check.metric == "demographic_parity_ratio"
    assert check.message.endswith(f"by anna until {TOMORROW}: the audit knows")
    assert found.summary.startswith("passed with warnings")
    others = ({"slice": "site=north"}, {"check": "min_gain"}, {"metric": "roc_auc"})
    for other in others:
        waive = [{**WAIVER, "metric": "demographic_parity_ratio", **other}]
        assert not judged(bench, waive=waive).attributes.passed


def test_a_waiver_ends_and_the_gate_decides_anew(bench: Bench) -> None:
    over = [{**WAIVER, "metric": "demographic_parity_ratio", "until": TODAY}]
    assert not judged(bench, waive=over).attributes.passed
    given = {**RULES, "waive": [{**WAIVER, "metric": "demographic_parity_ratio"}]}
    strong = bench.model(logistic(STRONG), FRAME, STRONG, "target", "binary")
    new = EvaluationArguments.model_validate(
        {"candidate": strong, "data": bench.table(FRAME), **given}
    )
    assert Evaluation().inputs(bench.ctx, new).parts == {}
    ended = new.model_copy(
        update={"waive": [new.waive[0].model_copy(update={"until": datetime.now(UTC).date()})]}
    )
    [part] = Evaluation().inputs(bench.ctx, ended).parts
    assert part.startswith("waiver of demographic_parity_ratio by anna until")


@pytest.mark.parametrize("left", ["by", "why", "until"])
def test_who_why_and_until_when_are_needed(bench: Bench, left: str) -> None:
    waiver = {**WAIVER, "metric": "roc_auc", left: ""}
    with pytest.raises(ValidationError, match=left):
        judged(bench, waive=[waiver])
