"""What clients generate code from: the server's routes, in OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mlform_core.serving.protocol import DATATYPE, Schema, outputs

_JSON: Final = {
    "FP64": {"type": "number"},
    "INT64": {"type": "integer"},
    "BOOL": {"type": "boolean"},
    "BYTES": {"type": "string"},
}


def description(
    schema: Schema, name: str, digest: str, keys: Sequence[str] = (), *, guarded: bool
) -> dict[str, Any]:
    """Describe the routes of a model, with its own inputs and outputs, and keys that are logged."""
    inputs = [
        _tensor(f["name"], DATATYPE[f["type"]], nullable=f["name"] not in schema.required)
        for f in schema.inputs
    ]
    answers = [_tensor(o["name"], o["datatype"], nullable=False) for o in outputs(schema.meta)]
    model = f"/v2/models/{name}"
    problem = {"$ref": "#/components/schemas/Problem"}
    refusals = {
        "400": _said("What is wrong with the request, all at once.", problem),
        "413": _said("The body is too large.", problem),
        "503": _said("Too many requests wait.", problem),
        "504": _said("The answer took too long.", problem),
    }
    if guarded:
        refusals["401"] = _said("The token is missing or wrong.", problem)
    infer = {
        "operationId": "infer",
        "summary": "Predict rows",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Request"}}},
        },
        "responses": {
            "200": _said("Predictions.", {"$ref": "#/components/schemas/Response"}),
            **refusals,
        },
    }
    known = [_tensor(k, "BYTES", nullable=True) for k in keys if k not in schema.names]
    least = len(inputs) - bool(schema.clock)
    tensors = {"type": "array", "minItems": least, "items": {"oneOf": [*inputs, *known]}}
    wanted = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    schemas = {
        "Request": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": {"type": "string"},
                "inputs": tensors,
                "outputs": {"type": "array", "items": wanted},
            },
        },
        "Response": {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "model_name": {"type": "string"},
                "model_version": {"type": "string"},
                "outputs": {"type": "array", "items": {"oneOf": answers}},
            },
        },
        "Problem": {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {"type": "string"},
                "problems": {"type": "array", "items": {"type": "string"}},
            },
        },
    }
    components: dict[str, Any] = {"schemas": schemas}
    if guarded:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": digest},
        "security": [{"token": []}] if guarded else [],
        "paths": {
            f"{model}/infer": {"post": infer},
            model: {"get": _get("metadata", "What the model takes and gives")},
            f"{model}/ready": {"get": _get("modelReady", "Whether the model answers")},
            "/v2/health/live": {"get": _get("live", "Whether the server runs")},
            "/v2/health/ready": {"get": _get("ready", "Whether the server answers")},
            "/metrics": {"get": _get("metrics", "Numbers for Prometheus")},
        },
        "components": components,
    }


def _tensor(name: str, datatype: str, *, nullable: bool) -> dict[str, Any]:
    value = _JSON[datatype]
    items = {"type": [value["type"], "null"]} if nullable else value
    return {
        "type": "object",
        "required": ["name", "datatype", "shape", "data"],
        "properties": {
            "name": {"const": name},
            "datatype": {"type": "string", "examples": [datatype]},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "data": {"type": "array", "items": items},
        },
    }


def _said(text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _get(operation: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "responses": {"200": {"description": "So it is."}},
    }
