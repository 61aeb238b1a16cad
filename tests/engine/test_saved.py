"""Saved plans: refused with the difference where anything moved, and without any secret."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.world import World
from tests.scenarios.command import Folder

from mlform.apply.current import check_code
from mlform.apply.provider import StepFailed
from mlform.commands.applying import apply
from mlform.commands.current import check_current
from mlform.commands.reapplying import update
from mlform.commands.session import Session
from mlform.diagnostics import DiagnosedError
from mlform.plan import Plan, dump, parse
from mlform.refresh.pins import LOCK_FILE
from mlform.render.document import plan as document
from mlform.render.markdown import plan as as_markdown
from mlform.render.page import page
from mlform.render.plan import plan as shown
from mlform.render.style import paint

SPEC = """
dataset "file" "d" {
  path = "data/*.csv"
}
dataset "file" "pinned" {
  path    = "held.csv"
  version = { mode = "pin" }
}
feature_view "python" "f" {
  from      = dataset.d
  transform = "features.py:build"
}
"""
CODE = "def helper(frame):\n    return frame\n\n\ndef build(frame):\n    return helper(frame)\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "main.mlf.hcl").write_text(SPEC)
    (tmp_path / "features.py").write_text(CODE)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "held.csv").write_text("x,y\n1,2\n")
    update(Session(tmp_path), [])
    return tmp_path


def saved(root: Path) -> Plan:
    session = Session(root)
    return parse(dump(session.plan(session.store.snapshot())))


def refused(root: Path, plan: Plan) -> str:
    """Return what is said of a plan that is out of date; nothing if it is not."""
    session = Session(root)
    try:
        check_current(session, plan, session.store.snapshot())
    except DiagnosedError as error:
        [problem] = error.diagnostics
        assert problem.summary == "Plan is out of date"
        assert "Nothing was done: plan again." in problem.detail
        return problem.detail
    return ""


def more_data(root: Path) -> None:
    (root / "data" / "b.csv").write_text("x,y\n3,4\n")


def other_data(root: Path) -> None:
    (root / "data" / "a.csv").write_text("x,y\n1,3\n")


def no_data(root: Path) -> None:
    (root / "data" / "a.csv").unlink()


def other_code(root: Path) -> None:
    (root / "features.py").write_text(CODE.replace("return frame\n", "return frame + 1\n"))


def broken_code(root: Path) -> None:
    (root / "features.py").write_text("def build(:\n")


def advanced_pin(root: Path) -> None:
    (root / "held.csv").write_text("x,y\n5,6\n")
    update(Session(root), [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (more_data, "dataset.d: data b.csv: none → "),
        (other_data, "dataset.d: data a.csv: "),
        (no_data, "dataset.d: data changed: "),
        (other_code, "feature_view.f: code changed: features.py:helper"),
        (broken_code, "feature_view.f: code changed: "),
        (advanced_pin, "dataset.pinned: pin held.csv: "),
    ],
)
def test_what_moved_is_named(root: Path, change: Callable[[Path], None], said: str) -> None:
    plan = saved(root)
    assert refused(root, plan) == ""
    change(root)
    assert said in refused(root, plan)


def test_what_changes_nothing_refuses_nothing(root: Path) -> None:
    plan = saved(root)
    (root / "features.py").write_text("# a comment\n" + CODE.replace("frame", "table"))
    assert "code" in refused(root, plan), "other names are other code"
    (root / "features.py").write_text('"""Words."""\n\n\n' + CODE)
    (root / "held.csv").write_text("x,y\n7,8\n")  # waits behind the pin
    (root / "main.mlf.hcl").unlink()  # a saved plan needs no spec
    assert refused(root, plan) == ""


def test_a_package_of_another_version_is_named(root: Path) -> None:
    plan = saved(root)
    steps = tuple(
        replace(s, environment={**s.environment, "python": "2.7"}) if s.environment else s
        for s in plan.steps
    )
    assert "dataset.d: package python: 2.7 → " in refused(root, replace(plan, steps=steps))


def test_a_pin_of_what_is_not_in_the_plan_counts_too(root: Path) -> None:
    plan = saved(root)
    steps = tuple(s for s in plan.steps if s.address.name != "pinned")
    advanced_pin(root)
    assert ".mlform.lock.hcl: " in refused(root, replace(plan, steps=steps))


def test_what_was_applied_in_between_is_named(world: World) -> None:
    spec = 'training_job "node" "a" {\n  value = 1\n}\n'
    world.apply(spec)
    plan = world.plan(spec.replace("1", "2"))
    world.apply(spec.replace("1", "3"))
    session = world.session(spec)
    with pytest.raises(DiagnosedError, match=r"In between: training_job\.a run in r-"):
        check_current(session, plan, session.store.snapshot())


def test_a_plan_that_is_out_of_date_does_nothing_at_all(root: Path) -> None:
    folder = Folder(root)
    folder.mlform("plan", "-out", "p.plan")
    other_data(root)
    assert "dataset.d: data a.csv" in folder.mlform("apply", "p.plan", expect=1).err
    store = Session(root).store
    assert list(store.journal()) == []
    assert not store.snapshot().records
    (root / "data" / "a.csv").write_text("x,y\n1,2\n")
    (root / "main.mlf.hcl").unlink()  # a saved plan needs no spec
    assert "Applied: 3 ran" in folder.mlform("apply", "p.plan").out


def test_code_that_changes_while_an_apply_runs_is_not_run(root: Path) -> None:
    session = Session(root)
    [step] = [s for s in saved(root).steps if s.code]
    check_code(step, session.looker)
    other_code(root)
    with pytest.raises(StepFailed, match="is not what it was when this was planned"):
        check_code(step, Session(root).looker)


def carried_out(root: Path, saved: Plan | None = None) -> None:
    applied = apply(Session(root), lambda _: True, lambda _: None, saved=saved)
    assert applied.outcome is None or applied.outcome.failures == []


def test_results_that_are_taken_again_are_what_those_after_them_are_looked_at_with(
    root: Path,
) -> None:
    """The view is planned with a table that is not recorded yet when the saved plan is checked."""
    carried_out(root)
    more_data(root)
    carried_out(root)
    (root / "data" / "b.csv").unlink()
    carried_out(root)
    more_data(root)
    plan = saved(root)
    assert [s.action.value for s in plan.changes] == ["reuse", "reuse"]
    carried_out(root, plan)
    assert saved(root).empty


def test_a_result_that_is_gone_by_now_is_named(root: Path) -> None:
    carried_out(root)
    (root / "main.mlf.hcl").write_text("")
    carried_out(root)
    (root / "main.mlf.hcl").write_text(SPEC)
    plan = saved(root)
    assert [s.action.value for s in plan.changes] == ["reuse", "reuse", "reuse"]
    for it in (root / ".mlform" / "store" / "objects").rglob("*"):
        if it.is_file():
            it.unlink()
    assert "dataset.d: result " in refused(root, plan)


# ---- secrets

SECRETLY = """
variable "note" {
  type      = string
  sensitive = true
  default   = "sealed"
}
variable "rows" {
  type    = list(string)
  default = ["x"]
}
dataset "file" "d" {
  path  = "data/*.csv"
  owner = var.note
}
dataset "file" "pinned" {
  path    = "held.csv"
  columns = var.rows
  owner   = var.note
  version = { mode = "pin" }
}
"""


def test_what_moved_is_named_where_an_argument_is_secret(root: Path) -> None:
    (root / "main.mlf.hcl").write_text(SECRETLY)
    plan = saved(root)
    assert refused(root, plan) == ""
    other_data(root)
    assert "dataset.d: data a.csv: " in refused(root, plan)


def test_a_secret_that_is_given_otherwise_is_named(root: Path) -> None:
    spec = SECRETLY.replace('= "sealed"', "= null") + (
        'variable "once" {\n  type      = string\n  ephemeral = true\n}\n'
        'output "n" {\n  value     = "${var.note}!"\n  sensitive = true\n}\n'
    )
    (root / "main.mlf.hcl").write_text(spec)
    folder = Folder(root)
    given = ["-var", "note=hush-1", "-var", "once=a"]
    folder.mlform("plan", "-out", "p.plan", *given)
    assert "hush-1" not in (root / "p.plan").read_text()
    said = folder.mlform("apply", "p.plan", "-var", "note=hush-2", "-var", "once=b", expect=1).err
    assert "var.note: (sensitive value) → (sensitive value)" in said
    assert "hush" not in said and "Nothing was done: plan again." in said
    assert "Applied" in folder.mlform("apply", "p.plan", *given[:3], "once=b").out


def test_a_pin_holds_where_an_argument_is_secret(root: Path) -> None:
    (root / "main.mlf.hcl").write_text(SECRETLY)
    carried_out(root)
    (root / "held.csv").write_text("x,y\n7,8\n")
    (root / "main.mlf.hcl").write_text(SECRETLY.replace('["x"]', '["x", "y"]'))
    carried_out(root)
    assert saved(root).empty


HIDDEN = "xyzzy-hunter2"
SECRET = """
variable "token" {
  type      = string
  sensitive = true
}
locals {
  phrase = "say ${var.token}"
}
training_job "node" "a" {
  value = length(var.token)
  token = local.phrase
  note  = "is ${var.token}"
  lifecycle {
    precondition {
      condition     = var.token != ""
      error_message = "not ${var.token}"
    }
    postcondition {
      condition     = self.parity < length(local.phrase)
      error_message = "not ${local.phrase}"
    }
  }
}
training_job "node" "b" {
  value = training_job.a.parity
  note  = "${var.token} ${training_job.a.parity}"
}
output "told" {
  value     = "${var.token} ${training_job.b.parity}"
  sensitive = true
}
check "it" {
  assert {
    condition     = "${training_job.a.parity}" != var.token
    error_message = "never ${var.token}"
  }
}
"""


def written(folder: Path) -> list[Path]:
    """Return the files that hold the secret."""
    return [p for p in folder.rglob("*") if p.is_file() and HIDDEN.encode() in p.read_bytes()]


def test_no_byte_of_a_plan_the_state_or_what_is_said_holds_a_secret(world: World) -> None:
    for value in (HIDDEN, f"{HIDDEN}2"):
        plan = world.plan(SECRET, token=value)
        rendered = {
            "file": dump(plan),
            "text": paint(shown(plan), colour=False),
            "json": str(document(plan)),
            "markdown": as_markdown(plan),
            "html": page(plan),
        }
        assert [name for name, text in rendered.items() if HIDDEN in text] == []
        world.apply(SECRET, token=value, saved=parse(dump(plan)))
        assert HIDDEN not in repr(world.events)
        assert HIDDEN not in repr(world.outcome)
    assert (world.root / ".mlform" / "state.db").stat().st_size > 0
    assert written(world.root) == []


def test_no_byte_that_commands_print_or_leave_holds_a_secret(tmp_path: Path) -> None:
    (tmp_path / "main.mlf.hcl").write_text(
        'variable "token" {\n  sensitive = true\n}\n'
        'dataset "file" "d" {\n  path = "d.csv"\n  description = "is ${var.token}"\n}\n'
        'output "told" {\n  value = "${var.token} ${dataset.d.rows}"\n  sensitive = true\n}\n'
    )
    (tmp_path / "d.csv").write_text("x,y\n1,2\n")
    folder = Folder(tmp_path, {"MLF_VAR_token": HIDDEN})
    for command in (
        ["plan", "-out", "p.plan", "-html", "p.html"],
        ["plan", "-json"],
        ["plan", "-markdown"],
        ["apply", "p.plan"],
        ["show", "-json"],
        ["why", "dataset.d"],
        ["why", "-not", "dataset.d", "-json"],
    ):
        said = folder.mlform(*command)
        assert HIDDEN not in said.out + said.err, command
    assert written(tmp_path) == []


def test_a_plan_file_that_is_not_what_was_written_is_refused(world: World) -> None:
    text = dump(world.plan('training_job "node" "a" {\n  value = 1\n}\n'))
    for before, after in (('"value": 1', '"value": 2'), ('"action": "run"', '"action": "reuse"')):
        assert before in text
        with pytest.raises(DiagnosedError, match="damaged or was edited"):
            parse(text.replace(before, after, 1))


def test_what_a_killed_run_pinned_is_pinned_for_a_saved_plan(root: Path) -> None:
    """It had no time to write the lock file; what it recorded says what is pinned."""
    apply(Session(root), lambda _: True, lambda _: None)
    (root / LOCK_FILE).unlink()
    (root / "held.csv").write_text("x,y\n7,8\n")
    more_data(root)
    assert refused(root, saved(root)) == ""


def test_a_pin_of_what_is_written_no_more_is_none_for_a_saved_plan(root: Path) -> None:
    (root / "other.csv").write_text("x,y\n7,8\n")
    (root / "main.mlf.hcl").write_text(SPEC.replace("held.csv", "other.csv"))
    plan = saved(root)
    assert refused(root, plan) == ""
    (root / "other.csv").write_text("x,y\n7,9\n")
    assert "dataset.pinned: data other.csv: " in refused(root, plan)
