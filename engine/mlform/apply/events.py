"""What happens while applying, told as it happens. The only way out for news."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from mlform.address import Address
from mlform.lazy import dataclass
from mlform.plan import Action, Reason


@dataclass(frozen=True)
class Begun:
    """A plan begins to be carried out: how many steps will have their turn, and how long it takes.

    ``expected`` and ``most`` are seconds on the clock, of what runs for certain and in the worst
    case; ``None`` where nothing of it ran before.
    """

    run: str
    steps: int
    expected: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Started:
    """A step began; its reasons are what they came to with everything known.

    ``expected`` is how many seconds it took before, at the median; ``None`` if unknown.
    """

    address: Address
    action: Action
    reasons: tuple[Reason, ...] = ()
    expected: float | None = None


@dataclass(frozen=True)
class Progress:
    """A step says how far it is."""

    address: Address
    done: float
    total: float | None
    note: str


@dataclass(frozen=True)
class Log:
    """A line from a step."""

    address: Address
    text: str


@dataclass(frozen=True)
class Finished:
    """A step is over. ``action`` is what it came to; ``changed`` whether its output differs.

    ``summary`` is what the resource says of itself in an attribute of that name.
    """

    address: Address
    action: Action
    seconds: float
    digest: str | None
    changed: bool
    summary: str = ""


@dataclass(frozen=True)
class Imported:
    """Something that exists already is recorded now. Nothing was run for it."""

    address: Address
    id: str
    digest: str


@dataclass(frozen=True)
class Adopted:
    """What was changed from outside is recorded as it was found: these attributes."""

    address: Address
    attributes: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class Held:
    """What was asked for was not all done, on purpose."""

    address: Address
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Failed:
    """A step failed. ``at`` is ``file:line:column`` of the argument to blame, if one is."""

    address: Address
    summary: str
    detail: str
    at: str = ""


@dataclass(frozen=True)
class Skipped:
    """A step never began: something it needs failed, or the user stopped the run."""

    address: Address
    because: str


@dataclass(frozen=True)
class Interrupted:
    """A step was stopped by the user; what was recorded before stands."""

    address: Address


StepEvent: TypeAlias = (
    Started | Progress | Log | Finished | Imported | Adopted | Held | Failed | Skipped | Interrupted
)
Event: TypeAlias = Begun | StepEvent
Reporter: TypeAlias = Callable[[Event], None]
