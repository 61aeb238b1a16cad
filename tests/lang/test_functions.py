from __future__ import annotations

import base64
import gzip
from decimal import Decimal

import pytest
from tests.lang.asking import problem, value

from mlform.lang import SetValue, functions
from mlform.lang.registry import LIVE
from mlform.render.console import console, console_type
from mlform.types import BOOL, NUMBER, STRING, Collection, ObjectType, TupleType, Type
from mlform.values import UNKNOWN, Null, Sensitive, Unknown, Value

SCOPE: dict[str, Value] = {"plan": {"as_of": "2026-01-02T03:04:05Z"}}
SETS = (SetValue(["a", "b"], STRING), SetValue(["b", "c"], STRING))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # Numbers.
        ("abs(-1.5)", Decimal("1.5")),
        ("ceil(1.1)", 2),
        ("floor(-1.1)", -2),
        ("max(1, 3, 2)", 3),
        ("min([3, 1]...)", 1),
        ("pow(2, 10)", 1024),
        ("log(8, 2)", 3),
        ("signum(-2)", -1),
        ('parseint("-ff", 16)', -255),
        ('parseint("Z", 62)', 61),
        ("sum([0.1, 0.2, 0.3])", Decimal("0.6")),
        ("range(3)", [0, 1, 2]),
        ("range(1, 0)", [1]),
        ("range(0, 1, 0.5)", [0, Decimal("0.5")]),
        # Strings.
        ('upper("straße")', "STRAßE"),
        ('title("ada lovelace\'s notes")', "Ada Lovelace'S Notes"),
        ('substr("naïve", -3, 2)', "ïv"),
        ('strrev("a👍🏽b")', "b👍🏽a"),
        ('length("🇩🇪🇫🇷")', 2),
        ('trim("--a-", "-")', "a"),
        ('trimspace(" a\\n")', "a"),
        ('chomp("a\\r\\n")', "a"),
        ('indent(2, "a\\nb")', "a\n  b"),
        ('split(",", "a,b")', ["a", "b"]),
        ('split("", "ab")', ["a", "b"]),
        ('join("-", ["a", 1], [true])', "a-1-true"),
        ('replace("a.b", ".", "-")', "a-b"),
        ('replace("ab12", "/([a-z])([0-9])/", "$2$1")', "a1b2"),
        ('regex("(?P<y>[0-9]{4})-(?P<m>[0-9]+)", "on 2026-07")', {"y": "2026", "m": "07"}),
        ('regex("a(b)?(c)", "ac")', [Null(STRING), "c"]),
        ('regex("^[[:alpha:]]+$", "abc")', "abc"),
        ('regexall("[a-z]*", "ab1c")', ["ab", "c"]),
        ('regex("(?i)ADA", "ada")', "ada"),
        ('startswith("abc", "ab") && endswith("abc", "bc") && strcontains("abc", "b")', True),
        ('format("%-6s|%06.2f|%+d|%x|%q|%v", "ab", 3.14159, 5, 255, "x", [1, "a"])',
         'ab    |003.14|+5|ff|"x"|[1,"a"]'),
        ('format("%[2]s %[1]s", "a", "b")', "b a"),
        ('format("%g %g %e", 1e21, 0.00001, 1234567.5)', "1e+21 1e-05 1.234568e+06"),
        ('formatlist("%s=%d", ["a", "b"], 1)', ["a=1", "b=1"]),
        # Collections.
        ('alltrue([true, "true"])', True),
        ("anytrue([])", False),
        ("chunklist([1, 2, 3], 2)", [[1, 2], [3]]),
        ('coalesce(null, "", 2)', "2"),
        ("coalescelist([], [1])", [1]),
        ('compact(["a", "", null])', ["a"]),
        ("concat([1], [2])", [1, 2]),
        ('contains([1, 2], "2")', False),
        ("distinct([1, 2, 1.0])", [1, 2]),
        ("element([1, 2], 3)", 2),
        ("element(tolist([1, 2]), -1)", 2),
        ("flatten([1, [2, [3]]])", [1, 2, 3]),
        ('index(["a", "b"], "b")', 1),
        ("keys({b = 1, a = 2})", ["a", "b"]),
        ("values({b = 1, a = 2})", [2, 1]),
        ('lookup({a = 1}, "b", "2")', "2"),
        ('lookup(tomap({a = 1}), "b", "2")', 2),
        ('matchkeys([1, 2], ["a", "b"], ["b"])', [2]),
        ("merge({a = 1, b = 1}, null, {b = 2})", {"a": 1, "b": 2}),
        ("one([])", None),
        ("reverse([1, 2])", [2, 1]),
        ('setintersection(["a", "b"], ["b"])', ["b"]),
        ('setproduct(["a"], [1, 2])', [["a", 1], ["a", 2]]),
        ('setsubtract(["a", "b"], ["b"])', ["a"]),
        ('setunion(["b"], ["a"])', ["a", "b"]),
        ("slice([1, 2, 3], 1, 3)", [2, 3]),
        ('sort(["b", "a"])', ["a", "b"]),
        ('transpose({x = ["a", "b"], y = ["a"]})', {"a": ["x", "y"], "b": ["x"]}),
        ('zipmap(["a"], [1])', {"a": 1}),
        # Encodings.
        ('jsonencode({b = [1.50, null], a = "<é>"})', '{"a":"\\u003cé\\u003e","b":[1.5,null]}'),
        ('jsondecode("{\\"a\\": [1.10, 2e3]}")', {"a": [Decimal("1.1"), 2000]}),
        ('csvdecode("a,b\\n1,\\"x\\"\\"y\\"\\n")', [{"a": "1", "b": 'x"y'}]),
        ('base64decode(base64encode("é"))', "é"),
        ('textdecodebase64(textencodebase64("é", "UTF-16LE"), "UTF-16LE")', "é"),
        ('urlencode("a b&ü")', "a+b%26%C3%BC"),
        ('yamlencode({a = [1, {b = "x\\ny"}], c = {}, d = "é"})',
         '"a":\n- 1\n- "b": |-\n    x\n    y\n"c": {}\n"d": "é"\n'),
        # Times.
        ('formatdate("EEE, D MMM YYYY h:mm aa ZZZ", "2026-01-02T15:04:05+01:00")',
         "Fri, 2 Jan 2026 15:04 pm +0100"),
        ('timeadd("2026-01-31T23:59:59.5Z", "1h0.5s")', "2026-02-01T01:00:00Z"),
        ('timecmp("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00")', 0),
        ('timeadd("9999-12-31T23:59:59-14:00", "1s")', "10000-01-01T00:00:00-14:00"),
        ('timeadd("0001-01-01T00:00:00Z", "-10000h")', "-0001-11-11T08:00:00Z"),
        ('formatdate("YYYY/YY EEE D", "0000-02-29T00:00:00Z")', "0000/00 Tue 29"),
        ('timecmp("0000-01-01T00:00:00+14:00", "0000-01-01T00:00:00-14:00")', -1),
        ("plantimestamp()", "2026-01-02T03:04:05Z"),
        # Hashes, networks.
        ('md5("")', "d41d8cd98f00b204e9800998ecf8427e"),
        ('base64sha256("")', "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ('uuidv5("dns", "www.example.com")', "2ed6657d-e927-568b-95e1-2665a8aea6a2"),
        ('cidrhost("10.0.0.0/8", -2)', "10.255.255.254"),
        ('cidrnetmask("10.0.0.0/12")', "255.240.0.0"),
        ('cidrsubnet("fd00::/56", 8, 5)', "fd00:0:0:5::/64"),
        ('format("%x", "1e400") == format("%x", "1.0000000001e400")', False),
        ('substr(format("%x", 1e400), 124, 9)', "4bf8e0000"),
        ('substr(format("%d", -1e400), 157, 3)', "996"),
        ('format("%d", 1e200)', f"1{'0' * 200}"),
        ('cidrsubnet("10.0.0.0/16", 8, -1)', "0.0.1.0/24"),
        ('cidrsubnet("10.0.0.0/16", -1, 1)', "10.2.0.0/15"),
        ('cidrsubnets("10.0.0.0/16", 8, 4)', ["10.0.0.0/24", "10.0.16.0/20"]),
        # Types.
        ('tolist(["a", 1])', ["a", "1"]),
        ('toset(["b", "a", "b"])', ["a", "b"]),
        ('tomap({a = 1, b = "c"})', {"a": "1", "b": "c"}),
        ('tonumber("1e3")', 1000),
        ('tobool("true")', True),
        ("tostring(1.0)", "1"),
        ("tostring(null)", Null(STRING)),
        ('try(jsondecode("x"), 2)', 2),
        ('can(regex("a", "b"))', False),
        ('regex("(?i)x|ADA", "ada")', "ada"),
        ('regex("\\\\p{Lu}[[:^digit:]]", "aÉx")', "Éx"),
        ('regex("a{,2}", "a{,2}")', "a{,2}"),
    ],
)  # fmt: skip
def test_result(text: str, wanted: Value) -> None:
    assert value(text, SCOPE) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("max()", "at least one number"),
        ("log(-1, 2)", "no logarithm"),
        ('parseint("12", 1)', "2 to 62"),
        ('parseint("9", 8)', "base 8"),
        ("range(0, 5, -1)", "leads away"),
        ("range(2000)", "1,024"),
        ('regex("a(?=b)", "ab")', "look-around"),
        ('regex("(a)\\\\1", "aa")', "back-references"),
        ('regex("(", "a")', "pattern is wrong"),
        ('regex("z", "a")', "does not match"),
        ('format("%d", "x")', '"x" is none'),
        ('format("%s")', "asks for value 1"),
        ('format("a", 1)', "uses none"),
        ('format("%y", 1)', '"%y" is no verb'),
        ("slice([1], 0, 2)", "from 0 to 1"),
        ("element([], 0)", "empty list"),
        ('index(["a"], "b")', "no such element"),
        ('lookup({apple = 1}, "aple")', 'Did you mean "apple"'),
        ("one([1, 2])", "there are 2"),
        ('zipmap(["a"], [])', "not as many keys as values, but 1 and 0"),
        ("sum([])", "empty list"),
        ("setproduct([1])", "at least two"),
        ('csvdecode("a,b\\n1\\n")', "row 2 has 1 field for 2 columns"),
        ('csvdecode("a,a\\n")', '"a" is there twice'),
        ('base64decode("?")', "no Base64"),
        ('textencodebase64("é", "ascii")', "has not"),
        ('textencodebase64("é", "nope")', "no known encoding"),
        ('formatdate("YYY", "2026-01-01T00:00:00Z")', '"YYY" is none of'),
        ('formatdate("\'x", "2026-01-01T00:00:00Z")', "not closed"),
        ('timeadd("2026-01-01T00:00:00Z", "1d")', "1h30m"),
        ('timecmp("2026-01-01T00:00:00Z", "today")', '"today" is no time'),
        ('cidrhost("10.0.0.0/33", 1)', "no network"),
        ('cidrhost("10.0.0.0/30", 4)', "no host 4"),
        ('cidrsubnet("10.0.0.0/30", 3, 0)', "room for 2 more"),
        ('cidrsubnet("10.0.0.0/16", 8, 256)', "from 0 to 255, not 256"),
        ('cidrsubnet("10.0.0.0/16", 8, -256)', "from 0 to 255, not -256"),
        ('cidrsubnet("10.0.0.0/16", -17, 0)', "room for 16 more"),
        ('cidrnetmask("fd00::/8")', "IPv6"),
        ('join("x", csvdecode("a\\n"))', "elements of string are required"),
        ("true ? {x = null} : {a = 1, b = []}", "no type fits both"),
        ('uuidv5("x", "y")', "no namespace"),
        ('rsadecrypt("YQ==", "key")', "PEM"),
        ('tonumber("1_000")', '"1_000" is none'),
        ('tobool("True")', 'write "true"'),
        ("tolist([1, [2]])", "same type"),
        ("try(nothing, [][0])", 'There is no "nothing" here'),
        ("upper(null)", "not null"),
        ("list(1)", "is gone"),
    ],
)
def test_error(text: str, says: str) -> None:
    assert says in problem(text).detail


def test_compression_is_read_back() -> None:
    text = value('base64gzip("abc")')
    assert isinstance(text, str)
    assert gzip.decompress(base64.b64decode(text)) == b"abc"
    assert text == value('base64gzip("abc")')


def test_names_are_terraforms() -> None:
    names = functions()
    assert list(names) == sorted(names)
    assert {"cidrsubnets", "templatefile", "yamlencode", "issensitive"} <= set(names)
    assert value('core::upper("a")') == "A"


def test_sets_stay_sets() -> None:
    scope: dict[str, Value] = {"a": SETS[0], "b": SETS[1]}
    assert isinstance(value("setunion(a, b)", scope), SetValue)
    assert isinstance(value("setproduct(a, b)", scope), SetValue)
    assert value('a == ["a", "b"]', scope) is False
    assert value('tolist(a) == ["a", "b"]', scope) is False
    assert value('tolist(a) == tolist(["a", "b"])', scope) is True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("concat([1], [true])", "[1, true]"),
        ("concat(tolist([1]), tolist([2]))", "tolist([1, 2])"),
        ('concat(tolist([1]), tolist(["a"]))', 'tolist(["1", "a"])'),
        ("concat([true], tolist([1]))", "[true, 1]"),
        ('merge({a = 1}, {b = "x"})', '{a = 1 b = "x"}'),
        ("merge(tomap({a = 1}), tomap({b = 2}))", "tomap({a = 1 b = 2})"),
        ("merge(tomap({a = 1}), {b = true})", "{a = 1 b = true}"),
        ("concat(true ? [] : tolist([{a = 1}]), tolist([]))", "tolist([])"),
        ('[false ? tolist(["a"]) : tolist([1])]', '[tolist(["1"])]'),
        ('false ? [tolist(["a"])] : [toset([1])]', '[tolist(["1"])]'),
        ('false ? [tolist(["a"])] : [tolist([1]), []]', 'tolist([tolist(["1"]), tolist([])])'),
        ("distinct([1, 1])", "tolist([1])"),
        ("chunklist([1, 2], 1)", "tolist([tolist([1]), tolist([2])])"),
        ("flatten([[1], tolist([2])])", "[1, 2]"),
        ("reverse(toset([1, 2]))", "tolist([2, 1])"),
        ("slice(tolist([1, 2]), 0, 1)", "tolist([1])"),
        ("keys({a = 1})", '["a"]'),
        ("keys(tomap({a = 1}))", 'tolist(["a"])'),
        ("values(tomap({a = 1}))", "tolist([1])"),
        ("setunion([1], toset([2]))", "toset([1, 2])"),
        ("setproduct([1], [true])", "tolist([[1, true]])"),
        ("setproduct(toset([1]), [true])", "toset([[1, true]])"),
        ('zipmap(["a", "b"], [1, true])', "{a = 1 b = true}"),
        ('zipmap(["a"], tolist([1]))', "tomap({a = 1})"),
        ('transpose({a = ["b"]})', 'tomap({b = tolist(["a"])})'),
        ('coalesce(toset(["x"]), tolist([1]))', "tolist([1])"),
        ('coalesce([1], ["a", 2])', 'tolist(["1"])'),
        ("one([])", "null"),
        ("one(tolist([]))", "null"),
        ("one(toset([tostring(null)]))", "tostring(null)"),
        ('split(",", "a")', 'tolist(["a"])'),
        ("range(2)", "tolist([0, 1])"),
        ('regexall("a(b)", "ab")', 'tolist([["b"]])'),
        ('regex("(?P<x>a)", "a")', '{x = "a"}'),
        ('csvdecode("a\\n1\\n")', 'tolist([{a = "1"}])'),
        ('jsondecode("[1, {}]")', "[1, {}]"),
        ('join("-", toset([2, 1]))', '"1-2"'),
        ("toset([[1], [2, 3]])", "toset([tolist([1]), tolist([2, 3])])"),
        ("tolist(null)", "tolist(null) /* of dynamic */"),
        ('formatlist("%s", toset(["b", "a"]))', 'tolist(["a", "b"])'),
        ("sort([2, 10])", 'tolist(["10", "2"])'),
    ],
)  # fmt: skip
def test_results_have_types(text: str, shown: str) -> None:
    found = " ".join(console(value(text)).split())
    for open_, close in ("()", "[]", "{}"):
        found = found.replace(f"{open_} ", open_).replace(f" {close}", close)
    for name in ("a", "b", "x"):
        found = found.replace(f'"{name}" =', f"{name} =")
    assert found.replace(",]", "]") == shown


LIST = Collection("list", STRING)


@pytest.mark.parametrize(
    ("text", "given", "wanted"),
    [
        ('split(",", u)', STRING, LIST),
        ("length(u)", LIST, NUMBER),
        ("keys(u)", Collection("map", NUMBER), LIST),
        ("values(u)", Collection("map", NUMBER), Collection("list", NUMBER)),
        ("u[0]", LIST, STRING),
        ("u.a", ObjectType({"a": BOOL}), BOOL),
        ("reverse(u)", TupleType((BOOL, STRING)), TupleType((STRING, BOOL))),
        ("concat(u, tolist([1]))", LIST, LIST),
        ("merge(u, {a = 1})", ObjectType({"b": BOOL}), ObjectType({"a": NUMBER, "b": BOOL})),
        ('lookup(u, "a", "b")', Collection("map", STRING), STRING),
        ("one(u)", LIST, STRING),
        ("setproduct(u, u)", LIST, Collection("list", TupleType((STRING, STRING)))),
        ("zipmap(u, tolist([1]))", LIST, Collection("map", NUMBER)),
        ("chunklist(u, 2)", LIST, Collection("list", LIST)),
        ('regex("(?P<x>.)", u)', STRING, ObjectType({"x": STRING})),
        ("[for x in u : x]", LIST, None),
        ("u[*]", LIST, LIST),
        ("jsondecode(u)", STRING, None),
        ("indent(1.5, u)", STRING, STRING),
        ("chunklist(u, 1e30)", LIST, Collection("list", LIST)),
        ("index(u, 1)", STRING, NUMBER),
        ('tolist(toset(["a", u]))', STRING, LIST),
        ('matchkeys(tolist(["a", "b"]), tolist(["x", "y"]), tolist(["x", u]))', STRING, LIST),
    ],
)  # fmt: skip
def test_unknown_arguments_give_unknowns_of_a_type(
    text: str, given: Type, wanted: Type | None
) -> None:
    scope: dict[str, Value] = {"u": Unknown(given)}
    assert value(text, scope) == (UNKNOWN if wanted is None else Unknown(wanted))


@pytest.mark.parametrize(
    "text",
    [
        "toset(u)",
        "keys(u)",
        "length(u)",
        "concat([1], u)",
        'join(",", u)',
        "one(u)",
        "reverse(u)",
        "merge(u)",
    ],
)
def test_an_unknown_of_a_wrong_type_is_an_error(text: str) -> None:
    assert problem(text, {"u": Unknown(NUMBER)}).detail


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("range(1e9)", "1,024"),
        ('format("%1000000000d", 1)', "more than 1,000,000"),
        ('format("%.999999999f", 1)', "more than 1,000,000"),
        ("setproduct(range(1000), range(1000), range(2))", "more than 1,000,000"),
        ('join(format("%900000s", ""), ["a", "b", "c"])', "more than 1,000,000"),
        ('replace(format("%99999s", ""), "/./", "0123456789abcdef")', "more than 1,000,000"),
        ('regexall("(.)", format("%999999s", ""))', "more than 1,000,000"),
        ('formatlist("%9999s", range(1000))', "more than 1,000,000"),
        ("pow(10, 1e9)", "too large"),
        ('regex("(((a{100}){100}){100})", "a")', "pattern is wrong"),
        ('cidrsubnets("10.0.0.0/8", 33)', "from 1 to 32"),
        ("signum(1e20)", "too large"),
        ('indent(1e18, "a\\nb")', "more than 1,000,000"),
    ],
)
def test_a_short_text_makes_no_large_value(text: str, says: str) -> None:
    assert says in problem(text).detail


def test_no_pattern_takes_more_than_linear_time() -> None:
    text = "a" * 5000 + "!"
    assert value('regexall("^(a+)+$", t)', {"t": text}) == []
    assert value('replace(t, "/(a|aa)+$/", "")', {"t": text}) == text


def test_plain_marks_and_marks_inside() -> None:
    scope: dict[str, Value] = {"t": [Sensitive("a"), "b"]}
    assert value("reverse(t)", scope) == ["b", Sensitive("a")]
    assert value("sort(t)", scope) == Sensitive(["a", "b"])
    assert value("toset(t)", scope) == Sensitive(["a", "b"])
    assert console(value("t", scope)) == '[\n  (sensitive value),\n  "b",\n]'
    assert console_type(value("tolist(t)", scope)) == "list(string)"


def test_what_differs_each_time_is_told_only_where_it_may() -> None:
    assert value("uuid()") == Unknown(STRING)
    live: dict[str, Value] = {LIVE: True}
    assert value("uuid() == uuid()", live) is False
    assert value('timecmp(timestamp(), "2026-01-01T00:00:00Z") > 0', live) is True
