"""``mlform test``, through the installed command, on data that are really read."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scenarios.command import Folder

SPEC = """
variable "file" {
  type = string
}
variable "least" {
  type    = number
  default = 1
  validation {
    condition     = var.least > 0
    error_message = "At least one row."
  }
}
variable "password" {
  default   = "canary"
  sensitive = true
}
dataset "file" "d" {
  path    = var.file
  version = { mode = "pin" }
  lifecycle {
    postcondition {
      condition     = self.rows >= var.least
      error_message = "Only ${self.rows} rows."
    }
  }
}
check "many" {
  assert {
    condition     = dataset.d.rows > 1
    error_message = "One row is few."
  }
}
output "rows" {
  value = dataset.d.rows
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "main.mlf.hcl").write_text(SPEC)
    (tmp_path / "one.csv").write_text("a,b\n1,2\n")
    (tmp_path / "two.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "tests").mkdir()
    return Folder(tmp_path)


def write(folder: Folder, text: str, name: str = "tests/a.mlftest.hcl") -> None:
    (folder.path / name).write_text('variables {\n  file = "two.csv"\n}\n' + text)


def run(name: str, inside: str) -> str:
    return f'run "{name}" {{\n{inside}\n}}\n'


def asserts(condition: str, message: str = '"It is not so."') -> str:
    return f"assert {{\n  condition = {condition}\n  error_message = {message}\n}}\n"


def test_runs_share_a_state_and_leave_nothing_behind(folder: Folder) -> None:
    write(
        folder,
        run("first", asserts("output.rows == 2") + asserts('dataset.d.columns.a == "int64"'))
        + run("again", "command = plan\n" + asserts("dataset.d.rows == 2"))
        + run(
            "fewer",
            'variables {\n  file = "one.csv"\n  least = run.first.rows - 1\n}\n'
            "expect_failures = [check.many]\n" + asserts("output.rows == 1 && run.first.rows == 2"),
        ),
    )
    said = folder.mlform("test")
    assert said.out.endswith("\nSuccess! 3 passed, 0 failed.\n"), said.out + said.err
    names = {p.name for p in folder.path.iterdir()}
    assert names == {"main.mlf.hcl", "one.csv", "two.csv", "tests"}


def test_a_failed_assert_shows_what_was_seen_and_the_rest_goes_on(folder: Folder) -> None:
    write(
        folder,
        run("wrong", asserts("output.rows == 3 || var.password == 1", '"Three, please."'))
        + run("right", asserts("output.rows == 2")),
    )
    said = folder.mlform("test", expect=1)
    assert 'run "wrong" ... fail' in said.out
    assert 'run "right" ... pass' in said.out
    assert said.out.endswith("Failure! 1 passed, 1 failed.\n")
    assert "on tests/a.mlftest.hcl:6:15" in said.err
    assert "Three, please." in said.err
    assert "output.rows is 2" in said.err
    assert "var.password is (sensitive value)" in said.err
    assert "canary" not in said.err


def test_what_only_apply_knows_cannot_be_asserted_of_a_plan(folder: Folder) -> None:
    write(folder, run("early", "command = plan\n" + asserts("output.rows == 2")))
    assert "known only after apply" in folder.mlform("test", expect=1).err


def test_expected_failures_must_come(folder: Folder) -> None:
    write(
        folder,
        run("refused", "command = plan\nvariables {\n least = 0\n}\nexpect_failures = [var.least]")
        + run("after", "variables {\n  least = 3\n}\nexpect_failures = [dataset.d]")
        + run("none", "expect_failures = [dataset.d]"),
    )
    said = folder.mlform("test", expect=1)
    assert 'run "refused" ... pass' in said.out
    assert 'run "after" ... pass' in said.out
    assert "dataset.d was expected to fail, and did not" in said.err


def test_an_error_skips_what_follows(folder: Folder) -> None:
    write(folder, run("lost", 'variables {\n  file = "none.csv"\n}') + run("later", ""))
    said = folder.mlform("test", expect=1)
    assert 'run "lost" ... error' in said.out
    assert 'run "later" ... skip' in said.out
    assert "none.csv names no data file" in said.err


def test_mocks_make_nothing(folder: Folder) -> None:
    mock = 'mock_provider "core" {\n  mock_resource "dataset" "file" {\n'
    mock += "    defaults = { rows = 500 }\n  }\n}\n"
    write(
        folder,
        mock
        + run("mocked", 'variables {\n  file = "none.csv"\n}\n' + asserts("output.rows == 500"))
        + run(
            "overridden",
            "override_resource {\n  target = dataset.d\n  values = { rows = 7 }\n}\n"
            'variables {\n  file = "other.csv"\n}\n' + asserts("output.rows == 7"),
        ),
    )
    assert folder.mlform("test").out.endswith("Success! 2 passed, 0 failed.\n")


def test_results_for_machines(folder: Folder) -> None:
    write(folder, run("wrong", asserts("output.rows == 3")) + run("right", ""))
    said = folder.mlform("test", "-json", "-junit-xml", "out.xml", expect=1)
    assert [(x["type"], x.get("status")) for x in said.lines] == [
        ("run", "fail"),
        ("run", "pass"),
        ("summary", None),
    ]
    assert 'tests="2" failures="1"' in (folder.path / "out.xml").read_text()


def test_one_file_can_be_chosen(folder: Folder) -> None:
    write(folder, run("a", ""))
    write(folder, run("b", asserts("false")), "b.mlftest.hcl")
    assert folder.mlform("test", "-filter", "tests/a.mlftest.hcl").code == 0
    assert folder.mlform("test", expect=1).code == 1
    assert "There is b.mlftest.hcl" in folder.mlform("test", "-filter", "c", expect=1).err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rnu {\n}\n", 'no block "rnu"'),
        (run("x", "command = destroy"), "plan or apply"),
        (run("x", "") + run("x", ""), 'a run "x"'),
        (run("x", "assert {\n  condition = true\n}\n"), "error_message"),
        (run("x", "variables {\n  files = 1\n}\n"), "no variable block declares"),
        (
            'mock_provider "core" {\n  mock_resource "dataset" {\n    defaults = {}\n  }\n}\n',
            "KIND",
        ),
    ],
)
def test_what_is_wrong_with_a_test_is_said(folder: Folder, text: str, said: str) -> None:
    write(folder, text)
    assert said in folder.mlform("test", expect=1).err


def test_no_tests_is_said(folder: Folder) -> None:
    assert "There are no tests" in folder.mlform("test").out


def test_only_conditions_can_be_expected_to_fail(folder: Folder) -> None:
    lost = 'variables {\n  file = "none.csv"\n}\nexpect_failures = [dataset.d]'
    write(folder, run("lost", lost) + run("later", ""))
    said = folder.mlform("test", expect=1)
    assert 'run "lost" ... error' in said.out
    assert 'run "later" ... skip' in said.out


def test_an_override_leaves_other_resources_real(folder: Folder) -> None:
    more = 'dataset "file" "other" {\n  path = "two.csv"\n}\n'
    (folder.path / "more.mlf.hcl").write_text(more)
    override = "override_resource {\n  target = dataset.d\n  values = { rows = 7 }\n}\n"
    condition = "dataset.d.rows == 7 && dataset.other.rows == 2"
    keyed = f'state_key = "../out"\n{asserts(condition)}'
    write(folder, override + run("both", asserts(condition)) + run("keyed", keyed))
    assert folder.mlform("test").out.endswith("Success! 2 passed, 0 failed.\n")
    assert not (folder.path.parent / "out").exists()


JSON = """{
  "variables": {"file": "two.csv"},
  "run": {
    "reads": {"assert": [{"condition": "${output.rows == 2}", "error_message": "Two."}]},
    "is_refused": {"command": "plan", "variables": {"least": 0}, "expect_failures": ["var.least"]},
    "is_wrong": {"assert": {"condition": "${output.rows == 3}", "error_message": "Three."}}
  }
}
"""


def test_files_in_json_say_the_same(folder: Folder) -> None:
    (folder.path / "tests" / "a.mlftest.json").write_text(JSON)
    said = folder.mlform("test", expect=1)
    assert 'run "is_wrong" ... fail' in said.out
    assert "2 passed, 1 failed" in said.out
    assert "output.rows is 2" in said.err


def test_an_override_of_a_block_is_for_all_instances(folder: Folder) -> None:
    (folder.path / "more.mlf.hcl").write_text(
        'dataset "file" "many" {\n  for_each = toset(["a", "b"])\n  path = "gone.csv"\n}\n'
    )
    write(
        folder,
        """
override_resource {
  target = dataset.many
  values = { rows = 7 }
}
override_resource {
  target = dataset.many["b"]
  values = { rows = 8 }
}
run "rows" {
  assert {
    condition     = dataset.many["a"].rows == 7 && dataset.many["b"].rows == 8
    error_message = "Not as given."
  }
}
""",
    )
    assert "1 passed" in folder.mlform("test").out


INNER = """
variable "path" {
  type = string
}
locals {
  gone = dataset.d.rows
}
dataset "file" "d" {
  path = var.path
}
output "rows" {
  value = local.gone
  precondition {
    condition     = dataset.d.rows > 0
    error_message = "Empty."
  }
}
output "name" {
  value = dataset.d.path
}
"""
CALL = """
module "m" {
  source = "./inner"
  path   = "nowhere.csv"
}
output "inner" {
  value = [module.m.rows, module.m.name]
}
"""


def wrongly(folder: Folder) -> str:
    said = folder.mlform("test", expect=1)
    return said.out + said.err


def test_a_module_can_be_overridden(folder: Folder) -> None:
    (folder.path / "inner").mkdir()
    (folder.path / "inner" / "main.mlf.hcl").write_text(INNER)
    (folder.path / "main.mlf.hcl").write_text(SPEC + CALL)
    given = "override_module {\n  target  = module.m\n  outputs = { rows = 7 }\n}\n"
    run = 'run "it" {\n  assert {\n    condition     = output.inner[0] == %s\n'
    run += '    error_message = "no"\n  }\n%s}\n'
    alone = "  override_module {\n    target  = module.m\n    outputs = { rows = 8 }\n  }\n"
    both = run % ("7 && output.inner[1] == null", "")
    write(folder, given + run % (7, "") + (run % (8, alone)).replace('"it"', '"other"'))
    folder.mlform("test")
    write(folder, given + both)
    folder.mlform("test")
    write(folder, run % (7, ""))
    assert "nowhere.csv" in wrongly(folder)
    for wrong, said in (
        ("target = module.m\n outputs = { rosw = 7 }", 'Did you mean "rows"?'),
        ("target = module.m\n outputs = { rows = var.x }", "refers to nothing"),
        ("target = dataset.d", "module.NAME"),
        ("outputs = {}", "target"),
    ):
        write(folder, f"override_module {{\n{wrong}\n}}\n" + run % (7, ""))
        assert said in wrongly(folder)


def test_a_test_has_providers_of_its_own(folder: Folder) -> None:
    spec = SPEC.replace(
        "  path    = var.file\n", "  path     = var.file\n  provider = core.other\n"
    )
    (folder.path / "main.mlf.hcl").write_text(spec)
    run = 'run "it" {\n  command = plan\n}\n'
    write(folder, run)
    assert "core.other" in wrongly(folder)
    write(folder, 'provider "core" {\n  alias = "other"\n}\n' + run)
    folder.mlform("test")
    wrong = 'provider "core" {\n  alias = "other"\n  nonsense = 1\n}\n'
    (folder.path / "main.mlf.hcl").write_text(wrong + spec)
    folder.mlform("test")
    write(folder, "provider {\n}\n" + run)
    assert "one label" in wrongly(folder)


def test_a_run_says_which_provider_blocks_it_takes(folder: Folder) -> None:
    spec = SPEC.replace(
        "  path    = var.file\n", "  path     = var.file\n  provider = core.other\n"
    )
    (folder.path / "main.mlf.hcl").write_text(spec)
    run = 'run "it" {\n  command   = plan\n  providers = %s\n}\n'
    blocks = 'provider "core" {}\nprovider "core" {\n  alias = "mine"\n}\n'
    write(folder, blocks + run % "{ core.other = core.mine }")
    folder.mlform("test")
    write(folder, blocks + run % "{ core = core.mine }")
    assert "core.other" in wrongly(folder), "what is not named is not there"
    write(folder, blocks + run % "{ core.other = core.main }")
    assert 'Did you mean "core.mine"?' in wrongly(folder)
    write(folder, blocks + run % '"core"')
    assert "NAME_INSIDE" in wrongly(folder)
