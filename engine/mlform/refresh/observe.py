"""Look at the world: sources, user code, environment, and the things that were made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from mlform.address import Address
from mlform.artifacts import FileDigests, LocalStore
from mlform.config import Project, ResourceConfig
from mlform.diagnostics import Diagnostics
from mlform.keys import Closure, ClosureCache, CodeError, closure, environment
from mlform.refresh.facets import handles_of
from mlform.refresh.model import CodeFact, Observation
from mlform.refresh.pins import Pin
from mlform.refresh.recorded import Recorded
from mlform.refresh.scope import Scope
from mlform.refresh.world import (
    Wanted,
    aliased_classes,
    known_handle,
    pending_handle,
    result_digest,
    stored,
    wanted,
)
from mlform.registry import Registry
from mlform.sdk import (
    AnyResource,
    Arguments,
    Artifact,
    Artifacts,
    Inputs,
    Resource,
    ResourceError,
)
from mlform.sdk.fields import FieldClass, Written, written_as
from mlform.state.model import Record, Snapshot, folder_name, home_of
from mlform.values import Sensitive, Value, digest


@dataclass
class Looker:
    """What looking needs: the folders, the artifact store, and the caches."""

    root: Path
    homes: Path
    artifacts: LocalStore
    digests: FileDigests
    closures: ClosureCache

    def save(self) -> None:
        """Keep the caches for the next command."""
        self.digests.save()
        self.closures.save()

    def at(self, address: Address, record: Record | None = None) -> _Looking:
        """Return what a provider is lent to look at one resource."""
        home = folder_name(str(address)) if record is None else home_of(record)
        return _Looking(self, str(address), home)


@dataclass(frozen=True)
class _Looking:
    looker: Looker
    address: str
    folder: str

    @property
    def root(self) -> Path:
        return self.looker.root

    @property
    def home(self) -> Path:
        return self.looker.homes / self.folder

    @property
    def artifacts(self) -> Artifacts:
        return self.looker.artifacts

    def file_digest(self, path: Path) -> str:
        return self.looker.digests.digest(path)

    def remember(self, token: str, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        return self.looker.digests.remember(token, make)


Read: TypeAlias = Callable[[Record], bool]
"""Says of what was made before whether to look at it."""


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
    workers: int = 8,
) -> dict[Address, Observation]:
    """Look at everything a project declares; at what was made before where ``read`` says so.

    What goes wrong is noted against the resource, and the rest is looked at all the same.
    """
    values = recorded_values(project, snapshot)
    recorded = Recorded(
        {a: r for a, r in snapshot.records.items() if registry.find(a.kind, r.type)}, registry
    )

    def look(resource: ResourceConfig) -> tuple[Observation, Diagnostics]:
        found = Diagnostics()
        record = snapshot.records.get(resource.address)
        pin = pins.get(resource.address)
        arguments = wanted(resource.offer.resource, values[resource.address], recorded.full)
        known = values[resource.address]
        again = record is not None and read(record)
        seen = _look(resource, known, arguments, record, looker, pin, found, read=again)
        return seen, found

    observations: dict[Address, Observation] = {}
    with ThreadPoolExecutor(workers, thread_name_prefix="refresh") as pool:
        results = pool.map(look, project.resources.values())
        for address, (seen, found) in zip(project.resources, results, strict=True):
            observations[address] = seen
            diagnostics.extend(found)
    return observations


def recorded_values(
    project: Project, snapshot: Snapshot, only: Iterable[ResourceConfig] | None = None
) -> dict[Address, Mapping[str, Value]]:
    """Evaluate the arguments of resources against what is recorded; planning does it anew."""
    scope = Scope(project, snapshot, Diagnostics())
    for address, resource in project.resources.items():
        record, offered = snapshot.records.get(address), resource.offer.resource
        if record is None or record.type != offered.type:
            scope.put(address, pending_handle(address, offered, {}))
        else:
            scope.put(address, known_handle(address, offered, record.attributes))
    chosen = project.resources.values() if only is None else only
    return {r.address: scope.arguments(r) for r in chosen}


def _look(
    resource: ResourceConfig,
    values: Mapping[str, Value],
    arguments: Wanted,
    record: Record | None,
    looker: Looker,
    pin: Pin | None,
    diagnostics: Diagnostics,
    *,
    read: bool,
) -> Observation:
    offered = resource.offer.resource
    seen = Observation()
    code, distributions = _code(resource, values, looker, diagnostics)
    seen = replace(seen, code=code)
    if type(offered).inputs is Resource.inputs:
        seen = replace(seen, parts={})
    elif arguments.model is not None and not arguments.open:
        takes = bool(handles_of(values))
        seen = _inputs(resource, arguments.model, seen, looker, diagnostics, takes=takes)
    if arguments.model is not None:
        seen = _pinned(resource, values, arguments.data, seen, pin, diagnostics)
        needed = {*distributions, *offered.distributions(arguments.model)}
        seen = replace(
            seen, environment=dict(sorted(environment(sorted(needed)).items())) if needed else {}
        )
    if read and record is not None and record.type == offered.type:
        seen = _read(offered, record, seen, looker, diagnostics)
    return seen


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
        blamed = resource.arguments.get(error.argument or "")
        at = blamed.value_span if blamed else resource.span
        wrong = Diagnostics()
        wrong.error(error.summary, error.detail, at=at, of=resource.address)
        if takes:
            return replace(seen, trouble=tuple(wrong))
        diagnostics.extend(wrong)
        return seen
    return replace(seen, parts=dict(found.parts), rows=found.rows)


def source_of(resource: AnyResource, arguments: Mapping[str, Any]) -> str:
    """Return the digest of the arguments that say where data come from."""
    classes = aliased_classes(resource)
    return digest({n: arguments.get(n) for n, c in classes.items() if c is FieldClass.IDENTITY})


def version_mode(values: Mapping[str, Value]) -> tuple[str, str | None]:
    """Return how a dataset's version is chosen, and the one asked for if it is fixed."""
    version = values.get("version")
    if not isinstance(version, Mapping):
        return "float", None
    fixed = version.get("value")
    return str(version.get("mode", "float")), fixed if isinstance(fixed, str) else None


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
    looker: Looker,
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
            found = closure(looker.root, value, looker.closures)
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
    if not artifacts_there(record.attributes, looker.artifacts):
        return replace(seen, present=False)
    if type(offered).read is Resource.read:
        return seen
    try:
        found = offered.read(looker.at(record.address, record), stored(offered, record))
    except ResourceError as error:
        diagnostics.warning(error.summary, error.detail, of=record.address)
        return seen
    if found is None:
        return replace(seen, present=False)
    data = found.model_dump(mode="json")
    if result_digest(offered, data) == record.digest:
        return seen
    return replace(seen, attributes=data)


def artifacts_there(data: Any, artifacts: LocalStore) -> bool:
    """Tell whether every artifact that attributes name is in the store."""
    if isinstance(data, Mapping):
        if data.keys() == Artifact.model_fields.keys():
            return data["digest"] in artifacts
        return all(artifacts_there(v, artifacts) for v in data.values())
    if isinstance(data, list | tuple):
        return all(artifacts_there(v, artifacts) for v in data)
    return True
