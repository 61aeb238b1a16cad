"""The binary data extension of the protocol: a JSON head, and the tensors' bytes after it.

Numbers are little-endian, one after another; a text is its length in four bytes, then UTF-8. A
missing number is NaN; there is no missing text, whole number or truth value.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any, Final

import orjson

from mlform_core.serving.protocol import RequestError

HEADER: Final = "inference-header-content-length"
EXTENSION: Final = "binary_tensor_data"
_LENGTH: Final = struct.Struct("<I")
_FORMATS: Final[Mapping[str, str]] = {
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
_FLOATS: Final = frozenset({"FP16", "FP32", "FP64"})


def decoded(head: Any, rest: memoryview) -> Any:
    """Return a request as it would be in JSON alone. Raises ``RequestError``."""
    if not isinstance(head, Mapping) or not isinstance(head.get("inputs"), list):
        return head  # it is told what is wrong with it as with any
    inputs, problems, at = [], [], 0
    for tensor in head["inputs"]:
        size = _size(tensor, "binary_data_size")
        if size is None:
            inputs.append(tensor)
            continue
        part, at = rest[at : at + size], at + size
        if len(part) < size:
            problems.append(f'"{tensor.get("name")}" has {len(part)} of {size} bytes')
            continue
        try:
            inputs.append({**tensor, "data": _values(str(tensor.get("datatype")), part)})
        except ValueError as error:
            problems.append(f'"{tensor.get("name")}": {error}')
    if not problems and at != len(rest):
        problems.append(f"{len(rest) - at} bytes are left over after the tensors")
    if problems:
        raise RequestError(problems)
    return {**head, "inputs": inputs}


def wanted(body: Mapping[str, Any]) -> set[str] | None:
    """Return the outputs that are asked for in binary; ``None`` for all of them."""
    asked = body.get("outputs") or []
    named = {o["name"]: _asks(o, "binary_data") for o in asked if isinstance(o, Mapping)}
    if _asks(body, "binary_data_output"):
        return None if not named else {n for n, said in named.items() if said is not False}
    return {name for name, said in named.items() if said}


def encoded(response: Mapping[str, Any], names: set[str] | None) -> tuple[bytes, int]:
    """Return a response with some outputs in binary, and how long its JSON head is."""
    outputs, parts = [], []
    for output in response["outputs"]:
        if names is not None and output["name"] not in names:
            outputs.append(output)
            continue
        data = _bytes(output["datatype"], output["data"])
        parts.append(data)
        size = {"parameters": {"binary_data_size": len(data)}}
        outputs.append({**{k: v for k, v in output.items() if k != "data"}, **size})
    head = orjson.dumps({**response, "outputs": outputs})
    return b"".join((head, *parts)), len(head)


def _size(tensor: Any, name: str) -> int | None:
    found = _asks(tensor, name)
    return found if isinstance(found, int) and found >= 0 else None


def _asks(part: Any, name: str) -> Any:
    parameters = part.get("parameters") if isinstance(part, Mapping) else None
    return parameters.get(name) if isinstance(parameters, Mapping) else None


def _values(datatype: str, part: memoryview) -> list[Any]:
    if datatype == "BYTES":
        return _texts(part)
    if datatype not in _FORMATS:
        return []  # the datatype is told to be none
    kind = struct.Struct(f"<{_FORMATS[datatype]}")
    if len(part) % kind.size:
        raise ValueError(f"{len(part)} bytes are no whole number of {datatype}")
    values = [value for (value,) in kind.iter_unpack(part)]
    if datatype in _FLOATS:
        if math.inf in values or -math.inf in values:
            raise ValueError("infinity is no value")
        return [None if value != value else value for value in values]  # noqa: PLR0124 - NaN
    return values


def _texts(part: memoryview) -> list[str]:
    found, at = [], 0
    while at < len(part):
        if at + _LENGTH.size > len(part):
            raise ValueError("a text's length is cut off")
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(part, at)[0]
        if at > len(part):
            raise ValueError("a text is cut off")
        found.append(bytes(part[start:at]).decode())
    return found


def _bytes(datatype: str, values: list[Any]) -> bytes:
    if datatype != "BYTES":
        return struct.pack(f"<{len(values)}{_FORMATS[datatype]}", *values)
    texts = [text.encode() for text in values]
    return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))
