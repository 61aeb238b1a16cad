from __future__ import annotations

from pathlib import Path

import pytest
from tests.lang.asking import ask, problem, value

from mlform.lang import SetValue
from mlform.types import STRING
from mlform.values import UNKNOWN, Handle, Sensitive, Unknown, Value


@pytest.fixture
def scope(tmp_path: Path) -> dict[str, Value]:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "hunter2").mkdir()
    (tmp_path / "hello.txt").write_text("héllo\n", "utf-8")
    (tmp_path / "bytes.bin").write_bytes(b"\xff\x00")
    (tmp_path / "hello.tmpl").write_text("Hello, ${name}!", "utf-8")
    (tmp_path / "list.tmpl").write_text("%{ for x in xs ~}\n- ${x}\n%{ endfor ~}\n", "utf-8")
    (tmp_path / "loop.tmpl").write_text('${templatefile("loop.tmpl", {})}', "utf-8")
    (tmp_path / "outer.tmpl").write_text('<${templatefile("hello.tmpl", {name = n})}>', "utf-8")
    (tmp_path / "wrong.tmpl").write_text("${1 +}", "utf-8")
    (tmp_path / "fails.tmpl").write_text("a\n${x + 1}", "utf-8")
    for name in ("a.csv", "b.csv", "deep/c.csv", "deep/d.txt"):
        (tmp_path / "data" / name).write_text("", "utf-8")
    handle = Handle("dataset.d", None, "sha256:7")
    return {
        "path": {"module": ".", "root": ".", "cwd": str(tmp_path)},
        "secret": Sensitive("hunter2"),
        "secret_template": Sensitive("hunter2 ${hunter2(x)}"),
        "template": "${upper(name)} is ${n}",
        "wrap": "${n}",
        "dataset": {"d": handle},
        "later": UNKNOWN,
    }


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('file("hello.txt")', "héllo\n"),
        ('filebase64("bytes.bin")', "/wA="),
        ('fileexists("hello.txt")', True),
        ('fileexists("nope/x")', False),
        ('filemd5("data/a.csv") == md5("")', True),
        ('filebase64sha256("hello.txt") == base64sha256("héllo\\n")', True),
        ('fileset("data", "*.csv")', ["a.csv", "b.csv"]),
        ('fileset("data", "**/*.csv")', ["a.csv", "b.csv", "deep/c.csv"]),
        ('fileset("data", "{a,deep/d}.*")', ["a.csv", "deep/d.txt"]),
        ('fileset("data", "[^a].csv")', ["b.csv"]),
        ('fileset("nope", "*")', []),
        ('basename("a/b.c")', "b.c"),
        ('dirname("a/b.c")', "a"),
        ('pathexpand("a/~")', "a/~"),
        ('templatefile("hello.tmpl", {name = "Ada"})', "Hello, Ada!"),
        ('templatefile("list.tmpl", {xs = [1, 2]})', "- 1\n- 2\n"),
        ('templatefile("outer.tmpl", {n = "Ada"})', "<Hello, Ada!>"),
        ('templatefile("hello.tmpl", {name = secret})', Sensitive("Hello, hunter2!")),
        ('templatefile("hello.tmpl", {name = later})', Unknown(STRING)),
        ('templatefile("hello.tmpl", {name = dataset.d})', "Hello, sha256:7!"),
        ('templatestring(template, {name = "ada", n = 1})', "ADA is 1"),
        ("templatestring(wrap, {n = 1})", "1"),
        ("templatestring(wrap, later)", UNKNOWN),
    ],
)
def test_result(scope: dict[str, Value], text: str, wanted: Value) -> None:
    assert value(text, scope) == wanted


def test_absolute_paths(scope: dict[str, Value], tmp_path: Path) -> None:
    assert value('abspath("data/../x")', scope) == f"{tmp_path}/x"
    assert value(f'file("{tmp_path}/hello.txt")', scope) == "héllo\n"
    assert isinstance(value('fileset("data", "*")', scope), SetValue)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('file("nope.txt")', 'no file "nope.txt"'),
        ('file("data")', '"data" is a folder'),
        ('file("bytes.bin")', "filebase64"),
        ('fileexists("data")', "folder"),
        ('fileset(".", "[")', "[ is not closed"),
        ('fileset(".", "{a")', "{ is not closed"),
        ('templatefile("hello.tmpl", {})', 'uses "name" at hello.tmpl:1:10'),
        ('templatefile("hello.tmpl", {nam = 1})', 'Did you mean "nam"'),
        ('templatefile("hello.tmpl", [])', "a map or an object"),
        ("templatefile([1], later)", "string is required"),
        ('templatefile("hello.tmpl", {name = 1, "a!" = 2})', '"a!" is no name'),
        ('templatefile("loop.tmpl", {})', "never end"),
        ('templatefile("wrong.tmpl", {})', "the template is wrong at wrong.tmpl:1:"),
        ('templatefile("fails.tmpl", {x = "y"})', "at fails.tmpl:2:3: For +, a number is required"),
        ('templatestring("a", {})', "needs no function"),
        ("templatestring(wrap, {n = [1]})", "not list"),
        ("[for t in [1] : templatestring(t, {})]", "the template is a string, not number"),
    ],
)
def test_error(scope: dict[str, Value], text: str, says: str) -> None:
    assert says in problem(text, scope).detail


@pytest.mark.parametrize(
    "text",
    [
        "file(secret)",
        "templatefile(secret, {})",
        'templatefile("fails.tmpl", {x = secret})',
        'templatefile("fails.tmpl", sensitive({x = "hunter2"}))',
        'templatefile("hello.tmpl", sensitive({hunter2 = 1}))',
        "templatestring(secret_template, {x = 1})",
        'fileset(secret, "[")',
    ],
)
def test_secrets_show_in_no_error(scope: dict[str, Value], text: str) -> None:
    _, problems = ask(text, scope)
    assert problems
    assert not [p for p in problems if "hunter2" in p.detail]
