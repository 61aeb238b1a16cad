"""HCL's JSON syntax gives the trees that native syntax gives, with the places of the JSON."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.syntax.trees import bare, body, nodes, problems

from mlform.diagnostics import Diagnostics
from mlform.syntax.json import parse_json
from mlform.syntax.tree import Body, Literal, TemplateWrap

BLOCKS = {"dataset": 1, "link": 2, "locals": 0, "lifecycle": 0}


def read(text: str) -> Body:
    diagnostics = Diagnostics()
    found = parse_json(text, "spec.mlf.json", diagnostics, BLOCKS)
    assert problems(diagnostics) == []
    return found


def errors(text: str) -> list[str]:
    diagnostics = Diagnostics()
    parse_json(text, "spec.mlf.json", diagnostics, BLOCKS)
    return problems(diagnostics)


@pytest.mark.parametrize(
    ("json", "native"),
    [
        ("{}", ""),
        ('{"//": "a comment", "a": 1, "b": -2.50, "c": null, "d": [true, "x"]}', None),
        ('{"dataset": {"x": {"rows": 1}, "y": {}}}', 'dataset "x" {\nrows = 1\n}\ndataset "y" {}'),
        (
            '{"dataset": {"x": [{"a": 1}, {"a": 2}]}}',
            'dataset "x" {\na=1\n}\ndataset "x" {\na=2\n}',
        ),
        ('{"dataset": [{"x": {}}, {"x": {}}]}', 'dataset "x" {}\ndataset "x" {}'),
        ('[{"dataset": {"x": {}}}, {"locals": {"a": 1}}]', 'dataset "x" {}\nlocals { a = 1 }'),
        ('{"link": {"a": {"b": {"c": 1}}}}', 'link "a" "b" {\nc = 1\n}'),
        ('{"locals": null}', ""),
        ('{"locals": {"a": "x ${b.c} $${d}"}}', 'locals { a = "x ${b.c} $${d}" }'),
        ('{"locals": {"a": "${f(\\"q\\")}"}}', 'locals { a = "${f("q")}" }'),
        ('{"locals": {"a": "%{if b}c%{endif}"}}', 'locals { a = "%{if b}c%{endif}" }'),
        ('{"locals": {"a": {"${b}": 1, "c": 2}}}', 'locals {\na = {\n"${b}" = 1\n"c" = 2\n}\n}'),
        ('{"dataset": {"x": {"lifecycle": {"a": 1}}}}', 'dataset "x" {\nlifecycle { a = 1 }\n}'),
        ('{"dataset": {"x": {"lifecycle": "a"}}}', 'dataset "x" { lifecycle = "a" }'),
        ('{"dataset": {"x": {"dataset": "${dataset.y}"}}}', 'dataset "x" { dataset = dataset.y }'),
        ('{"dataset": {"x": {"link": {"a": 1}}}}', 'dataset "x" {\nlink = { "a" = 1 }\n}'),
    ],
)
def test_means_what_native_syntax_means(json: str, native: str | None) -> None:
    if native is None:
        native = 'a = 1\nb = -2.50\nc = null\nd = [true, "x"]'
        found = read(json)
        value = found.attributes["b"].expr
        assert isinstance(value, Literal)
        assert value.value == Decimal("-2.50")
        return
    assert bare(read(json)) == bare(body(native + "\n"))


def test_places_are_those_of_the_json() -> None:
    text = '{\n  "dataset": {"x\\u00e9": {\n'
    text += '    "a": "p\\n\\ud83d\\ude00 ${ f(\\"k\\", bcd) } q"\n  }}\n}'
    found = read(text)
    (block,) = found.blocks
    assert block.labels[0].text == "xé"
    assert text[block.labels[0].start : block.labels[0].end] == '"x\\u00e9"'
    assert str(block.span) == "spec.mlf.json:2:3"
    attribute = block.body.attributes["a"]
    assert (attribute.name_span.line, attribute.name_span.column) == (3, 6)
    assert attribute.text.startswith('"p') and attribute.text.endswith('q"')
    inside = [text[start:end] for start, end in nodes(attribute.expr)]
    assert "bcd" in inside
    assert '\\"k\\"' in inside
    assert 'f(\\"k\\", bcd)' in inside


def test_a_lone_interpolation_keeps_its_type() -> None:
    assert isinstance(read('{"a": "${b}"}').attributes["a"].expr, TemplateWrap)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1:1-1:1 Invalid JSON: Expected a value, found the end of the text."),
        (
            '{"a": 1,}',
            '1:9-1:10 Invalid JSON: Expected a property name in double quotes, found "}"',
        ),
        ("[1,]", '1:4-1:5 Invalid JSON: Expected a value, found "]". JSON has no comma'),
        ('{"a" 1}', '1:6-1:7 Invalid JSON: Expected ":" after the property name "a", found "1".'),
        ('{"a": 1 "b": 2}', '1:9-1:12 Invalid JSON: Expected a comma or "}", found the string "b"'),
        ("// c\n{}", "1:1-1:2 Invalid JSON: Expected a value"),
        ("{} x", "1:4-1:5 Invalid JSON: Expected the end of the text"),
        ('{"a": "b\n"}', "1:7-1:9 Invalid JSON: This string is not closed"),
        ('{"a": "\\q"}', "1:8-1:10 Invalid JSON: \\q is no escape of JSON"),
        ('{"a": "\\ud800"}', "1:7-1:15 Invalid JSON: This string has half a surrogate pair."),
        ('{"a": 01}', "1:7-1:9 Invalid JSON"),
        ('{"a": 1e9999999}', "1:7-1:16 Invalid number"),
        ('{"a": 1,\n "a": 2}', '2:2-2:5 Property set twice: "a" is set on line 1 already.'),
        ('{"a": {"b": 1, "b": 2}}', '1:16-1:19 Property set twice: "b" is set on line 1 already.'),
        ('{"dataset": 1}', "1:13-1:14 Invalid JSON block"),
        ('{"dataset": {"x": "y"}}', "1:19-1:22 Invalid JSON block"),
        ('{"a": "\\n ${ b c }"}', "1:16-1:17 Unclosed template sequence"),
        ('{"a": "${b"}', "1:8-1:10 Unclosed template sequence"),
        ("[" * 5000, "1:151-1:152 Nested too deeply"),
        ('{"a": "${' + "[" * 200 + '"}', "1:160-1:161 Nested too deeply"),
        ('{"a": ' + "[" * 90 + '"${' + "(" * 90 + "b" + ")" * 90 + '}"' + "]" * 90 + "}", "1:7-1"),
    ],
)
def test_messages(text: str, told: str) -> None:
    (found,) = errors(text)
    assert found.startswith(told)


def test_every_bad_template_is_told_up_to_a_limit() -> None:
    many = ", ".join(f'"a{n}": "${{"' for n in range(30))
    assert len(errors("{" + many + "}")) == 20
