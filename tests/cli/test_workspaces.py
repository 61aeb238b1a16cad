"""``mlform workspace`` and backends, as a user has them: reuse, promotion, moving, locking."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from tests.cli.inside import Inside
from tests.postgres import Server

from mlform.commands.session import Session

SPEC = """\
mlform {
  BACKEND
}
variable "url" {
  type      = string
  default   = ""
  sensitive = true
}
dataset "file" "d" {
  path = "d.csv"
}
feature_view "python" "f" {
  from      = dataset.d
  transform = "f.py:build"
}
output "where" {
  value = "${mlform.workspace}: ${dataset.d.rows}"
}
"""
CODE = """\
import pathlib
def build(frame):
    with pathlib.Path(COUNTER).open("a") as made:
        made.write("x")
    return frame
"""


def write(path: Path, backend: str = "") -> None:
    (path / "main.mlf.hcl").write_text(SPEC.replace("BACKEND", backend))


@pytest.fixture
def folder(tmp_path: Path) -> Inside:
    path = tmp_path / "spec"
    path.mkdir()
    write(path)
    (path / "f.py").write_text(CODE.replace("COUNTER", repr(str(tmp_path / "counter"))))
    (path / "d.csv").write_text("a,b\n1,x\n2,y\n")
    return Inside(path)


def ran(folder: Inside) -> int:
    counter = folder.path.parent / "counter"
    return len(counter.read_text()) if counter.exists() else 0


def names(folder: Inside) -> dict[str, bool]:
    found = json.loads(folder.mlform("workspace", "list", "-json").out)
    return {it["name"]: it["selected"] for it in found}


def test_what_one_workspace_made_another_takes(folder: Inside) -> None:
    folder.mlform("workspace", "new", "staging")
    folder.apply()
    assert ran(folder) == 1
    folder.mlform("workspace", "new", "prod")
    assert names(folder) == {"default": False, "prod": True, "staging": False}
    assert "= dataset.d" in folder.mlform("plan").out
    said = folder.mlform("apply", "-auto-approve").out
    assert "2 reused" in said and ran(folder) == 1, "promoted without computing anything"
    assert folder.mlform("output", "-raw", "where").out == "prod: 2"
    folder.mlform("plan", "-detailed-exitcode")
    folder.environment["MLFORM_WORKSPACE"] = "staging"
    assert folder.mlform("workspace", "show").out == "staging\n"
    assert folder.mlform("output", "-raw", "where").out == "staging: 2"
    assert "MLFORM_WORKSPACE" in folder.mlform("workspace", "select", "prod", expect=1).err
    del folder.environment["MLFORM_WORKSPACE"]
    (folder.path / "d.csv").write_text("a,b\n1,x\n2,y\n3,z\n")
    folder.mlform("apply", "-auto-approve")
    assert ran(folder) == 2
    folder.mlform("workspace", "select", "staging")
    assert folder.mlform("output", "-raw", "where").out == "staging: 2"
    assert "2 reused" in folder.mlform("apply", "-auto-approve").out and ran(folder) == 2
    assert folder.mlform("audit", "verify").code == 0


def test_a_workspace_goes_only_when_nothing_would_be_forgotten(folder: Inside) -> None:
    folder.mlform("workspace", "new", "try")
    folder.apply()
    assert "the workspace you are in" in folder.mlform("workspace", "delete", "try", expect=1).err
    folder.mlform("workspace", "select", "default")
    said = folder.mlform("workspace", "delete", "try", expect=1).err
    assert "is not empty" in said and "-force" in said
    folder.environment["MLFORM_WORKSPACE"] = "try"
    folder.mlform("destroy", "-auto-approve")
    del folder.environment["MLFORM_WORKSPACE"]
    folder.mlform("workspace", "delete", "try")
    assert names(folder) == {"default": True}
    assert not (folder.path / ".mlform" / "in" / "try").exists()
    assert "always there" in folder.mlform("workspace", "delete", "default", expect=1).err
    said = folder.mlform("workspace", "select", "tyr", expect=1).err
    assert "No such workspace" in said
    assert "Made" in folder.mlform("workspace", "select", "-or-create", "b").out
    assert "no name" in folder.mlform("workspace", "new", "../up", expect=1).err


def test_a_state_moves_to_a_server_and_work_goes_on(folder: Inside, postgres: Server) -> None:
    schema = f"cli_{os.getpid()}_{time.monotonic_ns()}"
    folder.apply()
    before = folder.mlform("show", "-json").data
    backend = f'backend "postgres" {{\n url = var.url\n schema = "{schema}"\n }}'
    write(folder.path, backend)
    url = postgres.url.replace("postgres@", "postgres:s3cr3t@")
    folder.environment["MLF_VAR_url"] = url
    said = folder.mlform("plan", expect=1).err
    assert "State is elsewhere" in said and "-migrate-state" in said
    said = folder.mlform("init", "-migrate-state").out
    assert "Moved 1 workspace " in said
    assert folder.mlform("show", "-json").data == before
    folder.mlform("plan", "-detailed-exitcode")
    (folder.path / "d.csv").write_text("a,b\n1,x\n2,y\n3,z\n")
    folder.apply()
    folder.mlform("audit", "verify")
    write(folder.path)
    assert "State has moved" in folder.mlform("plan", expect=1).err
    for file in folder.path.rglob("*"):
        if file.is_file():
            assert b"s3cr3t" not in file.read_bytes(), file
    said = folder.mlform("init", "-migrate-state", "-from", url, expect=1).err
    assert "Nothing to move" in said, "-from names the usual schema, which has no state"


def test_a_saved_plan_finds_its_state_without_the_spec(
    folder: Inside, tmp_path: Path, postgres: Server
) -> None:
    schema = f"saved_{os.getpid()}_{time.monotonic_ns()}"
    backend = f'backend "postgres" {{\n url = var.url\n schema = "{schema}"\n }}'
    write(folder.path, f'{backend}\nstore {{\n path = "{tmp_path / "shared"}"\n }}')
    url = postgres.url.replace("postgres@", "postgres:s3cr3t@") + "?sslpassword=s3cr3t"
    folder.environment["MLF_VAR_url"] = url
    folder.mlform("plan", "-out=p.plan")
    assert "s3cr3t" not in (folder.path / "p.plan").read_text()
    bare = Inside(tmp_path / "bare")
    bare.path.mkdir()
    for name in ("p.plan", "f.py", "d.csv"):
        (folder.path / name).rename(bare.path / name)
    bare.apply("p.plan")
    assert not (bare.path / ".mlform" / "state.db").exists()
    assert not (bare.path / ".mlform" / "store").exists()
    for name in ("f.py", "d.csv"):
        (bare.path / name).rename(folder.path / name)
    folder.mlform("plan", "-detailed-exitcode")
    assert "dataset.d" in folder.mlform("state", "list").out


def test_who_waits_is_told_for_what(folder: Inside) -> None:
    folder.apply()
    with Session(folder.path).lock("apply") as lease:
        said = folder.mlform("taint", "dataset.d", expect=4)
        assert lease.id in said.err and str(os.getpid()) in said.err
        said = folder.mlform("apply", "-auto-approve", "-json", expect=4)
        told = json.loads(said.out.splitlines()[-1])
        assert told["lock"]["id"] == lease.id and told["lock"]["operation"] == "apply"
        said = folder.mlform("taint", "-lock-timeout=0.2s", "dataset.d", expect=4)
        assert said.err.startswith("Waiting for the lock.")
        said = folder.mlform("store", "gc", "-lock-timeout=2s", expect=4)
        assert said.err.startswith("Waiting for the lock.")
        said = folder.mlform("taint", "-lock-timeout=soon", "dataset.d", expect=1)
        assert "no length of time" in said.err
        folder.mlform("force-unlock", lease.id)
    assert "unlock" in folder.mlform("state", "history").out


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ('backend "postgers" {}', ["Unknown backend", 'mean "postgres"']),
        ('backend "postgres" { path = "x" }', ['takes "url" and "schema" only']),
        ('backend "postgres" { schema = "A B" }', ["no name of a schema"]),
        ('backend "postgres" { url = dataset.d.path }', ["must be known"]),
        ('backend "postgres" { url = "postgresql://u:s3cr3t@h:p%zz/" }', ["cannot be read"]),
    ],
)
def test_a_backend_that_is_none(folder: Inside, backend: str, words: list[str]) -> None:
    write(folder.path, backend.replace("{ ", "{\n").replace(" }", "\n}"))
    said = folder.mlform("plan", expect=1).err
    assert all(word in said for word in words), said
    if "s3cr3t" not in backend:
        return
    assert "s3cr3t" not in said


def test_the_backend_settles_no_more_than_it_must(folder: Inside) -> None:
    """A state begun elsewhere on purpose, and one in another file that has one already."""
    folder.apply()
    write(folder.path, 'backend "sqlite" {\n path = "other/state.db"\n}')
    assert "State is elsewhere" in folder.mlform("plan", expect=1).err
    folder.mlform("init", "-reconfigure")
    folder.apply()
    write(folder.path)
    folder.mlform("plan", "-detailed-exitcode")
