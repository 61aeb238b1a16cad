"""What commands say when they cannot do what they are asked: as text, and as JSON.

A golden spec holds files (see ``test_golden``) and steps: ``# --- run COMMAND``,
``# --- tell COMMAND`` for one that has no ``-json``, ``# --- show COMMAND`` for one that says what
is wrong among its results, ``# --- bytes NAME HEX``, which writes a file between two commands,
``# --- pull NAME``, which writes what ``state pull`` prints, ``# --- remove NAME``, which takes a
file or folder away, ``# --- env NAME VALUE``, which sets a variable from there on (without a value,
unsets it), ``# --- sql STATEMENT``, which does damage to the state, and ``# --- lock``, which holds
its lock from there on. ``LATEST`` in a command is the newest run.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.engine.test_golden import GOLDEN, compare, schema, stem, write

from mlform.cli import program
from mlform.cli.parsing import Exit
from mlform.commands.session import Session

COMMANDS = sorted((GOLDEN / "commands").glob("*.mlf.hcl"))
STEP = re.compile(r"^# --- (run|tell|show|bytes|pull|remove|env|sql|lock) ?(.*)\n", re.MULTILINE)
DIAGNOSTICS = '{"type": "diagnostics"'
ALIKE = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b"), "ID"),
    (re.compile(r"ed25519:[A-Za-z0-9+/]{43}="), "ed25519:KEY"),
    (re.compile(r"\b[0-9a-f]{12,}\b"), "DIGEST"),
    (re.compile(r"[\w.-]+@[\w.-]+ \(process \d+\)"), "USER@HOST (process 1)"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "2026-01-31 06:00:00 UTC"),
    (re.compile(r'"owner": "[^"]+", "pid": \d+'), '"owner": "USER@HOST", "pid": 1'),
    (re.compile(r'"since": "[^"]+"'), '"since": "2026-01-31T06:00:00+00:00"'),
    (re.compile(r"r-\d{8}-\d{6}-[0-9a-f]{6}"), "RUN"),
    (re.compile(re.escape(version("mlform"))), "VERSION"),
)
"""What no two runs agree on."""
WATCHED = re.compile(r"^Looking at what is there: .*\n", re.MULTILINE)
"""Told only where looking takes long."""


def told(line: str, capsys: pytest.CaptureFixture[str], *, as_json: bool, whole: bool) -> str:
    """Run a command in this process; return the problems it tells, and results if ``whole``."""
    arguments = [*shlex.split(line), *(["--json"] if as_json else [])]
    with suppress(Exit):
        program.run(arguments)
    said = capsys.readouterr()
    if not as_json:
        return WATCHED.sub("", said.out + said.err if whole else said.err)
    return "".join(f"{x}\n" for x in said.out.splitlines() if x.startswith(DIAGNOSTICS))


def newest(root: Path) -> str:
    """Return the name of the newest run."""
    return [entry.run for entry in Session(root).store.journal()][-1]


@pytest.fixture
def locks() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("path", COMMANDS, ids=stem)
def test_commands(
    path: Path,
    as_json: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    golden_update: bool,
    locks: ExitStack,
) -> None:
    monkeypatch.chdir(tmp_path)
    *files, spec = re.split(r"^# --- steps\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if files and (first := write(tmp_path, files[0])).strip():
        (tmp_path / "main.mlf.hcl").write_text(first)
    found = []
    _, *steps = STEP.split(spec)
    for how, what in zip(steps[::3], steps[1::3], strict=True):
        if how == "bytes":
            name, _, data = what.partition(" ")
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(bytes.fromhex(data))
        elif how == "pull":
            program.run(["state", "pull"])
            (tmp_path / what).write_text(capsys.readouterr().out)
        elif how == "env":
            name, _, value = what.partition(" ")
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
        elif how == "remove":
            place = tmp_path / what
            shutil.rmtree(place) if place.is_dir() else place.unlink()
        elif how == "sql":
            with closing(sqlite3.connect(tmp_path / ".mlform" / "state.db")) as state:
                state.execute(what)
                state.commit()
        elif how == "lock":
            locks.enter_context(Session(tmp_path).store.lock("apply"))
        elif how == "run" or not as_json:
            run = newest(tmp_path) if "LATEST" in what else ""
            line = what.replace("LATEST", run)
            said = told(line, capsys, as_json=as_json, whole=how == "show")
            said = said.replace(str(tmp_path), "FOLDER")
            for pattern, name in ALIKE:
                said = pattern.sub(name, said)
            if said and as_json:
                schema().validate(json.loads(said))
            if said:
                found.append(said if as_json else f"$ mlform {what}\n\n{said}")
    compare(path, "\n".join(found), update=golden_update, suffix="json" if as_json else "txt")
