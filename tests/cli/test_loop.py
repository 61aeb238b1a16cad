"""The loop as cron and CI run it: real commands, a provider with a bell."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.bells import LOCK, Hook, grow, made, ring
from tests.scenarios.command import Folder


def test_what_is_proposed_moves_nothing_until_it_is_applied(site: Path) -> None:
    folder = made(site, "propose")
    lock = (folder.path / LOCK).read_text()
    grow(folder)
    ring(folder)
    said = folder.mlform("reapply", "-detailed-exitcode", expect=6).out
    assert "trigger.again proposes 2 steps: mlform apply " in said
    assert (folder.path / LOCK).read_text() == lock
    assert folder.actions() == {}
    [proposal] = (folder.path / ".mlform/proposals").iterdir()
    report = (proposal / "report.md").read_text()
    assert "proposes: advances dataset.d by +2 rows" in report
    assert "it drifts" in report
    assert f"`mlform apply {proposal.relative_to(folder.path)}/plan.mlfplan` does" in report
    assert "| `training_job.c` | run? |" in report

    again = folder.mlform("reapply", "-json").lines
    [repeated] = [line for line in again if line["type"] == "proposal"]
    assert not repeated["fresh"]

    moved = (proposal / LOCK).read_text()
    done = folder.mlform("apply", "-json", str(proposal / "plan.mlfplan")).ran()
    assert done == {"dataset.d": "run", "training_job.c": "run"}
    assert (folder.path / LOCK).read_text() == moved != lock
    assert "advances dataset.d by +2 rows" in folder.mlform("monitor", "alarms").out
    assert "No alarm waits" in folder.mlform("reapply").out
    assert not proposal.exists()
    why = folder.mlform("why", "training_job.c").out
    assert "acted on by trigger.again" in why


def test_the_lock_file_of_a_proposal_does_the_same_by_a_pull_request(site: Path) -> None:
    folder = made(site, "propose")
    grow(folder)
    ring(folder)
    folder.mlform("reapply", "-out", "pr")
    [proposal] = (folder.path / "pr").iterdir()
    (folder.path / LOCK).write_text((proposal / LOCK).read_text())
    assert folder.apply() == {"dataset.d": "run", "training_job.c": "run"}
    quiet = folder.mlform("reapply", "-json").lines
    assert [x["consumed"] for x in quiet if x["type"] == "trigger"] == [False]


def test_a_proposal_is_refused_once_its_data_moved_and_let_go_of_at_will(site: Path) -> None:
    folder = made(site, "propose")
    lock = (folder.path / LOCK).read_text()
    grow(folder)
    ring(folder)
    folder.mlform("reapply")
    grow(folder)
    plan = next((folder.path / ".mlform/proposals").glob("*/plan.mlfplan"))
    refused = folder.mlform("apply", str(plan), expect=1)
    assert "dataset.d: data d.csv" in refused.err
    assert (folder.path / LOCK).read_text() == lock
    assert "open: no trigger" in folder.mlform("monitor", "alarms").out
    unknown = folder.mlform("reapply", "-dismiss", "trigger.agin", expect=1)
    assert "Unknown trigger" in unknown.err
    assert 'Did you mean "trigger.again"?' in unknown.err
    assert "trigger.again: 1 let go" in folder.mlform("reapply", "-dismiss", "trigger.again").out
    assert not list((folder.path / ".mlform/proposals").iterdir())
    assert "No alarm waits" in folder.mlform("reapply").out
    assert "let go by " in folder.mlform("monitor", "alarms").out


def test_what_may_take_longer_than_its_budget_is_only_proposed(site: Path) -> None:
    folder = made(site, more='budget = { time = "0s" }')
    grow(folder)
    ring(folder)
    assert "proposes 2 steps" in folder.mlform("reapply", "-detailed-exitcode", expect=6).out
    assert folder.actions() == {}
    folder.edit("main.mlf.hcl", 'time = "0s"', 'time = "1h"')
    folder.apply()
    folder.mlform("reapply", "-detailed-exitcode", expect=2)
    folder.mlform("reapply", "-detailed-exitcode")


OTHER = """
dataset "file" "e" {
  path    = "e.csv"
  version = { mode = "pin" }
}
trigger "free" {
  on      = [monitor.b.alarm]
  advance = [dataset.e]
}
"""


def test_a_budget_holds_up_its_own_trigger_alone(site: Path) -> None:
    (site.parent / "spec").mkdir()
    (site.parent / "spec" / "e.csv").write_text("a\n1\n")
    folder = made(site, more='budget = { time = "0s" }', hook=OTHER)
    grow(folder)
    (folder.path / "e.csv").write_text("a\n1\n2\n")
    ring(folder)
    said = folder.mlform("reapply", "-json", "-detailed-exitcode", expect=6)
    assert said.ran() == {"dataset.e": "run"}
    assert [x["address"] for x in said.lines if x["type"] == "proposal"] == ["trigger.again"]


def test_a_run_that_is_killed_as_it_moves_pins_loses_no_alarm(site: Path) -> None:
    folder = made(site)
    grow(folder)
    ring(folder)
    folder.environment["MLFORM_FAILPOINTS"] = "apply.pulling:1:kill"
    folder.mlform("reapply", expect=-signal.SIGKILL)
    del folder.environment["MLFORM_FAILPOINTS"]
    assert "open: no trigger" in folder.mlform("monitor", "alarms").out
    done = folder.mlform("reapply", "-json").ran()
    assert done == {"dataset.d": "run", "training_job.c": "run"}
    assert folder.actions() == {}


def test_it_rests_and_an_incident_moves_nothing(site: Path) -> None:
    folder = made(site, more='cooldown = "1h"')
    grow(folder)
    ring(folder)
    assert folder.mlform("reapply", "-json").ran().keys() >= {"dataset.d"}
    grow(folder)
    ring(folder, "again")
    assert "rests until" in folder.mlform("reapply").out
    later = folder.mlform("reapply", "-json", "-as-of", "2099-01-01T00:00:00Z")
    assert later.ran().keys() >= {"dataset.d"}
    ring(folder, "half of it is gone!")
    grow(folder)
    said = folder.mlform("reapply", "-as-of", "2099-06-01T00:00:00Z").out
    assert "nothing retrains on broken data" in said
    assert folder.actions() == {}


MANY = """
training_job "count" "many" {
  count = dataset.d.rows
  of    = 100 + count.index
}
"""


def test_what_nobody_can_estimate_yet_is_only_proposed(site: Path) -> None:
    folder = made(site, more='budget = { time = "1h" }', hook=MANY)
    grow(folder)
    ring(folder)
    said = folder.mlform("reapply", "-json", "-detailed-exitcode", expect=6).lines
    assert [x["steps"] for x in said if x["type"] == "proposal"] != [0]
    assert not [x for x in said if x["type"] == "outcome" and x["done"]]
    [proposal] = (folder.path / ".mlform/proposals").iterdir()
    folder.mlform("apply", str(proposal / "plan.mlfplan"))
    folder.mlform("reapply")
    assert len(folder.mlform("state", "list").out.split("training_job.many[")) == 4


def test_alarms_go_with_monitors_and_triggers_that_move(site: Path) -> None:
    folder = made(site, more='cooldown = "1h"')
    grow(folder)
    ring(folder)
    folder.mlform("reapply")
    ring(folder, "again")
    grow(folder)
    spec = folder.path / "main.mlf.hcl"
    text = spec.read_text().replace('"again"', '"anew"').replace('"bell" "b"', '"bell" "c"')
    moved = "moved {\n  from = trigger.again\n  to = trigger.anew\n}\n"
    spec.write_text(f"{text.replace('monitor.b.', 'monitor.c.')}\n{moved}")
    folder.mlform("state", "mv", "monitor.b", "monitor.c")
    folder.apply()
    said = folder.mlform("monitor", "alarms").out
    assert "monitor.b " not in said
    assert "trigger.again" not in said
    [pull] = [x for x in folder.mlform("reapply", "-json").lines if x["type"] == "trigger"]
    assert (pull["address"], len(pull["alarms"])) == ("trigger.anew", 1)
    assert "rests until" in pull["why"]
    done = folder.mlform("reapply", "-json", "-as-of", "2099-01-01T00:00:00Z").ran()
    assert done == {"dataset.d": "run", "training_job.c": "run"}
    folder.mlform("audit", "verify")


def test_a_monitor_of_what_is_recorded_no_more_says_so(site: Path) -> None:
    folder = made(site)
    folder.edit("main.mlf.hcl", '"bell.txt"', '"bell.txt"\n  of = dataset.d')
    folder.apply()
    folder.mlform("monitor", "run")
    folder.mlform("state", "rm", "dataset.d")
    said = folder.mlform("monitor", "run", expect=1)
    assert "monitor.b looks at dataset.d, which the state has no more" in said.out + said.err


def test_a_cause_is_found_under_the_names_of_its_time(site: Path) -> None:
    folder = made(site)
    grow(folder)
    ring(folder)
    folder.mlform("reapply")
    for kind, old, new in (
        ("training_job", "c", "z"),
        ("dataset", "d", "e"),
        ("monitor", "b", "m"),
    ):
        folder.mlform("state", "mv", f"{kind}.{old}", f"{kind}.{new}")
    job, data = folder.mlform("why", "training_job.z", "-json").data
    assert (job["address"], data["address"]) == ("training_job.z", "dataset.d")
    assert (data["rows"], str(data["alarm"])[:3]) == ([1, 3], "ev-")
    said = folder.mlform("why", "-not", "training_job.z", "-run", "last").out
    assert "it did: run" in said


def test_a_day_before_its_monitor_moved_knows_an_alarm(site: Path) -> None:
    folder = made(site)
    folder.edit("main.mlf.hcl", '"bell.txt"', '"bell.txt"\n  depends_on = [dataset.d]')
    folder.apply()
    ring(folder)
    serial = folder.mlform("audit", "dataset.d", "-json").data["state"]["at"]
    folder.mlform("state", "mv", "monitor.b", "monitor.c")
    for day in ((), ("-at", serial)):
        [alarm] = folder.mlform("audit", "dataset.d", "-json", *day).data["alarms"]
        assert alarm["monitor"] == "monitor.c"


def test_it_does_not_rest_for_what_was_let_go_of(site: Path) -> None:
    folder = made(site, more='cooldown = "1h"')
    grow(folder)
    ring(folder)
    folder.mlform("reapply", "-dismiss", "trigger.again")
    ring(folder, "again")
    assert folder.mlform("reapply", "-json").ran() == {"dataset.d": "run", "training_job.c": "run"}


LATE = """
trigger "late" {
  on      = [monitor.b.alarm]
  advance = [dataset.d]
  mode    = "MODE"
}
"""


@pytest.mark.parametrize("mode", ["auto", "propose"])
def test_what_was_raised_before_a_trigger_was_there_moves_nothing(site: Path, mode: str) -> None:
    folder = made(site, "propose")
    ring(folder)
    ring(folder, "half of it is gone!")
    with (folder.path / "main.mlf.hcl").open("a") as spec:
        spec.write(LATE.replace("MODE", mode))
    folder.apply()
    grow(folder)
    lines = folder.mlform("reapply", "-json").lines
    [late] = [x for x in lines if x.get("address") == "trigger.late"]
    assert late["why"] == "leaves 2 older alarms aside, raised before its `on` named the monitor"
    assert (len(late["alarms"]), late["advances"]) == (2, [])
    assert folder.mlform("monitor", "alarms").out.count("trigger.late: leaves 2 older") == 2
    assert "trigger.late" not in folder.mlform("reapply").out
    ring(folder, "and now")
    said = folder.mlform("reapply").out
    assert "trigger.late on ev-" in said
    assert "advances dataset.d by +2 rows" in said
    folder.mlform("audit", "verify")


BELL = """
monitor "bell" "b2" {
  path = "bell.txt"
}
"""


def test_a_monitor_that_a_trigger_gains_counts_from_then_on(site: Path) -> None:
    folder = made(site, hook=BELL)
    ring(folder)
    grow(folder)
    folder.edit("main.mlf.hcl", "[monitor.b.alarm]", "[monitor.b.alarm, monitor.b2.alarm]")
    folder.apply()
    old, new = (x for x in folder.mlform("reapply", "-json").lines if x["type"] == "trigger")
    assert (old["why"][:20], len(old["alarms"])) == ("leaves 1 older alarm", 1)
    assert (new["advances"], len(new["alarms"])) == (["dataset.d"], 1), "heard since it was there"
    ring(folder, "both")
    grow(folder)
    [both] = [x for x in folder.mlform("reapply", "-json").lines if x["type"] == "trigger"]
    assert len(both["alarms"]) == 2


def test_a_trigger_made_anew_knows_nothing_of_before(site: Path) -> None:
    folder = made(site)
    spec = (folder.path / "main.mlf.hcl").read_text()
    ring(folder)
    (folder.path / "main.mlf.hcl").write_text(spec[: spec.index("trigger")])
    folder.apply()
    (folder.path / "main.mlf.hcl").write_text(spec)
    folder.apply()
    grow(folder)
    [pull] = [x for x in folder.mlform("reapply", "-json").lines if x["type"] == "trigger"]
    assert pull["why"].startswith("leaves 1 older alarm aside")
    assert folder.actions() == {}


def test_of_two_at_once_one_acts(site: Path) -> None:
    folder = made(site)
    grow(folder)
    ring(folder)
    late = Folder(folder.path, {**folder.environment, "MLFORM_FAILPOINTS": "lock.asked:2:pause"})
    with late.start("reapply", "-json") as waiting:
        os.waitid(os.P_PID, waiting.pid, os.WSTOPPED)
        folder.mlform("reapply")
        waiting.send_signal(signal.SIGCONT)
        said = waiting.communicate()[0]
    assert [x["done"] for x in map(json.loads, said.splitlines()) if x["type"] == "outcome"] == [{}]
    history = folder.mlform("state", "history", "trigger.again", "-json").out
    assert history.count('"pull"') == 1


def test_a_schedule_moves_the_date_that_others_take(site: Path) -> None:
    folder = made(site, more='schedule = "0 3 4 * *"')
    folder.edit("main.mlf.hcl", "of = dataset.d.rows", "of = 1\n  until = trigger.again.as_of")
    assert folder.apply() == {"training_job.c": "run"}
    assert folder.mlform("reapply", "-json").ran() == {}
    moved = folder.mlform("reapply", "-json", "-as-of", "2099-02-10T12:00:00Z").ran()
    assert moved == {"training_job.c": "run"}
    assert folder.mlform("reapply", "-json", "-as-of", "2099-03-04T02:59:00Z").ran() == {}
    assert folder.actions() == {}
    why = folder.mlform("why", "training_job.c").out
    assert "its schedule came to 2099-02-04T03:00:00Z" in why
    wrong = folder.path / "main.mlf.hcl"
    wrong.write_text(wrong.read_text().replace("0 3 4 * *", "0 3 4 *"))
    assert "it has 4 fields" in folder.mlform("validate", expect=1).err


@pytest.fixture
def hook() -> Iterator[Hook]:
    it = Hook()
    yield it
    it.server.shutdown()
    it.thread.join()
    it.server.server_close()


TELLING = """
variable "hook" {
  type      = string
  sensitive = true
}
mlform {
  webhook "team" {
    url    = var.hook
    secret = "between us"
  }
  webhook "pager" {
    url    = var.hook
    events = ["incident"]
  }
}
"""


def test_webhooks_are_told_signed_and_tried_again(site: Path, hook: Hook) -> None:
    folder = made(site, hook=TELLING, MLF_VAR_hook=hook.url)
    grow(folder)
    hook.statuses[:] = [503]
    ring(folder)
    headers, body = hook.got.get(timeout=10)
    told = json.loads(body)
    assert (told["event"], told["subject"]) == ("alarm", "monitor.b")
    assert told["text"] == "monitor.b: it drifts"
    signed = hmac.new(b"between us", body, hashlib.sha256).hexdigest()
    assert headers["X-Mlform-Signature"] == f"sha256={signed}"
    folder.mlform("reapply")
    [applied] = hook.told()
    assert applied["event"] == "applied"
    assert applied["data"]["steps"] == {"dataset.d": "run", "training_job.c": "run"}
    ring(folder, "gone!")
    assert [t["event"] for t in hook.told()] == ["incident", "incident"]


def test_a_webhook_that_fails_is_warned_of_without_its_address(site: Path, hook: Hook) -> None:
    folder = made(site, hook=TELLING, MLF_VAR_hook=hook.url)
    hook.statuses[:] = [404]
    (folder.path / "bell.txt").write_text("it drifts\nand again\n")
    said = folder.mlform("monitor", "run")
    assert said.err.count('The webhook "team" was not told of alarm of monitor.b, alarm') == 1
    assert "Webhook not told" in said.err
    assert "status 404" in said.err
    for path in (p for p in folder.path.rglob("*") if p.is_file()):
        assert b"hush-7f3a" not in path.read_bytes(), path
    assert "hush-7f3a" not in said.err + said.out
