"""``why`` and ``why -not`` on real data and code: down to the function, the rows, the pin."""

from __future__ import annotations

import pytest
from tests.scenarios.command import Folder

SPEC = """\
dataset "file" "d" {
  path = "d.csv"
}
dataset "file" "held" {
  path    = "held.csv"
  version = { mode = "pin" }
}
feature_view "python" "f" {
  from      = dataset.d
  transform = "features.py:build"
}
feature_view "python" "g" {
  from      = feature_view.f
  transform = "more.py:again"
}
"""
CODE = """\
def helper(frame):
    return frame


def build(frame):
    return helper(frame)
"""
MORE = "def again(frame):\n    return frame\n"
ROWS = "a,b\n1,2\n3,4\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    path = tmp_path_factory.mktemp("why")
    (path / "main.mlf.hcl").write_text(SPEC)
    (path / "features.py").write_text(CODE)
    (path / "more.py").write_text(MORE)
    (path / "d.csv").write_text(ROWS)
    (path / "held.csv").write_text(ROWS)
    it = Folder(path)
    it.apply()
    return it


def test_1_code_by_file_and_function(folder: Folder) -> None:
    doubled = "    return frame.assign(a=frame['a'] * 2)\n\n\ndef build"
    folder.edit("features.py", "    return frame\n\n\ndef build", doubled)
    assert folder.apply() == {"feature_view.f": "run", "feature_view.g": "run"}
    said = folder.mlform("why", "feature_view.g").out
    assert "└─ feature_view.f  run" in said
    assert "code changed: features.py:helper" in said


def test_2_data_by_part_and_rows(folder: Folder) -> None:
    (folder.path / "d.csv").write_text(f"{ROWS}5,6\n7,8\n")
    folder.apply()
    links = folder.mlform("why", "feature_view.g", "-json").data
    assert [link["address"] for link in links][-1] == "dataset.d"
    assert links[-1]["rows"] == [2, 4]
    said = folder.mlform("why", "feature_view.g").out
    assert "data changed: d.csv" in said
    assert "rows: 2 → 4 (+2)" in said
    assert "values changed: a, b" in said
    assert links[-1]["facets"] == ["a", "b"]


def test_3_what_is_cut_off_and_what_waits_behind_a_pin(folder: Folder) -> None:
    folder.edit("features.py", "frame['a'] * 2", "frame['a'] + frame['a']")
    assert folder.apply() == {"feature_view.f": "run"}
    answer = folder.mlform("why", "feature_view.g", "-not", "-run", "last", "-json").data
    assert answer["cause"] == "cutoff"
    assert answer["details"] == ["feature_view.f ran and gave what it had given before"]
    (folder.path / "held.csv").write_text(f"{ROWS}5,6\n")
    waits = folder.mlform("why", "-not", "dataset.held").out
    assert "its key is what it was when r-" in waits
    assert "dataset.held: held.csv changed at the source, +1 rows; pinned" in waits
    saved = folder.mlform("savings", "-json").data
    assert saved["causes"]["cutoff"]["steps"] == 1
    assert saved["runs"] == 4


def test_4_a_file_that_code_reaches_no_longer_and_one_that_it_does_now(folder: Folder) -> None:
    (folder.path / "extra.py").write_text("RATE = 1\n")
    folder.edit("more.py", "def again", "import extra\n\n\ndef again")
    assert "code newly reached: extra.py" in folder.mlform("plan").out
    folder.apply()
    folder.edit("more.py", "import extra\n\n\n", "")
    (folder.path / "extra.py").unlink()
    said = folder.mlform("plan").out
    assert "code no longer reached: extra.py" in said
    assert "code changed: extra.py" not in said
    assert "code changed: more.py:<module>" in said
    folder.apply()
    assert "code no longer reached: extra.py" in folder.mlform("why", "feature_view.g").out


def test_5_data_that_are_only_written_otherwise(folder: Folder) -> None:
    (folder.path / "d.csv").write_text('"a","b"\n1,2\n3,4\n5,6\n7,8\n')
    assert folder.apply() == {"dataset.d": "run"}
    said = folder.mlform("why", "dataset.d").out
    assert "the values are what they were: only how they are encoded has changed" in said
    assert folder.mlform("why", "dataset.d", "-json").data[0]["facets"] == []
    folder.edit("d.csv", "5,6", "5,60")
    folder.apply()
    assert "values changed: b\n" in folder.mlform("why", "dataset.d").out
