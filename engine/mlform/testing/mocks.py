"""Providers that make nothing: the schema is the real one, the attributes are given or made up."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from mlform.address import Address
from mlform.lazy import dataclass, field, replace
from mlform.registry import Offer, Registry
from mlform.sdk import (
    AnyResource,
    Artifact,
    Context,
    Imported,
    Inputs,
    Looking,
    Resource,
    ResourceError,
    Stored,
)
from mlform.values import digest


@dataclass
class MockedRegistry(Registry):
    """A registry whose offers may be mocked: by provider, or by the address of a resource."""

    mocked: frozenset[str] = frozenset()
    defaults: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Address of an instance, or of a block for all of its instances → attributes."""
    _made: dict[int, Offer] = field(default_factory=dict)

    def override(self, address: str) -> Mapping[str, Any] | None:
        """Return the attributes that a test gives to an instance, ``None`` if it gives none."""
        whole = Address.parse(address)
        for wanted in (whole, replace(whole, key=None), whole.config):
            if (found := self.overrides.get(str(wanted))) is not None:
                return found
        return None

    def find(self, kind: str, type_: str, provider: str = "") -> Offer | None:
        """Return what implements ``kind "type"``, mocked if that was asked for."""
        offer = super().find(kind, type_, provider)
        if offer is None or offer.target is None:
            return offer
        whole = offer.provider.partition(".")[0] in self.mocked
        if not whole and not self.overrides:
            return offer
        if id(offer) not in self._made:
            given = self.defaults.get((kind, type_), {})
            resource = mocked(offer.resource, given, self, whole=whole)
            self._made[id(offer)] = replace(offer, resource=resource, target=None)
        return self._made[id(offer)]


def mocked(
    resource: AnyResource, defaults: Mapping[str, Any], registry: MockedRegistry, *, whole: bool
) -> AnyResource:
    """Return a resource of the same type that makes its attributes up."""

    def apply(
        _self: AnyResource, ctx: Context, new: Any, old: Stored[Any, Any] | None
    ) -> BaseModel:
        override = registry.override(ctx.address)
        if override is None and not whole:
            found: BaseModel = resource.apply(ctx, new, old)
            return found
        given = {**defaults, **(override or {})}
        return _attributes(resource, ctx, given)

    def read(_self: AnyResource, ctx: Looking, old: Stored[Any, Any]) -> BaseModel | None:
        if whole or registry.override(ctx.address) is not None:
            kept: BaseModel = old.attributes
            return kept
        found: BaseModel | None = resource.read(ctx, old)
        return found

    def destroy(_self: AnyResource, ctx: Context, old: Stored[Any, Any]) -> str:
        made_up = whole or registry.override(ctx.address) is not None
        return "" if made_up else resource.destroy(ctx, old)

    def import_(_self: AnyResource, ctx: Context, id_: str, new: Any) -> Imported[Any] | None:
        override = registry.override(ctx.address)
        if override is None and not whole:
            return resource.import_(ctx, id_, new)
        return Imported(_attributes(resource, ctx, {**defaults, **(override or {})}))

    def inputs(_self: AnyResource, ctx: Looking, new: Any) -> Inputs:
        override = registry.override(ctx.address)
        if override is not None:  # a result of other attributes is another result
            return Inputs({"attributes given by the test": digest(override)})
        return Inputs() if whole else resource.inputs(ctx, new)

    members: dict[str, Any] = {
        "apply": apply,
        "read": read,
        "destroy": destroy,
        "import_": import_,
    }
    if whole:
        members |= {"inputs": Resource.inputs, "distributions": Resource.distributions}
    if registry.overrides:
        members["inputs"] = inputs
    made = copy.copy(resource)
    made.__class__ = type(f"Mocked{type(resource).__name__}", (type(resource),), members)
    return made


def _attributes(resource: AnyResource, ctx: Context, given: Mapping[str, Any]) -> BaseModel:
    model = resource.attributes
    values = dict(given)
    for name, info in model.model_fields.items():
        if name not in values and info.is_required():
            values[name] = _made_up(info.annotation, f"{ctx.address}.{name}", ctx)
    try:
        made: BaseModel = model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        detail = (
            f'{ctx.address}: "{name}" of the mocked attributes: {first["msg"]}. Give it a value.'
        )
        raise ResourceError("Invalid mock", detail) from None
    return made


def _made_up(annotation: Any, name: str, ctx: Context) -> Any:
    """Return a value of a type: the same for the same name, whenever and wherever."""
    origin = get_origin(annotation)
    if annotation is Artifact:
        return ctx.artifacts.put_bytes(f"mock {name}".encode())
    if origin is Literal:
        return get_args(annotation)[0]
    if origin in {Union, UnionType}:
        options = get_args(annotation)
        return None if type(None) in options else _made_up(options[0], name, ctx)
    plain = {str: hashlib.sha256(name.encode()).hexdigest()[:8], int: 0, float: 0.0, bool: False}
    for type_, value in plain.items():
        if annotation is type_:
            return value
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {
            n: _made_up(i.annotation, f"{name}.{n}", ctx)
            for n, i in annotation.model_fields.items()
            if i.is_required()
        }
    if origin in {list, tuple, set, frozenset}:
        return []
    return {} if origin is not None else None
