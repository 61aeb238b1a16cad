"""``audit``: the state against its journal, and what led to what serves."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.inside import Inside

SPEC = """\
variable "depth" {
  type    = number
  default = 2
}
variable "least" {
  type    = number
  default = 0.5
}
dataset "file" "d" {
  path    = "d.csv"
  key     = ["id"]
  version = { mode = "pin" }
  split   = { by = "hash", on = ["id"], seed = 1, parts = { train = 0.5, holdout = 0.5 } }
}
feature_view "python" "f" {
  from      = dataset.d
  transform = "f.py:build"
}
training_job "sklearn" "t" {
  data      = feature_view.f
  split     = "train"
  target    = "y"
  estimator = "sklearn.tree.DecisionTreeClassifier"
  params    = { max_depth = var.depth }
  seed      = 1
}
gate "evaluation" "g" {
  candidate = training_job.t.model
  baseline  = prior.model.m.champion
  data      = feature_view.f
  split     = "holdout"
  require   = { roc_auc = { min = var.least } }
}
model "registry" "m" {
  candidate = training_job.t.model
  champion  = { require = [gate.g] }
}
gate "evaluation" "serves" {
  candidate = model.m.champion
  data      = feature_view.f
  split     = "holdout"
  require   = { roc_auc = { min = 0.5 } }
}
"""


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Inside:
    """A first model became champion; a second did not pass its gate."""
    path = tmp_path_factory.mktemp("audited")
    (path / "main.mlf.hcl").write_text(SPEC)
    (path / "f.py").write_text("def build(frame):\n    return frame\n")
    dice = random.Random(1)  # noqa: S311 - no secret is made of it
    rows = [(n, x := dice.random(), int(x + dice.random() * 0.3 > 0.6)) for n in range(400)]
    (path / "d.csv").write_text("id,x,y\n" + "".join(f"{n},{x},{y}\n" for n, x, y in rows))
    folder = Inside(path)
    folder.apply()
    folder.apply("-var", "depth=1", "-var", "least=0.9999", expect=3)
    return folder


def test_what_serves_leads_to_the_run_that_made_it_and_not_to_the_last(applied: Inside) -> None:
    said = applied.mlform("audit", "gate.serves", "-json").data
    chain = {m["address"]: m for m in said["made_from"]}
    assert chain["training_job.t"]["arguments"]["params"]["max_depth"] == 2
    champion = applied.mlform("state", "show", "model.m", "-json").data["attributes"]["champion"]
    assert champion["digest"] in {a["digest"] for a in chain["training_job.t"]["artifacts"]}
    assert chain["model.m"]["attributes"]["candidate"]["digest"] == champion["digest"]
    assert chain["gate.g"]["attributes"]["passed"] is True
    assert chain["dataset.d"]["attributes"]["rows"] == 400
    assert chain["dataset.d"]["parts"]
    assert "f.py" in chain["feature_view.f"]["code"]["transform"]["files"]
    assert "scikit-learn" in chain["training_job.t"]["environment"]
    assert chain["training_job.t"]["receipt"]["by"]

    latest = applied.mlform("audit", "training_job.t", "-json").data["resource"]
    assert latest["arguments"]["params"]["max_depth"] == 1
    refused = applied.mlform("audit", "gate.g", "-json").data
    assert refused["resource"]["attributes"]["passed"] is False
    assert "model.m" not in {m["address"] for m in refused["made_from"]}


def test_a_day_is_asked_about(applied: Inside) -> None:
    entries = applied.mlform("state", "history", "training_job.t", "-json").data
    first = next(e for e in entries if e["operation"] == "done")
    then = applied.mlform("audit", "training_job.t", "-at", first["at"], "-json").data
    assert then["resource"]["arguments"]["params"]["max_depth"] == 2
    assert then["state"]["serial"] == first["serial"]
    assert then["state"]["journal"] == {"entries": first["sequence"], "sha256": first["sha256"]}
    said = applied.mlform("audit", "training_job.t", "-at", "2001-01-01", expect=1).err
    assert "was not recorded at 2001-01-01" in said
    assert "Did you mean" in applied.mlform("audit", "training_job.tt", expect=1).err


def test_people_read_each_part(applied: Inside) -> None:
    said = applied.mlform("audit", "gate.serves").out
    titles = ["Model", "Data", "Code", "Environment", "Gates", "Applied by", "Alarms since"]
    assert [t for t in said.splitlines() if t in titles] == titles
    assert "400 rows" in said
    assert 'version = { mode = "pin" }' in said
    assert "f.py: build" in said
    assert "  evidence sha256:" in said
    assert "  passed\n" in said


def unpacked(file: Path, to: Path) -> Path:
    with zipfile.ZipFile(file) as archive:
        archive.extractall(to)
    return to


def checked(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(folder / "verify.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_dossier_is_checked_without_mlform(applied: Inside, tmp_path: Path) -> None:
    out = tmp_path / "dossier.zip"
    applied.mlform("audit", "gate.serves", "-export", str(out))
    applied.mlform("audit", "gate.serves", "-export", str(tmp_path / "again.zip"))
    assert out.read_bytes() == (tmp_path / "again.zip").read_bytes()
    assert "exists" in applied.mlform("audit", "gate.serves", "-export", str(out), expect=1).err
    folder = unpacked(out, tmp_path / "whole")
    done = checked(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    head = applied.mlform("audit", "verify", "-json").data["sha256"]
    assert head in done.stdout
    assert list((folder / "artifacts").iterdir())
    assert "gate.serves" in (folder / "dossier.html").read_text()

    def altered(name: str, change: Callable[[str], str]) -> str:
        copy = tmp_path / f"altered-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(folder, copy)
        file = next((copy / "artifacts").iterdir()) if name == "artifact" else copy / name
        file.write_text(change(file.read_text()))
        if name != "artifact":  # whoever alters a file can alter the list of sums, too
            sums = json.loads((copy / "manifest.json").read_text())
            sums[name] = hashlib.sha256(file.read_bytes()).hexdigest()
            (copy / "manifest.json").write_text(json.dumps(sums))
        done = checked(copy)
        assert done.returncode == 1
        return done.stdout

    assert "is not what was exported" in altered("artifact", lambda t: t + " ")
    forged = altered("dossier.json", lambda t: t.replace('"max_depth": 2', '"max_depth": 3'))
    assert "training_job.t is not what journal entry" in forged
    assert "was altered" in altered(
        "journal.jsonl", lambda t: t.replace("max_depth", "max_breadth")
    )
    assert "does not end" in altered("journal.jsonl", lambda t: "".join(t.splitlines(True)[:-1]))


def test_verify_says_what_cannot_be_believed(applied: Inside, tmp_path: Path) -> None:
    shutil.copytree(applied.path, tmp_path / "copy")
    folder = Inside(tmp_path / "copy")
    said = folder.mlform("audit", "verify")
    assert "The state is what its journal says" in said.out
    assert folder.mlform("audit", "verify", "-json").data["valid"] is True
    with closing(sqlite3.connect(folder.path / ".mlform/state.db")) as database, database:
        database.execute("DELETE FROM journal WHERE sequence = 3")
    said = folder.mlform("audit", "verify", expect=1)
    assert "journal entry 3 is missing" in said.out
    assert "cannot be believed" in said.out
    assert folder.mlform("audit", "verify", "-json", expect=1).data["valid"] is False


def test_an_empty_folder_has_nothing_to_be_wrong(tmp_path: Path) -> None:
    (tmp_path / "main.mlf.hcl").write_text("")
    assert "Nothing was ever recorded" in Inside(tmp_path).mlform("audit", "verify").out
