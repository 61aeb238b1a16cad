"""Interrupted or terminated at any moment: exit code 130, no traceback, nothing half-written."""

from __future__ import annotations

import os
import pty
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.lab import Lab, Seen, afterwards, golden, on_disk, quick_folder

from mlform import failpoints

MOMENTS = (
    "state.begun:1",  # taking the lock
    "state.commit:1",
    "cache.written:1",  # planning
    "apply.moving:1",
    "provider.before:1",
    "provider.after:3",
    "apply.recorded:2",
    "state.commit:20",
    "apply.walked:1",
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with quick_folder() as folder:
        made = Lab(folder / "base")
        made.prepare()
        yield made


@pytest.fixture(scope="module")
def want(lab: Lab) -> Seen:
    return golden(lab, lab.root.with_name("golden"))


def said_by(lab: Lab, plan: str, *arguments: str) -> tuple[int, str]:
    """Give a command that something befalls; return its exit code, and what it said of errors."""
    said = lab.root.with_suffix(".err")
    child = os.fork()
    if child == 0:
        _become(lab, plan, said, *arguments)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status), said.read_text()


def _become(lab: Lab, plan: str, said: Path, *arguments: str) -> None:
    code = 1
    try:
        for number, name in ((1, os.devnull), (2, str(said))):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        failpoints.arm(failpoints.planned(plan) if plan else None)
        lab.command(*arguments)
    except SystemExit as error:
        code = int(error.code or 0)
        sys.stderr.flush()
    finally:
        os._exit(code)


@pytest.mark.parametrize("action", ["interrupt", "terminate"])
def test_an_apply_stops_at_any_moment(lab: Lab, want: Seen, action: str) -> None:
    chosen = MOMENTS if action == "interrupt" else MOMENTS[1::3]
    for number, moment in enumerate(chosen):
        copy = lab.copy(lab.root.with_name(f"{action}{number}"))
        code, said = said_by(copy, f"{moment}:{action}", "apply", "-auto-approve")
        assert code == 130, (moment, said)
        assert "Interrupted" in said, moment
        assert "Traceback" not in said and "rror" not in said, (moment, said)
        assert on_disk(copy) == [], moment
        said_file = copy.root.with_suffix(".said")
        assert afterwards(copy, want, Counter(), said_file) == [], moment


def test_what_is_done_already_is_done(lab: Lab, want: Seen) -> None:
    copy = lab.copy(lab.root.with_name("done"))
    code, said = said_by(copy, "apply.closed:1:interrupt", "apply", "-auto-approve")
    assert (code, "Traceback" in said) == (0, False)
    assert copy.seen() == want


def test_a_plan_stops_too(lab: Lab) -> None:
    copy = lab.copy(lab.root.with_name("plan"))
    (copy.root / "p").write_text("what was there before")
    code, said = said_by(copy, "file.written:1:terminate", "plan", "-out", "p")
    assert (code, "Traceback" in said) == (130, False)
    assert (copy.root / "p").read_text() == "what was there before"
    assert [p.name for p in copy.root.iterdir() if p.name.endswith(".tmp")] == []


def test_who_is_asked_may_leave(lab: Lab) -> None:
    copy = lab.copy(lab.root.with_name("asked"))
    before = copy.seen()
    child, terminal = pty.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
            copy.command("apply")
        except SystemExit as error:
            os._exit(int(error.code or 0))
        finally:
            os._exit(1)
    heard = b""
    while b"Only `yes` is taken" not in heard:
        heard += os.read(terminal, 4096)
    os.kill(child, signal.SIGINT)
    while chunk := _read(terminal):
        heard += chunk
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130
    os.close(terminal)
    assert b"Traceback" not in heard
    assert copy.seen() == before
    with copy.session().store.lock("apply"):
        pass


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other side has gone
        return b""
