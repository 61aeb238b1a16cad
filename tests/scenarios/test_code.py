"""Code, what it reads and what it imports: what of it counts, through the installed command.

The tests of this file are one story in order: each starts where the last one ended.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.scenarios.command import Folder

SPEC = """
dataset "file" "readings" {
  path = "readings.csv"
}

feature_view "python" "features" {
  from      = dataset.readings
  transform = "features/build.py:build"
  include   = ["queries/*.sql"]
}
"""
BUILD = '''
"""Features of readings."""

from pathlib import Path

import used_library
from features import limits


def build(readings):
    limit = limits.LIMIT + int(Path("queries/least.sql").read_text())
    return readings.assign(high=readings["value"] > limit, note=used_library.NOTE)
'''
LIMITS = "LIMIT = 1\n"


def install(site: Path, name: str, version: str) -> None:
    """Put a distribution with one module into a folder of installed packages."""
    for old in site.glob(f"{name}-*.dist-info"):
        shutil.rmtree(old)
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n")
    (info / "RECORD").write_text(f"{name}/__init__.py,,\n")
    (site / name).mkdir(exist_ok=True)
    (site / name / "__init__.py").write_text("NOTE = 'read'\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    path = tmp_path_factory.mktemp("code")
    site = path / "site"
    install(site, "used_library", "1.0")
    install(site, "other_library", "1.0")
    spec = path / "spec"
    files = {
        "main.mlf.hcl": SPEC,
        "readings.csv": "value\n1\n5\n",
        "features/build.py": BUILD,
        "features/limits.py": LIMITS,
        "queries/least.sql": "2",
        "queries/notes.txt": "nothing that runs",
    }
    for name, text in files.items():
        (spec / name).parent.mkdir(parents=True, exist_ok=True)
        (spec / name).write_text(text)
    found = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return Folder(spec, {"PYTHONPATH": os.pathsep.join(found)})


def reasons(folder: Folder) -> str:
    """Return what a plan for people says."""
    return folder.mlform("plan").out


def test_1_a_file_that_code_reads_counts_if_it_is_included(folder: Folder) -> None:
    assert folder.apply() == {"dataset.readings": "run", "feature_view.features": "run"}
    (folder.path / "queries" / "notes.txt").write_text("more that does not run")
    assert folder.actions() == {}
    (folder.path / "queries" / "least.sql").write_text("3")
    assert "data changed: queries/least.sql" in reasons(folder)
    assert folder.apply() == {"feature_view.features": "run"}
    assert folder.actions() == {}


def test_2_a_constant_of_another_file_is_named(folder: Folder) -> None:
    folder.edit("features/limits.py", "LIMIT = 1", "LIMIT: int = 1  # of what is measured")
    assert folder.actions() == {}
    folder.edit("features/limits.py", "= 1", "= 2")
    assert "code changed: features/limits.py:<module>" in reasons(folder)


def test_3_a_package_counts_if_code_reaches_it(folder: Folder) -> None:
    folder.apply()
    site = folder.path.parent / "site"
    install(site, "other_library", "2.0")
    assert folder.actions() == {}
    install(site, "used_library", "1.1")
    assert "package used-library: 1.0 → 1.1" in reasons(folder)
    assert folder.apply() == {"feature_view.features": "run"}
    told = folder.mlform("why", "feature_view.features").out
    assert "package used-library: 1.0 → 1.1" in told


def test_4_what_is_locked_otherwise_is_said_and_what_runs_counts(folder: Folder) -> None:
    lock = folder.path / "requirements.txt"
    lock.write_text("used_library==2.0\nother_library==3.0\n")
    said = folder.mlform("plan")
    assert "used-library 1.1 (locked: 2.0)" in said.out + said.err
    assert "other-library" not in said.out + said.err
    assert folder.actions() == {}
    lock.write_text("used_library==1.1\n")
    said = folder.mlform("plan")
    assert "locked" not in said.out + said.err


def test_5_code_that_is_none_is_told_with_its_place(folder: Folder) -> None:
    (folder.path / "features" / "limits.py").write_text("LIMIT = 2\n\ndef broken(:\n")
    said = folder.mlform("plan", expect=1)
    assert "features/limits.py:3" in said.err
    assert "def broken(:" in said.err
    (folder.path / "features" / "limits.py").write_text("LIMIT = 2\n")
    folder.edit("main.mlf.hcl", '"queries/*.sql"', '"queries/*.txt", "queries/*.R"')
    said = folder.mlform("plan", expect=1)
    assert '"queries/*.R" names no file' in said.err
