from __future__ import annotations

import base64
import gzip
from decimal import Decimal

import pytest
from tests.lang.asking import problem, value

from mlform.lang import SetValue, functions
from mlform.values import Value

SCOPE: dict[str, Value] = {"plan": {"as_of": "2026-01-02T03:04:05Z"}}
SETS = (SetValue(["a", "b"]), SetValue(["b", "c"]))


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
        ('regex("a(b)?(c)", "ac")', [None, "c"]),
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
        ("element([1, 2], -1)", 2),
        ("flatten([1, [2, [3]]])", [1, 2, 3]),
        ('index(["a", "b"], "b")', 1),
        ("keys({b = 1, a = 2})", ["a", "b"]),
        ("values({b = 1, a = 2})", [2, 1]),
        ('lookup({a = 1}, "b", "2")', 2),
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
        ("plantimestamp()", "2026-01-02T03:04:05Z"),
        # Hashes, networks.
        ('md5("")', "d41d8cd98f00b204e9800998ecf8427e"),
        ('base64sha256("")', "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ('uuidv5("dns", "www.example.com")', "2ed6657d-e927-568b-95e1-2665a8aea6a2"),
        ('cidrhost("10.0.0.0/8", -2)', "10.255.255.254"),
        ('cidrnetmask("10.0.0.0/12")', "255.240.0.0"),
        ('cidrsubnet("fd00::/56", 8, 5)', "fd00:0:0:5::/64"),
        ('cidrsubnets("10.0.0.0/16", 8, 4)', ["10.0.0.0/24", "10.0.16.0/20"]),
        # Types.
        ('tolist(["a", 1])', ["a", "1"]),
        ('toset(["b", "a", "b"])', ["a", "b"]),
        ('tomap({a = 1, b = "c"})', {"a": "1", "b": "c"}),
        ('tonumber("1e3")', 1000),
        ('tobool("true")', True),
        ("tostring(1.0)", "1"),
        ("tostring(null)", None),
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
        ('zipmap(["a"], [])', "1 keys and 0 values"),
        ("sum([])", "empty list"),
        ("setproduct([1])", "at least two"),
        ('csvdecode("a,b\\n1\\n")', "row 2 has 1 fields"),
        ('csvdecode("a,a\\n")', '"a" is there twice'),
        ('base64decode("?")', "no Base64"),
        ('textencodebase64("é", "ascii")', "has not"),
        ('textencodebase64("é", "nope")', "no known encoding"),
        ('formatdate("YYY", "2026-01-01T00:00:00Z")', '"YYY" is none of'),
        ('formatdate("\'x", "2026-01-01T00:00:00Z")', "not closed"),
        ('timeadd("2026-01-01T00:00:00Z", "1d")', "1h30m"),
        ('timecmp("2026-01-01T00:00:00Z", "today")', '"today" is no time'),
        ('timeadd("9999-12-31T00:00:00Z", "48h")', "9999"),
        ('cidrhost("10.0.0.0/33", 1)', "no network"),
        ('cidrhost("10.0.0.0/30", 4)', "no host 4"),
        ('cidrsubnet("10.0.0.0/30", 3, 0)', "room for 2 more"),
        ('cidrnetmask("fd00::/8")', "IPv6"),
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
    assert value('tolist(a) == ["a", "b"]', scope) is True
