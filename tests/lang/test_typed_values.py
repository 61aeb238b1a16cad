"""Values as the console shows them: what an operator makes of each type, and what it refuses.

The rules are those of the HCL specification and of Terraform's documentation of types.
"""

from __future__ import annotations

import pytest
from tests.lang.asking import problem, value

from mlform.render.console import console, console_type
from mlform.types import NUMBER, STRING, Collection, ObjectType
from mlform.values import UNKNOWN, Handle, MapValue, Null, Sensitive, SetValue, Unknown, Value

SCOPE: dict[str, Value] = {
    "later": UNKNOWN,
    "text": Unknown(STRING),
    "number": Unknown(NUMBER),
    "texts": Unknown(Collection("list", STRING)),
    "shape": Unknown(ObjectType({"a": NUMBER})),
    "secret": Sensitive("s"),
}
OPEN = "(known after apply)"


def shown(text: str) -> str:
    return " ".join(console(value(text, SCOPE)).split())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # Equal values are of equal types, also inside.
        ("[1] == tolist([1])", "false"),
        ("tolist([1]) == tolist([1])", "true"),
        ('tolist([1]) == tolist(["1"])', "false"),
        ("{ a = 1 } == tomap({ a = 1 })", "false"),
        ("toset([2, 1]) == toset([1, 2, 1])", "true"),
        ("toset([1]) == tolist([1])", "false"),
        ("[] == {}", "false"),
        ("[[1]] == [tolist([1])]", "false"),
        ("[null] == [tostring(null)]", "false"),
        ("null == tostring(null)", "true"),
        ("tostring(null) == tonumber(null)", "true"),
        ("{ a = null } == {}", "false"),
        # What is unknown decides only where its type does.
        ("text == 1", "false"),
        ('text == "a"', OPEN),
        ("later == 1", OPEN),
        ("texts == []", "false"),
        ("[number, 1] == [1, 2]", OPEN),
        ("[1, number] == [2, 1]", "false"),
        ("toset([number]) == toset([1])", OPEN),
        ("{ a = later } == { b = 1 }", "false"),
        # Both results of a conditional become one type.
        ("true ? [1] : tolist([2])", "tolist([ 1, ])"),
        ('true ? [1, true] : ["a"]', 'tolist([ "1", "true", ])'),
        ('true ? [1, "a"] : [2, "b"]', '[ 1, "a", ]'),
        ('true ? { a = 1 } : { b = "x" }', 'tomap({ "a" = "1" })'),
        ("true ? { a = 1, b = null } : { a = 2, b = [1] }", '{ "a" = 1 "b" = null }'),
        ("true ? null : 1", "tonumber(null)"),
        ("true ? toset([1]) : toset([])", "toset([ 1, ])"),
        ("later ? 1 : 1", "1"),
        ('later ? "a" : "a"', OPEN),
        ("later ? tonumber(null) : null", "tonumber(null)"),
        ("later ? tolist([1]) : tolist([2])", f"tolist([ {OPEN}, ])"),
        ('later ? tolist([1]) : tolist(["a"])', OPEN),
        ("true ? 1 : secret", "(sensitive value)"),
        # A splat of a list is a list, of a tuple a tuple; anything else is its own one element.
        ("tolist([{ a = 1 }, { a = 2 }])[*].a", "tolist([ 1, 2, ])"),
        ("toset([{ a = 2 }, { a = 1 }])[*].a", "tolist([ 1, 2, ])"),
        ("[{ a = 1 }, { a = true }][*].a", "[ 1, true, ]"),
        ("tomap({ a = 1 })[*]", '[ tomap({ "a" = 1 }), ]'),
        ("tolist([])[*]", "tolist([])"),
        ("tostring(null)[*]", "[]"),
        ("texts[*]", OPEN),
        ("shape[*].a", OPEN),
        # Indexes.
        ('{ "1.5" = 2 }[1.5]', "2"),
        ('tolist([5, 6])["1"]', "6"),
        ("tomap({ a = 1 })[text]", OPEN),
        ("[number][0]", OPEN),
        # Division.
        ("-7 % 3", "-1"),
        ("5 % 0", "5"),
        ("1e1000 % 3 < 3", "true"),
    ],
)
def test_value(text: str, wanted: str) -> None:
    assert shown(text) == wanted


@pytest.mark.parametrize(
    ("text", "summary", "says"),
    [
        ("true ? [1] : true", "Inconsistent conditional result types", "bool"),
        ("true ? toset([1]) : {}", "Inconsistent conditional result types", "set(number)"),
        ("[for v in [1] : v if texts]", "Invalid condition", "list(string)"),
        ("[for v in [1] : v if number]", "Invalid condition", "number"),
        ("[for v in text : v]", "Not a collection", "string"),
        ("shape[*].b", "Unknown attribute", '"b"'),
        ("tolist(null)[*]", "Value is null", "no elements"),
        ("tolist([{ a = tostring(null) }, { a = 1 }])[*].a[*]", "Inconsistent", "tuple([string])"),
        ("null[text]", "Invalid index", "null"),
        ('"abc"[number]', "Invalid index", "string"),
        ("[1][-1]", "Invalid index", "1 element, counted from 0"),
        ("[1][0.5]", "Invalid index", "whole"),
        ("tolist([1])[texts]", "Invalid index", "list(string)"),
        ("{ shape.a = 1 }", "Ambiguous object key", "parentheses"),
        ("0 / 0", "Invalid operation", "zero"),
        ("texts + 1", "Invalid operand", "list(string)"),
    ],
)
def test_what_is_refused(text: str, summary: str, says: str) -> None:
    found = problem(text, SCOPE)
    assert found.summary.startswith(summary)
    assert says in found.detail


def test_what_is_decoded_is_no_deeper_than_what_can_be_written() -> None:
    deep = '["a", ' * 150 + "{}" + "]" * 150
    assert value("jsondecode(t)[1][1][0]", {"t": deep}) == "a"
    assert "150 levels" in problem("jsondecode(t)", {"t": f"[{deep}]"}).detail


HANDLE = Handle("dataset.loans", "rows", "sha256:0123456789abcdef")


@pytest.mark.parametrize(
    ("given", "text", "type_"),
    [
        (None, "null", "dynamic"),
        (Null(Collection("set", STRING)), "toset(null) /* of string */", "set(string)"),
        (Null(ObjectType({})), "null /* object */", "object({})"),
        (UNKNOWN, OPEN, "dynamic"),
        (Sensitive(1), "(sensitive value)", "number"),
        (Sensitive(Unknown(NUMBER)), OPEN, "number"),
        (1e-7, "0.0000001", "number"),
        ('tab\t "q" \\ \x1b é', '"tab\\t \\"q\\" \\\\ \\x1b é"', "string"),
        ("a\nb", "<<EOT\na\nb\nEOT", "string"),
        (["EOT\n"], "[\n  <<-EOT_\n  EOT\n  \n  EOT_,\n]", "tuple([\n    string,\n])"),
        (SetValue([], NUMBER), "toset([])", "set(number)"),
        (MapValue({"a b": 1}, NUMBER), 'tomap({\n  "a b" = 1\n})', "map(number)"),
        ({"b": 1, "a": {}}, '{\n  "a" = {}\n  "b" = 1\n}', None),
        (HANDLE, "dataset.loans.rows @ 0123456789ab", "resource"),
    ],
)
def test_console_text(given: Value, text: str, type_: str | None) -> None:
    assert console(given) == text
    assert type_ is None or console_type(given) == type_
