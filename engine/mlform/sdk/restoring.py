"""What was recorded, as the models of its type: also where another version of the type wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from mlform.sdk.provider import AnyResource
from mlform.sdk.resource import Stored

M = TypeVar("M", bound=BaseModel)


def restored(
    resource: AnyResource, arguments: Mapping[str, Any], attributes: Mapping[str, Any]
) -> Stored[Any, Any]:
    """Return what was recorded as the models of a type; concealed secrets stay concealed.

    What another version of the type wrote is taken field by field: those that are no more are
    dropped, those that are new have their default, or are unset.
    """
    try:
        given = resource.arguments.model_validate(dict(arguments))
    except ValidationError:
        given = resource.arguments.model_construct(**dict(arguments))
    return Stored(given, _by_field(resource.attributes, attributes))


def complete(stored: Stored[Any, Any]) -> bool:
    """Tell whether all attributes are there that this version of the type always gives."""
    attributes: BaseModel = stored.attributes
    needed = {n for n, info in type(attributes).model_fields.items() if info.is_required()}
    return needed <= attributes.model_fields_set


def _by_field(model: type[M], data: Mapping[str, Any]) -> M:
    try:
        return model.model_validate(dict(data))
    except ValidationError:
        return model.model_construct(**dict(_sound(model, data)))


def _sound(model: type[BaseModel], data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, info in model.model_fields.items():
        if name in data:
            try:
                yield name, TypeAdapter(info.annotation or Any).validate_python(data[name])
            except ValidationError:
                continue
