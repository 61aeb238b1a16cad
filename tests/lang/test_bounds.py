"""What stays known of an unknown value; the answers are Terraform's."""

from __future__ import annotations

import pytest
from tests.lang.asking import value

from mlform.render.console import console
from mlform.values import UNKNOWN

OPEN = "(known after apply)"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('"a-${u}" == null', "false"),
        ("upper(u) == null", "false"),
        ("(1 + u) != null", "true"),
        ('split(",", u) == null', "false"),
        ("tostring(u) == null", OPEN),
        ("one(tolist([tostring(u)])) == null", OPEN),
        ("(u ? 1 : null) == null", OPEN),
        ("[for v in [1 + u] : v == null]", "[ false, ]"),
        ('"ab-${u}" == "ab-x"', OPEN),
        ('"ab-${u}" == "b"', "false"),
        ('"é${u}" == "e"', OPEN),
        ('startswith("ab-${u}", "ab")', "true"),
        ('startswith("ab-${u}", "b")', "false"),
        ('startswith(jsonencode([u]), "[")', "true"),
        ('format("x/%s", tostring(u)) == "y"', "false"),
        ('("ab-${u}" == "b") ? 1 : 2', "2"),
        ("(u ? 1 : 3) > 0", "true"),
        ("(u ? 1 : 3) >= 1", OPEN),
        ("(u ? 1 : 3) < (u ? 4 : 5)", "true"),
        ("(u ? 1 : 3) == 4", "false"),
        ("(u ? tolist([1]) : tolist([1, 2])) == tolist([])", "false"),
        ("length(u ? toset([1]) : toset([1, 2])) > 3", "false"),
        ("length(toset([1, u])) > 0", "true"),
        ('length("ab-${u}") > 2', "true"),
        ("upper(u)[*]", f"[ {OPEN}, ]"),
        ("tostring(u)[*]", OPEN),
        ('contains(["a-${u}"], "b")', "false"),
        ('index(["a-${u}", "b"], "b")', "1"),
        ("toset([[1]]) == toset([[1], [tonumber(u)]])", "false"),
        ("tolist(u) == toset([1])", "false"),
        ("coalesce(tostring(u), 1) == null", "false"),
    ],
)
def test_known_in_part(text: str, wanted: str) -> None:
    assert " ".join(console(value(text, {"u": UNKNOWN})).split()) == wanted
