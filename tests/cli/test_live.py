"""What people see while it runs, on a terminal of their own; and what steps printed, afterwards."""

from __future__ import annotations

import os
import pty
import select
import sys
from pathlib import Path
from subprocess import Popen

import pyte
import pytest
from tests.scenarios.command import Folder

SPEC = """
dataset "file" "d" {
  path = "d.csv"
}
feature_view "python" "waits" {
  from      = dataset.d
  transform = "steps.py:waits"
}
feature_view "python" "breaks" {
  from      = dataset.d
  transform = "steps.py:breaks"
}
"""
CODE = """
from pathlib import Path
import select


def waits(frame):
    print("the last line so far", flush=True)
    here = Path(__file__).parent
    with open(here / "go", "rb", 0) as go:
        go.read(1)
    return frame


def silent(frame):
    with open(Path(__file__).parent / "go", "rb", 0) as go:
        go.read(1)
    print("said at last", flush=True)
    return frame


def breaks(frame):
    print("about to break", flush=True)
    raise ValueError("no such column")
"""
COLUMNS, ROWS = 120, 40


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "main.mlf.hcl").write_text(SPEC)
    (tmp_path / "steps.py").write_text(CODE)
    (tmp_path / "d.csv").write_text("a,b\n1,x\n2,y\n")
    os.mkfifo(tmp_path / "go")
    return Folder(tmp_path)


class Terminal:
    """A command on a terminal, and what stands on its screen."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ |= {"COLUMNS": str(COLUMNS), "LINES": str(ROWS), "TERM": "xterm-256color"}
            program = str(Path(sys.executable).with_name("mlform"))
            os.execv(program, [program, *arguments])  # noqa: S606 - the command under test
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display if line.strip())

    def until(self, *wanted: str) -> str:
        """Read until all of this stands on the screen at once."""
        while not all(w in self.text for w in wanted):
            assert self._read(), f"ended without {wanted}:\n{self.text}"
        return self.text

    def end(self) -> tuple[int, str]:
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), self.text

    def _read(self) -> bool:
        ready, _, _ = select.select([self.fd], [], [], 60)
        assert ready, f"nothing was said for a minute:\n{self.text}"
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.stream.feed(data)
        return bool(data)


def test_a_terminal_shows_what_runs_its_last_line_and_failures_at_once(folder: Folder) -> None:
    terminal = Terminal(folder.path, "apply", "-auto-approve")
    hint = "All of it: mlform logs feature_view.breaks"
    seen = terminal.until(hint, "the last line so far", "2 of 3 over", "feature_view.waits  run")
    assert "dataset.d: ran in" in seen
    assert "  about to break" in seen
    assert "feature_view.breaks: failed" in seen
    (folder.path / "go").write_bytes(b"x")
    code, last = terminal.end()
    assert code == 1
    assert "feature_view.waits: ran in" in last
    assert "of 3 over" not in last  # what was live is gone
    (folder.path / "steps.py").write_text(CODE.replace('"no such column"', '"no column"'))
    again = Terminal(folder.path, "apply", "-auto-approve", "-replace", "feature_view.waits")
    again.until("the last line so far", "longer than before")  # it knows how long it took
    (folder.path / "go").write_bytes(b"x")
    assert again.end()[0] == 1


def test_logs_shows_what_a_step_printed(folder: Folder) -> None:
    failing = folder.start("apply", "-auto-approve", "-target=feature_view.breaks")
    assert "about to break" in failing.communicate(timeout=120)[0]
    assert folder.mlform("logs", "feature_view.breaks").out == "about to break\n"
    assert folder.mlform("logs", "feature_view.breaks", "-tail=1", "-json").lines == [
        {"type": "log", "address": "feature_view.breaks", "text": "about to break"}
    ]
    (listed,) = folder.mlform("logs", "feature_view.breaks", "-list", "-json").data
    assert (listed["ending"], listed["bytes"]) == ("failed", len("about to break\n"))
    assert "failed" in folder.mlform("logs", "feature_view.breaks", "-list").out
    wrong = folder.mlform("logs", "feature_view.break", expect=1)
    assert "Did you mean" in wrong.err
    beyond = folder.mlform("logs", "feature_view.breaks", "-attempt=1", expect=1)
    assert "There is no attempt 1: 0 is the last that is kept" in beyond.err


def begun(folder: Folder, address: str) -> Popen[str]:
    """Start an apply of a step, and wait until its turn has come."""
    running = folder.start("apply", "-auto-approve", f"-target={address}")
    assert running.stdout is not None
    assert any(line.startswith(f"{address}: run") for line in running.stdout)
    return running


SILENT = """
feature_view "python" "silent" {
  from      = dataset.d
  transform = "steps.py:silent"
}
"""


def test_logs_of_what_runs_and_printed_nothing_yet(folder: Folder) -> None:
    (folder.path / "silent.mlf.hcl").write_text(SILENT)
    running = folder.start("apply", "-auto-approve", "-target=feature_view.silent")
    with (folder.path / "go").open("wb", 0) as go:  # opens once the step waits for it
        said = folder.mlform("logs", "feature_view.silent").out
        assert said.startswith("feature_view.silent runs since ")
        assert "it printed nothing yet" in said
        assert folder.mlform("logs", "feature_view.silent", "-json").out == ""
        go.write(b"x")
    running.communicate(timeout=60)
    assert running.returncode == 0
    assert folder.mlform("logs", "feature_view.silent").out == "said at last\n"


def test_logs_can_be_followed_until_the_step_is_over(folder: Folder) -> None:
    running = begun(folder, "feature_view.waits")
    following = Terminal(folder.path, "logs", "-follow", "feature_view.waits")
    following.until("the last line so far")
    (folder.path / "go").write_bytes(b"x")
    assert following.end()[0] == 0
    running.communicate(timeout=60)
    assert running.returncode == 0
    assert folder.mlform("logs", "-follow", "feature_view.waits", "-tail=1").out == (
        "the last line so far\n"
    )
    wrong = folder.mlform("logs", "-follow", "feature_view.waits", "-list", expect=1)
    assert "Invalid options" in wrong.err
    assert "without -attempt and -list" in wrong.err


def test_what_was_killed_is_not_followed_for_ever(folder: Folder) -> None:
    running = begun(folder, "feature_view.waits")
    following = Terminal(folder.path, "logs", "-follow", "feature_view.waits")
    following.until("the last line so far")
    running.kill()
    running.communicate(timeout=60)
    assert following.end()[0] == 0


def test_machines_are_told_how_much_there_is_to_do_and_what_it_took(folder: Folder) -> None:
    said = folder.mlform("apply", "-auto-approve", "-json", "-target=dataset.d").lines
    begun = next(line for line in said if line["type"] == "begun")
    assert (begun["steps"], begun["expected"]) == (1, None)
    outcome = next(line for line in said if line["type"] == "outcome")
    assert outcome["spent"].keys() == {"dataset.d"}
    assert 0 < outcome["spent"]["dataset.d"] <= outcome["seconds"] + 0.1
    (folder.path / "d.csv").write_text("a,b\n1,x\n2,y\n3,z\n")
    said = folder.mlform("apply", "-auto-approve", "-json", "-target=dataset.d").lines
    assert next(line for line in said if line["type"] == "begun")["expected"] > 0
    assert next(line for line in said if line["type"] == "started")["expected"] > 0
