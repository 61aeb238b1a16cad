"""What distributions offer is found as the standard library finds it, without loading that."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import entry_points as expected

import pytest

from mlform.keys import entry_points


@pytest.mark.parametrize("group", ["console_scripts", "mlform.providers", "pytest11", "no.such"])
def test_it_is_what_the_standard_library_finds(group):
    found = expected(group=group)
    assert entry_points(group) == sorted((e.name, e.value, e.dist.version) for e in found)


def test_a_distribution_that_comes_or_changes_is_seen(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    info = tmp_path / "toy-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.5\n")
    assert entry_points("toys") == []
    text = (
        "# toys = no\n[other]\na = other:A\n\n[toys]\n b=toys:B [extra]\n#c = toys:C\na = toys:A\n"
    )
    (info / "entry_points.txt").write_text(text)
    assert entry_points("toys") == [("a", "toys:A", "1.5"), ("b", "toys:B [extra]", "1.5")]
    assert entry_points("toy") == []


def test_one_in_an_archive_is_found(tmp_path, monkeypatch):
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("toy-1.5.dist-info/METADATA", "Name: toy\nVersion: 1.5\n")
        archive.writestr("toy-1.5.dist-info/entry_points.txt", "[toys]\na = toys:A\n")
    monkeypatch.syspath_prepend(packed)
    assert entry_points("toys") == [("a", "toys:A", "1.5")]


def test_a_command_loads_no_plugins_of_pydantic(tmp_path):
    info = tmp_path / "spy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pydantic]\nspy = spy:spy\n")
    (tmp_path / "spy.py").write_text(
        "print('loaded')\nclass Spy:\n"
        " def new_schema_validator(self, *_, **__): return None, None, None\nspy = Spy()\n"
    )
    model = (
        "from pydantic import BaseModel\nclass One(BaseModel): a: int\nprint(One(a='1').a)\n"
        "from pydantic.plugin import _loader\nprint(_loader.PYDANTIC_ENTRY_POINT_GROUP)\n"
    )
    unplug = "from mlform.cli.unplugged import unplug\nunplug()\n"
    said = [
        subprocess.run(
            [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n{text}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for text in (model, unplug + model)
    ]
    assert said == [["loaded", "1", "pydantic"], ["1", "pydantic"]]
