"""The program as people and scripts use it: options, files, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.scenarios.command import Folder

SPEC = """
variable "least" {
  type    = number
  default = 1
}
dataset "file" "d" {
  path   = "d.csv"
  expect = { rows_min = var.least }
}
output "rows" {
  value = dataset.d.rows
}
"""
SLOW = """
feature_view "python" "slow" {
  from      = dataset.d
  transform = "slow.py:build"
}
"""
SLOW_CODE = """
import select, socket


def build(frame):
    print("waiting now", flush=True)
    ours, theirs = socket.socketpair()
    select.select([ours], [], [], 250)
    return frame
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "main.mlf.hcl").write_text(SPEC)
    (tmp_path / "d.csv").write_text("a,b\n1,x\n2,y\n")
    return Folder(tmp_path)


def test_init_writes_an_example_that_runs(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert "Next: mlform plan" in folder.mlform("init").out
    assert "wrote" not in folder.mlform("init").out
    folder.mlform("fmt", "-check")
    assert folder.apply() == {
        "dataset.flowers": "run",
        "training_job.flowers": "run",
        "gate.good_enough": "run",
        "model.flowers": "create",
    }
    assert folder.actions() == {}


def test_plan_says_by_its_exit_code_whether_there_is_something_to_do(folder: Folder) -> None:
    folder.mlform("plan", "-detailed-exitcode", expect=2)
    folder.mlform("plan", expect=0)
    folder.apply()
    folder.mlform("plan", "--detailed-exitcode", expect=0)


def test_a_saved_plan_is_applied_alone_and_only_once(folder: Folder) -> None:
    folder.mlform("plan", "-out=p.json")
    assert "dataset.d" in folder.mlform("show", "p.json").out
    (folder.path / "main.mlf.hcl").unlink()
    assert folder.apply("p.json") == {"dataset.d": "run"}
    refused = folder.mlform("apply", "p.json", expect=1)
    assert "Plan is out of date" in refused.err
    assert "the state is at" in refused.err


def test_a_damaged_or_missing_plan_is_refused(folder: Folder) -> None:
    (folder.path / "p.json").write_text('{"format": 99}')
    assert "plan format 99" in folder.mlform("apply", "p.json", expect=1).err
    (folder.path / "p.json").write_text("no plan")
    assert "is not a plan" in folder.mlform("show", "p.json", expect=1).err
    assert "There is no file" in folder.mlform("apply", "q.json", expect=1).err


def test_without_anybody_to_ask_apply_wants_to_be_told(folder: Folder) -> None:
    assert "pass -auto-approve" in folder.mlform("apply", expect=1).err
    assert folder.mlform("state", "list").out.startswith("Nothing is recorded")


def test_values_come_by_option_file_and_environment(folder: Folder) -> None:
    assert (
        "rows: 2 < rows_min 9"
        in folder.mlform("apply", "-auto-approve", "-var", "least=9", expect=1).err
    )
    (folder.path / "v.mlfvars.hcl").write_text("least = 8\n")
    said = folder.mlform("apply", "-auto-approve", "-var-file", "v.mlfvars.hcl", expect=1)
    assert "rows_min 8" in said.err
    folder.environment["MLF_VAR_least"] = "7"
    assert "rows_min 7" in folder.mlform("apply", "-auto-approve", expect=1).err
    assert "is no number" in folder.mlform("plan", "-var=least=x", expect=1).err
    assert "no variable block declares" in folder.mlform("plan", "-var", "l=1", expect=1).err


def test_what_is_recorded_can_be_looked_at(folder: Folder) -> None:
    folder.apply()
    assert folder.output("rows") == "2"
    assert folder.mlform("output", "-json").data == {
        "rows": {"sensitive": False, "type": "number", "value": 2}
    }
    assert 'no output "row"' in folder.mlform("output", "row", expect=1).err
    assert "wants the NAME" in folder.mlform("output", "-raw", expect=1).err
    assert "dataset.d" in folder.mlform("state", "list").out
    assert folder.mlform("state", "list", "-json").data["serial"] == 2
    assert folder.mlform("state", "show", "-json", "dataset.d").data["attributes"]["rows"] == 2
    assert 'path    = "d.csv"' in folder.mlform("state", "show", "dataset.d").out
    assert "Did you mean" in folder.mlform("state", "show", "dataset.e", expect=1).err
    assert "is no address" in folder.mlform("state", "show", "nonsense", expect=1).err
    assert "dataset.d" in folder.mlform("show").out
    history = folder.mlform("state", "history", "-json").data
    assert [e["operation"] for e in history] == ["intent", "done", "outputs", "run"]
    assert "intent" in folder.mlform("state", "history", "dataset.d").out
    assert "not applied yet" in folder.mlform("why", "dataset.d").out
    assert folder.mlform("why", "-json", "dataset.d").data[0]["action"] == "run"


def test_the_graph_is_drawn(folder: Folder) -> None:
    assert '"dataset.d";' in folder.mlform("graph").out
    assert 'n0["dataset.d"]' in folder.mlform("graph", "-format", "mermaid").out
    assert "dot, mermaid or json" in folder.mlform("graph", "-format", "svg", expect=1).err


def test_targets_must_name_something(folder: Folder) -> None:
    assert folder.actions("-target", "dataset.d") == {"dataset.d": "run"}
    assert "There is no dataset.e" in folder.mlform("plan", "-target", "dataset.e", expect=1).err
    assert "is written KIND.NAME" in folder.mlform("plan", "-target", "dataset", expect=1).err


def test_refresh_can_be_left_out_in_both_spellings(folder: Folder) -> None:
    folder.apply()
    for path in (folder.path / ".mlform" / "store" / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.unlink()
    assert folder.actions() == {"dataset.d": "run"}
    assert folder.actions("-refresh=false") == {}
    assert folder.actions("--no-refresh") == {}
    assert folder.actions("-refresh=true") == {"dataset.d": "run"}


def test_destroy_forgets_and_says_what_it_kept(folder: Folder) -> None:
    folder.apply()
    assert "forget" in folder.mlform("plan", "-destroy").out
    said = folder.mlform("destroy", "-auto-approve").out
    assert "Kept: dataset.d: the files at d.csv are left alone" in said
    assert (folder.path / "d.csv").exists()
    assert folder.mlform("destroy", "-auto-approve").out.startswith("No changes.")


def test_fmt_rewrites_checks_and_compares(folder: Folder) -> None:
    path = folder.path / "main.mlf.hcl"
    folder.mlform("fmt")
    tidy = path.read_text()
    path.write_text(tidy.replace("  path   =", "path="))
    assert folder.mlform("fmt", "-check", expect=3).out == "main.mlf.hcl\n"
    assert '+  path   = "d.csv"' in folder.mlform("fmt", "-diff", "-write=false").out
    assert folder.mlform("fmt", str(path)).out.strip() == str(path)
    assert path.read_text() == tidy
    assert "There is no file or folder" in folder.mlform("fmt", "nowhere", expect=1).err
    path.write_text("a = [")
    assert "main.mlf.hcl:1" in folder.mlform("fmt", expect=1).err


def test_mistakes_are_told_together_for_people_and_machines(folder: Folder) -> None:
    folder.edit("main.mlf.hcl", "dataset.d.rows", "dataset.d.rowz + var.lest")
    said = folder.mlform("validate", expect=1).err
    assert 'Did you mean "rows"?' in said
    assert 'Did you mean "least"?' in said
    assert said.count("^^^") >= 2
    found = folder.mlform("validate", "-json", expect=1).lines[0]["diagnostics"]
    assert {d["range"]["start"]["line"] for d in found} == {11}


def test_version_and_an_unknown_command(folder: Folder) -> None:
    assert folder.mlform("version", "-json").data["providers"] == ["core", "sklearn"]
    assert "mlform 0." in folder.mlform("version").out
    assert "There is no `mlform aply`. Did you mean apply?" in folder.mlform("aply", expect=1).err


def test_nothing_here_is_a_spec(tmp_path: Path) -> None:
    assert "mlform init" in Folder(tmp_path).mlform("plan", expect=1).err
    assert "is not a folder" in Folder(tmp_path).mlform("plan", "-C", "gone", expect=1).err


def _started_slow(folder: Folder) -> subprocess.Popen[str]:
    (folder.path / "main.mlf.hcl").write_text(SPEC + SLOW)
    (folder.path / "slow.py").write_text(SLOW_CODE)
    process = folder.start("apply", "-auto-approve", "-json")
    assert process.stdout is not None
    for line in process.stdout:
        if "waiting now" in line:
            return process
    raise AssertionError("it never got to the slow step")


def _end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Interrupt twice: asked to stop, it says so; asked again, it ends what runs."""
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("Stopping")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return process.returncode, out


def test_a_second_apply_meets_the_lock_at_once_and_interrupting_keeps_the_state(
    folder: Folder,
) -> None:
    process = _started_slow(folder)
    refused = folder.mlform("apply", "-auto-approve", expect=4).err
    assert f"process {process.pid}" in refused
    assert "State is locked" in refused
    assert "lease" in refused

    code, out = _end(process)
    assert code == 130, out
    outcome = json.loads(out.splitlines()[-1])
    assert outcome["interrupted"] is True
    assert outcome["done"] == {"dataset.d": "run"}
    assert [r["address"] for r in folder.mlform("show", "-json").data["resources"]] == ["dataset.d"]

    (folder.path / "slow.py").write_text("def build(frame):\n    return frame\n")
    said = folder.mlform("apply", "-auto-approve").out
    assert "dataset.d: run" not in said
    assert "Applied: 1 ran." in said


def test_a_lock_can_be_taken_from_a_holder_by_name(folder: Folder) -> None:
    process = _started_slow(folder)
    refused = folder.mlform("apply", "-auto-approve", expect=4).err
    lease = refused.rpartition("force-unlock ")[2].strip()
    assert "No such lease" in folder.mlform("force-unlock", "other", expect=1).err
    assert "is broken" in folder.mlform("force-unlock", lease).out
    code, _ = _end(process)
    assert code in {1, 130}


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlform", "version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("mlform ")


def test_what_terraform_has_before_and_beside_a_command(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "main.mlf.hcl").write_text('output "a" {\n  value = path.cwd\n}\n')
    assert "0 resources" in folder.mlform("-chdir=one", "validate").out
    assert "0 resources" in folder.mlform("-chdir", "one", "validate", "-no-color").out
    assert "No such folder" in folder.mlform("-chdir=two", "validate", expect=1).err
    assert folder.mlform("-version").out == folder.mlform("version").out
    assert folder.mlform("plan", "-h").out == folder.mlform("plan", "--help").out
    said = folder.mlform("apply", "-input=false", expect=1)
    assert "There is nobody to ask" in said.err


def test_the_last_of_options_and_files_gives_a_variable_its_value(folder: Folder) -> None:
    (folder.path / "f.hcl").write_text("least = 3\n")
    option, file = ("-var", "least=2"), ("-var-file=f.hcl",)
    assert folder.mlform("plan", *file, *option).code == 0
    folder.mlform("apply", "-auto-approve", *file, *option)
    said = folder.mlform("apply", "-auto-approve", *option, *file, expect=1)
    assert "at least 3" in said.out + said.err or "rows_min" in said.out + said.err


def test_a_reader_that_went_away_is_no_error(folder: Folder) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "mlform", "plan"]
    try:
        ended = subprocess.run(
            command, cwd=folder.path, stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_a_destroy_says_that_it_was_asked_for(folder: Folder) -> None:
    folder.mlform("apply", "-auto-approve")
    said = folder.mlform("plan", "-destroy").out
    assert "asked for with destroy" in said
    assert "not declared any more" not in said
