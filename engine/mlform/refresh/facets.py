"""What one consumer takes of an output, where that is less than all: the columns of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, Final

from mlform.lazy import replace
from mlform.sdk import AnyResource, Arguments, Facets, Resource, ResourceError
from mlform.sdk.fields import Handle as Given
from mlform.values import Handle, Sensitive, Used, Value, digest, handle_in, short, tagged

_GIVEN: Final = Given.model_fields.keys()
_LEAVES: Final = frozenset({str, int, float, bool, NoneType})


def overrides_uses(resource: AnyResource) -> bool:
    """Tell whether a type ever takes less than all of what it refers to."""
    return type(resource).uses is not Resource.uses


def handles_of(values: Mapping[str, Value]) -> list[Handle]:
    """Return every handle among the values of arguments."""
    return [handle for value in values.values() for handle in _handles(value)]


def _handles(value: Value) -> Iterator[Handle]:
    match value:
        case Handle():
            yield value
        case Sensitive(value=inner):
            yield from _handles(inner)
        case Mapping():
            for inner in value.values():
                yield from _handles(inner)
        case list() | tuple():
            for inner in value:
                yield from _handles(inner)
        case _:
            return


def as_given(known: Mapping[tuple[str, str | None], Handle], handle: Handle) -> Mapping[str, Any]:
    """Return all that a provider gets of a handle, from handles that know what they cover."""
    data: dict[str, Any] = {
        "address": handle.address,
        "attribute": handle.attribute,
        "digest": handle.digest,
    }
    it = known[handle.address, handle.attribute]
    if it.covered:
        data["attributes" if handle.attribute is None else "artifact"] = dict(it.covered)
    told = {"foretold": dict(it.foretold), "behind": dict(it.behind)}
    return data | {name: said for name, said in told.items() if said}


def taken(resource: AnyResource, model: Arguments, found: list[Handle]) -> dict[str, Used]:
    """Return what the resource takes of each handle it does not take whole, by address.

    Where that cannot be told any more, it is what was recorded with the handle.
    """
    if not overrides_uses(resource):
        return {}
    recorded = {h.address: h.used for h in found if h.used is not None}
    try:
        uses, judges = resource.uses(model), resource.judges(model)
    except ResourceError:  # it is told where the resource is looked at or applied
        return recorded
    given = {h.address: h for h in _given(model)}
    for address, names in uses.items():
        facets = facets_of(given[address].attributes) if address in given else None
        judged = set(judges.get(address, ())) - set(names)
        if facets is not None and (used := _used(facets, sorted(set(names)), sorted(judged))):
            recorded[address] = used
    return recorded


def _given(value: Any) -> Iterator[Given]:
    if type(value) in _LEAVES:
        return
    if isinstance(value, Given):
        if value.attribute is None:
            yield value
    elif isinstance(value, Arguments):
        for name in type(value).model_fields:
            yield from _given(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _given(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _given(inner)


def facets_of(attributes: Mapping[str, Any]) -> Facets | None:
    """Return the facets among the attributes of a resource, if it has any."""
    fields = Facets.model_fields.keys()
    for value in attributes.values():
        if isinstance(value, Mapping) and value.keys() == fields:
            return Facets.model_validate(value)
    return None


def _used(facets: Facets, names: list[str], judged: list[str]) -> Used | None:
    every = [*names, *judged]
    if any(name not in facets.digests for name in every):
        return None  # what is not there has no digest: all of it counts
    parts = {
        part: short(digest([there.get(name) for name in every]))
        for part, there in facets.parts.items()
    }
    found = facets.digests
    return Used({n: found[n] for n in names}, {n: found[n] for n in judged}, parts)


def whole(data: Any) -> Any:
    """Return plain data with its handles whole."""
    return _mapped(data, lambda handle: tagged(replace(handle, used=None)))


def completed(data: Any, used: Mapping[str, Used], found: list[Handle]) -> Any:
    """Return plain data whose handles say what is taken of them, and which artifact they name."""
    artifacts = {h.digest: h.covered for h in found if h.attribute is not None and h.covered}

    def tell(handle: Handle) -> Any:
        if handle.attribute is not None:
            return tagged(replace(handle, artifact=artifacts.get(handle.digest)))
        return tagged(replace(handle, used=used.get(handle.address)))

    return _mapped(data, tell)


def _mapped(data: Any, change: Any) -> Any:
    if type(data) in _LEAVES:
        return data
    if handle := handle_in(data):
        return change(handle)
    if isinstance(data, Mapping):
        return {k: _mapped(v, change) for k, v in data.items()}
    if isinstance(data, list):
        return [_mapped(v, change) for v in data]
    return data


def narrowed(data: Any, used: Mapping[str, Used]) -> Any:
    """Return what a provider is given, each handle with the digest of what is taken of it."""
    if isinstance(data, Mapping):
        took = used.get(data["address"]) if _is_given(data) else None
        if took is not None:
            return {**data, "digest": took.digest, "uses": {**took.facets, **took.judged}}
        return {k: narrowed(v, used) for k, v in data.items()}
    if isinstance(data, list):
        return [narrowed(v, used) for v in data]
    return data


def _is_given(data: Mapping[str, Any]) -> bool:
    needed = {"address", "attribute", "digest"}
    return needed <= data.keys() <= _GIVEN and data["attribute"] is None
