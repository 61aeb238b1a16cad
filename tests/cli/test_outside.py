"""Exit codes of plans, and what is said of what was changed from outside."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.scenarios.command import Folder

SPEC = """
dataset "file" "d" {
  path = "d.csv"
}
"""


def test_drift_alone_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "main.mlf.hcl").write_text(SPEC)
    (tmp_path / "d.csv").write_text("a,b\n1,2\n")
    folder = Folder(tmp_path)
    folder.mlform("apply", "-auto-approve")
    folder.mlform("plan", "-drift-exitcode", "-detailed-exitcode")
    shutil.rmtree(tmp_path / ".mlform" / "store")
    folder.mlform("plan", "-drift-exitcode", expect=5)
    folder.mlform("plan", "-detailed-exitcode", expect=2)
    folder.mlform("plan", "-refresh=false", "-drift-exitcode")
    (tmp_path / "main.mlf.hcl").write_text(SPEC.replace("path", 'key  = ["a"]\n  path'))
    folder.mlform("plan", "-drift-exitcode", expect=2)
    (tmp_path / "main.mlf.hcl").write_text(SPEC)
    said = folder.mlform("apply", "-refresh-only", "-auto-approve", "-json")
    assert {line["type"] for line in said.lines} >= {"looked", "outcome"}
    assert said.ran() == {"dataset.d": "forget"}
    said = folder.mlform("plan", "-refresh-only")
    assert "What was made is as it is recorded" in said.out
