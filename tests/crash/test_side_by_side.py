"""Applies at the same time, in processes of their own: apart, in each other's way, or joined."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tests.crash.lab import quick_folder
from tests.crash.provider import EFFECTS, TARGET
from tests.engine.world import Inline

from mlform import failpoints
from mlform.apply.events import Finished, Log
from mlform.commands.applying import apply
from mlform.commands.options import PlanOptions
from mlform.commands.session import Session
from mlform.commands.tainting import taint
from mlform.commands.workspaces import new
from mlform.config import Given
from mlform.diagnostics import DiagnosedError
from mlform.plan import Plan
from mlform.registry import Registry
from mlform.state import LockedError

SPEC = """
training_job "stage" "a" {
  value = 1
}
training_job "stage" "b" {
  value = 2
}
training_job "stage" "c" {
  value = 3
  data  = [training_job.a.thing]
}
output "a" {
  value = training_job.a.total
}
output "b" {
  value = training_job.b.total
}
"""


class Running:
    """An apply in a process of its own; each thing that it reports is a line to read."""

    def __init__(self, act: Callable[[Callable[[Any], None]], None], stop_at: str = "") -> None:
        theirs, ours = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            with os.fdopen(ours, "w", buffering=1) as say:
                try:
                    if stop_at:
                        failpoints.arm(failpoints.planned(f"{stop_at}:1:pause"))
                    act(lambda event: print(_told(event), file=say))
                except LockedError as error:
                    print(f"locked: {error}", file=say)
                except BaseException:  # noqa: BLE001 - whatever it is, the parent reads it
                    print(traceback.format_exc(), file=say)
                finally:
                    say.flush()
                    os._exit(0)
        os.close(ours)
        self.said = os.fdopen(theirs)

    def stopped(self) -> Running:
        """Wait until it has stopped at its point."""
        assert os.WIFSTOPPED(os.waitpid(self.pid, os.WUNTRACED)[1])
        return self

    def until(self, words: str) -> None:
        """Read what it says until something is said."""
        for line in self.said:
            if words in line:
                return
        raise AssertionError(words)

    def end(self, how: signal.Signals = signal.SIGCONT) -> list[str]:
        """Wake or kill it; return what else it said until it ended."""
        os.kill(self.pid, how)
        with self.said:
            lines = [line for line in self.said.read().splitlines() if line]
        os.waitpid(self.pid, 0)
        return lines


def _told(event: Any) -> str:
    match event:
        case Log():
            return f"{event.address}: {event.text}"
        case Finished():
            return f"{event.address} {event.action}"
        case _:
            return ""


@dataclass(frozen=True)
class Yard:
    """A folder that several apply in."""

    root: Path

    def session(self, workspace: str = "default") -> Session:
        session = Session(self.root, Given([], {}), Registry({"noted": TARGET}))
        session.__dict__["workspace"] = workspace
        return session

    def apply(
        self, *targets: str, workspace: str = "default", saved: Plan | None = None
    ) -> Callable[[Callable[[Any], None]], None]:
        def act(report: Callable[[Any], None]) -> None:
            session = self.session(workspace)
            options = PlanOptions(targets=targets)
            with mock.patch("mlform.execute.LocalExecutor", return_value=Inline()):
                done = apply(session, lambda _: True, report, options, saved=saved)
            assert done.outcome is not None and done.outcome.complete

        return act

    def run(self, *targets: str, **more: Any) -> list[str]:
        """Apply, and return what came of each step."""
        return [w for w in Running(self.apply(*targets, **more)).end() if ":" not in w]

    def effects(self) -> Sequence[str]:
        file = self.root / EFFECTS
        return sorted(file.read_text().splitlines()) if file.exists() else []

    def recorded(self, workspace: str = "default") -> tuple[list[str], dict[str, Any]]:
        with closing(self.session(workspace).store) as store:  # type: ignore[type-var]
            assert store.verify() == []
            snapshot = store.snapshot()
        return sorted(map(str, snapshot.records)), {
            n: o["value"] for n, o in snapshot.outputs.items()
        }


@pytest.fixture(params=["sqlite", "postgres"])
def yard(request: pytest.FixtureRequest) -> Iterator[Yard]:
    with quick_folder() as folder:
        made = Yard(folder / "yard")
        made.root.mkdir()
        backend = ""
        if request.param == "postgres":
            url = request.getfixturevalue("postgres").url
            schema = f"beside_{folder.name}".replace("-", "_").lower()
            backend = f'backend "postgres" {{\n  url = "{url}"\n  schema = "{schema}"\n}}'
        (made.root / "main.mlf.hcl").write_text(f"mlform {{\n{backend}\n}}\n{SPEC}")
        yield made


def test_apart_they_go_on_at_the_same_time(yard: Yard) -> None:
    first = Running(yard.apply("training_job.a"), "provider.before").stopped()
    assert yard.run("training_job.b") == ["training_job.b run"]
    assert yard.recorded()[0] == ["training_job.b"]
    taint(yard.session(), "training_job.b", tainted=True)
    assert first.end() == ["training_job.a run"]
    assert yard.recorded()[0] == ["training_job.a", "training_job.b"]
    assert sorted(yard.run()) == ["training_job.b run", "training_job.c run"]
    assert yard.recorded()[1].keys() == {"a", "b"}
    assert yard.run() == []


def test_what_another_writes_is_not_rested_on(yard: Yard) -> None:
    first = Running(yard.apply("training_job.a"), "provider.before").stopped()
    (said,) = Running(yard.apply("training_job.c")).end()
    assert said.startswith("locked: ") and "has held training_job.a since" in said
    (said,) = Running(yard.apply()).end()
    assert "training_job.a" in said
    assert first.end() == ["training_job.a run"]
    assert yard.run("training_job.c") == ["training_job.c run"]
    assert len(yard.effects()) == 2


def test_the_plan_is_made_anew_where_another_was_faster(yard: Yard) -> None:
    """It is made, then another applies the same, then the lock is had: nothing is done twice."""
    slow = Running(yard.apply("training_job.a"), "lock.asked").stopped()
    assert yard.run("training_job.a") == ["training_job.a run"]
    assert slow.end() == []
    assert len(yard.effects()) == 1 and yard.recorded()[0] == ["training_job.a"]


def test_a_saved_plan_stands_while_what_it_rests_on_does(yard: Yard) -> None:
    yard.run("training_job.a")
    session = yard.session()
    both = {
        name: session.plan(session.store.snapshot(), PlanOptions(targets=(f"training_job.{name}",)))
        for name in ("b", "c")
    }
    session.store.close()  # type: ignore[attr-defined]
    spec = yard.root / "main.mlf.hcl"
    spec.write_text(spec.read_text().replace("value = 1", "value = 10"))
    assert yard.run("training_job.a") == ["training_job.a run"]
    assert yard.run(saved=both["b"]) == ["training_job.b run"]
    with pytest.raises(DiagnosedError, match=r"In between: training_job.a run in r-[^,]*\. "):
        yard.apply(saved=both["c"])(lambda _: None)


@pytest.fixture
def two(yard: Yard) -> Yard:
    """With a workspace beside the default one."""
    yard.run("training_job.b")
    new(yard.session(), "other")
    return yard


def test_the_same_stage_in_flight_is_joined(two: Yard) -> None:
    first = Running(two.apply("training_job.a"), "provider.before").stopped()
    second = Running(two.apply("training_job.a", workspace="other"))
    second.until("is making the same result: waiting for it")
    assert first.end() == ["training_job.a run"]
    assert second.end() == ["training_job.a reuse"]
    assert [e for e in two.effects() if "training_job.a" in e] == ['["run", "training_job.a", "1"]']
    assert two.recorded("other")[0] == ["training_job.a"]


def test_the_second_takes_over_from_a_first_that_is_killed(two: Yard) -> None:
    first = Running(two.apply("training_job.a"), "provider.before").stopped()
    second = Running(two.apply("training_job.a", workspace="other"))
    second.until("is making the same result: waiting for it")
    first.end(signal.SIGKILL)
    said = second.end()
    assert "ended without a result: it is made here" in said[0]
    assert said[1:] == ["training_job.a run"]
    assert two.run("training_job.a") == ["training_job.a reuse"]
    assert len([e for e in two.effects() if "training_job.a" in e]) == 1
