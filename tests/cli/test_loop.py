"""The loop as cron, CI and a long-running watcher run it: real commands, a provider with a bell."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.bells import LOCK, PROVIDER, Hook, grow, made, ring
from tests.scenarios.command import Folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A provider that is found as an installed one is."""
    found = tmp_path / "site"
    info = found / "bells-1.0.dist-info"
    info.mkdir(parents=True)
    (found / "bells.py").write_text(PROVIDER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bells\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mlform.providers]\nbells = bells:Bells\n")
    return found


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


@pytest.mark.parametrize("command", [["monitor", "run"], ["watch", "-rounds", "1"]])
def test_monitors_that_look_are_stopped(site: Path, command: list[str]) -> None:
    folder = made(site)
    (folder.path / "bell.txt").write_text("hold\n")
    process = folder.start(*command)
    while not (folder.path / "held").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == (130 if command[0] == "monitor" else 0), err
    assert "Traceback" not in err
    assert "Interrupted" in err or "stopped while monitors looked" in out
    (folder.path / "bell.txt").write_text("it drifts\n")
    assert "1 alarm(s)" in folder.mlform("monitor", "run").out


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


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_watching_goes_on_until_it_is_told_to_stop(site: Path) -> None:
    folder = made(site)
    grow(folder)
    (folder.path / "bell.txt").write_text("it drifts\n")
    process = folder.start("watch", "-json", "-interval", "3600s", "-listen", "127.0.0.1:0")
    assert process.stdout is not None
    lines = (json.loads(line) for line in process.stdout)
    place = next(line["listening"] for line in lines if line.get("type") == "watch")
    first = next(line for line in lines if line.get("type") == "round")
    assert first["steps"] == {"dataset.d": "run", "training_job.c": "run"}
    assert not first["failed"]
    assert get(f"http://{place}/healthz") == (200, "alive\n")
    assert get(f"http://{place}/readyz") == (200, "ready\n")
    _, metrics = get(f"http://{place}/metrics")
    assert 'mlform_watch_rounds_total{outcome="done"} 1.0' in metrics
    assert 'mlform_watch_pulls_total{trigger="trigger.again"} 1.0' in metrics
    assert get(f"http://{place}/other")[0] == 404
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()


class Watcher:
    """``mlform watch`` in a process of its own, its lines read as they come."""

    def __init__(self, folder: Folder) -> None:
        self.process = folder.start("watch", "-json", "-interval", "1s", "-listen", "127.0.0.1:0")
        assert self.process.stdout is not None
        self.lines = (json.loads(line) for line in self.process.stdout)
        self.url = f"http://{self.until('watch')['listening']}"

    def until(self, kind: str) -> dict[str, Any]:
        """The next line of a kind."""
        return next(line for line in self.lines if line.get("type") == kind)

    def metric(self, name: str) -> float:
        lines = get(f"{self.url}/metrics")[1].splitlines()
        return next(float(x.split()[1]) for x in lines if x.startswith(f"mlform_watch_{name} "))

    def end(self, how: signal.Signals) -> list[dict[str, Any]]:
        """End it; return what it had still said."""
        self.process.send_signal(how)
        rest = list(self.lines)
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        code = 0 if how == signal.SIGTERM else -how
        assert self.process.wait(timeout=30) == code, said
        return rest


@pytest.fixture
def watcher() -> Iterator[Callable[[Folder], Watcher]]:
    begun: list[Watcher] = []

    def call(folder: Folder) -> Watcher:
        begun.append(Watcher(folder))
        return begun[-1]

    yield call
    for it in begun:
        it.process.kill()
        it.process.communicate()


BACKEND = """
variable "url" {
  type = string
}
mlform {
  backend "postgres" {
    url    = var.url
    schema = "leading"
  }
}
"""


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_one_leads_and_another_takes_over(
    site: Path,
    backend: str,
    watcher: Callable[[Folder], Watcher],
    request: pytest.FixtureRequest,
) -> None:
    on_a_server = backend == "postgres"
    url = request.getfixturevalue("postgres").url if on_a_server else ""
    folder = made(site, hook=BACKEND if on_a_server else "", MLF_VAR_url=url)
    first = watcher(folder)
    assert first.until("leader") == {"type": "leader", "leading": True}
    first.until("round")
    second = watcher(folder)
    leader = second.until("leader")["leader"]
    assert leader["pid"] == first.process.pid
    assert get(f"{second.url}/healthz") == (200, "alive\n")
    code, said = get(f"{second.url}/readyz")
    assert code == 200
    assert said == f"standing by: {leader['owner']} (process {leader['pid']}) leads\n"
    assert (first.metric("leading"), second.metric("leading")) == (1.0, 0.0)
    grow(folder)
    (folder.path / "bell.txt").write_text("it drifts\n")
    while not first.until("round")["steps"]:
        pass
    assert folder.apply("-lock-timeout", "60s") == {}  # who leads has nothing that others wait for

    first.end(signal.SIGKILL)
    assert second.until("leader") == {"type": "leader", "leading": True}
    taken = second.until("round")
    assert (taken["number"], taken["failed"], taken["steps"]) == (1, False, {})
    assert (second.metric("leading"), second.metric("terms_total")) == (1.0, 1.0)

    third = watcher(folder)
    assert third.until("leader")["leader"]["pid"] == second.process.pid
    second.end(signal.SIGTERM)
    assert third.until("leader")["leading"]
    assert not third.until("round")["failed"]


def test_who_lost_the_lead_stands_by(site: Path, watcher: Callable[[Folder], Watcher]) -> None:
    """As one that was asleep for so long that another was let go on in its place."""
    folder = made(site)
    first = watcher(folder)
    first.until("round")
    second = watcher(folder)
    lease = second.until("leader")["leader"]["id"]
    first.process.send_signal(signal.SIGSTOP)
    folder.mlform("force-unlock", lease)
    assert second.until("leader")["leading"]
    second.until("round")
    first.process.send_signal(signal.SIGCONT)
    assert first.until("leader")["leader"]["pid"] == second.process.pid
    rest = first.end(signal.SIGTERM)
    assert not [line for line in rest if line.get("type") == "round"]


def test_a_round_that_fails_is_said_and_the_next_waits_longer(site: Path) -> None:
    folder = made(site)
    (folder.path / "bell.txt").unlink()
    found = folder.mlform("watch", "-json", "-interval", "1s", "-rounds", "2").lines
    rounds = [line for line in found if line["type"] == "round"]
    assert [r["failed"] for r in rounds] == [True, True]
    assert rounds[0]["wait"] == 2.0
    folder.path.joinpath("main.mlf.hcl").write_text("nonsense {")
    broken = folder.mlform("watch", "-rounds", "1")
    assert "round 1" in broken.out


def test_a_place_that_is_none_is_refused(site: Path) -> None:
    folder = made(site)
    refused = folder.mlform("watch", "-listen", "everywhere", expect=1)
    assert "-listen is HOST:PORT" in refused.err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = "127.0.0.1:{1}".format(*taken.getsockname())
        refused = folder.mlform("watch", "-listen", place, expect=1)
    assert "Cannot listen" in refused.err
