"""574 small texts, with whether Terraform accepts each and how it lays it out."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from tests.syntax.trees import bare, body, problems

from mlform.diagnostics import Diagnostics
from mlform.syntax import parse
from mlform.syntax.layout import layout

GROUPS: dict[str, list[dict[str, Any]]] = defaultdict(list)
for case in json.loads((Path(__file__).parent / "cases.json").read_text(encoding="utf-8")):
    GROUPS[case["group"]].append(case)

# Where Terraform loses a comment or a label, changes what is meant, or is not done
# after one run.
OTHERWISE = {
    "a = 1 .5\n": "a = 1 .5\n",
    'b /* x */ "l" /* y */ {\n}\n': 'b /* x */ "l" /* y */ {\n}\n',
    'b "$${x}" {}\n': 'b "$${x}" {}\n',
    'a = "${"${x}"}"\n': "a = x\n",
    'a = "${ # c\nx}"\n': "a = ( # c\nx)\n",
    'a = "${<<E\nx\nE\n}"\n': "a = (<<E\nx\nE\n)\n",
}


@pytest.mark.parametrize("group", GROUPS)
def test_accepts_what_terraform_accepts_and_nothing_else(group: str) -> None:
    wrong = []
    for case in GROUPS[group]:
        diagnostics = Diagnostics()
        parse(case["text"], "spec.hcl", diagnostics)
        if bool(diagnostics.errors) == case["ok"]:
            wrong.append((case["text"], problems(diagnostics)))
    assert wrong == []


@pytest.mark.parametrize("group", GROUPS)
def test_lays_out_as_terraform_does(group: str) -> None:
    for case in GROUPS[group]:
        text = case["text"]
        wanted = OTHERWISE.get(text, case.get("layout", text))
        laid_out = layout(text, "spec.hcl", Diagnostics())
        assert laid_out == wanted
        assert layout(laid_out, "spec.hcl", Diagnostics()) == laid_out
        if case["ok"]:
            assert bare(body(laid_out)) == bare(body(text))


def test_there_are_all_cases() -> None:
    assert sum(len(cases) for cases in GROUPS.values()) == 574
