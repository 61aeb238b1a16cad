"""Calling a provider: in a worker process, or here for the engine's own types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event as Flag
from typing import Any, Protocol

from pydantic import ValidationError

from mlform.address import Address
from mlform.apply.context import make
from mlform.apply.events import Log, Progress, Reporter
from mlform.apply.redaction import Redactor
from mlform.demand import Demand
from mlform.execute import (
    Executor,
    LogLine,
    Message,
    Method,
    ProgressNote,
    Result,
    Submitted,
    Task,
    found_data,
)
from mlform.lazy import dataclass
from mlform.refresh.world import TRIGGERS, Wanted, stored
from mlform.registry import Offer
from mlform.sdk import CancelledError, ResourceError
from mlform.state.model import Record

CONTEXT_FACTORY = "mlform.apply.context:make"


class StepFailed(Exception):  # noqa: N818 - it is told as an event, not as an error
    """A step did not come off; the message is for the user."""

    def __init__(
        self,
        summary: str,
        detail: str,
        at: str = "",
        *,
        cause: str = "error",
        open_: bool = False,
        rejects: str = "",
    ) -> None:
        super().__init__(f"{summary}: {detail}")
        self.summary, self.detail, self.at = summary, detail, at
        self.cause = cause
        """One of ``RETRIED``."""
        self.open = open_
        """Whether what was begun may still be going on."""
        self.rejects = rejects
        """The digest of a version that proved bad."""


@dataclass
class Trying:
    """One attempt at a step: what it is called, and what an engine knows it by, once one does."""

    id: str
    demand: Demand
    devices: Sequence[str]
    handle: Mapping[str, Any] | None
    submitted: Callable[[Mapping[str, Any]], None]
    """Hears of the handle before anybody waits."""
    partial: bool = False
    """Whether it told of something that exists, which another attempt would not know."""
    waited: float = 0.0
    """Seconds until there was room for it."""


class Executing(Protocol):
    """Whatever has the executor that calls go through."""

    @property
    def executor(self) -> Executor:
        """Where stages run."""
        ...


def call(
    world: Executing,
    offer: Offer,
    method: Method,
    arguments: Mapping[str, Any] | None,
    old: Record | None,
    context: Mapping[str, Any],
    report: Reporter,
    stop: Flag,
    address: Address,
    at: Mapping[str, str] | None = None,
    id_: str = "",
    made: Callable[[dict[str, Any]], None] | None = None,
    other: Mapping[str, Any] | None = None,
    secrets: Iterable[str] = (),
    trying: Trying | None = None,
) -> dict[str, Any]:
    """Call one method of a resource; return its attributes as plain, checked data.

    ``made`` hears of what exists before the call is over.

    For ``destroy``: ``{"kept": …}``; for ``run``: ``{"attributes": …, "alarms": […]}``; for
    ``import``, which looks for ``id_``: ``{"found": …}``, as ``Result`` has it; for
    ``compare``, between ``old`` and the attributes ``other``: ``{"differences": […]}``. Raises
    ``StepFailed``, which points at the argument to blame where ``at`` has it, or
    ``CancelledError`` when the user stopped it.
    """
    if offer.target is None:
        return _here(offer, method, arguments, old, context, id_)
    task = Task(
        provider=offer.target,
        settings=dict(offer.settings),
        kind=offer.resource.kind,
        type=offer.resource.type,
        method=method,
        arguments=None if arguments is None else dict(arguments),
        old=None
        if old is None
        else {
            "arguments": {n: v for n, v in old.arguments.items() if n != TRIGGERS},
            "attributes": dict(old.attributes),
            "other": other,
        },
        context=dict(context),
        context_factory=CONTEXT_FACTORY,
        id=id_,
        demand=Demand() if trying is None else trying.demand,
        devices=() if trying is None else trying.devices,
        attempt="" if trying is None else trying.id,
        handle=None if trying is None else trying.handle,
    )

    clean = Redactor([*secrets, *offer.secrets])

    def hear(message: Message) -> None:
        if isinstance(message, ProgressNote):
            report(Progress(address, message.done, message.total, clean(message.note)))
        elif isinstance(message, LogLine):
            report(Log(address, clean(message.text)))
        elif isinstance(message, Submitted):
            assert trying is not None, "what goes to an engine is an attempt"
            trying.submitted(message.handle)
        elif made is not None:
            made(_checked(offer, message.attributes))
            if trying is not None:
                trying.partial = True

    result = world.executor.run(task, hear, stop)
    if trying is not None:
        trying.waited = result.waited
    if result.log is not None:
        clean.folder(result.log.parent)
    try:
        return _outcome(offer, method, result, at or {})
    except StepFailed as error:
        said = clean(error.summary), clean(error.detail), error.at
        raise StepFailed(
            *said, cause=error.cause, open_=error.open, rejects=error.rejects
        ) from None


def compared(
    world: Executing,
    offer: Offer,
    address: Address,
    arguments: Wanted,
    context: Mapping[str, Any],
    report: Reporter,
    stop: Flag,
    one: Mapping[str, Any],
    two: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Ask the type how two results of the same arguments differ; raise as ``call`` does."""
    old = Record(address, offer.resource.type, "", None, "", arguments.data, one)
    given, told = arguments.given, (report, stop, address)
    hidden = arguments.secrets
    found = call(world, offer, "compare", given, old, context, *told, other=two, secrets=hidden)
    differences: list[dict[str, Any]] = found["differences"]
    return differences


def _outcome(offer: Offer, method: str, result: Result, at: Mapping[str, str]) -> dict[str, Any]:
    if result.cancelled:
        raise CancelledError
    if result.open:
        raise StepFailed("Executor out of reach", result.lost, cause="lost", open_=True)
    if result.lost:
        detail = f"{result.lost} Apply again: what was done before stands."
        raise StepFailed("Worker lost", detail, cause="lost")
    if result.error is not None:
        error = result.error
        detail = error.detail if not error.trace else f"{error.detail}\n{error.trace}"
        cause = "timeout" if result.timed_out else "transient" if error.transient else "error"
        where = at.get(error.argument or "", "")
        raise StepFailed(error.summary, detail, where, cause=cause, rejects=error.rejects)
    assert result.value is not None, "a result is a value, an error, or lost"
    if method == "apply":
        return _checked(offer, result.value)
    value = dict(result.value)
    if method == "import" and value["found"] is not None:
        found = value["found"]
        value["found"] = {**found, "attributes": _checked(offer, found["attributes"])}
    return value


def _checked(offer: Offer, data: Mapping[str, Any]) -> dict[str, Any]:
    try:
        model = offer.resource.attributes.model_validate(dict(data))
    except ValidationError as error:
        raise StepFailed(
            "Provider error",
            f'Provider "{offer.provider}" returned attributes that are not those of '
            f'{offer.resource.kind} "{offer.resource.type}": {error}. This is a bug in the '
            "provider.",
        ) from None
    return model.model_dump(mode="json")


def _here(
    offer: Offer,
    method: str,
    arguments: Mapping[str, Any] | None,
    old: Record | None,
    context: Mapping[str, Any],
    id_: str,
) -> dict[str, Any]:
    resource = offer.resource
    lent = make(context, _Silent())
    before = None if old is None else stored(resource, old)
    if method == "destroy":
        assert before is not None, "only what is recorded is destroyed"
        return {"kept": resource.destroy(lent, before)}
    model = None if arguments is None else resource.arguments.model_validate(dict(arguments))
    if method == "import":
        try:
            return {"found": found_data(resource, resource.import_(lent, id_, model))}
        except ResourceError as error:
            raise StepFailed(error.summary, error.detail) from None
    assert model is not None, "what is applied has arguments"
    made: dict[str, Any] = resource.apply(lent, model, before).model_dump(mode="json")
    return made


class _Silent:
    def progress(self, done: float, total: float | None, note: str) -> None:
        """Nothing that runs here takes long."""

    def log(self, text: str) -> None:
        """Nothing that runs here has anything to say."""

    def partial(self, attributes: Mapping[str, Any]) -> None:
        """Nothing that runs here can fail halfway."""

    def stopping(self) -> bool:
        return False
