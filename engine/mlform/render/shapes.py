"""Pieces that JSON Schemas are put together from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from mlform.plan import Action

Schema: TypeAlias = dict[str, Any]
DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
FLAG: Final[Schema] = {"type": "boolean"}
ANY: Final[Schema] = {}
DIGEST: Final[Schema] = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}
ACTION: Final[Schema] = {"enum": [a.value for a in Action]}


def object_of(properties: Mapping[str, Schema], optional: Mapping[str, Schema] = {}) -> Schema:
    """Return the shape of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": {**properties, **optional},
        "required": sorted(properties),
        "additionalProperties": False,
    }


def list_of(items: Schema) -> Schema:
    """Return the shape of a list."""
    return {"type": "array", "items": items}


def map_of(values: Schema) -> Schema:
    """Return the shape of an object with any names."""
    return {"type": "object", "additionalProperties": values}


def or_null(schema: Schema) -> Schema:
    """Return the shape of what may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


def told(schema: Schema, description: str) -> Schema:
    """Return a shape with what it means."""
    return {**schema, "description": description}
