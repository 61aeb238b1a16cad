"""Texts that are long, deep or strange on purpose: each gives a tree or clear errors."""

from __future__ import annotations

import pytest
from tests.syntax.trees import errors, problems

from mlform.diagnostics import Diagnostics
from mlform.syntax import parse_expression, parse_template
from mlform.syntax.layout import layout

N = 20_000
REPEATED = {
    "parentheses": "a = " + "(" * N,
    "brackets": "a = " + "[" * N + "]" * N,
    "objects": "a = " + "{a=" * N,
    "blocks": "b {\n" * N,
    "closed blocks": "b {\n" * N + "}\n" * N,
    "templates": "a = " + '"${' * N + '}"' * N,
    "open templates": "a = " + '"x${' * N,
    "signs": "a = " + "!-" * N + "x\n",
    "attributes": "a = b" + ".c" * N + "\n",
    "indices": "a = b" + "[0]" * N + "\n",
    "splats": "a = b" + "[*]" * N + "\n",
    "attribute splats": "a = b" + ".*.c[*]" * N + "\n",
    "conditionals": "a = " + "x?x:" * N + "x\n",
    "half conditionals": "a = " + "x ? " * N,
    "sums": "a = 1" + "+1*2" * N + "\n",
    "open comments": "/*" * N,
    "comments": "a = 1" + "/**/" * N + "x\n",
    "quotes": '"' * N,
    "open strings": 'a = "x\n' * N,
    "open heredocs": "a = <<E\n" * N,
    "heredocs in heredocs": "a = " + "<<E\n${" * N,
    "open directives": 'a = "' + "%{if x}" * N + '"\n',
    "dollars": 'a = "' + "$" * N + '{"\n',
    "blanks": "a" + " " * N + "b",
    "labels": "b " + '"l" ' * N,
    "commas": "a = f(" + "," * N,
    "name spaces": "a = b" + "::b" * N + "\n",
    "digits": "a = " + "1" * N + "\n",
    "exponent": "a = 1e" + "9" * N + "\n",
    "for": "a = " + "[for x in y : " * N,
    "carriage returns": "a = " + "\r" * N,
    "zeros": "a = " + "\0" * N,
    "items after errors": "b {\na = (\n" * N,
    "joined emoji": 'a = "' + "👩\u200d" * N + '"  # x\n',
}
SOUND = {"joined emoji", "dollars"}


@pytest.mark.parametrize("name", REPEATED)
def test_what_is_repeated_often_ends_in_a_tree_or_in_at_most_20_errors(name: str) -> None:
    text = REPEATED[name]
    for read in (layout, parse_template, parse_expression):
        diagnostics = Diagnostics()
        read(text, "spec.hcl", diagnostics)
        assert len(diagnostics.errors) <= 20
        assert all(found.subject for found in diagnostics)
    assert bool(errors(text)) != (name in SOUND)


def test_a_name_with_many_name_spaces_is_a_function() -> None:
    assert errors("a = provider::x::f(1)\nb = " + "b::" * 50 + "f()\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "a = <<E\nx\ry\nE\n",
        'a = "x\ry"\n',
        'a = "${b}\r"\n',
        'b "x\r" {\n}\n',
        "a = <<E\n\r${b}\nE\n",
    ],
)
def test_a_carriage_return_alone_stands_in_no_template(text: str) -> None:
    assert "Invalid character: A carriage return stands only before" in errors(text)[0]


@pytest.mark.parametrize("text", ["# x\ry\n", "/* x\r */\n", "a = <<E\r\nx\r\nE\r\n"])
def test_a_carriage_return_may_stand_in_a_comment_and_end_a_line(text: str) -> None:
    assert errors(text) == []


@pytest.mark.parametrize("blank", [" ", "\t", "\v", "\f", "\x85", "\xa0", "\u2003", "\u3000"])
def test_white_space_of_any_kind_may_stand_around_a_closing_marker(blank: str) -> None:
    text = f"a = <<E\nx\n{blank}E{blank}\nb = 1\n"
    assert errors(text) == []
    assert layout(text, "spec.hcl", Diagnostics()) == text


def test_an_index_after_a_dot_may_have_an_exponent_but_no_point() -> None:
    assert errors("a = b.1e2\nb = b . 1e30\nc = b.5e-3\nd = 1.1e4000\n") == []
    (found,) = errors("a = b.1.5e3\n")
    assert found.endswith(".1.5e3 reads as one number.")


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("e\u0301", 1),
        ("👩\u200d👩\u200d👧", 1),
        ("👍🏽", 1),
        ("🇩🇪🇫🇷🇦", 3),
        ("한국", 2),
        ("\u1112\u1161\u11ab", 1),
        ("日本", 2),
        ("1\ufe0f\u20e3", 1),
        ("க்ஷி", 2),
    ],
)
def test_comments_stand_in_one_column_as_people_see_it(text: str, width: int) -> None:
    laid_out = layout(f'a = "{text}" # x\nb = 1 # y\n', "spec.hcl", Diagnostics())
    assert laid_out == f'a = "{text}" # x\nb = 1{" " * (width + 1)} # y\n'


def test_errors_after_a_byte_order_mark_count_columns_without_it() -> None:
    assert errors("\ufeffa = ,\n")[0].startswith("1:5-1:6 ")


def test_a_template_that_is_wrong_is_noted_with_its_place() -> None:
    diagnostics = Diagnostics()
    expr, source = parse_template("a\n${ b\n", "x.tpl", diagnostics)
    (problem,) = problems(diagnostics)
    assert problem == (
        '2:1-2:3 Unclosed template sequence: This ${ is never closed. Write "}" where it ends, or '
        "$${ for the characters themselves."
    )
    assert (expr.start, expr.end, source.file) == (0, 7, "x.tpl")


@pytest.mark.parametrize(("text", "wanted"), [("a = [b)\n", '"]"'), ("a = f(b]\n", '")"')])
def test_a_bracket_closed_by_another_is_named(text: str, wanted: str) -> None:
    (found,) = errors(text)
    assert f"Unclosed bracket: Expected {wanted} to close" in found
