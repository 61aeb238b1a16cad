from __future__ import annotations

import pytest
from tests.lang.asking import ask, problem, value

from mlform.lang import SetValue
from mlform.types import BOOL, NUMBER, STRING
from mlform.values import UNKNOWN, Null, Sensitive, Unknown, Value

SECRET = "hunter2"
SCOPE: dict[str, Value] = {
    "secret": Sensitive(SECRET),
    "keys": Sensitive({"hunter2": 1, "a": 2}),
    "many": Sensitive(["hunter2", "x"]),
    "held": {"password": Sensitive(SECRET), "user": "ada"},
    "later": UNKNOWN,
    "hidden": Sensitive(UNKNOWN),
    "some": SetValue(["a"]),
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("secret", Sensitive(SECRET)),
        ('"x${secret}"', Sensitive("xhunter2")),
        ("upper(secret)", Sensitive("HUNTER2")),
        ('secret == "a"', Sensitive(False)),
        ('[secret] == ["a"]', Sensitive(False)),
        ("secret == later", Sensitive(Unknown(BOOL))),
        ("false && secret == secret", Sensitive(False)),
        ("secret == null ? 1 : 2", Sensitive(2)),
        ("true ? secret : null", Sensitive(SECRET)),
        ("[secret, 1]", [Sensitive(SECRET), 1]),
        ("{(secret) = 1}", Sensitive({SECRET: 1})),
        ("keys.a", Sensitive(2)),
        ("many[0]", Sensitive(SECRET)),
        ("many[*]", Sensitive([SECRET, "x"])),
        ("[for m in many : upper(m)]", Sensitive(["HUNTER2", "X"])),
        ("[1, 2][length(secret) - 7]", Sensitive(1)),
        ("held.user", "ada"),
        ("length(held)", 2),
        ("length(many)", Sensitive(2)),
        ("length([secret])", 1),
        ("keys(held)", ["password", "user"]),
        ("values(held)", [Sensitive(SECRET), "ada"]),
        ("jsonencode(held)", Sensitive('{"password":"hunter2","user":"ada"}')),
        ("merge(held, {user = 1})", {"password": Sensitive(SECRET), "user": 1}),
        ("merge(sensitive(null), {user = 1})", {"user": 1}),
        ("merge(sensitive({a = 1}), {user = 1})", Sensitive({"a": 1, "user": 1})),
        ('concat(["a"], many)', Sensitive(["a", SECRET, "x"])),
        ("concat([1], [secret])", [1, Sensitive(SECRET)]),
        ("flatten([1, [secret]])", [1, Sensitive(SECRET)]),
        ("flatten([1, many])", Sensitive([1, SECRET, "x"])),
        ("toset([secret])", Sensitive([SECRET])),
        ("toset([sensitive(null), 1])", [1, Null(NUMBER)]),
        ('lookup(held, "user", secret)', "ada"),
        ('lookup(held, ["user", secret]...)', "ada"),
        ('lookup(held, "nobody", secret)', Sensitive(SECRET)),
        ('lookup(held, sensitive("user"), secret)', Sensitive("ada")),
        ("hidden", Sensitive(UNKNOWN)),
        ("upper(hidden)", Sensitive(Unknown(STRING))),
        ('join("-", many)', Sensitive("hunter2-x")),
        ("nonsensitive(secret)", SECRET),
        ("nonsensitive(1)", 1),
        ("issensitive(secret)", True),
        ("issensitive(held)", False),
        ("issensitive(later)", Unknown(BOOL)),
        ('sensitive("a")', Sensitive("a")),
        ("ephemeralasnull(secret)", Sensitive(SECRET)),
        ('try(secret, "x")', Sensitive(SECRET)),
        ("can(secret.a)", False),
    ],
)
def test_marks_follow_values(text: str, wanted: Value) -> None:
    assert value(text, SCOPE) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "1 + secret",
        "-secret",
        "secret ? 1 : 2",
        "[1, 2][secret]",
        "many.hunter3",
        "keys.hunter3",
        "keys[secret].b",
        "tonumber(secret)",
        "jsondecode(secret)",
        'regex(secret, "a")',
        'regex("[", secret)',
        "file(secret)",
        "[for m in many : tonumber(m)]",
        "[for k, v in keys : tonumber(k)]",
        "{for k, v in {a = secret, b = secret} : v => 1}",
        "many[*].a",
        "tonumber(many[0])",
        'format("%d", secret)',
        'index(many, "z")',
        'lookup(keys, "hunter3")',
        "parseint(secret, 10)",
        "cidrhost(secret, 1)",
        "formatdate(secret, secret)",
        "templatestring(secret.a, {})",
        "try(tonumber(secret))",
        "pow(secret, 2)",
        "1 < secret",
        "[secret][5][secret]",
        "timeadd(secret, secret)",
        "uuidv5(secret, secret)",
        "textencodebase64(secret, secret)",
        'csvdecode("a,a\\n${secret}")',
    ],
)
def test_errors_never_show_what_is_sensitive(text: str) -> None:
    _, problems = ask(text, SCOPE)
    assert problems
    assert not [p for p in problems if "hunter" in p.summary + p.detail.replace("hunter3", "")]


def test_a_hidden_error_still_says_where() -> None:
    found = problem("1 + secret", SCOPE)
    assert found.subject is not None and found.subject.column == 5
    assert "sensitive" in found.detail
