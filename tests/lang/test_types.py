from __future__ import annotations

from decimal import Decimal
from functools import partial

import pytest
from tests.lang.asking import problem

from mlform.diagnostics import Diagnostics
from mlform.lang import ConversionError, SetValue, Type, convert, parse_type
from mlform.lang.conversion import type_of, unify
from mlform.syntax import parse_expression
from mlform.types import ANY, BOOL, NUMBER, STRING, Collection, ObjectType, TupleType
from mlform.values import UNKNOWN, ListValue, Null, Sensitive, Unknown, Value


def read(text: str) -> tuple[Type | None, Diagnostics]:
    diagnostics = Diagnostics()
    expr, source = parse_expression(text, "test.hcl", diagnostics)
    return parse_type(expr, source, diagnostics), diagnostics


def type_(text: str) -> Type:
    found, problems = read(text)
    assert found is not None, problems.errors
    return found


@pytest.mark.parametrize(
    ("text", "given", "wanted"),
    [
        ("string", 1, "1"),
        ("string", Decimal("1.50"), "1.5"),
        ("string", True, "true"),
        ("number", "1e2", 100),
        ("number", 0.1, Decimal("0.1")),
        ("bool", "true", True),
        ("bool", "0", False),
        ("any", [1, "a"], [1, "a"]),
        ("string", None, Null(STRING)),
        ("any", None, None),
        ("list(string)", UNKNOWN, Unknown(Collection("list", STRING))),
        ("list(string)", [1, UNKNOWN], ["1", Unknown(STRING)]),
        ("list(string)", Unknown(TupleType((NUMBER,))), [Unknown(STRING)]),
        ("set(string)", Unknown(TupleType((NUMBER,) * 2)), Unknown(Collection("set", STRING))),
        ("map(string)", Unknown(ObjectType({})), {}),
        ("object({a = any})", Null(Collection("map", NUMBER)), Null(ObjectType({"a": NUMBER}))),
        (
            "object({a = optional(list(string)), b = string})",
            Unknown(Collection("map", STRING)),
            Unknown(ObjectType({"a": Collection("list", STRING), "b": STRING})),
        ),
        ("tuple([any])", Unknown(TupleType((STRING,))), Unknown(TupleType((STRING,)))),
        ("list(any)", [1, "a"], ["1", "a"]),
        ("list(string)", SetValue(["a"]), ["a"]),
        ("set(number)", ["2", 1, 2], [1, 2]),
        ("set(string)", ["a", UNKNOWN], ["a", Unknown(STRING)]),
        ("list(string)", SetValue(["a", UNKNOWN], STRING), Unknown(Collection("list", STRING))),
        ("set(string)", [Sensitive("a")], Sensitive(["a"])),
        ("map(string)", {"a": 1}, {"a": "1"}),
        ("map(list(number))", {"a": ["1"]}, {"a": [1]}),
        ("tuple([string, number])", [1, "2"], ["1", 2]),
        ("object({a = number})", {"a": "1", "b": 2}, {"a": 1}),
        ("object({a = optional(number)})", {}, {"a": Null(NUMBER)}),
        ("object({a = optional(number, 3)})", {"a": None}, {"a": 3}),
        ("object({a = optional(string, 3), b = string})", {"b": 1}, {"a": "3", "b": "1"}),
        (
            "list(object({a = optional(object({b = optional(number, 1)}), {})}))",
            [{}, {"a": {"b": 2}}],
            [{"a": {"b": 1}}, {"a": {"b": 2}}],
        ),
        ("number", Sensitive("1"), Sensitive(1)),
        ("list(number)", [Sensitive("1")], [Sensitive(1)]),
    ],
)
def test_convert(text: str, given: Value, wanted: Value) -> None:
    found = convert(given, type_(text))
    assert found == wanted
    assert type(found) is type(wanted) or isinstance(found, list | dict)
    if not isinstance(given, Unknown | SetValue) and "any" not in text:
        wide = type_of(convert(None, type_(text)))
        assert type_of(found) == wide


@pytest.mark.parametrize(
    ("text", "given", "path", "says"),
    [
        ("number", "x", "", '"x" is none'),
        ("bool", 1, "", "not number"),
        ("number", True, "", "not bool"),
        ("string", ["a"], "", "not list"),
        ("list(string)", {"a": 1}, "", "a list is required, not object"),
        ("list(number)", [1, "x"], "[1]", '"x" is none'),
        ("map(number)", {"a b": "x"}, '["a b"]', '"x" is none'),
        ("object({a = object({b = list(number)})})", {"a": {"b": [0, {}]}}, ".a.b[1]", "object"),
        ("object({a = string, b = string})", {}, "", 'attributes "a" and "b" required'),
        ("tuple([string])", [], "", "1 element is required, not 0"),
        ("list(any)", [1, [2]], "", "same type"),
        ("list(any)", [None, [2]], "", "same type"),
        ("list(any)", [[1, "a"], [True, "b"]], "", "same type"),
        ("number", Unknown(Collection("list", STRING)), "", "not list(string)"),
        ("list(number)", Null(STRING), "", "not string"),
        ("tuple([string])", ListValue(["a"], STRING), "", "not list"),
    ],
)
def test_conversion_errors_say_where(text: str, given: Value, path: str, says: str) -> None:
    with pytest.raises(ConversionError) as caught:
        convert(given, type_(text))
    assert caught.value.path == path
    assert says in caught.value.message
    assert str(caught.value).startswith(path.removeprefix("."))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("strin", 'Did you mean "string"?'),
        ("list", None),
        ("map", None),
        ("set", "set(T)"),
        ("list(list)", "list(T)"),
        ("object", "object({name = T})"),
        ("list(string, number)", "one type"),
        ("tuple(string)", "list of types"),
        ("object([string])", "names with types"),
        ("object({a = strin})", 'Did you mean "string"?'),
        ("object({a = string, a = number})", "given twice"),
        ("object({(b) = string})", "plain word"),
        ('object({"b" = string})', "plain word"),
        ("object({a = optional()})", "takes a type"),
        ('object({a = optional(number, "x")})', "default is not of the type number"),
        ("optional(string)", "attribute of an object"),
        ("1 + 2", "1 + 2 is no type"),
    ],
)
def test_type_errors(text: str, says: str | None) -> None:
    found, problems = read(text)
    if says is None:
        assert found is not None and not problems.errors
        return
    assert found is None
    [problem] = problems.errors
    assert says in problem.detail


@pytest.mark.parametrize(
    "text", ["list(map(string))", "object({a = tuple([bool, any]), b = set(number)})"]
)
def test_types_are_shown_as_written(text: str) -> None:
    assert str(type_(text)) == text


L, S, M = (partial(Collection, name) for name in ("list", "set", "map"))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([], ANY),
        ([NUMBER, NUMBER], NUMBER),
        ([NUMBER, STRING, BOOL], STRING),
        ([NUMBER, BOOL], None),
        ([NUMBER, ANY], NUMBER),
        ([TupleType((NUMBER,)), TupleType((STRING,))], TupleType((STRING,))),
        ([TupleType((NUMBER,)), TupleType((BOOL, STRING))], L(STRING)),
        ([TupleType((NUMBER, STRING)), TupleType((BOOL, STRING))], None),
        ([TupleType((NUMBER,)), ANY], ANY),
        ([TupleType((NUMBER,)), L(STRING)], L(STRING)),
        ([TupleType((NUMBER,)), L(STRING), ANY], L(STRING)),
        ([TupleType((STRING,)), S(NUMBER)], S(NUMBER)),
        ([S(STRING), L(NUMBER)], L(NUMBER)),
        ([L(ANY), L(NUMBER)], L(NUMBER)),
        ([L(ANY), L(TupleType((NUMBER,)))], L(ANY)),
        ([ObjectType({"a": NUMBER}), ObjectType({"a": STRING})], ObjectType({"a": STRING})),
        ([ObjectType({"a": NUMBER}), ObjectType({"b": STRING})], M(STRING)),
        ([ObjectType({"a": NUMBER}), ObjectType({"a": TupleType(())})], None),
        ([ObjectType({"a": NUMBER}), M(STRING)], M(STRING)),
        ([ObjectType({}), TupleType(())], None),
    ],
)  # fmt: skip
def test_unify(given: list[Type], wanted: Type | None) -> None:
    assert unify(given) == wanted
    assert unify(reversed(given)) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("true ? {x = 1, y = [1]} : {x = 2, y = {}}", "In the first y is tuple([number]), in the"),
        ("true ? {a = 1, b = []} : {a = {}}", "Only the first has b."),
        ("true ? [1, {c = []}] : [1, {c = {}}]", "In the first [1].c is tuple([]), in the second"),
    ],
)
def test_what_makes_the_results_of_a_conditional_differ_is_named(text: str, says: str) -> None:
    assert says in problem(text).detail


def test_a_set_is_of_one_type_at_once_where_a_list_may_become_so() -> None:
    assert "same type" in problem('toset([toset([]), ["a"]])').detail
