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
