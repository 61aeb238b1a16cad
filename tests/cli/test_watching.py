"""``watch`` round after round, several of them on one state, and what stops monitors that look."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.cli.bells import grow, made
from tests.scenarios.command import Folder

from mlform.commands import health
from mlform.reconcile.rounds import Round


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Watcher:
    """``mlform watch`` in a process of its own, its lines read as they come."""

    def __init__(self, folder: Folder, interval: str = "1s") -> None:
        self.process = folder.start(
            "watch", "-json", "-interval", interval, "-listen", "127.0.0.1:0"
        )
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
def watcher() -> Iterator[Callable[..., Watcher]]:
    begun: list[Watcher] = []

    def call(folder: Folder, interval: str = "1s") -> Watcher:
        begun.append(Watcher(folder, interval))
        return begun[-1]

    yield call
    for it in begun:
        it.process.kill()
        it.process.communicate()


def test_watching_goes_on_until_it_is_told_to_stop(
    site: Path, watcher: Callable[..., Watcher]
) -> None:
    folder = made(site)
    grow(folder)
    (folder.path / "bell.txt").write_text("it drifts\n")
    it = watcher(folder, "3600s")
    first = it.until("round")
    assert first["steps"] == {"dataset.d": "run", "training_job.c": "run"}
    assert not first["failed"]
    assert get(f"{it.url}/healthz") == (200, "alive\n")
    assert get(f"{it.url}/readyz") == (200, "ready\n")
    _, metrics = get(f"{it.url}/metrics")
    assert 'mlform_watch_rounds_total{outcome="done"} 1.0' in metrics
    assert 'mlform_watch_pulls_total{trigger="trigger.again"} 1.0' in metrics
    assert get(f"{it.url}/other")[0] == 404
    assert it.end(signal.SIGTERM) == []


def test_who_waits_for_the_state_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.0)
    it = health.Health()
    it.led(None)
    it.end(Round(1, 0.5))
    with health.answering("127.0.0.1:0", it) as where:
        assert get(f"http://{where}/readyz") == (200, "ready\n")
        with it.asking():
            code, said = get(f"http://{where}/readyz")
            assert code == 503
            assert said.startswith("the state has not answered for")
        assert get(f"http://{where}/readyz") == (200, "ready\n")


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
    watcher: Callable[..., Watcher],
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


def stop_between_writes(watcher: Watcher, state: Path) -> None:
    """Put it to sleep while it does not hold the lock of the database."""
    while True:
        watcher.process.send_signal(signal.SIGSTOP)
        with closing(sqlite3.connect(state, timeout=0, isolation_level=None)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                watcher.process.send_signal(signal.SIGCONT)
            else:
                database.execute("ROLLBACK")
                return


def test_who_lost_the_lead_stands_by(site: Path, watcher: Callable[..., Watcher]) -> None:
    """As one that was asleep for so long that another was let go on in its place."""
    folder = made(site)
    first = watcher(folder)
    first.until("round")
    second = watcher(folder)
    lease = second.until("leader")["leader"]["id"]
    stop_between_writes(first, folder.path / ".mlform" / "state.db")
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
    assert "1 alarm" in folder.mlform("monitor", "run").out
