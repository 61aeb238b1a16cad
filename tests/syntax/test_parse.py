"""What texts mean: the trees of native syntax."""

from __future__ import annotations

import gc
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from tests.syntax.trees import body, errors, expression, problems

from mlform.diagnostics import Diagnostics
from mlform.syntax import parse, parse_expression
from mlform.syntax.tree import (
    Binary,
    Call,
    Conditional,
    Expr,
    ForObject,
    ForTuple,
    GetAttr,
    Index,
    Literal,
    Name,
    ObjectExpr,
    Parens,
    Splat,
    SplatItem,
    Template,
    TemplateFor,
    TemplateIf,
    TemplateWrap,
    TupleExpr,
    Unary,
)

SHAPES: dict[type, Callable[[Any], Any]] = {
    Literal: lambda n: n.value,
    Name: lambda n: n.name,
    SplatItem: lambda _: "@",
    GetAttr: lambda n: ("get", shape(n.target), n.name),
    Index: lambda n: ("index", shape(n.target), shape(n.key)),
    Splat: lambda n: ("[*]" if n.full else ".*", shape(n.source), shape(n.each)),
    Unary: lambda n: (n.op, shape(n.operand)),
    Binary: lambda n: (shape(n.left), n.op, shape(n.right)),
    Conditional: lambda n: ("if", shape(n.condition), shape(n.then), shape(n.otherwise)),
    Parens: lambda n: ("()", shape(n.inner)),
    TupleExpr: lambda n: [shape(x) for x in n.items],
    ObjectExpr: lambda n: {"object": [(shape(k), shape(v)) for k, v in n.items]},
    Call: lambda n: (n.name, [shape(x) for x in n.arguments], n.expand),
    Template: lambda n: ("template", [shape(x) for x in n.parts]),
    TemplateWrap: lambda n: ("wrap", shape(n.inner)),
    TemplateIf: lambda n: (
        *("%if", shape(n.condition)),
        *([shape(x) for x in n.then], [shape(x) for x in n.otherwise]),
    ),
    TemplateFor: lambda n: (
        *("%for", n.key, n.value, shape(n.collection)),
        [shape(x) for x in n.parts],
    ),
    ForTuple: lambda n: (
        *("for", n.key, n.value, shape(n.collection), shape(n.result)),
        n.condition and shape(n.condition),
    ),
    ForObject: lambda n: (
        *("for", n.key, n.value, shape(n.collection)),
        (shape(n.key_result), shape(n.result), n.group),
        n.condition and shape(n.condition),
    ),
}


def shape(node: Expr) -> Any:
    """A tree as short nested data, so that a test can say what it expects on one line."""
    return SHAPES[type(node)](node)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("12", 12),
        ("007", 7),
        ("1.50", Decimal("1.50")),
        ("3.14159265358979323846264338327950288419716939937510582097494459", None),
        ("1e3", Decimal(1000)),
        ("2.5E-3", Decimal("0.0025")),
        ("1e400", Decimal("1e400")),
        ("9" * 4096, int(Decimal("9" * 4096))),
        ("true", True),
        ("null", None),
        ('"plain"', "plain"),
        ('""', ""),
        (r'"\n\r\t\"\\\u00e9\U0001F600"', '\n\r\t"\\é😀'),
        ('"$${a} %%{b} $ % $$ 5% a$b"', "${a} %{b} $ % $$ 5% a$b"),
        ('"$$${a}"', "$${a}"),
        ('"%%%{a}"', "%%{a}"),
    ],
)
def test_literals_are_exact(text: str, wanted: object) -> None:
    found = expression(text)
    assert isinstance(found, Literal)
    value = Decimal(text) if wanted is None and text != "null" else wanted
    assert found.value == value
    assert type(found.value) is type(value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1 - 2 - 3", ((1, "-", 2), "-", 3)),
        ("1 + 2 * 3 % 4", (1, "+", ((2, "*", 3), "%", 4))),
        (
            "a || b && c == d < e + f",
            ("a", "||", ("b", "&&", ("c", "==", ("d", "<", ("e", "+", "f"))))),
        ),
        ("a == b != c", (("a", "==", "b"), "!=", "c")),
        ("-a.b + !c", (("-", ("get", "a", "b")), "+", ("!", "c"))),
        ("- -1", ("-", ("-", 1))),
        ("a ? b : c ? d : e", ("if", "a", "b", ("if", "c", "d", "e"))),
        ("a || b ? 1 : 2", ("if", ("a", "||", "b"), 1, 2)),
        ("(a + b) * c", (("()", ("a", "+", "b")), "*", "c")),
        ("(\n1\n+ # c\n2\n)", ("()", (1, "+", 2))),
        ("a-b", "a-b"),
        ("a -b", ("a", "-", "b")),
    ],
)
def test_operators_bind_as_they_should(text: str, wanted: object) -> None:
    assert shape(expression(text)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a.b[0].c", ("get", ("index", ("get", "a", "b"), 0), "c")),
        ('a["k"]', ("index", "a", "k")),
        ("a.0.b", ("get", ("index", "a", 0), "b")),
        ("a[b.c + 1]", ("index", "a", (("get", "b", "c"), "+", 1))),
        ("a[*].b[0]", ("[*]", "a", ("index", ("get", "@", "b"), 0))),
        ("a.*.b[0]", ("index", (".*", "a", ("get", "@", "b")), 0)),
        ("a.*.b.0", (".*", "a", ("index", ("get", "@", "b"), 0))),
        ("a[*].b[*].c", ("[*]", "a", ("[*]", ("get", "@", "b"), ("get", "@", "c")))),
        ("a[*]", ("[*]", "a", "@")),
        ("f(x)[0].y", ("get", ("index", ("f", ["x"], False), 0), "y")),
        ("f()", ("f", [], False)),
        ("f(a, b...)", ("f", ["a", "b"], True)),
        ("f(\na,\nb,\n)", ("f", ["a", "b"], False)),
        ("provider::x::f (1)", ("provider::x::f", [1], False)),
        ("[1, [2], ]", [1, [2]]),
        ('{a = 1, "b" : 2\n}', {"object": [("a", 1), ("b", 2)]}),
        ("{(c) = 3\nd.e = 4, }", {"object": [(("()", "c"), 3), (("get", "d", "e"), 4)]}),
        ("{null = 1, true = 2}", {"object": [("null", 1), ("true", 2)]}),
        ("[for x in y : x if x > 1]", ("for", None, "x", "y", "x", ("x", ">", 1))),
        ("{for k, v in y : k => v...}", ("for", "k", "v", "y", ("k", "v", True), None)),
        (
            "{\nfor v in y :\nv.a => v\nif v\n}",
            ("for", None, "v", "y", (("get", "v", "a"), "v", False), "v"),
        ),
    ],
)
def test_references_and_collections(text: str, wanted: object) -> None:
    assert shape(expression(text)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('"a ${b} c"', ("template", ["a ", "b", " c"])),
        ('"${b}"', ("wrap", "b")),
        ('"${~ b ~}"', ("wrap", "b")),
        ('"${b}${c}"', ("template", ["b", "c"])),
        ('"  ${~ b ~}  "', ("template", ["b"])),
        ('"a${\n"x${y}" # c\n}"', ("template", ["a", ("template", ["x", "y"])])),
        ('"%{if a}b%{else}c%{endif}"', ("template", [("%if", "a", ["b"], ["c"])])),
        ('"%{ if a ~} b %{~ endif }"', ("template", [("%if", "a", ["b"], [])])),
        ('"%{for k, v in a}${v},%{endfor}"', ("template", [("%for", "k", "v", "a", ["v", ","])])),
        (
            '"%{if a}%{for v in b}x%{endfor}%{endif}"',
            ("template", [("%if", "a", [("%for", None, "v", "b", ["x"])], [])]),
        ),
        ("<<E\n  a\\n ${b}\n  E\n", ("template", ["  a\\n ", "b", "\n"])),
        ("<<E\nE\n", ""),
        ("<<-E\n\tx\n  y\nE\n", "x\n y\n"),
        ("<<-E\n    a\n\n  \t\n   b\n  E\n", " a\n\n  \t\nb\n"),
        ("<<-E\n    ${a} b\n      c ${d}\n   E\n", ("template", ["a", " b\n  c ", "d", "\n"])),
        ("<<E\n${a ~}\n    b\nE\n", ("template", ["a", "    b\n"])),
        ("<<E\nq\n   ${~ a}\nE\n", ("template", ["q\n", "a", "\n"])),
        (
            "<<-E\n   ${a ~}\n      b\n    %{if c ~}\n   d\n    %{endif}\n  E\n",
            ("template", ["a", "      b\n ", ("%if", "c", ["   d\n "], []), "\n"]),
        ),
        ("<<E\r\na\r\nE\r\n", "a\r\n"),
        ("<<A\n${<<B\nx\nB\n}\nA\n", ("template", ["x\n", "\n"])),
    ],
)
def test_templates(text: str, wanted: object) -> None:
    assert shape(expression(text)) == wanted


def test_bodies() -> None:
    text = '\ufeff# top\nb "l\\u00e9" m { a = 1 }\r\nb {\n  c "x" {\n    d = [\n1]\n  }\n} // e\n'
    text += "é = 2"
    found = body(text)
    assert found.attributes["é"].text == "2"
    first, second = found.blocks
    assert [x.text for x in first.labels] == ["lé", "m"]
    assert str(first.span) == "spec.hcl:2:1"
    assert (first.header_span.end_line, first.header_span.end_column) == (2, 14)
    (inner,) = second.body.blocks
    assert inner.kind == "c"
    attribute = inner.body.attributes["d"]
    span = attribute.span
    assert (span.line, span.column, span.end_line, span.end_column) == (5, 5, 6, 3)
    assert attribute.text == "[\n1]"
    assert attribute.name_span.end_column == 6


def test_sound_items_survive_errors_around_them() -> None:
    diagnostics = Diagnostics()
    text = 'a = 1\nb = = 2\nc = 3\nk "x" {\n  d = [1 2]\n  e = 1\n}\nk "y" {\n}\n'
    found = parse(text, "spec.hcl", diagnostics)
    assert list(found.attributes) == ["a", "c"]
    assert [block.labels[0].text for block in found.blocks] == ["y"]
    assert [p.split()[0] for p in problems(diagnostics)] == ["2:5-2:6", "5:10-5:11"]


def test_an_argument_set_twice_keeps_the_first() -> None:
    diagnostics = Diagnostics()
    found = parse("a = 1\n\na = 2\n", "spec.hcl", diagnostics)
    assert found.attributes["a"].text == "1"
    (told,) = problems(diagnostics)
    assert told.startswith('3:1-3:2 Argument set twice: "a" is set on line 1 already.')


def test_one_expression_is_all_there_is() -> None:
    diagnostics = Diagnostics()
    found, source = parse_expression("1 + 2 3", "-var x", diagnostics)
    assert isinstance(found, Literal)
    assert found.value is None
    assert source.file == "-var x"
    assert problems(diagnostics)[0].startswith("1:7-1:8 Invalid expression")
    assert shape(expression("\n # c\n 1\n # d\n")) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [("[", "]"), ("(", ")"), ('"${', '}"'), ("f(", ")"), ("{a = ", "}"), ("a ? 1 : ", "")],
)
def test_nesting_has_a_limit_and_a_message(before: str, after: str) -> None:
    for depth, wanted in ((40, []), (120, []), (5000, ["Nested too deeply"])):
        diagnostics = Diagnostics()
        parse(f"a = {before * depth}1{after * depth}\n", "spec.hcl", diagnostics)
        assert [found.summary for found in diagnostics] == wanted


def test_blocks_nest_as_deep_as_expressions() -> None:
    assert errors("b {\n" * 40 + "}\n" * 40) == []
    assert "Nested too deeply" in errors("b {\n" * 5000 + "}\n" * 5000)[0]


def test_long_flat_lists_are_no_nesting() -> None:
    items = ", ".join(f"a.b.c[{n}] + 1" for n in range(2000))
    assert errors(f"a = [{items}]\n") == []


def test_a_file_has_a_largest_size() -> None:
    diagnostics = Diagnostics()
    parse("#" * (64 * 1024 * 1024 + 1), "big.hcl", diagnostics)
    assert [found.summary for found in diagnostics] == ["File too large"]


def test_the_collector_is_left_as_it_was() -> None:
    assert gc.isenabled()
    body("a = 1\n")
    errors("a = \n")
    assert gc.isenabled()
