"""What is handed to a worker, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any, Final, Literal, Protocol, TypeAlias

from mlform.demand import Demand
from mlform.lazy import dataclass, field

MOST_AHEAD: Final = 32
"""The most tasks that wait for a run to be over: so many intents may stand for what never began."""

Method: TypeAlias = Literal["apply", "destroy", "run", "import", "compare"]


@dataclass(frozen=True)
class Task:
    """One call of one method of one resource. All of it is plain data.

    ``provider`` is where the provider class is: ``"module:attribute"``. ``old`` is ``None`` or
    ``{"arguments": …, "attributes": …, "other": …}``, the last the attributes to compare with;
    ``arguments`` may be ``None`` for ``import`` alone.
    ``context`` must have ``root`` (the working directory
    of the run) and ``workdir`` (under which each attempt gets its folder); the rest is for
    ``context_factory``, ``"module:function"``, which is called in the worker with the context and
    a ``Channel`` and returns the ``Context`` for the provider. There, ``workdir`` is the
    folder of this attempt, to be made by whoever asks for it.
    """

    provider: str
    settings: Mapping[str, Any]
    kind: str
    type: str
    method: Method
    arguments: Mapping[str, Any] | None = field(repr=False)
    old: Mapping[str, Any] | None = field(repr=False)
    context: Mapping[str, Any] = field(repr=False)
    context_factory: str
    id: str = ""
    """What ``import`` is to look for."""
    demand: Demand = field(default_factory=Demand)
    devices: Sequence[str] = ()
    """The GPUs of this machine that it is to use, as CUDA calls them; none: nothing is said."""
    attempt: str = ""
    """What the attempt is called; one that was called so before is gone on with."""
    handle: Mapping[str, Any] | None = None
    """What an engine knows the job by, if it was submitted before."""


@dataclass(frozen=True)
class ProgressNote:
    """How far the work is; ``total`` is ``None`` where nobody knows."""

    done: float
    total: float | None
    note: str


@dataclass(frozen=True)
class LogLine:
    """One line that the run logged or printed, without its line end."""

    text: str


@dataclass(frozen=True)
class Partial:
    """What exists by now, whatever becomes of the rest: attributes, as plain data."""

    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Submitted:
    """An engine has the job, and knows it by this. Told before anybody waits for it."""

    handle: Mapping[str, Any]


Message: TypeAlias = ProgressNote | LogLine | Partial | Submitted


@dataclass(frozen=True)
class Failure:
    """An exception, as data.

    A ``ResourceError`` keeps its summary, detail and argument. ``type`` is the name of the class.
    ``trace`` is the traceback of anything else, cut down to the user's code where it passed
    through any.
    """

    summary: str
    detail: str
    argument: str | None = None
    type: str = ""
    trace: str = ""
    transient: bool = False
    """It may come off if it is tried again."""
    rejects: str = ""
    """The digest of a version that proved bad."""


@dataclass(frozen=True)
class Result:
    """How a run ended: with a value, an error, cancelled, or lost.

    ``value`` is, for ``apply``, the attributes; for ``run`` ``{"attributes": …, "alarms": […]}``;
    for ``destroy`` ``{"kept": …}``; for ``compare`` ``{"differences": […]}``; for ``import``
    ``{"found": …}``, in it ``None`` or ``{"attributes": …, "arguments": …}``. ``lost`` says how
    the process ended without a word (killed, crashed): whether the work was done is then unknown,
    which is not the same as failed.
    ``cancelled``: the user asked for it, and it stopped or was ended.
    """

    value: Mapping[str, Any] | None = None
    error: Failure | None = None
    lost: str = ""
    cancelled: bool = False
    open: bool = False
    """The engine cannot be reached: the job may still be running, and can be gone on with."""
    timed_out: bool = False
    seconds: float = 0.0
    """From asking for the process to its end."""
    waited: float = 0.0
    """Seconds before that, until there was room for it."""
    max_rss: int | None = None
    """The largest resident set of the process, in bytes."""
    log: Path | None = None
    """Everything the run printed and logged."""


class Executor(Protocol):
    """Where stages run."""

    def run(self, task: Task, on_message: Callable[[Message], None], stop: Event) -> Result:
        """Run ``task`` to its end. May be called from several threads at once.

        ``on_message`` is called in the calling thread. Setting ``stop`` asks the run to end at its
        next checkpoint. Raises no exception for anything that happens in the run.
        """
        ...

    def ahead(self) -> int:
        """Return how many tasks more than can run at once it is best given at this moment.

        None, but where runs are over within moments: then the next had better be there.
        """
        ...

    def kill_all(self) -> None:
        """End everything that runs at once; each ``run`` returns. Safe in a signal handler."""
        ...

    def close(self) -> None:
        """Let go of all resources. Nothing may be running any more."""
        ...
