"""Whole texts as templates."""

from __future__ import annotations

import pytest
from tests.syntax.trees import bare, problems

from mlform.diagnostics import Diagnostics
from mlform.syntax import parse_template


def read(text: str) -> object:
    diagnostics = Diagnostics()
    expr, source = parse_template(text, "x.tpl", diagnostics)
    assert problems(diagnostics) == []
    assert source.text == text
    return bare(expr)


@pytest.mark.parametrize("text", ["", 'a "quoted" \\n text\n', "$ % $x", "\ufeffx", "x\ry\r\n"])
def test_text_without_sequences_is_itself(text: str) -> None:
    assert read(text) == ("Literal", ("str", text))


def test_escapes_of_sequences_are_undone() -> None:
    assert read("$${a} %%{if}") == ("Literal", ("str", "${a} %{if}"))


def test_one_interpolation_is_its_value() -> None:
    assert read("${a}") == ("TemplateWrap", ("Name", ("str", "a")))


def test_texts_and_sequences_are_parts() -> None:
    found = read("%{ for x in xs ~}\n- ${x}\n%{ endfor ~}\n")
    assert found == (
        "Template",
        (
            (
                "TemplateFor",
                ("NoneType", None),
                ("str", "x"),
                ("Name", ("str", "xs")),
                (
                    ("Literal", ("str", "- ")),
                    ("Name", ("str", "x")),
                    ("Literal", ("str", "\n")),
                ),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("${", "Invalid expression"),
        ("%{ if a }", "Invalid template directive"),
        ("${a b}", "Unclosed template sequence"),
        ("%{ end }", "Invalid template directive"),
        ("${" + '"${' * 500, "Nested too deeply"),
        ("${" + "(" * 500, "Nested too deeply"),
    ],
)
def test_errors_are_noted(text: str, summary: str) -> None:
    diagnostics = Diagnostics()
    parse_template(text, "x.tpl", diagnostics)
    assert [found.summary for found in diagnostics] == [summary]
