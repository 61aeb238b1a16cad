"""An apply goes on with what it could not plan at first."""

from __future__ import annotations

from pathlib import Path

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
