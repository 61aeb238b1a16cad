"""``providers``: which are installed, what uses them, and what they offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from mlform.commands.session import Session
from mlform.lang.calls import built_in
from mlform.lang.provided import PREFIX, made
from mlform.lang.registry import Function, Parameter, Special
from mlform.registry import ENGINE, Offer, Registry
from mlform.sdk.docs import field_docs, told
from mlform.sdk.fields import field_classes
from mlform.types import ANY, Collection, ObjectType, TupleType, Type

FORMAT: Final = 1
SIGNATURES: Final = "1.0"


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
        "description": told(function.run.__doc__),
        "parameters": [_parameter(p) for p in function.parameters],
        "variadic": None if rest is None else _parameter(rest),
        "returns": str(function.result),
    }


def signatures() -> dict[str, Any]:
    """Return what each built-in function takes and gives, in the shape that Terraform has.

    Where the arguments decide on the type of the result it is ``dynamic``.
    """
    found = {n: _signature(f) for n, f in sorted(built_in().items())}
    return {"format_version": SIGNATURES, "function_signatures": found}


def _signature(function: Function | Special) -> dict[str, Any]:
    said: dict[str, Any] = {"description": told(function.run.__doc__)}
    if isinstance(function, Special):
        least = [{"name": f"expression{i or ''}", "type": "dynamic"} for i in range(function.least)]
        more: dict[str, Any] = {}
        if function.most is None:
            more = {"variadic_parameter": {"name": "expressions", "type": "dynamic"}}
            least = []
        return {**said, "return_type": "dynamic", "parameters": least, **more}
    result = function.result
    said["return_type"] = "dynamic" if callable(result) else _constraint(result)
    said["parameters"] = [_taken(p) for p in function.parameters]
    if function.rest is not None:
        said["variadic_parameter"] = _taken(function.rest)
    return said


def _taken(parameter: Parameter) -> dict[str, Any]:
    found = {"name": parameter.name, "type": _constraint(parameter.type)}
    return {**found, "is_nullable": True} if parameter.null else found


def _constraint(type_: Type) -> Any:
    """Return a type as cty writes types in JSON."""
    match type_:
        case Collection(name=name, element=element):
            return [name, _constraint(element)]
        case TupleType(elements=elements):
            return ["tuple", [_constraint(e) for e in elements]]
        case ObjectType(attributes=attributes):
            return ["object", {n: _constraint(t) for n, t in attributes.items()}]
        case _:
            return "dynamic" if type_ == ANY else str(type_)


def _parameter(parameter: Parameter) -> dict[str, Any]:
    type_, null = str(parameter.type), parameter.null
    return {"name": parameter.name, "type": type_, "nullable": null}


def _resource(offer: Offer) -> dict[str, Any]:
    resource = offer.resource
    return {
        "provider": None if offer.provider == ENGINE else offer.provider,
        "description": told(type(resource).__doc__),
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
        said = shape.get("description")
        found = {k: _resolved(v, definitions, depth) for k, v in shape.items()}
        return {**found, "description": told(said)} if isinstance(said, str) else found
    if isinstance(shape, list):
        return [_resolved(v, definitions, depth) for v in shape]
    return shape
