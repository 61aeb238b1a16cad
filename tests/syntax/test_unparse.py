"""A tree written as text reads as the same tree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlform.diagnostics import Diagnostics
from mlform.lang import evaluate
from mlform.syntax import parse, parse_expression
from mlform.syntax.unparse import unparse
from mlform.values import Value

CASES = json.loads((Path(__file__).parent / "cases.json").read_text("utf-8"))
SCOPE: dict[str, Value] = {"a": [{"b": 1}, {"b": 2}], "m": {"x y": 3}, "n": 2, "t": 'q"${'}


def value(text: str) -> Value:
    diagnostics = Diagnostics()
    expr, source = parse_expression(text, "x", diagnostics)
    found = evaluate(expr, SCOPE, diagnostics, source)
    assert not diagnostics.errors, (text, diagnostics.errors)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "1 + 2 * 3 - -n",
        "!(n == 2) || n < 3 && true",
        'n > 1 ? "yes" : null',
        "a[*].b",
        "a.*.b",
        "a[0].b + a.1.b",
        'm["x y"]',
        "{ for k, v in a : k => v.b if v.b > 1 }",
        "{ for v in a : v.b => k... }".replace("k...", "v.b..."),
        "[for v in a : v.b]",
        "max([1, 2, 3]...)",
        '"plain $${x} %%{y} \\"quoted\\" \\n \\u0001 é"',
        '"${n}"',
        '"${n}${n}"',
        '"a%{ if n > 1 }b${n}%{ else }c%{ endif }d"',
        '"%{ for i, v in a }${i}=${v.b};%{ endfor }"',
        '{ (t) = 1, b = 2, "c d" = [1.5, 1e100, null] }',
        'upper("x${t}")',
    ],
)
def test_the_same_value_comes_out(text: str) -> None:
    expr, _ = parse_expression(text, "x", Diagnostics())
    assert value(unparse(expr)) == value(text), unparse(expr)


def test_whatever_a_file_holds_can_be_written_again() -> None:
    for case in CASES:
        diagnostics = Diagnostics()
        body = parse(case["text"], "x", diagnostics)
        if diagnostics.errors:
            continue
        for attribute in body.attributes.values():
            again = unparse(attribute.expr)
            expr, _ = parse_expression(again, "x", diagnostics)
            assert not diagnostics.errors, (again, diagnostics.errors)
            assert unparse(expr) == unparse(parse_expression(again, "x", diagnostics)[0])
