"""Disks that are full, small, read-only, flip a bit, or lose their power."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from tests.crash.lab import Lab, Seen, afterwards, forked, on_disk
from tests.state.conftest import make_record

from mlform.artifacts import LocalStore
from mlform.diagnostics import DiagnosedError
from mlform.files import write_file
from mlform.plan import Plan, dump, parse
from mlform.state.store import SqlStore

ACKNOWLEDGED: Final = "acknowledged"


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """Mount something there; skips, loudly, where this may not be done."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *options, folder], capture_output=True, check=False, text=True)
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here (not root?): {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def cramped(lab: Lab, disk: Path, want: Seen, free: int) -> list[str]:
    """Carry out the change with so many bytes free; make room; carry it out again."""
    copy, said = lab.copy(disk / "lab"), disk.with_name("said")
    ballast = disk / "ballast"
    room = shutil.disk_usage(disk).free - free
    with suppress(OSError), ballast.open("wb") as sink:
        sink.write(b"x" * max(0, room))
    wrong = _explained(copy, said)
    ballast.unlink()
    wrong += on_disk(copy) or afterwards(copy, want, Counter(), said, most=20)
    shutil.rmtree(copy.root)
    return wrong


def limited(lab: Lab, at: Path, want: Seen, most: int) -> list[str]:
    """Carry out the change where no file may grow beyond so many bytes; then without a limit."""
    copy, said = lab.copy(at), at.with_suffix(".said")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    wrong = _explained(copy, said, limit)
    wrong += on_disk(copy) or afterwards(copy, want, Counter(), said, most=20)
    shutil.rmtree(copy.root)
    return wrong


def _explained(lab: Lab, said: Path, before: Callable[[], None] = lambda: None) -> list[str]:
    """Return what an apply on such a disk says that is no explanation."""

    def carry_out() -> None:
        before()
        try:
            outcome = lab.apply().outcome
        except (DiagnosedError, OSError):
            os._exit(0)
        for failure in outcome.failures if outcome else ():
            if "Traceback" in failure.detail:
                raise AssertionError(failure.detail)

    return [f"raised {said.read_text()[-300:]}"] if forked(carry_out, said) else []


def flips(lab: Lab, plan: Plan, number: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Flip one bit after another, each in a whole file; count what became of them, tell the silent.

    In turn in the state, in objects and action entries of the store, and in a saved plan.
    """
    chance = random.Random(seed)  # noqa: S311 - the same bits every time
    local = lab.root / ".mlform"
    assert not (local / "state.db-wal").exists(), "the one file is to hold everything"
    saved = lab.root / "saved.plan"
    saved.write_text(dump(plan))
    objects = sorted(p for p in (local / "store" / "objects").rglob("*") if p.is_file())
    actions = sorted(p for p in (local / "store" / "actions").rglob("*") if p.is_file())
    store = lab.session().store
    whole = store.snapshot()
    assert store.verify() == [], "what is whole is called whole"
    store.close()
    found, silent = Counter[str](), []
    for turn in range(number):
        kind = ("state", "object", "action", "plan")[turn % 4]
        files = {"state": [local / "state.db"], "object": objects, "action": actions}
        file = chance.choice(files.get(kind, [saved]))
        content = file.read_bytes()
        place = _place(content, chance)
        rotten = bytearray(content)
        rotten[place] ^= 1 << chance.randrange(8)
        said = _after(kind, lab, file, content, bytes(rotten), whole, plan)
        found[f"{kind}: {said}"] += 1
        if said == "silent":
            silent.append(f"{kind} at {place} of {len(content)}")
    return found, silent


def _place(content: bytes, chance: random.Random) -> int:
    for _ in range(200):  # most of a page is empty
        place = chance.randrange(len(content))
        if content[place]:
            return place
    return 0


def _after(
    kind: str, lab: Lab, file: Path, content: bytes, rotten: bytes, whole: Any, plan: Plan
) -> str:
    mode = file.stat().st_mode
    file.chmod(0o600)
    file.write_bytes(rotten)
    try:
        match kind:
            case "state":
                return _of_state(lab, whole)
            case "object":
                return _of_object(lab, file)
            case "action":
                return _of_action(lab, file, content)
            case _:
                return "harmless" if parse(file.read_text()) == plan else "silent"
    except (DiagnosedError, UnicodeDecodeError):
        return "detected"
    finally:
        file.unlink(missing_ok=True)
        file.write_bytes(content)
        file.chmod(mode)
        for left in ("state.db-wal", "state.db-shm"):
            (lab.root / ".mlform" / left).unlink(missing_ok=True)


def _of_state(lab: Lab, whole: Any) -> str:
    store = lab.session().store
    try:
        if store.snapshot() == whole:
            return "detected" if store.verify() else "harmless"
        return "detected" if store.verify() else "silent"
    finally:
        store.close()


def _of_object(lab: Lab, file: Path) -> str:
    store = LocalStore(lab.root / ".mlform" / "store")
    try:
        store.read(f"sha256:{file.parent.name}{file.name}")
    except KeyError:
        return "detected"
    return "silent"


def _of_action(lab: Lab, file: Path, content: bytes) -> str:
    store = LocalStore(lab.root / ".mlform" / "store")
    got = store.memo_get(f"sha256:{file.parent.name}{file.name}")
    if got is None:
        return "detected"
    written = file.read_bytes()
    file.write_bytes(content)
    same = got == store.memo_get(f"sha256:{file.parent.name}{file.name}")
    file.write_bytes(written)
    return "harmless" if same else "silent"


class Power:
    """A writer on a disk of its own, whose power is cut again and again."""

    def __init__(self, folder: Path, mutant: Callable[[], object] = lambda: None) -> None:
        self.folder, self.mutant = folder, mutant
        self.image, self.said = folder / "image", folder / ACKNOWLEDGED
        self.acknowledged = 0
        with self.image.open("wb") as sink:
            sink.truncate(48 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)

    def cut(self, seconds: float) -> list[str]:
        """Let it write for so long, cut the power, look at what the disk has then."""
        self.said.unlink(missing_ok=True)
        with mounted(self.folder / "disk", "-o", "loop", str(self.image)) as disk:
            for left in disk.iterdir():
                shutil.rmtree(left, ignore_errors=True)
            child = os.fork()
            if child == 0:
                try:
                    self.mutant()
                    self._write(disk)
                finally:
                    os._exit(1)
            while not (self.said.exists() and self.said.stat().st_size):
                time.sleep(0.01)
            time.sleep(seconds)
            os.kill(child, signal.SIGSTOP)
            os.waitpid(child, os.WUNTRACED)
            cut = self.folder / "cut"
            shutil.copyfile(self.image, cut)
            lines = self.said.read_bytes().split(b"\n")[:-1]
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        said = [json.loads(line) for line in lines]
        self.acknowledged += len(said)
        with mounted(self.folder / "found", "-o", "loop", str(cut)) as found:
            return self._lost(found / "it", said)

    def _write(self, disk: Path) -> None:
        root = disk / "it"
        root.mkdir()
        os.sync()
        store, artifacts = SqlStore(f"sqlite:///{root}/state.db"), LocalStore(root / "store")
        said = os.open(self.said, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        with store.lock("apply") as lease:
            for number in range(100_000):
                data = f"{number} ".encode() * 500
                thing = artifacts.put_bytes(data)
                serial = store.put(lease, "r", make_record(f"n{number % 5}", number), {})
                write_file(root / "pins", json.dumps({"number": number}).encode())
                os.write(said, (json.dumps([number, thing.digest, serial]) + "\n").encode())

    def _lost(self, root: Path, said: list[Any]) -> list[str]:
        wrong = []
        store = SqlStore(f"sqlite:///{root}/state.db")
        try:
            wrong += store.verify()
            serial = store.snapshot().serial
        except DiagnosedError as error:
            return [str(error)[:200]]
        finally:
            store.close()
        last = said[-1]
        if serial not in {last[2], last[2] + 1}:
            wrong.append(f"serial {last[2]} was acknowledged, {serial} is there")
        for _, digest, _ in said:
            name = digest.removeprefix("sha256:")
            file = root / "store" / "objects" / "sha256" / name[:2] / name[2:]
            if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != name:
                wrong.append(f"object {name[:12]} was acknowledged, and is not there")
        try:
            number = json.loads((root / "pins").read_text())["number"]
        except (OSError, ValueError) as error:
            return [*wrong, f"pins: {error}"]
        if number not in {last[0], last[0] + 1}:
            wrong.append(f"pins {last[0]} were acknowledged, {number} are there")
        return wrong


def unsettled() -> None:
    """Nothing is waited for until it is on the disk."""
    os.fsync = lambda _descriptor: None


def lax() -> None:
    """SQLite waits for checkpoints alone."""
    from sqlalchemy import event

    from mlform.state import sqlite

    opened = sqlite._open

    def open_(*args: Any) -> Any:
        engine = opened(*args)

        @event.listens_for(engine, "connect")
        def _connect(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA synchronous = NORMAL")

        return engine

    sqlite._open = open_


def folders_unsettled() -> None:
    """A file is waited for, its name is not."""
    from mlform import files

    files._settle_folder = lambda _folder: None


POWERLESS: Final = {m.__name__: m for m in (unsettled, lax, folders_unsettled)}
"""Mutants that a cut of the power must show."""
