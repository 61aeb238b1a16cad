"""One change to a real spec, carried out by the real engine in a process that may be killed."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from tests.crash.provider import EFFECTS, OUTSIDE, TARGET
from tests.engine.world import Inline

from mlform import failpoints
from mlform.commands.applying import Applied, apply
from mlform.commands.reapplying import reapply
from mlform.commands.session import Session
from mlform.config import Given
from mlform.diagnostics import DiagnosedError
from mlform.refresh.pins import read_pins
from mlform.registry import Registry

CANARY = "canary-7b31c0ffee"
ACKNOWLEDGED = "acknowledged"
_BEFORE = """
variable "token" {
  type      = string
  sensitive = true
}
dataset "lines" "rows" {
  path    = "rows.txt"
  version = { mode = "pin" }
}
training_job "stage" "a" {
  data  = [dataset.rows]
  value = 1
}
training_job "stage" "b" {
  data = [training_job.a.thing]
}
deployment "thing" "web" {
  shows = training_job.b.total
  token = var.token
}
deployment "thing" "swap" {
  shows = 1
  where = "one"
}
deployment "thing" "first" {
  shows = 1
  where = "one"
  lifecycle {
    create_before_destroy = true
  }
}
deployment "thing" "goes" {
  shows = 1
}
output "total" {
  value = training_job.b.total
}
"""
_AFTER = """
variable "token" {
  type      = string
  sensitive = true
}
moved {
  from = dataset.rows
  to   = dataset.lines
}
dataset "lines" "lines" {
  path    = "rows.txt"
  version = { mode = "pin" }
}
dataset "lines" "more" {
  path    = "more.txt"
  version = { mode = "pin" }
}
training_job "stage" "a" {
  data  = [dataset.lines, dataset.more]
  value = 20
}
training_job "stage" "b" {
  data = [training_job.a.thing]
}
training_job "stage" "c" {
  value = 3
  owner = "c"
}
deployment "thing" "web" {
  shows = training_job.b.total
  size  = 2
  token = var.token
}
deployment "thing" "swap" {
  shows = training_job.b.total
  where = "two"
}
deployment "thing" "first" {
  shows = training_job.b.total
  where = "two"
  lifecycle {
    create_before_destroy = true
  }
}
output "total" {
  value = training_job.b.total
}
output "c" {
  value = training_job.c.total
}
"""
_NIGHT = "2126-01-01T06:00:00Z"
_NIGHTLY = """
variable "token" {
  type      = string
  sensitive = true
}
dataset "lines" "rows" {
  path    = "rows.txt"
  version = { mode = "pin" }
}
training_job "stage" "a" {
  data = [dataset.rows]
}
trigger "night" {
  schedule = "0 3 * * *"
  advance  = [dataset.rows]
}
"""
_WRITES = frozenset({"intent", "failed", "put", "move", "forget", "put_outputs", "realise", "ran"})


class Acknowledging:
    """A store that writes down each write once it has come back."""

    def __init__(self, store: Any, file: Path) -> None:
        self._store, self._file = store, file

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in _WRITES:
            return method

        def write(lease: Any, *args: Any, **more: Any) -> Any:
            found = method(lease, *args, **more)
            about = str(getattr(args[1], "address", args[1])) if name in _ABOUT else ""
            line = json.dumps([name, about, found if isinstance(found, int) else 0]) + "\n"
            with self._file.open("ab", buffering=0) as file:
                file.write(line.encode())
            return found

        return write


def _entry_points(group: str) -> list[Any]:
    return [SimpleNamespace(name="noted", value=TARGET, version="")] if group else []


_ABOUT = frozenset({"intent", "failed", "put", "forget"})


@dataclass(frozen=True)
class Seen:
    """What there is when all is over: what a crash must not change."""

    records: Mapping[str, tuple[str, str, str]]
    outputs: Mapping[str, Any]
    pins: Mapping[str, str]
    outside: tuple[str, ...]
    effects: Mapping[str, int] = field(compare=False)


@dataclass(frozen=True)
class Lab:
    """A folder with the spec, its state, its artifacts, and the world outside."""

    root: Path
    parallelism: int = 1
    """How many steps at once: with one, the same points are come by in the same order each time."""

    def session(self) -> Session:
        given = Given([("var", f"token={CANARY}")], {})
        return Session(self.root, given, Registry({"noted": TARGET}))

    def write(self, spec: str) -> None:
        (self.root / "main.mlf.hcl").write_text(spec)

    def prepare(self) -> None:
        """Apply what stands before the change; write the change."""
        self.root.mkdir(parents=True)
        (self.root / "rows.txt").write_text("one\ntwo\n")
        (self.root / "more.txt").write_text("three\n")
        self.write(_BEFORE)
        assert self.apply().outcome
        for log in (EFFECTS, ACKNOWLEDGED):
            (self.root / log).unlink()
        self.write(_AFTER)

    def copy(self, to: Path) -> Lab:
        shutil.copytree(self.root, to)
        return type(self)(to, self.parallelism)

    def apply(self) -> Applied:
        """Plan and apply as the command does, the provider in this very process."""
        with self._carrying_out() as session:
            return apply(session, lambda _: True, lambda _: None, parallelism=self.parallelism)

    @contextmanager
    def _carrying_out(self) -> Iterator[Session]:
        session = self.session()
        session.__dict__["store"] = Acknowledging(session.store, self.root / ACKNOWLEDGED)
        with (
            mock.patch("mlform.execute.LocalExecutor", return_value=Inline()),
            mock.patch("mlform.commands.working.provenance", return_value={"by": "x"}),
        ):
            yield session

    def command(self, *arguments: str) -> None:
        """Be the command that a user gives in the folder; raises ``SystemExit``."""
        from mlform.cli.main import command

        os.chdir(self.root)
        sys.argv = ["mlform", *arguments, f"-var=token={CANARY}"]
        with (
            mock.patch("mlform.registry.registry.entry_points", _entry_points),
            mock.patch("mlform.execute.LocalExecutor", return_value=Inline()),
            mock.patch("mlform.commands.working.provenance", return_value={"by": "x"}),
        ):
            sys.exit(command())

    def effects(self) -> Counter[str]:
        """Return how often each effect happened."""
        file = self.root / EFFECTS
        return Counter(file.read_text().splitlines() if file.exists() else [])

    def seen(self) -> Seen:
        snapshot = self.session().store.snapshot()
        outside = self.root / OUTSIDE
        return Seen(
            {
                str(a): (r.key, r.digest, str(r.receipt.get("tainted")))
                for a, r in snapshot.records.items()
            },
            dict(snapshot.outputs),
            {str(a): p.version for a, p in read_pins(self.root).items()},
            # A name with a dot is of what a kill kept from being put in its place.
            tuple(sorted(p.read_text() for p in outside.glob("[!.]*"))),
            self.effects(),
        )


class Nightly(Lab):
    """A change that a trigger makes: its schedule has come, and it moves a pin."""

    def prepare(self) -> None:
        """Apply what stands before the night; have something new at the source."""
        self.root.mkdir(parents=True)
        (self.root / "rows.txt").write_text("one\ntwo\n")
        (self.root / OUTSIDE).mkdir()
        self.write(_NIGHTLY)
        assert super().apply().outcome
        for log in (EFFECTS, ACKNOWLEDGED):
            (self.root / log).unlink()
        (self.root / "rows.txt").write_text("one\ntwo\nthree\n")

    def apply(self) -> Applied:
        """Let the trigger act, the provider in this very process."""
        with self._carrying_out() as session:
            return reapply(session, lambda _: None, parallelism=1, as_of=_NIGHT).applied


@contextmanager
def quick_folder() -> Iterator[Path]:
    """Give a folder in memory, where there is one: what a kill leaves, no disk has a part in."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def forked(act: Callable[[], object], said: Path) -> int:
    """Run something in a fork; return its wait status. What it raised stands in ``said``."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    code = 1
    gc.disable()  # a collection would copy every page of the parent
    try:
        act()
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the parent reads it
        said.write_text(traceback.format_exc())
    os._exit(code)


def killed(status: int) -> bool:
    """Tell whether a process was ended by SIGKILL."""
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def points(
    lab: Lab, at: Path, mutant: Callable[[], object] = lambda: None
) -> list[tuple[str, int]]:
    """Return every point that the change comes by, in order, each with its hit."""
    copy, listed = lab.copy(at), at.with_suffix(".points")

    def count() -> None:
        names: list[str] = []
        mutant()
        failpoints.arm(names.append)
        copy.apply()
        listed.write_text("\n".join(names))

    status = forked(count, at.with_suffix(".said"))
    assert status == 0, at.with_suffix(".said").read_text()
    shutil.rmtree(at)
    hits: Counter[str] = Counter()
    found = []
    for name in listed.read_text().split():
        hits[name] += 1
        found.append((name, hits[name]))
    return found


def golden(lab: Lab, at: Path) -> Seen:
    """Return what the change comes to when nothing befalls it."""
    copy = lab.copy(at)
    copy.apply()
    found = copy.seen()
    shutil.rmtree(at)
    return found


def on_disk(lab: Lab) -> list[str]:
    """Return what must hold at any moment, and does not."""
    store = lab.session().store
    try:
        wrong = list(store.verify())
        snapshot = store.snapshot()
        journal = list(store.journal())
        unfinished = {e.address for e in store.unfinished()}
        read_pins(lab.root)
    except DiagnosedError as error:
        return [f"cannot be read: {error}"]
    finally:
        store.close()
    serials = [e.serial for e in journal if e.serial]
    if serials != list(range(1, snapshot.serial + 1)):
        wrong.append(f"serials {serials}, state at {snapshot.serial}")
    wrong += _unacknowledged(lab, journal)
    wrong += _objects(lab, snapshot.records.values())
    wrong += _unannounced(lab, journal, unfinished)
    for file in (lab.root / ".mlform").rglob("*"):
        if file.is_file() and CANARY.encode() in file.read_bytes():
            wrong.append(f"a secret in {file.name}")
    return wrong


def _unacknowledged(lab: Lab, journal: list[Any]) -> list[str]:
    file = lab.root / ACKNOWLEDGED
    said = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    operations = {"put": "done", "put_outputs": "outputs", "move": "moved", "ran": "run"}
    told = {(e.operation, e.address or "", e.serial) for e in journal}
    missing = []
    for name, address, serial in said:
        operation = operations.get(name, name)
        if operation == "realise" or (operation == "outputs" and not serial):
            continue
        if (operation, address, serial) not in told:
            missing.append(f"acknowledged and lost: {name} {address} at {serial}")
    return missing


def _objects(lab: Lab, records: Any) -> list[str]:
    folder = lab.root / ".mlform" / "store" / "objects" / "sha256"
    wrong = []
    for file in folder.rglob("*") if folder.exists() else ():
        name = f"{file.parent.name}{file.name}"
        if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() != name:
            wrong.append(f"an object is not what its name says: {name[:12]}")
    for record in records:
        for value in record.attributes.values():
            if isinstance(value, dict) and str(value.get("digest")).startswith("sha256:"):
                digest = value["digest"].removeprefix("sha256:")
                if not (folder / digest[:2] / digest[2:]).is_file():
                    wrong.append(f"{record.address} names an object that is not there")
    return wrong


def _unannounced(lab: Lab, journal: list[Any], unfinished: set[str | None]) -> list[str]:
    """Return effects that happened and that nothing in the journal speaks of."""
    wrong = []
    last: dict[str, str] = {}
    for entry in journal:
        if entry.address:
            last[entry.address] = entry.operation
    begun = Counter(e.address for e in journal if e.operation == "intent")
    for line, times in lab.effects().items():
        address = json.loads(line)[1]
        if begun[address] < times:
            wrong.append(f"{line} happened, and no intent says so ({unfinished})")
    return wrong


def afterwards(lab: Lab, want: Seen, cut: Counter[str], said: Path, most: int = 1) -> list[str]:
    """Apply again after a crash; return what is not as if there had been none.

    ``most`` says of how many resources an effect may happen once more: a crash comes upon one, a
    full disk upon each.
    """
    done = [tuple(json.loads(line)) for line in _read(lab.root / ACKNOWLEDGED)]
    status = forked(lab.apply, said)
    if status != 0:
        return [f"the next apply failed: {_read(said)[-1:]}"]
    wrong = on_disk(lab)
    seen = lab.seen()
    for part in ("records", "outputs", "pins", "outside"):
        got, wanted = getattr(seen, part), getattr(want, part)
        if got != wanted:
            wrong.append(f"{part}: {_differences(got, wanted)}")
    more = Counter(seen.effects)
    more.subtract(want.effects)
    if len(again := {json.loads(line)[1] for line in +more}) > most:
        wrong.append(f"done once more: {sorted(again)}")
    recorded = {address for name, address, _ in done if name == "put"}
    for line in Counter(seen.effects) - cut:
        what, address, *_ = json.loads(line)
        if what == "run" and address in recorded and seen.effects[line] > want.effects[line]:
            wrong.append(f"{address} was recorded, and ran again")
    before = seen.effects
    status = forked(lab.apply, said)
    if status != 0 or lab.seen() != seen or lab.effects() != before:
        wrong.append("a second apply was not empty")
    return wrong


def _differences(got: Any, wanted: Any) -> str:
    if not isinstance(got, Mapping):
        return f"{got} and not {wanted}"
    names = sorted(n for n in {*got, *wanted} if got.get(n) != wanted.get(n))
    return ", ".join(f"{n}: {got.get(n)} and not {wanted.get(n)}" for n in names)


def _read(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def _told(said: Path) -> bool:
    """Tell whether a run ended as the command explains it, or as the point was told to end it."""
    raised = "".join(_read(said)[-1:])
    return raised.startswith(("mlform.diagnostics.DiagnosedError", "OSError", "mlform.failpoints"))


@dataclass(frozen=True)
class Crash:
    """What came of one process that died at one point."""

    point: str
    hit: int
    violations: tuple[str, ...]
    again: int
    """How many resources had an effect happen more often than without the crash."""
    died: bool


def crash(
    lab: Lab,
    at: Path,
    want: Seen,
    point: str,
    hit: int,
    mutant: Callable[[], object] = lambda: None,
    action: str = "kill",
) -> Crash:
    """Carry out the change, die (or fail) at a point, look, carry it out again, look."""
    copy, said = lab.copy(at), at.with_suffix(".said")

    def die() -> None:
        mutant()
        failpoints.arm(failpoints.planned(f"{point}:{hit}:{action}"))
        copy.apply()

    status = forked(die, said)
    wrong = [] if killed(status) or status == 0 or _told(said) else [f"raised: {_read(said)[-1:]}"]
    cut = copy.effects()
    wrong += on_disk(copy)
    again = 0
    if not wrong:
        wrong = afterwards(copy, want, cut, said, most=lab.parallelism)
        more = copy.effects() - Counter(want.effects)
        again = len({json.loads(line)[1] for line in more})
    shutil.rmtree(at)
    return Crash(point, hit, tuple(wrong), again, killed(status))
