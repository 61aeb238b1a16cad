"""Approvals end to end: keys, signatures over what a plan does, and what counts when."""

from __future__ import annotations

import getpass
import random
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.inside import Inside

SPEC = """\
variable "depth" {
  type    = number
  default = 2
}
dataset "file" "d" {
  path  = "d.csv"
  key   = ["id"]
  split = { by = "hash", on = ["id"], seed = 1, parts = { train = 0.5, holdout = 0.5 } }
}
training_job "sklearn" "t" {
  data      = dataset.d
  split     = "train"
  target    = "y"
  estimator = "sklearn.tree.DecisionTreeClassifier"
  params    = { max_depth = var.depth }
  seed      = 1
}
gate "evaluation" "g" {
  candidate = training_job.t.model
  data      = dataset.d
  split     = "holdout"
  require   = { roc_auc = { min = 0.5 } }
}
model "registry" "m" {
  candidate = training_job.t.model
  champion  = { require = [gate.g], approvals = 1, roles = ["risk"] }
}
"""
SETTINGS = """\
mlform {
  approver "anna" {
    key   = "ANNA"
    roles = ["risk"]
    users = ["anna@example.org"]
  }
  approver "bob" {
    key   = "BOB"
  }
  approver "carl" {
    key   = "CARL"
    users = ["USER"]
  }
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Inside:
    path = tmp_path_factory.mktemp("approved")
    folder = Inside(path)
    (path / "main.mlf.hcl").write_text(SPEC)
    dice = random.Random(1)  # noqa: S311 - no secret is made of it
    rows = [(n, x := dice.random(), int(x + dice.random() * 0.3 > 0.6)) for n in range(400)]
    (path / "d.csv").write_text("id,x,y\n" + "".join(f"{n},{x},{y}\n" for n, x, y in rows))
    settings = SETTINGS
    for name in ("anna", "bob", "carl", "eve"):
        said = folder.mlform("keys", "new", "-key", f"{name}.pem").out
        public = folder.mlform("keys", "show", "-key", f"{name}.pem").out.strip()
        assert f'key   = "{public}"' in said
        assert (path / f"{name}.pem").stat().st_mode & 0o077 == 0
        settings = settings.replace(name.upper(), public)
    (path / "settings.mlf.hcl").write_text(settings.replace("USER", getpass.getuser()))
    return folder


def champion(folder: Inside) -> int | None:
    shown = folder.mlform("state", "show", "model.m", "-json").data
    return shown["attributes"]["champion_version"]


def sign(folder: Inside, name: str, *more: str, expect: int = 0) -> str:
    key = ["-key", f"{name}.pem", "-auto-approve"]
    said = folder.mlform("approve", "p.plan", *key, *more, expect=expect)
    return said.out + said.err


def test_from_held_to_promoted(folder: Inside) -> None:
    said = folder.mlform("apply", "-auto-approve", expect=3).out
    assert "waits for 1 approval with the role risk" in said
    assert champion(folder) is None
    assert folder.actions() == {"model.m": "held"}
    said = folder.mlform("plan", "-out", "p.plan").out
    assert "approval" in said
    assert "-for model.m" in said

    assert "No approver of the spec has this key" in sign(folder, "eve", expect=1)
    assert "bob approved model.m." in sign(folder, "bob")
    folder.mlform("apply", "p.plan", expect=3)
    assert champion(folder) is None, "bob has not the role"
    folder.mlform("plan", "-out", "p.plan")

    sign(folder, "anna", "-expires", "2001-01-01", expect=1)
    assert "anna approved model.m until" in sign(folder, "anna", "-expires", "7d", "-comment", "ok")
    assert folder.actions() == {"model.m": "decide"}
    assert "approved by anna, bob" in folder.mlform("plan").out
    said = folder.mlform("apply", "p.plan").out
    assert "approved by anna, bob" in said
    assert "Applied: 1 decided." in said
    assert "No changes" not in said, "that plan was saved before they agreed"
    assert champion(folder) == 1
    assert folder.actions() == {}
    record = folder.mlform("state", "show", "model.m", "-json").data
    assert record["attributes"]["promotions"][0]["approved_by"] == ["anna", "bob"]
    assert {it["by"] for it in record["receipt"]["approvals"]} == {"anna", "bob"}

    listed = folder.mlform("approvals", "model.m", "-json").data
    assert [(it["by"], it["counts"], it["comment"]) for it in listed][-1] == ("anna", True, "ok")
    audited = folder.mlform("audit", "model.m", "-json").data
    assert [it["by"] for it in audited["approvals"]] == ["bob", "anna"]
    assert all(it["signature_valid"] for it in audited["approvals"])
    assert "anna" in folder.mlform("audit", "model.m").out
    assert folder.mlform("audit", "verify", "-json").data["valid"] is True


def test_another_candidate_needs_another_approval_which_may_come_before_it_is_trained(
    folder: Inside,
) -> None:
    folder.mlform("apply", "-auto-approve", "-var", "depth=3", expect=3)
    assert champion(folder) == 1
    folder.mlform("plan", "-var", "depth=4", "-out", "p.plan")
    sign(folder, "anna", "-for", "model.m")
    folder.mlform("apply", "-auto-approve", "-var", "depth=5", expect=3)
    assert champion(folder) == 1, "what was approved is another training"
    folder.mlform("apply", "-auto-approve", "-var", "depth=3", expect=3)
    folder.mlform("plan", "-var", "depth=4", "-out", "p.plan")
    sign(folder, "anna", "-for", "model.m")
    folder.mlform("apply", "p.plan")
    shown = folder.mlform("state", "show", "training_job.t", "-json").data
    assert shown["arguments"]["params"]["max_depth"] == 4
    assert champion(folder) == 4


def test_who_wrote_the_change_does_not_approve_it(folder: Inside) -> None:
    folder.mlform("apply", "-auto-approve", "-var", "depth=6", expect=3)
    folder.mlform("plan", "-var", "depth=6", "-out", "p.plan")
    sign(folder, "anna")

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=folder.path, check=True, capture_output=True)

    git("init", "-q")
    git("add", "main.mlf.hcl")
    author = ["-c", "user.name=Anna", "-c", "user.email=Anna@Example.org"]
    git(*author, "commit", "-q", "-m", "deeper")
    before = champion(folder)
    folder.mlform("apply", "p.plan", expect=3)
    assert champion(folder) == before
    listed = folder.mlform("approvals").out.splitlines()[-1]
    assert "does not count" in listed
    assert "wrote the last change" in listed
    folder.mlform("plan", "-var", "depth=6", "-out", "p.plan")
    said = sign(folder, "anna", expect=1)
    assert "Author cannot approve" in said
    assert "nobody approves their own" in said


def test_ones_own_approval_is_listed_as_counting_only_where_another_applies(folder: Inside) -> None:
    sign(folder, "carl")
    listed = folder.mlform("approvals").out.splitlines()[-1]
    assert f"does not count: it is {getpass.getuser()}'s own, unless another applies" in listed
    given = folder.mlform("approvals", "-json").data[-1]
    assert (given["by"], given["counts"]) == ("carl", False)


def test_a_forged_approval_does_not_count_and_a_chain_tells(folder: Inside) -> None:
    with closing(sqlite3.connect(folder.path / ".mlform/state.db")) as database, database:
        database.execute(
            'UPDATE journal SET detail = replace(detail, \'"by":"bob"\', \'"by":"anna"\') '
            "WHERE operation = 'approve'"
        )
    forged = [it for it in folder.mlform("approvals", "-json").data if not it["counts"]]
    assert any("not anna's" in it["why"] or "does not fit" in it["why"] for it in forged)
    folder.mlform("audit", "verify", expect=1)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ('approver "a" {}', "`key` is missing"),
        ('approver "a" {\n key = "x"\n}', "ed25519:"),
        ('approver {\n key = "x"\n}', "one name"),
        ('approver "a" {\n key = "ed25519:KEY"\n rolls = []\n}', "rolls"),
        ('approver "a" {\n key = "ed25519:KEY"\n roles = "r"\n}', "list of texts"),
        (
            'approver "a" {\n key = "ed25519:KEY"\n}\napprover "b" {\n key = "ed25519:KEY"\n}',
            "is that of approver",
        ),
    ],
)
def test_what_is_wrong_with_an_approver_is_said(tmp_path: Path, block: str, words: str) -> None:
    text = block.replace("KEY", "A" * 43 + "=")
    (tmp_path / "main.mlf.hcl").write_text(f"mlform {{\n{text}\n}}\n")
    said = Inside(tmp_path).mlform("validate", expect=1).err
    assert words in said
    assert "main.mlf.hcl:" in said
