"""What scripts rely on: exit codes, JSON, standard input, spellings, and damaged files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.scenarios.command import Folder, Said

SPEC = """\
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
output "key" {
  value     = "hush hush"
  sensitive = true
}
output "all" {
  value = [dataset.d.rows]
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "main.mlf.hcl").write_text(SPEC)
    (tmp_path / "d.csv").write_text("a,b\n1,x\n2,y\n")
    return Folder(tmp_path)


def piped(folder: Folder, text: str, *arguments: str) -> Said:
    command = [str(Path(sys.executable).with_name("mlform")), *arguments]
    done = subprocess.run(
        command, cwd=folder.path, input=text, capture_output=True, text=True, check=False
    )
    return Said(done.returncode, done.stdout, done.stderr)


def test_fmt_reads_standard_input_and_writes_standard_output(folder: Folder) -> None:
    said = piped(folder, 'output "o" {\nvalue=1\n}\n', "fmt", "-")
    assert (said.code, said.out) == (0, 'output "o" {\n  value = 1\n}\n')
    broken = piped(folder, "output {", "fmt", "-")
    assert broken.code == 1
    assert "<stdin>:1" in broken.err
    assert broken.out == ""
    assert (folder.path / "main.mlf.hcl").read_text() == SPEC


def test_fmt_check_of_standard_input_answers_by_its_exit_code(folder: Folder) -> None:
    assert piped(folder, 'output "o" {\nvalue=1\n}\n', "fmt", "-check", "-").code == 3
    assert piped(folder, 'output "o" {\n  value = 1\n}\n', "fmt", "-check", "-").code == 0


def test_fmt_goes_into_folders_only_if_asked(folder: Folder) -> None:
    inner = folder.path / "inner"
    inner.mkdir()
    (inner / "values.mlfvars.hcl").write_text("a=1\n")
    folder.mlform("fmt", "-check")
    assert "values" in folder.mlform("fmt", "-check", "-recursive", expect=3).out
    (inner / "values.mlfvars.hcl").write_bytes(b"\xff")
    assert "not UTF-8" in folder.mlform("fmt", "inner", expect=1).err


def test_validate_says_so_to_people_and_machines_and_leaves_no_state(folder: Folder) -> None:
    assert "The spec is valid: 1 resource." in folder.mlform("validate").out
    assert folder.mlform("validate", "-json").data["diagnostics"] == []
    assert not (folder.path / ".mlform").exists()


def test_one_dash_and_two_are_the_same(folder: Folder) -> None:
    for dash in ("-", "--"):
        folder.mlform("plan", f"{dash}detailed-exitcode", f"{dash}var", "least=2", expect=2)
        folder.mlform("plan", f"{dash}detailed-exitcode", f"{dash}var=least=2", expect=2)
        assert folder.mlform("plan", f"{dash}json=true").data["steps"]
        assert "Plan:" in folder.mlform("plan", f"{dash}json=false").out
        assert "Usage" in folder.mlform("plan", f"{dash}help").out


def test_variables_may_hold_dashes_and_equals(folder: Folder) -> None:
    folder.edit("main.mlf.hcl", "type    = number\n  default = 1", 'default = ""')
    folder.edit("main.mlf.hcl", "rows_min = var.least", "rows_min = length(var.least)")
    said = folder.mlform("plan", "-var", "least=-json=true", "-json").data
    assert said["steps"][0]["after"]["expect"]["rows_min"] == len("-json=true")


def test_plan_exit_codes(folder: Folder) -> None:
    folder.mlform("plan", "-detailed-exitcode", expect=2)
    folder.mlform("plan", expect=0)
    folder.apply()
    folder.mlform("plan", "-detailed-exitcode", expect=0)
    folder.mlform("plan", "-detailed-exitcode", "-var", "least=x", expect=1)


def test_a_saved_plan_is_shown_as_it_was_planned(folder: Folder) -> None:
    planned = folder.mlform("plan", "-out", "p.json").out
    assert planned.startswith(folder.mlform("show", "p.json").out)
    shown = folder.mlform("show", "-json", "p.json").data
    assert shown["steps"] == folder.mlform("plan", "-json").data["steps"]
    assert [s["address"] for s in shown["steps"]] == [
        s["address"] for s in json.loads((folder.path / "p.json").read_text())["steps"]
    ]
    assert "There is no file nowhere" in folder.mlform("show", "nowhere", expect=1).err


def test_a_saved_plan_is_refused_once_the_state_moved(folder: Folder) -> None:
    folder.mlform("plan", "-out", "p.json")
    folder.apply()
    serial = folder.mlform("show", "-json").data["serial"]
    assert "Plan is out of date" in folder.mlform("apply", "p.json", expect=1).err
    assert folder.mlform("show", "-json").data["serial"] == serial


def test_apply_cannot_be_approved_by_a_pipe(folder: Folder) -> None:
    said = piped(folder, "yes\n", "apply")
    assert said.code == 1
    assert "-auto-approve" in said.err
    assert piped(folder, "yes\n", "destroy", "-json").code == 0, "nothing to destroy, none asked"
    assert folder.mlform("state", "list").out == "Nothing is recorded.\n"
    assert "Nothing is recorded" in folder.mlform("show").out
    assert "journal is empty" in folder.mlform("state", "history").out


def test_outputs(folder: Folder) -> None:
    assert "No outputs" in folder.mlform("output").out
    folder.apply()
    assert folder.mlform("output", "-raw", "rows").out == "2"
    assert folder.mlform("output", "-json", "rows").data == 2
    assert folder.mlform("output", "-json", "all").data == [2]
    assert folder.mlform("output", "rows").out == "rows = 2\n"
    assert folder.mlform("output", "-json").data == {
        "all": {"sensitive": False, "type": ["tuple", ["number"]], "value": [2]},
        "key": {"sensitive": True, "type": "dynamic", "value": None},
        "rows": {"sensitive": False, "type": "number", "value": 2},
    }
    assert "-raw" in folder.mlform("output", "-raw", "all", expect=1).err
    unknown = folder.mlform("output", "-json", "rosw", expect=1)
    assert 'Did you mean "rows"?' in unknown.lines[0]["diagnostics"][0]["detail"]
    for arguments in (["output"], ["output", "-json"], ["show", "-json"], ["plan", "-json"]):
        assert "hush" not in folder.mlform(*arguments).out
    folder.mlform("output", "-raw", "key", expect=1)


def test_history_wants_an_address(folder: Folder) -> None:
    folder.apply()
    said = folder.mlform("state", "history", "not an address", expect=1)
    assert "is no address" in said.err


def test_a_state_that_cannot_be_read_is_told_and_kept(folder: Folder) -> None:
    folder.apply()
    state = folder.path / ".mlform" / "state.db"
    damaged = b"this is no database" * 400
    state.write_bytes(damaged)
    for command in (["show"], ["plan"], ["apply", "-auto-approve"], ["state", "list"]):
        said = folder.mlform(*command, expect=1)
        assert "state" in said.err.lower()
        assert "Internal error" not in said.err
    assert state.read_bytes() == damaged


def test_the_state_lies_where_the_spec_says(folder: Folder) -> None:
    path = folder.path / "main.mlf.hcl"
    path.write_text(SPEC + 'mlform {\n  backend "sqlite" {\n    path = "kept/here.db"\n  }\n}\n')
    folder.apply()
    assert (folder.path / "kept" / "here.db").is_file()
    assert folder.actions() == {}


def test_commands_work_from_another_folder(folder: Folder) -> None:
    outside = Folder(folder.path.parent)
    assert outside.mlform("plan", f"-chdir={folder.path}", "-detailed-exitcode", expect=2).out


def test_init_in_a_folder_with_a_spec_writes_only_what_is_missing(folder: Folder) -> None:
    (folder.path / ".gitignore").write_text("data")
    assert folder.mlform("init").out.startswith("wrote .gitignore\nReady. Providers: core.")
    assert (folder.path / ".gitignore").read_text() == "data\n.mlform/\n"
    assert (folder.path / "main.mlf.hcl").read_text() == SPEC


def test_init_without_example_in_an_empty_folder(tmp_path: Path) -> None:
    said = Folder(tmp_path).mlform("init", "-no-example", expect=1)
    assert "mlform init" in said.err


def test_errors_of_the_system_are_named_with_their_file(folder: Folder) -> None:
    said = folder.mlform("plan", "-out", "no/such/folder/p.json", expect=1)
    assert "p.json" in said.err
    assert "Internal error" not in said.err


def test_unknown_commands_and_options(folder: Folder) -> None:
    folder.mlform("aply", expect=1)
    assert "-target" in folder.mlform("plan", "-taget", "x", expect=1).err
    folder.mlform("state", "lst", expect=1)
    folder.mlform("apply", "-parallelism", "0", expect=1)


def test_monitors_and_pins_where_there_are_none(folder: Folder) -> None:
    folder.apply()
    assert "No monitor is applied yet" in folder.mlform("monitor", "run", expect=1).err
    assert "There were no alarms" in folder.mlform("monitor", "alarms").out
    assert folder.mlform("monitor", "alarms", "-json").data == []
    assert "Nothing to move" in folder.mlform("update").out
    assert "No alarm waits" in folder.mlform("reapply").out


def test_colour_only_where_it_is_wanted(folder: Folder) -> None:
    assert "\x1b[" not in folder.mlform("plan").out
    folder.environment["FORCE_COLOR"] = "1"
    assert "\x1b[" in folder.mlform("plan").out
    folder.environment["NO_COLOR"] = "1"
    assert "\x1b[" not in folder.mlform("plan").out


def test_what_planning_warns_of_is_told_to_machines_too(folder: Folder) -> None:
    doubt = 'check "size" {\n  assert {\n    condition     = var.least > 5\n'
    doubt += '    error_message = "Hardly any rows are asked for."\n  }\n}\n'
    (folder.path / "main.mlf.hcl").write_text(SPEC + doubt)
    contract = {name: _schema(name) for name in ("plan", "events")}
    made = json.loads(folder.mlform("plan", "-json").out)
    contract["plan"].validate(made)
    assert [(d["severity"], d["address"]) for d in made["diagnostics"]] == [
        ("warning", "check.size")
    ]
    assert made["diagnostics"][0]["range"]["file"] == "main.mlf.hcl"
    lines = folder.mlform("apply", "-auto-approve", "-json").out.splitlines()
    told = [json.loads(line) for line in lines]
    for line in told:
        contract["events"].validate(line)
    warned = [line for line in told if line["type"] == "diagnostics"]
    assert [d["detail"] for w in warned for d in w["diagnostics"]] == [
        made["diagnostics"][0]["detail"]
    ]
    assert all(line["valid"] for line in warned)
    # The exit code that means changes takes nothing away from what a person reads.
    (folder.path / "d.csv").write_text("a,b\n1,x\n")
    assert "Hardly any rows" in folder.mlform("plan", "-detailed-exitcode", expect=2).err


def _schema(name: str) -> Draft202012Validator:
    text = (Path(__file__).parents[2] / "schema" / f"{name}.schema.json").read_text("utf-8")
    return Draft202012Validator(json.loads(text))


def test_what_was_cut_off_is_told_of_until_it_is_dealt_with(folder: Folder) -> None:
    folder.apply()
    main = folder.path / "main.mlf.hcl"
    main.write_text(SPEC + 'dataset "file" "e" {\n  path = "d.csv"\n}\n')
    folder.environment["MLFORM_FAILPOINTS"] = "apply.intended:1:kill"
    folder.mlform("apply", "-auto-approve", expect=-signal.SIGKILL)
    del folder.environment["MLFORM_FAILPOINTS"]
    main.write_text(SPEC)
    said = folder.mlform("apply", "-auto-approve", "-replace", "dataset.d").out
    assert "cut off in dataset.e" in said
    said = folder.mlform("apply", "-auto-approve", "-replace", "dataset.d").out
    assert "cut off" not in said


def test_who_lost_the_lock_failed_and_was_not_interrupted(folder: Folder) -> None:
    folder.environment["MLFORM_FAILPOINTS"] = "apply.called:1:pause"
    asleep = folder.start("apply", "-auto-approve")
    del folder.environment["MLFORM_FAILPOINTS"]
    assert os.WIFSTOPPED(os.waitpid(asleep.pid, os.WUNTRACED)[1])
    lock = folder.mlform("apply", "-auto-approve", "-json", expect=4).lines[-1]["lock"]
    assert lock["until"] is None, "nothing of this was done before, so there is no estimate"
    assert lock["id"] in folder.mlform("force-unlock", lock["id"]).out
    assert f"lease {lock['id']}" in folder.mlform("state", "history").out
    os.kill(asleep.pid, signal.SIGCONT)
    out, err = asleep.communicate(timeout=120)
    assert asleep.returncode == 1, out + err
    assert err.count("Nothing more was written") == 1
    assert "Interrupted" not in out + err
