"""``providers``: which are installed, what uses them, and what they offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from mlform.commands.session import Session
from mlform.lang.provided import PREFIX, made
from mlform.lang.registry import Function, Parameter
from mlform.registry import ENGINE, Offer, Registry
from mlform.sdk.docs import field_docs
from mlform.sdk.fields import field_classes

FORMAT: Final = 1


def used(session: Session) -> dict[str, dict[str, list[str]]]:
    """Return, for each installed provider, the types of it that the spec uses, and where."""
    found: dict[str, dict[str, list[str]]] = {n: {} for n in session.registry.providers()}
    project, _ = session.configured
    for address, resource in {**project.resources, **project.rests.samples}.items():
        if resource.offer.target is None:
            continue
        types = found.setdefault(resource.offer.provider, {})
        types.setdefault(f"{address.kind}.{resource.type}", []).append(str(address))
    return found


def schema(registry: Registry) -> dict[str, Any]:
    """Return everything that installed providers offer, as plain data."""
    providers: dict[str, Any] = {}
    for offer in registry.offers():
        given = providers.setdefault(offer.provider, _provider(offer.provider, registry))
        kind, type_ = offer.resource.kind, offer.resource.type
        given["resources"][f"{kind}.{type_}" if type_ else kind] = _resource(offer)
    return {"format": FORMAT, "providers": providers}


def _provider(name: str, registry: Registry) -> dict[str, Any]:
    offered = registry.functions(name) if name in registry.providers() else {}
    functions = {n: made(f"{PREFIX}{name}::{n}", offered[n]) for n in sorted(offered)}
    return {
        "version": registry.version(name),
        "resources": {},
        "functions": {n: _function(f) for n, f in functions.items()},
    }


def _function(function: Function) -> dict[str, Any]:
    rest = function.rest
    return {
        "description": function.run.__doc__ or "",
        "parameters": [_parameter(p) for p in function.parameters],
        "variadic": None if rest is None else _parameter(rest),
        "returns": str(function.result),
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    type_, null = str(parameter.type), parameter.null
    return {"name": parameter.name, "type": type_, "nullable": null}


def _resource(offer: Offer) -> dict[str, Any]:
    resource = offer.resource
    return {
        "provider": None if offer.provider == ENGINE else offer.provider,
        "description": (type(resource).__doc__ or "").strip(),
        "reusable": resource.reusable,
        "arguments": _fields(resource.arguments),
        "attributes": _fields(resource.attributes),
    }


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    whole = model.model_json_schema(by_alias=True)
    shapes: Mapping[str, Any] = whole.get("properties", {})
    classes, docs = field_classes(model), field_docs(model)
    found = {}
    for name, info in model.model_fields.items():
        written = info.alias or name
        found[written] = {
            "class": classes[name].value,
            "required": info.is_required(),
            "description": docs.get(name, ""),
            "schema": _resolved(shapes.get(written, {}), whole.get("$defs", {})),
        }
    return found


def _resolved(shape: Any, definitions: Mapping[str, Any], depth: int = 0) -> Any:
    """Return a shape with what it refers to in its place."""
    if isinstance(shape, dict):
        if "$ref" in shape and depth < 20:
            name = str(shape["$ref"]).rpartition("/")[2]
            return _resolved(definitions.get(name, {}), definitions, depth + 1)
        return {k: _resolved(v, definitions, depth) for k, v in shape.items()}
    if isinstance(shape, list):
        return [_resolved(v, definitions, depth) for v in shape]
    return shape
