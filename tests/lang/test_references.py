from __future__ import annotations

import pytest

from mlform.diagnostics import Diagnostics
from mlform.lang import references
from mlform.syntax import parse_expression


def found(text: str) -> list[tuple[str, str, tuple[str | int, ...]]]:
    diagnostics = Diagnostics()
    expr, _ = parse_expression(text, "test.hcl", diagnostics)
    assert not diagnostics.errors
    return [(text[r.start : r.end], r.root, r.steps) for r in references(expr)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1 + 2", []),
        ("a.b.c", [("a.b.c", "a", ("b", "c"))]),
        ('a["b"][0].c', [('a["b"][0].c', "a", ("b", 0, "c"))]),
        ("a.b.0", [("a.b.0", "a", ("b", 0))]),
        ("a[true]", [("a", "a", ())]),
        ("a.b[*].c.d", [("a.b", "a", ("b",))]),
        ("a.b[c.d].e", [("a.b", "a", ("b",)), ("c.d", "c", ("d",))]),
        ("a[b[c]]", [("a", "a", ()), ("b", "b", ()), ("c", "c", ())]),
        ("f(a.b).c", [("a.b", "a", ("b",))]),
        ("f(a, b...)", [("a", "a", ()), ("b", "b", ())]),
        ("[for x in a.b : x.c + d]", [("a.b", "a", ("b",)), ("d", "d", ())]),
        ("[for x in x : x]", [("x", "x", ())]),
        (
            "{for k, v in a : k => [for k in v : [k, b]]... if c}",
            [("a", "a", ()), ("b", "b", ()), ("c", "c", ())],
        ),
        ("[[for x in a : x], x]", [("a", "a", ()), ("x", "x", ())]),
        ("c ? a : b", [("c", "c", ()), ("a", "a", ()), ("b", "b", ())]),
        ("{a = b, (c) = d}", [("b", "b", ()), ("c", "c", ()), ("d", "d", ())]),
        ('"${a.b} ${c}"', [("a.b", "a", ("b",)), ("c", "c", ())]),
        (
            '"%{ for x in a }${x}${b}%{ endfor }%{ if c }${d}%{ endif }"',
            [("a", "a", ()), ("b", "b", ()), ("c", "c", ()), ("d", "d", ())],
        ),
        ("-(a.b)", [("a.b", "a", ("b",))]),
        ("(a.b).c", [("a.b", "a", ("b",))]),
    ],
)
def test_references(text: str, wanted: list[tuple[str, str, tuple[str | int, ...]]]) -> None:
    assert found(text) == wanted


def test_many_references_come_in_order() -> None:
    text = "[" + ", ".join(f"a.x{i}" for i in range(2000)) + "]"
    assert [steps for _, _, steps in found(text)] == [(f"x{i}",) for i in range(2000)]
