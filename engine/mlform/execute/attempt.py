"""The folder of one attempt: the request, the log, the one result, the working folder."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from signal import Signals
from typing import Any, Final

from mlform.demand import size
from mlform.execute.task import Failure, Result, Task

_KEPT: Final = 5
"""How many attempt folders of a resource stay, for their logs."""


_CLAIM: Final = "claim.json"
"""Says who carries out an attempt; written once, and touched for as long as it is."""


class NotStartedError(Exception):
    """The run never began."""


def new_id() -> str:
    """Return a name for an attempt that no other has; later ones sort behind earlier ones."""
    return f"attempt-{time.time_ns() // 1000:017d}-{secrets.token_hex(4)}"


@dataclass(frozen=True)
class Attempt:
    """One attempt, by its folder."""

    folder: Path

    @property
    def id(self) -> str:
        """What it is called, here and by an engine."""
        return self.folder.name

    @cached_property
    def log(self) -> Path:
        """Everything the run prints."""
        return self.folder / "log.txt"

    @property
    def told(self) -> Path:
        """What the run tells beside that, a line of JSON each."""
        return self.folder / "messages.jsonl"

    @property
    def asked_to_stop(self) -> Path:
        """Is there once the run is to end at its next checkpoint."""
        return self.folder / "stop"

    def make(self) -> bool:
        """Make its folder and the log, and tell whether there was none. Raises ``NotStartedError``.

        What is there stays as it is.
        """
        folder, fresh = self.folder, True
        try:
            try:
                os.mkdir(folder)  # noqa: PTH102 - this and what follows for each call
            except FileNotFoundError:
                os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - as above
            except FileExistsError:
                if not folder.is_dir():
                    raise
                fresh = False
            else:
                _clear(folder)
            os.close(os.open(self.log, os.O_WRONLY | os.O_CREAT, 0o644))
        except OSError as error:
            said = f"Its folder {folder} cannot be made: {error.strerror}."
            raise NotStartedError(said) from None
        return fresh

    def request(self, task: Task) -> dict[str, Any]:
        """Return what the process of this attempt is to do."""
        context = {**task.context, "workdir": f"{self.folder}{os.sep}work"}
        # What a task holds is plain data already: nothing of it need be copied.
        told = {**vars(task), "demand": task.demand.as_data(), "context": context}
        return {"task": told, "folder": str(self.folder)}

    def write_request(self, task: Task) -> None:
        """Leave the request in the folder: it may hold secrets, and goes once it is read."""
        path = [entry or os.getcwd() for entry in sys.path]  # noqa: PTH109 - as sys.path has it
        text = json.dumps({**self.request(task), "path": path})
        with contextlib.suppress(FileNotFoundError):
            self._request.unlink()
        made = os.open(self._request, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(made, "w") as file:
            file.write(text)

    def drop_request(self) -> None:
        """Take the request away, if nobody has read it."""
        self._request.unlink(missing_ok=True)

    @property
    def _request(self) -> Path:
        return self.folder / "request.json"

    def claim(self, owner: Mapping[str, Any]) -> bool:
        """Take the attempt for its one run, ``False`` where somebody has it or it is gone.

        An empty ``owner`` is nobody: the attempt can never begin then.
        """
        mine = f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
        written = self.folder / f"{_CLAIM}.{mine}"
        try:
            written.write_text(json.dumps(dict(owner)), encoding="ascii")
            (self.folder / _CLAIM).hardlink_to(written)
        except (FileExistsError, FileNotFoundError):
            return False
        finally:
            written.unlink(missing_ok=True)
        return True

    def claimed(self) -> dict[str, Any] | None:
        """Return who has the attempt, ``None`` where it is free."""
        try:
            data: dict[str, Any] = json.loads((self.folder / _CLAIM).read_bytes())
        except (OSError, ValueError):
            return None
        return data

    def beat(self) -> None:
        """Show, as who has the attempt, that one is alive. Raises ``OSError``."""
        os.utime(self.folder / _CLAIM)

    def beaten(self) -> int:
        """Return something that changes with each ``beat``."""
        # Opened, since a network file system asks its server again then.
        with contextlib.suppress(OSError), (self.folder / _CLAIM).open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
        return 0

    def ended(self) -> dict[str, Any] | None:
        """Return the result that was written, ``None`` where there is none."""
        try:
            data: dict[str, Any] = json.loads((self.folder / "result.json").read_bytes())
        except (OSError, ValueError):
            return None
        return data

    def result(self, how: str, *, killed: bool) -> Result:
        """Read the result; without one it is lost, and ``how`` says how the process ended."""
        data = self.ended()
        if data is None or "lost" in data:
            how = how if data is None else data["lost"]
            lost = f"{how} Its output is in {self.log}."
            return Result(lost=lost, cancelled=killed, log=self.log)
        return self.as_result(data)

    def as_result(self, data: Mapping[str, Any]) -> Result:
        """Return what the run wrote as its result."""
        rss = data.get("max_rss")
        if data.get("cancelled"):
            return Result(cancelled=True, log=self.log, max_rss=rss)
        if "error" in data:
            return Result(error=Failure(**data["error"]), log=self.log, max_rss=rss)
        return Result(value=data["value"], log=self.log, max_rss=rss)

    def tidy(self) -> None:
        """Take away what only the run needed."""
        work = f"{self.folder}{os.sep}work"
        try:
            os.rmdir(work)  # noqa: PTH106 - most leave nothing there, or never asked for it
        except FileNotFoundError:
            pass
        except OSError:
            shutil.rmtree(work, ignore_errors=True)


def opened(base: Path, name: str = "") -> Attempt:
    """Make the folder of a new attempt under ``base``, and clear old ones away.

    The folder of one of that ``name`` is taken as it is.
    """
    attempt = named(base, name)
    attempt.make()
    return attempt


def named(base: Path | str, name: str = "") -> Attempt:
    """Return an attempt by its name, or a new one; its folder need not be there."""
    # Links may stay, and this is done for each step.
    return Attempt(Path(os.path.abspath(os.path.join(base, name or new_id()))))  # noqa: PTH100, PTH118 - so


def _clear(fresh: Path) -> None:
    """Keep so many attempts beside a new one, the last ones."""
    base = fresh.parent
    names = sorted(n for n in os.listdir(base) if n.startswith("attempt-"))  # noqa: PTH208 - often
    for old in [n for n in names if n != fresh.name][: max(0, len(names) - _KEPT)]:
        shutil.rmtree(base / old, ignore_errors=True)


def succeeded(folder: Path) -> bool | None:
    """Tell whether an attempt came off; ``None`` if it has no result."""
    data = Attempt(folder).ended()
    return None if data is None else "value" in data


def write_once(folder: Path, result: Mapping[str, Any], *, durable: bool = False) -> bool:
    """Write the result of an attempt; ``False`` if there is one already, which stands.

    ``durable``: it is to outlive the machine, since nobody may be there to write it down elsewhere,
    and several may be at it. Else one is, and what it leaves when it is killed is no JSON.
    """
    place = f"{folder}{os.sep}result.json"
    written = f"{place}.{os.getpid()}" if durable else place
    try:
        with open(written, "wb" if durable else "xb") as file:  # noqa: PTH123 - for each call
            file.write(json.dumps(result).encode())
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if durable:
            # A link is made whole and never replaces: the first result of an attempt stands.
            os.link(written, place)
    except FileExistsError:
        return False
    finally:
        if durable:
            os.unlink(written)  # noqa: PTH108 - for each call
    if durable:
        directory = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    return True


def how_ended(code: int, memory: int | None = None) -> str:
    """Say how a process ended that left no result; ``code`` is negative for a signal."""
    if code >= 0:
        return f"The worker process ended with exit code {code} and left no result."
    named = f"signal {-code} ({Signals(-code).name})"
    said = f"The worker process was ended by {named} and left no result."
    if memory is not None and -code in {Signals.SIGKILL, Signals.SIGABRT, Signals.SIGSEGV}:
        return f"{said} Its resources allow it {size(memory)} of memory; it may have needed more."
    if -code == Signals.SIGKILL:
        said += " The system may have run out of memory."
    return said
