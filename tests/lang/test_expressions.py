from __future__ import annotations

from decimal import Decimal

import pytest
from tests.lang.asking import ask, marked, problem, value

from mlform.lang import SetValue
from mlform.types import BOOL, NUMBER, STRING
from mlform.values import UNKNOWN, Handle, Sensitive, Unknown, Value

LOANS = Handle("dataset.loans", None, "sha256:11", {"rows": 500, "snapshot": UNKNOWN})
SAME = Handle("dataset.copy", None, "sha256:11")
OPEN = Handle("training_job.risk", None, UNKNOWN, {"model": UNKNOWN, "seed": 7})
SOME_NUMBER, SOME_TEXT, SOME_BOOL = Unknown(NUMBER), Unknown(STRING), Unknown(BOOL)
SCOPE: dict[str, Value] = {
    "var": {"n": 3, "name": "ada", "half": 0.5, "tags": ["a", "b"], "nothing": None},
    "dataset": {"loans": LOANS, "copy": SAME},
    "training_job": {"risk": OPEN},
    "later": UNKNOWN,
    "partly": [1, UNKNOWN],
    "some": SetValue(["x", "y"]),
    "password": Sensitive("hunter2"),
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # Arithmetic is exact where a float's would not be, and converts numeric strings.
        ("0.1 + 0.2", Decimal("0.3")),
        ("0.1 + 0.2 == 0.3", True),
        ("1 / 3 * 3 == 1", True),
        ("1 / 3 + 1 / 3 + 1 / 3", 1),
        ("10 / 4", Decimal("2.5")),
        ("7 % 3", 1),
        ("-7 % 3", -1),
        ("5 % 3.5", Decimal("1.5")),
        ('"${-0} ${0 * -1} ${0 / -0.5} ${-0 - 0} ${-0 + 0} ${-0 % 3}"', "-0 -0 -0 -0 0 -0"),
        ('"${-(-0)} ${-5 + 5} ${ceil(-0.5)} ${sum([-0, 0])} ${-0 == 0}"', "0 0 0 0 true"),
        # Shown as the shortest decimal that says which float, as Go has it.
        (f"{2**513 - 1} + 0.5", 2**513 - 2),
        ('"${pow(4294967296, 2)} "', "18446744073709550000 "),
        ('"${-10 - pow(2.0000000001, 36)} "', "-68719476869.695068359375 "),
        ('"${pow(2.5, 3.3) % 1} ${pow(3, 40) % 7} "', "0.5684719427224572 0 "),
        ('"2" * 3', 6),
        ('"${2 / 3}, ${1 / 8}"', "0." + "6" * 153 + "7, 0.125"),
        ("9007199254740993 + 0", 9007199254740993),
        ("var.half + 1", Decimal("1.5")),
        ('-"3"', -3),
        ("2 > 1 && 1 >= 1", True),
        # Comparison converts nothing.
        ('"1" == 1', False),
        ("true == 1", False),
        ("1 == 1.0", True),
        ("[1, 2] == [1, 2.0]", True),
        ("{a = 1} == {a = 1}", True),
        ("{a = 1} != {b = 1}", True),
        ("null == null", True),
        ("var.nothing != null", False),
        ('!"false"', True),
        # Templates.
        ('"${var.n} by ${1.50} is ${true}"', "3 by 1.5 is true"),
        ('"${[1, 2]}"', [1, 2]),
        ('"%{ for i, t in var.tags }${i}${t},%{ endfor }"', "0a,1b,"),
        ('"%{ if var.n > 2 }many%{ else }few%{ endif }"', "many"),
        # Loops, constructors, splats.
        ('[for t in var.tags : upper(t) if t != "a"]', ["B"]),
        ("{for i, t in var.tags : t => i}", {"a": 0, "b": 1}),
        ('{for t in ["x", "y", "x"] : t => 1...}', {"x": [1, 1], "y": [1]}),
        ("[for k, v in {b = 1, a = 2} : k]", ["a", "b"]),
        ("[for k, v in some : k == v]", [True, True]),
        ("[for t in var.tags : [for t in [t] : t]]", [["a"], ["b"]]),
        ("[{a = 1}, {a = 2}][*].a", [1, 2]),
        ("{a = 1}[*].a", [1]),
        ("null[*]", []),
        ("[[1, 2], [3]][*][0]", [1, 3]),
        ('{(var.name) = 1, "${var.n}" = 2, plain = 3}', {"ada": 1, "3": 2, "plain": 3}),
        ('{"a" = 1}["a"]', 1),
        ('[1, 2]["1"]', 2),
        # Conditionals make both sides one type.
        ("true ? 1 : null", 1),
        ('true ? 1 : "a"', "1"),
        ('true ? [1] : ["a", "b"]', ["1"]),
        ("false ? {a = 1} : {a = 2, b = 3}", {"a": 2, "b": 3}),
        ('true ? {a = 1, b = "x"} : {}', {"a": "1", "b": "x"}),
        ("true ? dataset.loans : null", LOANS),
        # Handles.
        ("dataset.loans.rows", 500),
        ('dataset["loans"]["rows"]', 500),
        ('"at ${dataset.loans}"', "at sha256:11"),
        ("dataset.loans == dataset.copy", True),
        ("training_job.risk.seed", 7),
    ],
)
def test_value(text: str, wanted: Value) -> None:
    found = value(text, SCOPE)
    assert found == wanted
    assert type(found) is type(wanted) or isinstance(found, list | dict)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("later + 1", SOME_NUMBER),
        ("later.a[0]", UNKNOWN),
        ("later[*].a", UNKNOWN),
        ("[for x in later : 1]", UNKNOWN),
        ("[for x in partly : 1]", [1, 1]),
        ("[for x in partly : x if x > 0]", UNKNOWN),
        ("{(later) = 1}", UNKNOWN),
        ("{a = later}", {"a": UNKNOWN}),
        ('"a ${later}"', SOME_TEXT),
        ("later ? 1 : 2", SOME_NUMBER),
        ("later ? 1 : 1", 1),
        ("later && false", False),
        ("false && later", False),
        ("later || true", True),
        ("later || false", SOME_BOOL),
        # Before its type is known, a value may still make the tuple one of another type.
        ("[1, later] == [2, 1]", SOME_BOOL),
        ("[1, later] == [1]", False),
        ("[1, length(later)] == [2, 1]", False),
        ("[1, later] == [1, 1]", SOME_BOOL),
        ("training_job.risk == dataset.loans", SOME_BOOL),
        ('"at ${training_job.risk}"', SOME_TEXT),
        ("upper(later)", SOME_TEXT),
        ("max(1, partly...)", SOME_NUMBER),
        ("length(partly)", 2),
        ("partly[0]", 1),
        ("keys({a = later})", ["a"]),
        ("merge({a = later}, {b = 1})", {"a": UNKNOWN, "b": 1}),
        ("contains([1, later], 1)", True),
        ("contains([1, later], 2)", SOME_BOOL),
        ('coalesce("a", later)', "a"),
        ("coalesce(null, later, 1)", SOME_NUMBER),
        ("try(later.a, 1)", UNKNOWN),
        ("can(later.a)", SOME_BOOL),
        ("jsonencode({a = later})", SOME_TEXT),
        ("timestamp()", SOME_TEXT),
        ("toset([later])", [UNKNOWN]),
    ],
)
def test_unknown(text: str, wanted: Value) -> None:
    assert value(text, SCOPE) == wanted


@pytest.mark.parametrize(
    ("text", "at", "summary", "says"),
    [
        ("1 + vra.n", "vra", "Unknown reference", 'Did you mean "var"?'),
        ("var.nmae", "var.nmae", "Unknown attribute", 'Did you mean "name"?'),
        ("dataset.loans.row", "dataset.loans.row", "Unknown attribute", "It gives rows, snapshot."),
        ("var.tags.a", "var.tags.a", "Unknown attribute", "[*].a"),
        ("var.nothing.a", "var.nothing.a", "Value is null", '"a"'),
        ("var.tags[2]", "2", "Invalid index", "2 elements, counted from 0"),
        ('var.tags["x"]', '"x"', "Invalid index", '"x" is none'),
        ("some[0]", "some[0]", "Invalid index", "tolist"),
        ("[1 + var.name]", "var.name", "Invalid operand", '"ada" is none'),
        ("1 < true", "true", "Invalid operand", "not bool"),
        ("!var.n", "var.n", "Invalid operand", "not number"),
        ("1 / 0", "1 / 0", "Invalid operation", "zero"),
        ("var.name ? 1 : 2", "var.name", "Invalid condition", '"ada" is none'),
        ("true ? 1 : [2]", "true ? 1 : [2]", "Inconsistent conditional result types", "number"),
        ('"a ${var.tags}"', "var.tags", "Invalid template interpolation", "not list"),
        ('"a ${null}"', "null", "Invalid template interpolation", "null"),
        ("[for x in 3 : x]", "3", "Not a collection", "not number"),
        ('{for t in ["a", "a"] : t => 1}', "t", "Duplicate object key", '"a"'),
        ("{(null) = 1}", "(null)", "Invalid object key", "null"),
        ("uper(var.name)", "uper", "Unknown function", 'Did you mean "upper"?'),
        ('upper("a", "b")', 'upper("a", "b")', "Wrong number of arguments", "was given 2"),
        ("upper(var.tags)", "var.tags", "Invalid function argument", "not list"),
        ("upper(dataset.loans)", "dataset.loans", "Invalid function argument", "dataset.loans"),
        ("jsondecode(var.name)", "var.name", "Invalid function argument", "line 1, column 1"),
        ("max(var.n...)", "var.n", "Invalid function argument", "not number"),
        ("true && var.name", "var.name", "Invalid operand", '"ada" is none'),
        ("false && typo", "typo", "Unknown reference", "typo"),
        ("true ? 1 : typo.x", "typo", "Unknown reference", "typo"),
    ],
)
def test_error_names_place_and_values(text: str, at: str, summary: str, says: str) -> None:
    found = problem(text, SCOPE)
    assert (found.summary, marked(text, found)) == (summary, at)
    assert says in found.detail


def test_what_is_not_needed_may_fail() -> None:
    assert value("var.nothing != null && var.nothing.a", SCOPE) is False
    assert value("var.nothing == null || var.nothing.a", SCOPE) is True
    assert value("var.nothing == null ? 0 : var.nothing.a", SCOPE) == 0
    assert value("later > 1 && [][0]", SCOPE) == SOME_BOOL


def test_two_errors_are_two_problems() -> None:
    found, problems = ask("[vra, var.nmae]", SCOPE)
    assert found == [UNKNOWN, UNKNOWN]
    assert [p.summary for p in problems] == ["Unknown reference", "Unknown attribute"]


def test_a_loop_notes_an_error_once() -> None:
    found, problems = ask('[for x in ["a", "b", "3"] : x + 1]', {})
    assert found == [SOME_NUMBER, SOME_NUMBER, 4]
    assert len(problems) == 1 and '"a" is none' in problems[0].detail


def test_an_error_tried_in_vain_is_still_noted_later() -> None:
    _, problems = ask("[for i in [0, 1] : i == 0 ? try(i.a, 1) : i.a]", {})
    assert [p.summary for p in problems] == ["Unknown attribute"]


def test_numbers_have_a_largest() -> None:
    big = 'tonumber("1e99999")'
    assert problem(f"{big} * {big}").detail == "The result is too large."
    assert "too large" in problem('tonumber("1e999999")').detail
    assert value(f"{big} == {big}") is True


@pytest.mark.parametrize(
    "text",
    [
        'format("%99999999s", "a")',
        "[for i in range(9999) : i]",
        'join("", [for i in range(1000) : join(",", [for j in range(1000) : "abcdefgh"])])',
        "setproduct(range(1000), range(1000), range(1000))",
        'indent(999999999, "a\\nb")',
        'replace(join("", [for i in range(1000) : "a"]), "a", format("%2000s", "a"))',
        "pow(10, 99999)",
    ],
)
def test_a_short_text_fills_no_memory(text: str) -> None:
    found = problem(text)
    assert "more than" in found.detail or "too large" in found.detail
