"""``console``: what expressions are worth, piped and at a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

from tests.scenarios.command import Folder

SPEC = """
variable "n" {
  type    = number
  default = 2
}
variable "secret" {
  default   = "canary"
  sensitive = true
}
locals {
  doubled = var.n * 2
}
dataset "file" "first" {
  path = "first.csv"
}
"""


def asked(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlform", "console", *arguments]
    return subprocess.run(
        command, cwd=folder, input=text, capture_output=True, text=True, check=False
    )


def test_a_folder_needs_no_spec(tmp_path: Path) -> None:
    done = asked(tmp_path, '1 + 1\nupper("a")\ntolist(["a"])\ntype({ a = [1] })\n')
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        '2\n"A"\ntolist([\n  "a",\n])\nobject({\n    a: tuple([\n        number,\n    ]),\n})\n'
    )


def test_lines_go_on_while_something_is_open(tmp_path: Path) -> None:
    done = asked(tmp_path, "[1,\n 2]\n\n<<EOT\nhi\nEOT\nlength([\n1])\nexit\n1/nothing\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "[\n  1,\n  2,\n]\n<<EOT\nhi\n\nEOT\n1\n"


def test_the_first_error_ends_it(tmp_path: Path) -> None:
    done = asked(tmp_path, "1\nuper(1)\n2\n")
    assert (done.returncode, done.stdout) == (1, "1\n")
    assert 'Did you mean "upper"?' in done.stderr
    assert "^" in done.stderr


def test_a_name_of_nothing_is_an_error_where_it_is_not_evaluated_too(tmp_path: Path) -> None:
    told = asked(tmp_path, 'try("a", path.modul)\n')
    assert told.returncode == 1
    assert 'There is no "path.modul" here. Did you mean "module"?' in told.stderr + told.stdout
    assert asked(tmp_path, "[for v in [] : v.nothing]\n").stdout.split() == ["[]"]


def test_it_knows_the_spec_and_what_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "main.mlf.hcl").write_text(SPEC)
    (tmp_path / "first.csv").write_text("a,b\n1,2\n3,4\n")
    text = "local.doubled\nvar.secret\ndataset.first.rows\nprior.dataset.first.rows\n"
    assert asked(tmp_path, text).stdout == "4\n(sensitive value)\n(known after apply)\nnull\n"
    Folder(tmp_path).apply()
    assert asked(tmp_path, text, "-var", "n=5").stdout == "10\n(sensitive value)\n2\n2\n"
    (tmp_path / "first.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    assert asked(tmp_path, "dataset.first.rows\n").stdout == "2\n"
    planned = asked(tmp_path, "dataset.first.rows\nprior.dataset.first.rows\n", "-plan")
    assert (planned.returncode, planned.stdout) == (0, "(known after apply)\n2\n")


def test_a_wrong_spec_is_told_first(tmp_path: Path) -> None:
    (tmp_path / "main.mlf.hcl").write_text("locals {\n  a = \n}\n")
    done = asked(tmp_path, "1\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert "main.mlf.hcl:2" in done.stderr


def until(terminal: int, wanted: str) -> str:
    """Read what a terminal shows up to some text."""
    shown, deadline = "", time.monotonic() + 60
    while wanted not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"no {wanted!r} in {shown!r}"
        shown += os.read(terminal, 4096).decode()
    return shown


def test_at_a_terminal_there_are_history_and_completion(tmp_path: Path) -> None:
    (tmp_path / "main.mlf.hcl").write_text(SPEC)
    (tmp_path / ".mlform").mkdir()
    command = [sys.executable, "-m", "mlform", "console"]
    for again in (False, True):
        terminal, inner = pty.openpty()
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env={**os.environ, "TERM": "dumb"},
        )
        os.close(inner)
        until(terminal, "> ")
        if again:
            os.write(terminal, b"\x1b[A\n")  # the arrow up: the last line of the first time
        else:
            os.write(terminal, b"1 +\n")
            assert "Error" in until(terminal, "\n> ")
            os.write(terminal, b"local.dou\t\n")
        assert "local.doubled" in until(terminal, "\r\n4\r\n> ")
        os.write(terminal, b"\x04")
        assert process.wait(60) == 0
        os.close(terminal)
    assert "local.doubled" in (tmp_path / ".mlform" / "console-history").read_text()
