"""Functions that providers offer: ``provider::NAME::FUNCTION(…)``."""

from __future__ import annotations

from typing import Any

import pytest
from tests.engine.world import World

from mlform.diagnostics import DiagnosedError
from mlform.lang.provided import made
from mlform.plan import dump, parse
from mlform.values import plain


def outputs(world: World, *expressions: str) -> dict[str, Any]:
    spec = "\n".join(
        f'output "o{at}" {{\n  value = {text}\n}}' for at, text in enumerate(expressions)
    )
    world.apply(spec)
    return {n: o["value"] for n, o in world.session(spec).store.snapshot().outputs.items()}


def test_functions_take_and_give_typed_values(world: World) -> None:
    found = outputs(
        world,
        'provider::toy::slug("A b C", "-")',
        'provider::toy::slug(12, true ? "-" : null)',
        "provider::toy::total(1, [2, 3]...)",
        'provider::toy::total("4")',
        "provider::toy::largest({ a = 0.1, b = 0.25 }, null)",
        "provider::toy::largest({}, null) == null",
        'provider::toy::described({ name = "x" }, [1])',
        'keys(provider::toy::described({ name = "x", size = "3" }, null))',
        'issensitive(provider::toy::slug(sensitive("X"), "-"))',
    )
    assert list(found.values()) == [
        "a-b-c",
        "12",
        6,
        4,
        0.25,
        True,
        {"extra": "[1]", "name": "x", "size": "0"},
        ["extra", "name", "size"],
        True,
    ]


def test_a_function_waits_for_what_is_applied(world: World) -> None:
    spec = """
training_job "node" "a" {
  value = 3
}
training_job "node" "b" {
  value = provider::toy::total(training_job.a.parity, 1)
}
module "m" {
  source = "./m"
  given  = provider::toy::slug("A B", "_")
}
output "inner" {
  value = module.m.out
}
"""
    module = world.root / "m"
    module.mkdir(parents=True)
    (module / "main.mlf.hcl").write_text(
        'variable "given" {}\n'
        'output "out" {\n  value = "${provider::toy::slug(var.given, "-")}!"\n}\n'
    )
    saved = parse(dump(world.plan(spec)))
    world.apply(spec, saved=saved)
    assert world.records()["training_job.b"].arguments["value"] == 2
    assert world.session(spec).store.snapshot().outputs["inner"]["value"] == "a_b!"
    assert world.plan(spec).empty


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ('provider::toy::slug("x", "--")', 'Invalid mark: "--" is not one character'),
        ('provider::toy::slug("x")', "takes 2 arguments (text, mark), and was given 1"),
        ('provider::toy::slug(null, "-")', "a value is required, not null"),
        ("provider::toy::total(1.5)", "valid integer"),
        ('provider::toy::largest({ a = "x" }, 1)', "a number is required"),
        ("provider::toy::described({ size = 1 }, 1)", 'attribute "name" required'),
        ('provider::toy::broken("x")', "a bug in it (IndexError: string index out of range)"),
        ('provider::toy::liar("x")', "a bug in it (ValidationError"),
        ('provider::toy::slugg("x")', 'Did you mean "slug"?'),
        ('provider::tory::slug("x")', 'Did you mean "toy"?'),
    ],
)
def test_what_is_wrong_is_told(world: World, expression: str, wanted: str) -> None:
    with pytest.raises(DiagnosedError) as caught:
        world.plan(f'output "o" {{\n  value = {expression}\n}}\n')
    (problem,) = caught.value.diagnostics.errors
    assert wanted in problem.detail


def test_a_function_without_types_takes_anything() -> None:
    def same(value):  # type: ignore[no-untyped-def]
        return value

    function = made("provider::x::same", same)
    assert plain(function.apply(None, function.type_for([[1, "a"]]), [[1, "a"]])) == [1, "a"]
