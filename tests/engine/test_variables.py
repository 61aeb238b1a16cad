"""Where the values of variables come from, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from tests.engine.world import TARGET, World

from mlform.commands.session import Session
from mlform.config import Given
from mlform.diagnostics import DiagnosedError
from mlform.registry import Registry
from mlform.values import Sensitive, Value, plain

SPEC = """
variable "v" {
  type    = number
  default = 1
}
"""


def values(
    root: Path,
    spec: str,
    items: Sequence[tuple[str, str]] = (),
    environment: Mapping[str, str] | None = None,
) -> Mapping[str, Value]:
    (root / "main.mlf.hcl").write_text(spec)
    session = Session(root, Given(items, environment or {}), Registry({"toy": TARGET}))
    return session.configured[0].variables


def mistakes(
    root: Path,
    spec: str,
    items: Sequence[tuple[str, str]] = (),
    environment: Mapping[str, str] | None = None,
) -> list[tuple[str, str]]:
    with pytest.raises(DiagnosedError) as caught:
        values(root, spec, items, environment)
    return [(d.summary, d.detail) for d in caught.value.diagnostics]


def test_each_source_beats_those_before_it(tmp_path: Path) -> None:
    environment = {"MLF_VAR_v": "2", "MLF_VAR_unknown": "9", "OTHER": "9"}
    assert values(tmp_path, SPEC)["v"] == 1
    assert values(tmp_path, SPEC, (), environment)["v"] == 2

    (tmp_path / "mlform.mlfvars.hcl").write_text("v = 3\n")
    assert values(tmp_path, SPEC, (), environment)["v"] == 3

    (tmp_path / "b.auto.mlfvars.hcl").write_text("v = 5\n")
    (tmp_path / "a.auto.mlfvars.hcl").write_text("v = 4\n")
    assert values(tmp_path, SPEC, (), environment)["v"] == 5

    given = tmp_path / "given.hcl"
    given.write_text("v = 6\n")
    file, option = ("file", str(given)), ("var", "v=7")
    assert values(tmp_path, SPEC, [file], environment)["v"] == 6
    assert values(tmp_path, SPEC, [file, option])["v"] == 7
    assert values(tmp_path, SPEC, [option, file])["v"] == 6
    assert values(tmp_path, SPEC, [option, ("var", "v=8")])["v"] == 8


def test_an_automatic_file_may_be_given_again_to_have_the_last_word(tmp_path: Path) -> None:
    (tmp_path / "a.auto.mlfvars.hcl").write_text("v = 4\n")
    (tmp_path / "b.auto.mlfvars.hcl").write_text("v = 5\n")
    again = ("file", str(tmp_path / "a.auto.mlfvars.hcl"))
    assert values(tmp_path, SPEC, [again])["v"] == 4


@pytest.mark.parametrize(
    ("type_", "text", "wanted"),
    [
        ("string", "7", "7"),
        ("string", 'with "quotes" and ${marks}', 'with "quotes" and ${marks}'),
        ("string", "a=b", "a=b"),
        ("string", "", ""),
        ("any", "7", "7"),
        ("number", "7", 7),
        ("number", "1e3", 1000),
        ("bool", "1", True),
        ("bool", "true", True),
        ("list(number)", "[1, 2]", [1, 2]),
        ("set(string)", '["b", "a", "b"]', ["a", "b"]),
        ("map(number)", "{ a = 1 }", {"a": 1}),
        ("object({ a = number, b = optional(string) })", "{ a = 1 }", {"a": 1, "b": None}),
    ],
)
def test_text_is_read_as_the_type_says(
    tmp_path: Path, type_: str, text: str, wanted: object
) -> None:
    spec = f'variable "v" {{\n  type = {type_}\n}}\n'
    found = [
        values(tmp_path, spec, [("var", f"v={text}")])["v"],
        values(tmp_path, spec, (), {"MLF_VAR_v": text})["v"],
    ]
    for value in found:
        assert plain(value) == wanted


@pytest.mark.parametrize("text", ["many", "1 +", "[1]", '"x"', "var.v"])
def test_text_that_is_not_of_the_type_is_refused_by_its_origin(tmp_path: Path, text: str) -> None:
    [(summary, detail)] = mistakes(tmp_path, SPEC, [("var", f"v={text}")])
    assert summary == "Invalid variable value"
    assert "-var v" in detail
    assert "number" in detail

    [(_, detail)] = mistakes(tmp_path, SPEC, (), {"MLF_VAR_v": text})
    assert "The environment variable MLF_VAR_v" in detail


def test_what_no_block_declares(tmp_path: Path) -> None:
    [(summary, detail)] = mistakes(tmp_path, SPEC, [("var", "w=1")])
    assert summary == "Undeclared variable"
    assert "-var w" in detail

    [(summary, detail)] = mistakes(tmp_path, SPEC, [("var", "v")])
    assert summary == "Invalid variable option"
    assert '"v"' in detail

    (tmp_path / "mlform.mlfvars.hcl").write_text("w = 1\n")
    assert values(tmp_path, SPEC)["v"] == 1, "a file may serve several specs: only a warning"


def test_a_file_of_values_holds_only_values(tmp_path: Path) -> None:
    (tmp_path / "mlform.mlfvars.hcl").write_text("block {}\nv = 1 +\n")
    assert mistakes(tmp_path, SPEC)
    (tmp_path / "mlform.mlfvars.hcl").write_text("block {}\n")
    assert [s for s, _ in mistakes(tmp_path, SPEC)] == ["Unexpected block"]


def test_files_that_cannot_be_read_are_told_by_name(tmp_path: Path) -> None:
    [(summary, detail)] = mistakes(tmp_path, SPEC, [("file", str(tmp_path / "none.hcl"))])
    assert summary == "Unreadable file"
    assert "none.hcl" in detail

    (tmp_path / "mlform.mlfvars.hcl").write_bytes(b"v = \xff\n")
    [(summary, detail)] = mistakes(tmp_path, SPEC)
    assert (summary, "byte 4" in detail) == ("Unreadable file", True)


def test_sensitive_values_are_sealed_and_never_told(tmp_path: Path) -> None:
    spec = 'variable "s" {\n  type      = number\n  sensitive = true\n}\n'
    assert isinstance(values(tmp_path, spec, [("var", "s=7")])["s"], Sensitive)
    for text in ("hunter", "[7771]", "(7771"):
        [(summary, detail)] = mistakes(tmp_path, spec, [("var", f"s={text}")])
        assert summary == "Invalid variable value"
        assert "hunter" not in detail
        assert "7771" not in detail

    ephemeral = 'variable "s" {\n  default   = "x"\n  ephemeral = true\n}\n'
    assert isinstance(values(tmp_path, ephemeral)["s"], Sensitive)


def test_null_takes_the_default_where_null_is_not_allowed(tmp_path: Path) -> None:
    spec = 'variable "v" {\n  type     = number\n  default  = 4\n  nullable = NULLABLE\n}\n'
    (tmp_path / "mlform.mlfvars.hcl").write_text("v = null\n")
    assert plain(values(tmp_path, spec.replace("NULLABLE", "true"))["v"]) is None
    assert values(tmp_path, spec.replace("NULLABLE", "false"))["v"] == 4


def test_null_without_a_default_is_refused_where_null_is_not_allowed(tmp_path: Path) -> None:
    spec = 'variable "v" {\n  type     = number\n  nullable = false\n}\n'
    (tmp_path / "mlform.mlfvars.hcl").write_text("v = null\n")
    [(summary, detail)] = mistakes(tmp_path, spec)
    assert summary == "Invalid variable value"
    assert "null" in detail


def test_rules_see_the_value_given_and_other_variables(tmp_path: Path) -> None:
    spec = """
variable "most" {
  default = 3
}
variable "v" {
  type = number
  validation {
    condition     = var.v <= var.most
    error_message = "At most ${var.most}."
  }
}
"""
    assert values(tmp_path, spec, [("var", "v=3")])["v"] == 3
    [(summary, detail)] = mistakes(tmp_path, spec, [("var", "v=4")])
    said = 'Variable "v" is 4. At most 3.\n  var.most is 3'
    assert (summary, detail) == ("Invalid variable value", said)


def test_a_plan_shows_what_variables_made_of_it(world: World) -> None:
    spec = SPEC + 'training_job "node" "a" {\n  count = var.v\n}\n'
    assert list(world.actions(spec, v=2)) == ["training_job.a[0]", "training_job.a[1]"]


def test_files_of_values_may_be_json(tmp_path: Path) -> None:
    (tmp_path / "mlform.mlfvars.hcl").write_text("v = 2\n")
    (tmp_path / "mlform.mlfvars.json").write_text('{"v": 3}')
    assert values(tmp_path, SPEC)["v"] == 3
    (tmp_path / "a.auto.mlfvars.json").write_text('{"v": 4}')
    assert values(tmp_path, SPEC)["v"] == 4
    given = tmp_path / "more.json"
    given.write_text('{"v": 5}')
    assert values(tmp_path, SPEC, [("file", str(given))])["v"] == 5
    (tmp_path / "a.auto.mlfvars.json").write_text('{"v": ')
    assert mistakes(tmp_path, SPEC)


def test_ephemeralasnull_keeps_nothing_of_what_is_ephemeral(world: World) -> None:
    module = world.root / "m"
    module.mkdir(parents=True)
    (module / "main.mlf.hcl").write_text(
        'output "token" {\n  value     = "canary"\n  ephemeral = true\n}\n'
    )
    spec = """
variable "token" {
  default   = "canary"
  ephemeral = true
}
module "m" {
  source = "./m"
}
locals {
  both = { token = var.token, size = 3 }
  bare = ephemeralasnull(var.token)
  nothing = ephemeralasnull(local.both)
}
training_job "node" "a" {
  value = 1
  note  = "${training_job.b.parity} ${coalesce(ephemeralasnull("x${var.token}"), "nothing")}"
}
training_job "node" "b" {}
output "null" {
  value = [for v in [ephemeralasnull(var.token), local.nothing, local.bare] : v == null]
}
output "parts" {
  value = ephemeralasnull({ token = module.m.token, size = [3, var.token] })
}
output "kept" {
  value = ephemeralasnull("here")
}
"""
    world.apply(spec)
    snapshot = world.session(spec).store.snapshot()
    found = {n: o["value"] for n, o in snapshot.outputs.items()}
    assert found["null"] == [True, True, True]
    assert found["parts"] == {"token": None, "size": [3, None]}
    assert found["kept"] == "here"
    assert world.records()["training_job.a"].arguments["note"] == "0 nothing"
    assert b"canary" not in b"".join(
        p.read_bytes() for p in world.root.rglob("*") if p.is_file() and p.suffix != ".hcl"
    )
    assert world.plan(spec).empty
