"""Whether what a plan was made from is still so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlform.address import Address
from mlform.apply.provider import StepFailed
from mlform.apply.settle import Settler
from mlform.diagnostics import DiagnosedError, stop
from mlform.keys import CodeError, Lock, changed_code, closure, environment
from mlform.lazy import dataclass, replace
from mlform.plan import Action, Deferred, Facts, Plan, Step
from mlform.plan.decide import full_key, keys
from mlform.refresh import Looker
from mlform.refresh.observe import reached
from mlform.refresh.pins import Pin, pin_of, source_of
from mlform.refresh.results import Results
from mlform.refresh.world import TRIGGERS, Wanted, result_digest, wanted
from mlform.registry import ENGINE, Offer, Registry
from mlform.sdk import AnyResource, Arguments, Resource, ResourceError
from mlform.state.model import Record
from mlform.values import short

_GONE = frozenset({Action.DESTROY, Action.FORGET})


@dataclass(frozen=True)
class Moved:
    """One thing that a plan was made from and that is another now.

    ``what`` is ``pin``, ``data``, ``code``, ``package`` or ``result``; ``name`` the part, the
    function, the distribution or the key; ``None`` is one that is not there.
    """

    address: Address
    what: str
    name: str
    before: str | None = None
    after: str | None = None


def moved_since(
    plan: Plan,
    settler: Settler,
    registry: Registry,
    looker: Looker,
    pins: Mapping[Address, Pin],
    results: Results,
) -> list[Moved]:
    """Return what moved since a plan was made: pins, data at sources, user code, packages, results.

    What an argument still to be settled decides is looked at when its step's turn comes. The
    records that ``settler`` has become what is known by then.
    """
    lock = looker.lock()
    # A killed run may have recorded a pin without writing it down; what triggers move has none.
    pulled = {address for it in plan.pulls for address in it.pins}
    found: list[Moved] = []
    for step in plan.steps:
        if step.action in _GONE:
            continue
        pin = pins.get(step.address)
        if step.address not in pulled:
            pin = pin or _recorded_pin(step, settler, registry)
        found += _data(step, settler, registry, looker, pin)
        if step.action is not Action.NO_OP:
            found += _code(step, looker)
            found += _packages(step, lock)
        found += _known(step, settler, registry, results)
    return found


def _known(step: Step, settler: Settler, registry: Registry, results: Results) -> Iterator[Moved]:
    """Record what a step gives where the plan knew it: those after it were looked at with that."""
    offer, attributes = _offer(step, registry), step.adopted or step.observed
    if step.imported is not None:
        attributes = step.imported.attributes
    if step.action is Action.REUSE and step.key is not None and offer is not None:
        found = results.lookup(_kept_under(step, step.key, offer, settler))
        if found is None:
            yield Moved(step.address, "result", short(step.key), step.key)
            return
        attributes = found.attributes
    if offer is None or attributes is None:
        return
    digest = result_digest(offer.resource, attributes)
    record = Record(step.address, step.type, step.key or "", None, digest, {}, attributes)
    settler.records.put(record)


def _kept_under(step: Step, key: str, offer: Offer, settler: Settler) -> str:
    """Return the key of a result that was judged as it is to be judged now."""
    arguments = _arguments(step, offer, settler).data
    facts = Facts(arguments, parts=step.parts, code=step.code, environment=step.environment)
    return full_key(key, keys(offer.resource, facts)[1])


def _arguments(step: Step, offer: Offer, settler: Settler) -> Wanted:
    """Return what a step was planned with, all of it known: without what is to replace it.

    That says nothing of data and keys, and may be still to be made. Raises ``DiagnosedError``
    where a secret is missing.
    """
    told = {n: v for n, v in step.arguments.items() if n != TRIGGERS}
    try:
        values = settler.values(replace(step, arguments=told))
    except DiagnosedError as error:
        first = error.diagnostics.errors[0]
        raise stop(first.summary, first.detail, at=first.subject, of=step.address) from None
    return wanted(offer.resource, values, settler.records.full)


def _offer(step: Step, registry: Registry) -> Offer | None:
    provider = "" if step.provider == ENGINE else step.provider
    return registry.find(step.address.kind, step.type, provider)


def _recorded_pin(step: Step, settler: Settler, registry: Registry) -> Pin | None:
    offer = _offer(step, registry)
    record = settler.records.now.get(step.address)
    return None if offer is None else pin_of(offer.resource, record)


def _data(
    step: Step, settler: Settler, registry: Registry, looker: Looker, pin: Pin | None
) -> Iterator[Moved]:
    offer = _offer(step, registry)
    if offer is None or type(offer.resource).inputs is Resource.inputs or step.parts is None:
        return
    if opens(step, {n: v for n, v in step.arguments.items() if n != TRIGGERS}):
        return
    found = _arguments(step, offer, settler)
    if found.model is None:
        return
    if pin is not None and is_pinned(step) and pin.source == source_of(offer.resource, found.data):
        what, now = "pin", dict(pin.parts)
    else:
        what = "data"
        try:
            now = dict(offer.resource.inputs(looker.at(step.address), found.model).parts)
        except ResourceError as error:
            yield Moved(step.address, what, f"{error.summary}: {error.detail}")
            return
    yield from _differences(step.address, what, step.parts, now)


def opens(step: Step, arguments: Mapping[str, Any]) -> bool:
    """Tell whether an argument was not known while planning; a secret was, and is in no plan."""
    return step.key is None and any(isinstance(v, Deferred) for v in arguments.values())


def is_pinned(step: Step) -> bool:
    """Tell whether a step takes the version of its data that is pinned."""
    version = step.arguments.get("version")
    return isinstance(version, Mapping) and version.get("mode") == "pin"


def _code(step: Step, looker: Looker) -> Iterator[Moved]:
    for argument, fact in step.code.items():
        try:
            now = closure(looker.root, str(step.arguments[argument]), looker.closures)
        except CodeError as error:
            yield Moved(step.address, "code", f"{error.summary}: {error.detail}")
            continue
        if now.digest != fact["digest"]:
            names = changed_code(fact["files"], now.files) or [str(step.arguments[argument])]
            yield from (Moved(step.address, "code", name) for name in names)


def _packages(step: Step, lock: Lock | None) -> Iterator[Moved]:
    if step.environment:
        now = environment((n for n in step.environment if n != "python"), lock)
        yield from _differences(step.address, "package", step.environment, now)


def _differences(
    address: Address, what: str, before: Mapping[str, str], after: Mapping[str, str]
) -> Iterator[Moved]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield Moved(address, what, name, before.get(name), after.get(name))


def check_code(step: Step, looker: Looker) -> None:
    """Refuse to run code that is not what was planned. Raises ``StepFailed``."""
    for argument, fact in step.code.items():
        reference = str(step.arguments[argument])
        try:
            now = closure(looker.root, reference, looker.closures).digest
        except CodeError as error:
            raise StepFailed(error.summary, error.detail, step.at.get(argument, "")) from None
        if now != fact["digest"]:
            detail = f"{reference} is not what it was when this was planned. Plan again."
            raise StepFailed("Code changed since the plan", detail, step.at.get(argument, ""))


def environment_now(
    step: Step, resource: AnyResource, model: Arguments, looker: Looker
) -> dict[str, str]:
    """Return the versions a step depends on, once its arguments are known."""
    code: set[str] = set()
    try:
        for argument in step.code:
            reference = str(step.arguments[argument])
            code |= closure(looker.root, reference, looker.closures).distributions
        return reached(resource, model, code, looker.closures.lock(looker.root))
    except CodeError as error:
        raise StepFailed(error.summary, error.detail) from None
