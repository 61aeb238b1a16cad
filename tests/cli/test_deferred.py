"""An apply goes on with what it could not plan at first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.scenarios.command import Folder

SPEC = """
dataset "file" "first" {
  path = "first.csv"
}

dataset "file" "each" {
  count = dataset.first.rows
  path  = "first.csv"
  key   = ["a"]
}

output "rows" {
  value = dataset.each[*].rows
}
"""


def test_one_apply_does_both_rounds(tmp_path: Path) -> None:
    (tmp_path / "main.mlf.hcl").write_text(SPEC)
    (tmp_path / "first.csv").write_text("a,b\n1,2\n3,4\n")
    folder = Folder(tmp_path)
    planned = folder.mlform("plan").out
    assert "? dataset.each  deferred until dataset.first is applied" in planned
    folder.mlform("apply", "-auto-approve")
    assert folder.mlform("output").out == "rows = [2, 2]\n"
    assert "No changes" in folder.mlform("plan").out
    names = folder.mlform("state", "list").out.split()
    assert {"dataset.each[0]", "dataset.each[1]", "dataset.first"} <= set(names)
    (tmp_path / "first.csv").write_text("a,b\n1,2\n")
    said = folder.mlform("apply", "-auto-approve").out
    assert "dataset.each[1]: forgotten" in said
    assert folder.mlform("output").out == "rows = [1]\n"


def test_what_is_targeted_is_made_once_it_is_known_and_replace_leaves_out_the_rest(
    tmp_path: Path,
) -> None:
    (tmp_path / "main.mlf.hcl").write_text(SPEC + 'dataset "file" "o" {\n  path = "first.csv"\n}\n')
    (tmp_path / "first.csv").write_text("a,b\n1,2\n3,4\n")
    folder = Folder(tmp_path)
    folder.mlform("apply", "-auto-approve", "-target", "dataset.each")
    made = {"dataset.first", "dataset.each[0]", "dataset.each[1]"}
    records = folder.mlform("state", "list").out.split()
    assert made <= set(records)
    assert "dataset.o" not in records
    folder.mlform("state", "rm", "dataset.first")
    (tmp_path / "first.csv").write_text("a,b\n1,2\n3,5\n")
    asked = ("-replace", "dataset.each", "-target", "dataset.each[0]")
    done = folder.mlform("apply", "-auto-approve", *asked)
    assert "dataset.each[0]: run (asked for with -replace" in done.out
    assert "dataset.each[1]: ran" not in done.out
    assert "leaves out dataset.each[1]: -replace does nothing to it." in done.out + done.err
    refused = folder.mlform("plan", *asked, expect=1).err
    assert "-replace asks for dataset.each[1], which -target dataset.each[0] leaves out" in refused


REST = """
variable "parts" { type = set(string) }

dataset "file" "m" {
  for_each = var.parts
  path     = "${each.key}.csv"
}

dataset "file" "taken" {
  for_each = { for k, d in dataset.m : k => d if d.rows > 0 }
  path     = "${each.key}.csv"
}

dataset "file" "counted" {
  count = length([for d in dataset.taken : d if d.rows > 0])
  path  = "a.csv"
}

output "n" {
  value = length(dataset.counted)
}
"""


@pytest.mark.parametrize("left", [["b"], []])
def test_what_rests_on_an_instance_that_leaves_goes_in_the_same_apply(
    tmp_path: Path, left: list[str]
) -> None:
    (tmp_path / "main.mlf.hcl").write_text(REST)
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("a,b\n1,2\n")
    folder = Folder(tmp_path)
    folder.mlform("apply", "-auto-approve", "-var", 'parts=["a", "b"]')
    assert folder.mlform("output").out == "n = 2\n"
    now = ("-var", f"parts={json.dumps(left)}")
    gone = [f'- dataset.taken["{name}"]  forget' for name in "ab" if name not in left]
    planned = folder.mlform("plan", *now).out
    assert all(line in planned for line in gone), planned
    folder.mlform("apply", "-auto-approve", *now)
    assert folder.mlform("output").out == f"n = {len(left)}\n"
    assert folder.mlform("plan", "-detailed-exitcode", *now).code == 0
