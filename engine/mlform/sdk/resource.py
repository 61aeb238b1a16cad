"""The contract of a resource type."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, get_args

from mlform.lazy import dataclass, field
from mlform.sdk.approvals import Approvals
from mlform.sdk.comparing import Difference, differences
from mlform.sdk.fields import Arguments, Attributes

if TYPE_CHECKING:
    from mlform.sdk.context import Context, Looking

A = TypeVar("A", bound=Arguments)
B = TypeVar("B", bound=Attributes)


@dataclass(frozen=True)
class Stored(Generic[A, B]):
    """What the state remembers of a resource: the arguments it was applied with, and the result."""

    arguments: A
    attributes: B


@dataclass(frozen=True)
class Inputs:
    """Facts from outside that a result depends on: parts by name, each with its digest.

    ``rows`` is how many rows all parts have together, where that is cheap to tell.
    """

    parts: Mapping[str, str] = field(default_factory=dict)
    rows: int | None = None


@dataclass(frozen=True)
class Imported(Generic[B]):
    """What was read of something that exists already and was not made here.

    ``arguments`` are those that could be read of it, by the names that users write; what cannot
    be told is left out, and taken to be as the block says.
    """

    attributes: B
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Alarm:
    """Something a monitor found that a person or a trigger should act on. Immutable.

    ``window`` says what was looked at (``{"rows": 500, "first": …, "last": …}``), ``findings``
    what moved and by how much, worst first, each ``{"check": …, "column": …, "value": …,
    "threshold": …}``.
    """

    name: str
    window: Mapping[str, Any]
    findings: Sequence[Mapping[str, Any]]
    summary: str
    incident: bool = False
    """The data are broken (schema, missing), not drifted: nothing may retrain on them."""


class ResourceError(Exception):
    """Raise it for a failure the user can mend; name the argument at fault where there is one.

    ``transient``: it may come off by itself if it is tried again (a service that was busy); a
    stage with ``retry`` is. ``rejects``: the digest of a version that proved bad (a canary that was
    rolled back): the channel that it came from is taken back, and the version quarantined.
    """

    def __init__(
        self,
        summary: str,
        detail: str,
        *,
        argument: str | None = None,
        transient: bool = False,
        rejects: str = "",
    ) -> None:
        super().__init__(f"{summary}: {detail}")
        self.summary, self.detail, self.argument = summary, detail, argument
        self.transient, self.rejects = transient, rejects

    def __reduce__(self) -> tuple[Any, ...]:
        said = (self.summary, self.detail, self.argument)
        return (_resource_error, (*said, self.transient, self.rejects))


def _resource_error(
    summary: str,
    detail: str,
    argument: str | None,
    transient: bool = False,  # noqa: FBT001, FBT002 - a pickle gives it by place
    rejects: str = "",
) -> ResourceError:
    return ResourceError(summary, detail, argument=argument, transient=transient, rejects=rejects)


class Resource(ABC, Generic[A, B]):
    """One type of one kind of thing a spec can declare: ``dataset "file"``.

    ``apply`` is all one must write. The engine does the rest from the two models: it validates,
    keys, plans, orders and records. No method is ever handed an unknown value; none sees state;
    none prints. Importing the class must import no heavy library.
    """

    kind: ClassVar[str]
    type: ClassVar[str]
    version: ClassVar[int]
    reusable: ClassVar[bool]
    weighs_gates: ClassVar[bool]
    keeps_content: ClassVar[bool]
    preload: ClassVar[Sequence[str]] = ()
    """Modules that ``apply`` will want: warm worker processes import them once."""
    imports: ClassVar[str] = "the type does not say how to look at what it did not make"
    """Where ``import_`` is not written: why nothing can be taken over."""
    beside: ClassVar[Collection[str]] = ()
    """Arguments of a deployment whose models answer nobody: what is quarantined may be there."""
    arguments: ClassVar[builtins.type[Arguments]]
    attributes: ClassVar[builtins.type[Attributes]]

    def __init_subclass__(
        cls,
        *,
        kind: str = "",
        type: str = "",  # noqa: A002 - the word of the language
        version: int = 1,
        reusable: bool = False,
        weighs_gates: bool = False,
        keeps_content: bool = False,
    ) -> None:
        """Name the kind and the type.

        Raise ``version`` when equal arguments now give another result. ``reusable``: the result
        depends on the key alone and lies in artifacts, so it can be had again without running.
        ``weighs_gates``: it decides itself what a failing gate among its arguments means; anything
        else that refers to a failing gate is held whole. ``keeps_content``: destroying it takes
        nothing down (versions, evidence, history stay): it is forgotten, as what is reusable is.
        """
        super().__init_subclass__()
        if not kind:
            return
        cls.kind, cls.type, cls.version = kind, type, version
        cls.reusable, cls.weighs_gates = reusable, weighs_gates
        cls.keeps_content = keeps_content
        base = next(b for b in cls.__orig_bases__ if get_args(b))  # type: ignore[attr-defined]
        cls.arguments, cls.attributes = get_args(base)

    @abstractmethod
    def apply(self, ctx: Context, new: A, old: Stored[A, B] | None) -> B:
        """Make it so. Without ``old``, from nothing; with it, from what is there."""

    def inputs(self, ctx: Looking, new: A) -> Inputs:
        """Look up the facts from outside that the result depends on: tokens first, then content."""
        return Inputs()

    def preview(
        self, ctx: Looking, new: A, old: Stored[A, B], moved: Mapping[str, str | None]
    ) -> Sequence[str]:
        """Say what arrived at the source since ``old``: a line each, for those who read a plan.

        ``moved`` are the parts of ``inputs`` that are other, each with what was taken of it, and
        those that are new (``None``). From metadata alone: be quick, and say so where that does not
        tell. Nothing depends on it.
        """
        return ()

    def distributions(self, new: A) -> Sequence[str]:
        """Name the installed distributions whose version can change the result."""
        return ()

    def uses(self, new: A) -> Mapping[str, Collection[str]]:
        """Name, by the address of a handle, the facets of it that the result depends on.

        A handle left out counts whole, and so does all of which the attributes it needs are not
        known yet: leave out what cannot be told. Reading anything but these facets is a bug: the
        result would not be made again when that changes.
        """
        return {}

    def judges(self, new: A) -> Mapping[str, Collection[str]]:
        """Name the facets that only deciding takes, of handles that ``uses`` names.

        When one of them moves, it is decided anew, and nothing is computed.
        """
        return {}

    def approvals(self, new: A) -> Approvals:
        """Say who must agree before all of it may be done. Pure.

        What was approved is done by ``apply``, which finds in ``ctx.approvals`` who has agreed,
        and says by an attribute that is ``Held`` what it left undone since approvals are missing.
        Once they are there, the engine has it decided anew.
        """
        return Approvals()

    def check(self, new: A) -> None:
        """Raise ``ResourceError`` for what is certainly wrong with the arguments by themselves.

        For what takes longer to tell than a plan with nothing to do should: asked by ``validate``,
        and while planning of what may be made. Handles may stand for what is still to be made.
        """
        return

    def predict(self, new: A, old: Stored[A, B] | None) -> Mapping[str, Any]:
        """Give the attributes that are certain before applying, for what is planned downstream.

        Asked while planning, once all arguments are known; ``old`` is what there is and stays,
        ``None`` where something new is made. What ``apply`` gives must be the same.
        """
        return {}

    def foretell(self, ctx: Looking | None, new: A, parts: Mapping[str, str]) -> Mapping[str, Any]:
        """Say what is known of the result while it is still to be made: names of columns, parts.

        For those who check what they name of it (``Handle.foretold``); nothing is recorded, and
        nothing else depends on it. Handles in ``new`` may have no attributes, and what is foretold
        of them instead. ``parts`` are those that ``inputs`` found just now. Where nothing may be
        looked at, since only the spec is checked, ``ctx`` is ``None`` and there are no parts. Be
        quick, and leave out what cannot be told.
        """
        return {}

    def read(self, ctx: Looking, old: Stored[A, B]) -> B | None:
        """Look at the real thing: its attributes now, or ``None`` if it is gone."""
        return old.attributes

    def import_(self, ctx: Context, id: str, new: A | None) -> Imported[B] | None:  # noqa: A002 - the word of the language
        """Read what exists already under ``id``; ``None`` if there is nothing. Change nothing.

        ``new`` are the arguments of the block, and ``ctx.inputs`` the facts they lead to; ``None``
        while there is no block, or something upstream must settle them. Bytes may be put into
        the artifact store.
        """
        name = f'{self.kind} "{self.type}"' if self.type else self.kind
        detail = f"{name} takes over nothing that exists already: {self.imports}."
        raise ResourceError("Cannot be imported", detail)

    def compare(self, ctx: Context, given: A, one: B, two: B) -> Sequence[Difference]:
        """Say how two results of the same arguments differ, and whether that is tolerable.

        By default numbers may differ by rounding, and everything else not at all. A type whose
        artifacts hold more than their bytes say (a model) compares what they do.
        """
        return differences(one, two)

    def destroy(self, ctx: Context, old: Stored[A, B]) -> str:
        """Remove it; return what was kept, if anything. What is already gone is no error."""
        return ""


class MonitorResource(Resource[A, B]):
    """A resource that looks at something running, window by window."""

    @abstractmethod
    def run(self, ctx: Context, old: Stored[A, B]) -> tuple[B, Sequence[Alarm]]:
        """Look at what came since the last run: the new attributes, and the alarms raised."""

    def destroy(self, ctx: Context, old: Stored[A, B]) -> str:
        """Stop looking: nothing runs between two looks."""
        return "the alarms it raised stay in the journal"

    def tried(self, new: A, old: Stored[A, B]) -> str:
        """Say what other limits would have made of what was seen: a plan that changes them asks.

        Pure: from what is stored alone.
        """
        return ""


class ServedResource(Resource[A, B]):
    """A resource that serves from its folder, and can do so elsewhere."""

    @abstractmethod
    def foreground(self, folder: Path) -> Sequence[str]:
        """Return the command that serves from a folder until it is told to end.

        It is the resource's own (``ctx.home``), or what ``export`` returned. Raises
        ``ResourceError``.
        """

    @abstractmethod
    def export(self, home: Path, target: Path) -> Path:
        """Write into an empty folder what serves without spec, state and store: an image's files.

        Return the folder to serve from. No secret may be in it. Raises ``ResourceError``.
        """
