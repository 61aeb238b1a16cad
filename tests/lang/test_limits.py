"""Short texts that would make large values, or take long: each is an error, and soon."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from tests.lang.asking import ask, problem

from mlform.values import Value

LONG = 'join("", [for i in range(1000): "aaaaaaaaaa"])'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("range(1e9)", "1,024 numbers"),
        ("range(0, 1, 1e-9)", "1,024 numbers"),
        ("range(1e400, 0)", "1,024 numbers"),
        ('format("%1000000000d", 1)', ""),
        ('format("%.999999999f", 1)', ""),
        ('formatlist("%999999s", range(1000))', ""),
        ("setproduct(range(1000), range(1000), range(1000))", "1,000,000"),
        ("pow(10, 1e9)", ""),
        ('tonumber("1e999999999")', "too large"),
        ('jsondecode("1e999999999")', ""),
        ('cidrsubnet("10.0.0.0/8", 1e9, 0)', ""),
        (f'replace({LONG}, "a", {LONG})', ""),
        (f"join({LONG}, range(1000))", "1,000,000 characters"),
        ('indent(1000000000, "a\\nb")', "1,000,000 characters"),
        ('regex("((a{100}){100}){100}", "a")', ""),
        ('file("/dev/zero")', "no regular file"),
        ('file("/proc/self/environ")', "no regular file"),
    ],
)
def test_is_refused(text: str, says: str) -> None:
    _, problems = ask(text, {"path": {"module": ".", "root": ".", "cwd": "."}})
    assert problems, text
    assert says in problems[0].detail


def test_lists_that_double() -> None:
    scope: dict[str, Value] = {"x": ["a", "b"]}
    for _ in range(19):
        scope["x"], problems = ask("[x, x]", scope)
        if problems:
            assert "1,000,000 parts" in problems[0].detail
            return
    pytest.fail("a list of a million parts is refused")


def test_lists_that_double_inside_an_expression() -> None:
    text = "[for a in [[1, 1]] : a]"
    for _ in range(30):
        text = f"[for a in [{text}] : [a, a]]"
    assert "1,000,000 parts" in problem(text).detail


def test_texts_that_double() -> None:
    scope: dict[str, Value] = {"x": "0123456789"}
    for _ in range(21):
        scope["x"], problems = ask('"${x}${x}"', scope)
        if problems:
            assert "10,000,000 characters" in problems[0].detail
            return
    pytest.fail("a text of ten million characters is refused")


def test_no_try_hides_a_limit() -> None:
    text = "try([for a in range(1000): [for b in range(1001): a]], 1)"
    assert "1,000,000 times" in problem(text).detail


def test_a_pattern_of_many_stars_is_quick(tmp_path: Path) -> None:
    (tmp_path / ("a" * 200)).write_text("")
    scope: dict[str, Value] = {"path": {"module": str(tmp_path), "root": ".", "cwd": "."}}
    found, problems = ask(f'fileset(path.module, "{"*a" * 30}b")', scope)
    assert not problems
    assert found == []


def test_far_numbers_are_quick() -> None:
    found, problems = ask("1e4000 % 3", {})
    assert not problems
    assert isinstance(found, int | Decimal)


def test_indent_takes_no_memory_where_there_is_nothing_to_indent() -> None:
    assert ask('indent(1e12, upper("a"))', {}) == ("A", [])
