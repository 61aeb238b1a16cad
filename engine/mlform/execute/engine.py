"""The one interface of whatever runs jobs for us: a batch system, a cluster, this machine.

An engine's word is a hint. What counts is the ``result.json`` that the stage itself writes, once,
into the folder of its attempt; an engine that cannot be reached has not failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from mlform.demand import Demand

Handle: TypeAlias = Mapping[str, Any]
"""What an engine knows a job by: small, plain data, kept in the state before anybody waits.

``job`` in it is the engine's own name of the job, where it gives names.
"""


class State(StrEnum):
    """What an engine says of a job."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """It ended by itself, badly."""
    LOST = "lost"
    """The engine knows it no more, or lost the machine under it."""
    UNKNOWN = "unknown"
    """Nobody can tell now. This is not an end."""


OVER = frozenset({State.SUCCEEDED, State.FAILED, State.LOST})


@dataclass(frozen=True)
class Status:
    """What an engine says of a job, and why, where it says that."""

    state: State
    why: str = ""


@dataclass(frozen=True)
class Job:
    """What is handed to an engine. Nothing in it is secret: engines show all of it to others."""

    id: str
    """The attempt. The same id is the same job, however often it is submitted."""
    command: Sequence[str]
    """What to run. An engine that names its jobs appends the name, which goes into the claim."""
    folder: Path
    """The folder of the attempt, on a file system that the job sees too."""
    root: Path
    demand: Demand = field(default_factory=Demand)


class RefusedError(Exception):
    """The engine took a look at the job and will not have it; the message is for the user."""


class UnreachableError(Exception):
    """The engine did not answer: whether it heard is not known."""


class Engine(Protocol):
    """Something that runs jobs. All methods may be called from several threads at once."""

    def submit(self, job: Job) -> Handle:
        """Have a job run, once: one that was submitted before is found again, not run twice.

        Raises ``RefusedError`` or ``UnreachableError``. Tries a job at most once by itself.
        """
        ...

    def poll(self, handle: Handle) -> Status:
        """Say how a job is. Never raises: an engine out of reach gives ``UNKNOWN``."""
        ...

    def logs(self, handle: Handle) -> str:
        """Return the end of what the engine itself kept of a job's output; it may be nothing."""
        ...

    def cancel(self, handle: Handle, grace: float) -> None:
        """End a job: ask, and after ``grace`` seconds force. Returns once it is dead.

        One that is over is no error. Raises ``UnreachableError``.
        """
        ...
