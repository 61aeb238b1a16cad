"""What holds for any text at all."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.syntax.trees import bare, body, nodes

from mlform.diagnostics import Diagnostics
from mlform.syntax import parse, parse_expression
from mlform.syntax.json import parse_json
from mlform.syntax.layout import layout

WORDS_AND_SIGNS = """
a b é x.y 0 1.5 1e3 " ${ %{ } { [ ] ( ) = == => : :: ? , . .. ... * [*] + - ! && || ~ $${ \\n \\q
# // /* */ <<E <<-E E true null for in if f( %{if %{else} %{endif} %{endfor} ' ; @
"""
PIECES = st.sampled_from(
    WORDS_AND_SIGNS.split() + list(" \n\t\r\0") + ["\r\n", "b {\n", "}\n", "a = ", '"l" ', "E\n"]
)
TEXTS = st.text(max_size=60) | st.lists(PIECES, max_size=25).map("".join)

WORDS = st.sampled_from(["a", "b_1", "long-name", "é"])


def _operations(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    gap = st.sampled_from(["", " ", "  ", " /* c */ "])
    return st.one_of(
        st.tuples(inner, gap, st.sampled_from(["+", "==", "&&", "%", ">"]), gap, inner).map(
            "".join
        ),
        st.tuples(inner, inner, inner).map(lambda x: f"{x[0]} ?{x[1]}: {x[2]}"),
        st.lists(inner, max_size=3).map(lambda x: "[" + ",\n".join(x) + "]"),
        st.lists(st.tuples(WORDS, inner), max_size=3).map(
            lambda x: "{" + ", ".join(f"{k}={v}" for k, v in x) + "}"
        ),
        st.lists(inner, max_size=2).map(lambda x: f"f( {','.join(x)})"),
        inner.map(lambda x: f'"<${{ {x}}}%{{ if {x} ~}} y %{{endif}}>"'),
        inner.map(lambda x: f"[ for v in {x}:v if v ]"),
        inner.map(lambda x: f"(\n{x} # c\n)"),
        inner.map(lambda x: f"-({x}) [0].a[ * ].b"),
    )


VALUES = st.recursive(
    st.sampled_from(["1", "0.50", '"s"', "true", "null", "var.x", "a.b[0].c", '"$${x} \\n"']),
    _operations,
    max_leaves=8,
)
ITEMS = st.tuples(st.integers(0, 3), VALUES, st.sampled_from(["", " # c", "   // d", " /* e */"]))


def spec(items: list[tuple[int, str, str]]) -> str:
    lines = []
    for number, (shape, value, comment) in enumerate(items):
        name = f"a{number}" * (1 + shape)
        if shape == 0:
            lines.append(f'  block l{number} "m" {{{comment and " # x"}\n{name} = {value}\n\n}}')
        elif shape == 1:
            lines.append(f"{name} = <<-E\n    x ${{ {value} }}\n      y\n  E")
        elif shape == 2:
            lines.append(f"b{{ {name}={value} }}")
        else:
            lines.append(f"\t{name}  =   {value}{comment}")
    return "\n".join([*lines, ""])


SPECS = st.lists(ITEMS, max_size=5).map(spec)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_no_text_raises(text: str) -> None:
    for read in (parse, layout, parse_expression):
        diagnostics = Diagnostics()
        read(text, "spec.hcl", diagnostics)
        for found in diagnostics:
            assert found.subject is not None
            assert found.subject.line >= 1
            assert found.subject.line <= found.subject.end_line


@given(st.text(max_size=40) | st.text('{}[]",:0123456789.eE-\\u trufalsn${%}', max_size=40))
@settings(max_examples=300, deadline=None)
def test_no_text_raises_as_json(text: str) -> None:
    diagnostics = Diagnostics()
    parse_json(text, "spec.json", diagnostics, {"a": 1})
    assert all(found.subject is not None for found in diagnostics)


@given(SPECS)
@settings(max_examples=100, deadline=None)
def test_layout_keeps_the_meaning_and_is_done_at_once(text: str) -> None:
    laid_out = layout(text, "spec.hcl", Diagnostics())
    assert bare(body(laid_out)) == bare(body(text))
    assert layout(laid_out, "spec.hcl", Diagnostics()) == laid_out
    assert laid_out.count("#") == text.count("#")


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_layout_of_any_text_is_done_at_once(text: str) -> None:
    laid_out = layout(text, "spec.hcl", Diagnostics())
    diagnostics = Diagnostics()
    assert layout(laid_out, "spec.hcl", diagnostics) == laid_out


@given(SPECS)
@settings(max_examples=50, deadline=None)
def test_every_node_stands_inside_its_attribute(text: str) -> None:
    waiting = [body(text)]
    while waiting:
        inner = waiting.pop()
        for attribute in inner.attributes.values():
            assert text[attribute.start :].startswith(attribute.name)
            for start, end in nodes(attribute.expr):
                assert attribute.start < start <= end <= attribute.end
        for block in inner.blocks:
            assert text[block.start :].startswith(block.kind)
            assert text[block.end - 1] == "}"
            waiting.append(block.body)
