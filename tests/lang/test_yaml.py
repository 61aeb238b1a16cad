from __future__ import annotations

import pytest
from tests.lang.asking import problem, value

from mlform.values import Value

pytest.importorskip("yaml")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: 1", {"a": 1}),
        ("- 1\n- x", [1, "x"]),
        ("yes", True),
        ("n", False),
        ("~", None),
        ("---\n", None),
        ("0x1F", 31),
        ("0o17", 15),
        ("012", 12),
        ("1_000", "1_000"),
        ("!!int 1_000", 1000),
        ("!!str 1", "1"),
        ("'1'", "1"),
        ("!!null x", None),
        ("2001-12-14", "2001-12-14T00:00:00Z"),
        ("2001-12-14 1:2:3.5", "2001-12-14T01:02:03Z"),
        ("2001-12-14T21:59:43-05:00", "2001-12-14T21:59:43-05:00"),
        ("2001-13-14", "2001-13-14"),
        ("1: 2\ny: 3", {"1": 2, "true": 3}),
        ("a: 1\na: 2", {"a": 2}),
        ("- &x {a: 1}\n- <<: *x\n  b: 2", [{"a": 1}, {"a": 1, "b": 2}]),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("a: >-\n  x\n  y\n", {"a": "x y"}),
        ("!!binary YQ==", "YQ=="),
        ('{"a": [1.50, "\\u00e9"]}', {"a": [value("1.5"), "é"]}),
    ],
)
def test_value(text: str, wanted: Value) -> None:
    assert value("yamldecode(t)", {"t": text}) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no document"),
        ("--- 1\n--- 2", "more than one"),
        ("a: b: c", "line 1, column 5"),
        ("*x", 'no anchor "x"'),
        ("&x [*x]", "inside itself"),
        ("? [a]\n: b", "must be strings"),
        ("~: 1", "must be strings"),
        ("<<: 1", "merged"),
        ("!x y", '"!x"'),
        ("!!set {a}", "set"),
        ("!!int x", '"x" is no int'),
        ("!!binary x!", "Base64"),
        (".nan", ".nan"),
        ("0xffffffffffffffffff", "too large"),
        ("%YAML 1.2\n---\na", "version"),
    ],
)
def test_error(text: str, says: str) -> None:
    assert says in problem("yamldecode(t)", {"t": text}).detail


def test_aliases_of_aliases_fill_no_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "more than 1,000,000" in problem("yamldecode(t)", {"t": "\n".join(lines)}).detail


def test_what_is_written_is_read_back() -> None:
    scope: dict[str, Value] = {"v": {"a": [1, None, True, "x\ny", ""], "b": {"c": "yes"}, "d": "1"}}
    assert value("yamldecode(yamlencode(v)) == jsondecode(jsonencode(v))", scope) is True
