"""Slurm, through the commands that every user of it has."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Final

from mlform.execute.engine import (
    Handle,
    Job,
    RefusedError,
    State,
    Status,
    UnreachableError,
)
from mlform.execute.limits import threads
from mlform.execute.local import GRACE

_PATIENCE: Final = 60.0
"""Seconds that one command may take."""
_FRESH: Final = 0.5
"""Seconds that one look at the queue answers for all jobs."""
_LOOK: Final = 0.1

_STATES: Final[Mapping[str, State]] = {
    "PENDING": State.PENDING,
    "CONFIGURING": State.PENDING,
    "REQUEUED": State.PENDING,
    "REQUEUE_HOLD": State.PENDING,
    "REQUEUE_FED": State.PENDING,
    "RESV_DEL_HOLD": State.PENDING,
    "SPECIAL_EXIT": State.PENDING,
    "RUNNING": State.RUNNING,
    "COMPLETING": State.RUNNING,
    "SUSPENDED": State.RUNNING,
    "STOPPED": State.RUNNING,
    "SIGNALING": State.RUNNING,
    "RESIZING": State.RUNNING,
    "STAGE_OUT": State.RUNNING,
    "COMPLETED": State.SUCCEEDED,
    "FAILED": State.FAILED,
    "TIMEOUT": State.FAILED,
    "DEADLINE": State.FAILED,
    "OUT_OF_MEMORY": State.FAILED,
    "CANCELLED": State.LOST,
    "BOOT_FAIL": State.LOST,
    "NODE_FAIL": State.LOST,
    "PREEMPTED": State.LOST,
    "REVOKED": State.LOST,
}
_UNREACHABLE: Final = re.compile(
    r"unable to contact slurm controller|connection refused|timed out|zero bytes were transmitted"
    r"|communication connection failure|socket|temporarily unable|try again|in standby mode",
    re.IGNORECASE,
)
_GONE: Final = re.compile(r"invalid job id", re.IGNORECASE)
_PASSED: Final = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "USER")
"""What of the environment goes with a job; all else could be secret, and Slurm keeps it."""


@dataclass(frozen=True)
class SlurmSettings:
    """What jobs of one executor ask Slurm for."""

    partition: str = ""
    account: str = ""
    qos: str = ""
    options: Sequence[str] = ()
    """Further options of sbatch, as they are."""
    environment: Sequence[str] = ()
    """Variables of the environment that go with a job, by name."""


class SlurmEngine:
    """Jobs by ``sbatch``. The folder of the spec must be on a file system that the nodes share."""

    def __init__(self, settings: SlurmSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._queue: dict[str, str] = {}
        self._looked = float("-inf")

    def submit(self, job: Job) -> Handle:
        """Submit a batch job, unless one of that name is in the queue."""
        if (found := self._named(job.id)) is not None:
            return {"job": found}
        done = _run(self._sbatch(job), _script(job))
        if done.returncode:
            raise RefusedError(_said(done) or "sbatch did not say why.")
        number = done.stdout.strip().partition(";")[0]
        with self._lock:
            self._looked = float("-inf")
        return {"job": number}

    def poll(self, handle: Handle) -> Status:
        """Look into the queue, and where it is not there any more, ask what became of it."""
        number = str(handle["job"])
        try:
            state = self._in_queue().get(number)
            return Status(_STATES.get(state, State.UNKNOWN)) if state else _record(number)
        except UnreachableError as error:
            return Status(State.UNKNOWN, str(error))

    def logs(self, handle: Handle) -> str:
        """Return nothing: what a job prints goes to the folder of its attempt."""
        with contextlib.suppress(OSError, UnreachableError):
            fields = _fields(_run(["scontrol", "show", "job", "-o", str(handle["job"])]).stdout)
            if path := fields.get("StdOut"):
                return Path(path).read_bytes()[-2000:].decode(errors="replace").strip()
        return ""

    def cancel(self, handle: Handle, grace: float) -> None:
        """Cancel it, and wait until no process of it is left."""
        number = str(handle["job"])
        done = _run(["scancel", number])
        if done.returncode and not _GONE.search(done.stderr):
            raise UnreachableError(_said(done))
        # Slurm asks with SIGTERM and forces after the KillWait of its configuration.
        deadline = time.monotonic() + grace + _PATIENCE
        while time.monotonic() < deadline:
            with self._lock:
                self._looked = float("-inf")
            if number not in self._in_queue():
                return
            time.sleep(_LOOK)
        raise UnreachableError(f"job {number} is cancelled and not over yet.")

    def _sbatch(self, job: Job) -> list[str]:
        it, demand = self._settings, job.demand
        passed = [n for n in (*_PASSED, *it.environment) if n in os.environ]
        limits = [f"{n}={v}" for n, v in sorted(threads(demand, {}).items())]
        command = [
            "sbatch",
            "--parsable",
            "--no-requeue",
            "--ntasks=1",
            f"--job-name={job.id}",
            f"--output={job.folder / 'engine.txt'}",
            "--open-mode=append",
            f"--chdir={job.root}",
            f"--export={','.join([*passed, *limits, 'PYTHONHASHSEED=0'])}",
        ]
        command += [f"--cpus-per-task={ceil(demand.cpu)}"] if demand.cpu else []
        command += [f"--mem={ceil(demand.memory / 2**20)}M"] if demand.memory else []
        command += [f"--gres=gpu:{demand.gpu}"] if demand.gpu else []
        if demand.timeout is not None:
            # The job ends itself; Slurm ends one that cannot, and plans with it.
            command.append(f"--time={ceil((demand.timeout + 3 * GRACE) / 60)}")
        named = {"partition": it.partition, "account": it.account, "qos": it.qos}
        command += [f"--{n}={v}" for n, v in named.items() if v]
        return [*command, *it.options]

    def _named(self, name: str) -> str | None:
        done = _run(["squeue", "--noheader", "--format=%i", f"--name={name}"])
        if done.returncode:
            raise UnreachableError(_said(done))
        return done.stdout.split()[0] if done.stdout.strip() else None

    def _in_queue(self) -> Mapping[str, str]:
        """Return the state of each job of ours that is not over. One look serves all threads."""
        with self._lock:
            if time.monotonic() - self._looked > _FRESH:
                done = _run(["squeue", "--noheader", "--me", "--format=%i %T"])
                if done.returncode:
                    raise UnreachableError(_said(done))
                rows = [line.split() for line in done.stdout.splitlines()]
                self._queue = {row[0]: row[1] for row in rows if len(row) == 2}
                self._looked = time.monotonic()
            return self._queue


def _script(job: Job) -> str:
    return f'#!/bin/sh\nexec {shlex.join(job.command)} "$SLURM_JOB_ID"\n'


def _record(number: str) -> Status:
    """Ask what became of a job that has left the queue; Slurm remembers for some minutes."""
    done = _run(["scontrol", "show", "job", "-o", number])
    if done.returncode:
        if _GONE.search(done.stderr):
            return Status(State.LOST, "Slurm does not know the job any more.")
        raise UnreachableError(_said(done))
    fields = _fields(done.stdout)
    word = fields.get("JobState", "")
    state = _STATES.get(word, State.UNKNOWN)
    code, _, number_ = fields.get("ExitCode", "0:0").partition(":")
    why = f"Slurm says {word}"
    if fields.get("Reason", "None") != "None":
        why += f" ({fields['Reason']})"
    ended = f"exit code {code}" if number_ == "0" else f"signal {number_}"
    return Status(state, f"{why}, {ended}.")


def _fields(text: str) -> dict[str, str]:
    """Take apart ``Name=value Name=value``, values without spaces."""
    return dict(part.partition("=")[::2] for part in text.split() if "=" in part)


def _run(command: Sequence[str], given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of Slurm. Raises where it is not there or its controller does not answer."""
    try:
        done = subprocess.run(  # noqa: S603 - commands of Slurm, with arguments of ours
            command, input=given, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except FileNotFoundError:
        raise RefusedError(
            f"`{command[0]}` is not on the PATH. Run mlform where jobs can be submitted to Slurm "
            "(Debian: apt-get install slurm-client)."
        ) from None
    except subprocess.TimeoutExpired:
        raise UnreachableError(f"`{command[0]}` did not answer for {_PATIENCE:g} s.") from None
    if done.returncode and _UNREACHABLE.search(done.stderr):
        raise UnreachableError(_said(done))
    return done


def _said(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return " ".join(line.removeprefix(f"{done.args[0]}: ") for line in lines)
