"""Look at the world: sources, user code, environment, and the things that were made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from itertools import count
from typing import Any, TypeAlias

from mlform.address import Address
from mlform.config import Project, ResourceConfig
from mlform.diagnostics import Diagnostics
from mlform.keys import Closure, CodeError, Lock, astray, closure, environment
from mlform.late import Late
from mlform.lazy import replace
from mlform.parts import Parts
from mlform.refresh.abreast import abreast
from mlform.refresh.arriving import arriving
from mlform.refresh.artifacts import artifacts_there
from mlform.refresh.facets import handles_of
from mlform.refresh.leaving import Leaving
from mlform.refresh.looker import Looker
from mlform.refresh.model import Asked, CodeFact, Observation
from mlform.refresh.pins import Pin, pin_of, source_of, version_mode
from mlform.refresh.problems import spot
from mlform.refresh.recorded import Recorded
from mlform.refresh.scope import Scope
from mlform.refresh.seen import Look
from mlform.refresh.world import (
    pending_handle,
    recorded_handle,
    result_digest,
    stored,
    wanted,
)
from mlform.registry import Registry
from mlform.sdk import AnyResource, Arguments, Inputs, Resource, ResourceError
from mlform.sdk.fields import Written, written_as
from mlform.state.model import Record, Snapshot
from mlform.values import Sensitive, Value

Read: TypeAlias = Callable[[Record], bool | Look]
"""Says of what was made before whether to look at it, or which earlier look will do."""


Looking: TypeAlias = Callable[[str, int, int], None]
"""Hears how far looking is: which address is done, how many are, and of how many."""


def unwatched(_address: str, _done: int, _total: int) -> None:
    """Hear nothing."""


def every(_record: Record) -> bool:
    """Look at everything that was made before."""
    return True


def none(_record: Record) -> bool:
    """Look at nothing that was made before."""
    return False


def refresh(
    project: Project,
    snapshot: Snapshot,
    registry: Registry,
    looker: Looker,
    pins: Mapping[Address, Pin],
    diagnostics: Diagnostics,
    *,
    read: Read = every,
    looking: Looking = unwatched,
    workers: int = 8,
    only: Collection[Address] | None = None,
) -> dict[Address, Observation]:
    """Look at everything declared, and at what was made before where ``read`` says so.

    What goes wrong is noted against the resource, and the rest is looked at all the same.
    ``looking`` hears how far it is. ``only`` says at what, if not at all of it.
    """
    problems = Diagnostics()
    chosen = {a: r for a, r in project.resources.items() if only is None or a in only}
    values = recorded_values(project, snapshot, problems, chosen.values())
    lock = looker.lock(diagnostics)
    software = _Software(looker, lock)
    recorded = Recorded(
        {a: r for a, r in snapshot.records.items() if registry.find(a.kind, r.type)}, registry
    )

    def ask(resource: ResourceConfig) -> Asked:
        known = values[resource.address]
        return Asked(known, wanted(resource.offer.resource, known, recorded.full))

    def look(resource: ResourceConfig, asked: Asked) -> tuple[Observation, Diagnostics]:
        found = Diagnostics()
        record = snapshot.records.get(resource.address)
        pin = pins.get(resource.address) or pin_of(resource.offer.resource, record)
        again = record is not None and read(record)
        seen = _look(resource, asked, record, looker, pin, software, found, read=again is True)
        if isinstance(again, Look):
            seen = replace(seen, present=again.present, attributes=again.attributes)
        elif again and record is not None and _looks(resource.offer.resource):
            looker.looks.remember(record, present=seen.present, attributes=seen.attributes)
        plain = not resource.lifecycle.triggers
        whole = plain and not list(problems) and not asked.wanted.problems
        return replace(seen, asked=asked) if whole else seen, found

    asked = {a: ask(r) for a, r in chosen.items()}
    outside = [r for r in chosen.values() if _outside(r, snapshot)]
    looking("", 0, len(outside))
    counting, done = threading.Lock(), count(1)

    def told(resource: ResourceConfig) -> tuple[Observation, Diagnostics]:
        found = look(resource, asked[resource.address])
        with counting:
            looking(str(resource.address), next(done), len(outside))
        return found

    looks = abreast(told, outside, workers)
    results = {r.address: it for r, it in zip(outside, looks, strict=True)}
    leaving = Leaving(looker, registry, read)
    gone = leaving.among(snapshot, project) if only is None else []
    left = {r.address: it for r, it in zip(gone, abreast(leaving.look, gone, workers), strict=True)}
    observations: dict[Address, Observation] = {}
    for address, resource in chosen.items():
        seen, found = results.get(address) or look(resource, asked[address])
        observations[address] = seen
        diagnostics.extend(found)
    if lock is not None:
        _stray(lock, observations, diagnostics)
    return observations | left


def _outside(resource: ResourceConfig, snapshot: Snapshot) -> bool:
    """Tell whether anything outside the state has to be looked at, which may take its time."""
    offered, record = resource.offer.resource, snapshot.records.get(resource.address)
    asks = (Resource.inputs, Resource.read, Resource.distributions)
    if (type(offered).inputs, type(offered).read, type(offered).distributions) != asks:
        return True
    if written_as(offered.arguments, Written.CODE):
        return True
    inside = {} if record is None else record.attributes
    if isinstance(inside, Late):
        return True
    return any(isinstance(v, Mapping | list) for v in inside.values())


def _looks(resource: AnyResource) -> bool:
    return type(resource).read is not Resource.read


def _stray(
    lock: Lock, observations: Mapping[Address, Observation], diagnostics: Diagnostics
) -> None:
    """Warn of what is installed otherwise than it is locked."""
    seen = {n: v for o in observations.values() for n, v in (o.environment or {}).items()}
    if others := astray(dict(sorted(seen.items())), lock):
        detail = (
            f"Installed, and not what {lock.name} says: {', '.join(others)}. What is installed "
            "runs, and is what counts. Install what is locked."
        )
        diagnostics.warning("Environment is not what is locked", detail)


def recorded_values(
    project: Project,
    snapshot: Snapshot,
    diagnostics: Diagnostics,
    only: Iterable[ResourceConfig] | None = None,
) -> dict[Address, Mapping[str, Value]]:
    """Evaluate the arguments of resources against what is recorded."""
    scope = Scope(project, snapshot, diagnostics)
    for address, resource in project.resources.items():
        offered = resource.offer.resource
        known = recorded_handle(snapshot, address, offered)
        scope.put(address, known or pending_handle(address, offered, {}))
    chosen = project.resources.values() if only is None else only
    return {r.address: scope.arguments(r) for r in chosen}


def _look(
    resource: ResourceConfig,
    asked: Asked,
    record: Record | None,
    looker: Looker,
    pin: Pin | None,
    software: _Software,
    diagnostics: Diagnostics,
    *,
    read: bool,
) -> Observation:
    offered, values, arguments = resource.offer.resource, asked.values, asked.wanted
    code, distributions = _code(resource, values, software, diagnostics)
    plain = type(offered).inputs is Resource.inputs
    seen = Observation(parts={} if plain else None, code=code)
    reached: Mapping[str, str] = {}
    if arguments.model is not None:
        try:
            reached = software.reached(offered, arguments.model, distributions)
        except ResourceError as error:
            diagnostics.extend(_blamed(resource, error))
            return seen
    if not plain and arguments.model is not None and not arguments.open:
        takes = bool(handles_of(values))
        seen = _inputs(resource, arguments.model, seen, looker, diagnostics, takes=takes)
        seen = arriving(resource, arguments.model, record, seen, looker, takes=takes)
    if arguments.model is not None:
        seen = _pinned(resource, values, arguments.data, seen, pin, diagnostics)
        seen = replace(seen, environment=reached)
    if read and record is not None and record.type == offered.type:
        seen = _read(offered, record, seen, looker, diagnostics)
    return seen


def reached(
    resource: AnyResource, model: Arguments, code: Iterable[str], lock: Lock | None
) -> dict[str, str]:
    """Return the versions of what a result depends on: for its type, and for user code."""
    needed = _needed(resource, model, code)
    return dict(sorted(environment(needed, lock).items())) if needed else {}


def _needed(resource: AnyResource, model: Arguments, code: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*code, *resource.distributions(model)}))


class _Software:
    """Code and environment as one look at the world finds them: read once, however many use it."""

    def __init__(self, looker: Looker, lock: Lock | None) -> None:
        self.closure = cache(lambda code: closure(looker.root, code, looker.closures))
        self._environment = cache(lambda needed: environment(needed, lock))

    def reached(
        self, resource: AnyResource, model: Arguments, code: Iterable[str]
    ) -> dict[str, str]:
        """Return what ``reached`` does."""
        needed = _needed(resource, model, code)
        return dict(sorted(self._environment(needed).items())) if needed else {}


def _inputs(
    resource: ResourceConfig,
    model: Arguments,
    seen: Observation,
    looker: Looker,
    diagnostics: Diagnostics,
    *,
    takes: bool,
) -> Observation:
    try:
        found: Inputs = resource.offer.resource.inputs(looker.at(resource.address), model)
    except ResourceError as error:
        wrong = _blamed(resource, error)
        if takes:
            return replace(seen, trouble=tuple(wrong))
        diagnostics.extend(wrong)
        return seen
    return replace(seen, parts=Parts(found.parts), rows=found.rows)


def _blamed(resource: ResourceConfig, error: ResourceError) -> Diagnostics:
    """Return an error of a provider as one at the argument that it is about."""
    blamed = resource.arguments.get(error.argument or "")
    at = spot(blamed, error.detail) if blamed else resource.span
    wrong = Diagnostics()
    wrong.error(error.summary, error.detail, at=at, of=resource.address)
    return wrong


def _pinned(
    resource: ResourceConfig,
    values: Mapping[str, Value],
    arguments: Mapping[str, Any],
    seen: Observation,
    pin: Pin | None,
    diagnostics: Diagnostics,
) -> Observation:
    mode, fixed = version_mode(values)
    if mode == "float" or seen.parts is None:
        return seen
    there = Pin("", seen.parts, seen.rows)
    if mode == "fixed":
        if not fixed or not there.version.removeprefix("sha256:").startswith(
            fixed.removeprefix("sha256:")
        ):
            detail = (
                f'{resource.address} is fixed to version "{fixed}", and the source has '
                f"{there.version}. Bring that version back, or change the spec."
            )
            at = resource.arguments["version"].value_span
            diagnostics.error("Version not at the source", detail, at=at, of=resource.address)
        return seen
    if pin is None or pin.source != source_of(resource.offer.resource, arguments):
        return seen
    return replace(seen, pinned=dict(pin.parts), pinned_rows=pin.rows)


def _code(
    resource: ResourceConfig,
    values: Mapping[str, Value],
    software: _Software,
    diagnostics: Diagnostics,
) -> tuple[dict[str, CodeFact], set[str]]:
    facts: dict[str, CodeFact] = {}
    distributions: set[str] = set()
    for field in sorted(written_as(resource.offer.resource.arguments, Written.CODE)):
        value = values.get(field)
        value = value.value if isinstance(value, Sensitive) else value
        if not isinstance(value, str):
            continue
        try:
            found = software.closure(value)
        except CodeError as error:
            at = resource.arguments[field].value_span
            diagnostics.error(error.summary, error.detail, at=at, of=resource.address)
            continue
        facts[field] = CodeFact(found.digest, found.files)
        _unseen(resource, field, found, diagnostics)
        distributions |= found.distributions
    return facts, distributions


def _unseen(resource: ResourceConfig, field: str, found: Closure, diagnostics: Diagnostics) -> None:
    """Warn of code that runs and is in no key."""
    at = resource.arguments[field].value_span
    for note in found.notes:
        diagnostics.warning("Code not followed", note, at=at, of=resource.address)
    if found.unresolved:
        names = ", ".join(sorted(found.unresolved))
        detail = f"No installed distribution provides {names}: a change of that code is not seen."
        diagnostics.warning("Code not followed", detail, at=at, of=resource.address)


def _read(
    offered: AnyResource,
    record: Record,
    seen: Observation,
    looker: Looker,
    diagnostics: Diagnostics,
) -> Observation:
    if not artifacts_there(record.attributes, looker.artifacts, looker.digests):
        return replace(seen, present=False)
    if not _looks(offered):
        return seen
    try:
        found = offered.read(looker.at(record.address, record), stored(offered, record))
    except ResourceError as error:
        detail = f"{error.detail} What is there cannot be told; `-refresh=false` plans without."
        diagnostics.error(error.summary, detail, of=record.address)
        return seen
    if found is None:
        return replace(seen, present=False)
    data = found.model_dump(mode="json")
    if result_digest(offered, data) == record.digest:
        return seen if data == record.attributes else replace(seen, beside=data)
    return replace(seen, attributes=data)
