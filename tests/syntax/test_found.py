"""A sample of random texts with Terraform's verdicts, as ``compare.py`` found and stored them."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from tests.syntax.generator import Maker
from tests.syntax.trees import bare, body, errors

from mlform.diagnostics import Diagnostics
from mlform.syntax import parse
from mlform.syntax.layout import layout

CASES: dict[str, list[dict[str, Any]]] = defaultdict(list)
for case in json.loads((Path(__file__).parent / "found.json").read_text(encoding="utf-8")):
    CASES[case["verdict"]].append(case)


def first_error(text: str) -> tuple[list[int], str] | None:
    diagnostics = Diagnostics()
    parse(text, "spec.hcl", diagnostics)
    found = [([x.subject.line, x.subject.column], x.summary) for x in diagnostics if x.subject]
    return min(found, key=lambda one: one[0]) if found else None


def test_what_differs_has_a_reason() -> None:
    assert {"same layout", "same place"} < set(CASES)
    assert {verdict.partition(":")[0] for verdict in CASES} == {
        "same layout", "same place", "layout", "place",
    }  # fmt: skip
    assert not [verdict for verdict in CASES if verdict.endswith("open")]


@pytest.mark.parametrize("verdict", [v for v in CASES if "layout" in v])
def test_layouts(verdict: str) -> None:
    for case in CASES[verdict]:
        diagnostics = Diagnostics()
        laid_out = layout(case["text"], "spec.hcl", diagnostics)
        assert not diagnostics.errors
        assert laid_out == case["layout"]
        assert bare(body(laid_out)) == bare(body(case["text"]))


@pytest.mark.parametrize("verdict", [v for v in CASES if "place" in v])
def test_first_errors(verdict: str) -> None:
    wrong = [
        (case["text"], first_error(case["text"]))
        for case in CASES[verdict]
        if first_error(case["text"]) != (case["at"], case["summary"])
    ]
    assert wrong == []


@pytest.mark.parametrize("seed", range(0, 400, 40))
def test_valid_texts_keep_their_meaning(seed: int) -> None:
    for number in range(seed, seed + 40):
        text = Maker(number).spec()
        if errors(text):
            continue
        laid_out = layout(text, "spec.hcl", Diagnostics())
        assert layout(laid_out, "spec.hcl", Diagnostics()) == laid_out
        assert bare(body(laid_out)) == bare(body(text))


@pytest.mark.parametrize("seed", range(0, 400, 40))
def test_mutated_texts_give_errors_with_places_or_a_layout(seed: int) -> None:
    for number in range(seed, seed + 40):
        text = Maker(number).mutated()
        diagnostics = Diagnostics()
        laid_out = layout(text, "spec.hcl", diagnostics)
        lines = text.count("\n") + 1
        assert all(x.subject and 1 <= x.subject.line <= lines for x in diagnostics)
        if not diagnostics.errors:
            assert layout(laid_out, "spec.hcl", Diagnostics()) == laid_out
