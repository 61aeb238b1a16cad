"""``fmt``: files in the one layout, written whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.scenarios.command import Folder

ROUGH = "# kept\na {\nb=1 # too\n}\n"
SMOOTH = "# kept\na {\n  b = 1 # too\n}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "inner").mkdir()
    for name in ("main.mlf.hcl", "inner/more.mlf.hcl", "x.mlfvars.hcl", "other.hcl"):
        (tmp_path / name).write_text(ROUGH)
    return Folder(tmp_path)


def text(folder: Folder, name: str) -> str:
    return (folder.path / name).read_text()


def test_files_of_the_folder_are_rewritten_and_named(folder: Folder) -> None:
    (folder.path / "main.mlf.hcl").chmod(0o640)
    assert folder.mlform("fmt").out == "main.mlf.hcl\nx.mlfvars.hcl\n"
    assert text(folder, "main.mlf.hcl") == SMOOTH
    assert (folder.path / "main.mlf.hcl").stat().st_mode & 0o777 == 0o640
    assert text(folder, "inner/more.mlf.hcl") == text(folder, "other.hcl") == ROUGH
    assert folder.mlform("fmt").out == ""
    assert folder.mlform("fmt", "-recursive", "-list=false").out == ""
    assert text(folder, "inner/more.mlf.hcl") == SMOOTH
    assert not list(folder.path.rglob("*.tmp"))


def test_check_and_diff_change_nothing(folder: Folder) -> None:
    said = folder.mlform("fmt", "-check", "-diff", "main.mlf.hcl", expect=3)
    assert "-b=1 # too\n+  b = 1 # too\n" in said.out
    assert folder.mlform("fmt", "-write=false", "main.mlf.hcl").out == "main.mlf.hcl\n"
    assert text(folder, "main.mlf.hcl") == ROUGH


def test_standard_input_and_output() -> None:
    command = [sys.executable, "-m", "mlform", "fmt", "-"]
    done = subprocess.run(command, input=ROUGH, capture_output=True, text=True, check=True)
    assert done.stdout == SMOOTH


def test_what_does_not_parse_is_left_alone(folder: Folder) -> None:
    (folder.path / "main.mlf.hcl").write_text("a {\nb=\n")
    said = folder.mlform("fmt", "main.mlf.hcl", expect=1)
    assert "main.mlf.hcl:2" in said.err
    assert text(folder, "main.mlf.hcl") == "a {\nb=\n"
    assert "no file or folder" in folder.mlform("fmt", "none", expect=1).err
