"""JSON, CSV, YAML, Base64, URLs."""

from __future__ import annotations

import base64
import binascii
import codecs
import csv
import gzip
import io
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote_plus

from mlform.lang.bounds import encoded
from mlform.lang.graphemes import normal
from mlform.lang.operations import OperationError, kind_of, number_of, rounded, shorten, text
from mlform.lang.registry import absent, anything, check_size, function, string, whole
from mlform.types import ANY, BOOL, NUMBER, STRING, ObjectType, Type
from mlform.values import Handle, ListValue, Unknown, Value

_ESCAPED: Final = re.compile(r"[<>&\u2028\u2029]")
_PARTED: Final = (list, dict)
_DEEPEST: Final = 150
"""How deep a value may be nested: as deep as one that is written in an expression."""


def to_json(value: Value) -> str:
    """Return a value as JSON text, keys sorted. Raises ``OperationError``."""
    shown = "".join(_json(value))
    return _ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", shown)


def _json(value: Any) -> list[str]:
    if isinstance(value, str):
        return [json.dumps(value, ensure_ascii=False)]
    if absent(value):
        return ["null"]
    if isinstance(value, bool | int | float | Decimal):
        return [text(value)]
    pieces: list[str] = []
    if isinstance(value, Mapping):
        for key in sorted(value):
            pieces += [",", *_json(key), ":", *_json(value[key])]
        return ["{", *pieces[1:], "}"]
    if isinstance(value, list | tuple):
        for item in value:
            pieces += [",", *_json(item)]
        return ["[", *pieces[1:], "]"]
    address = value.address if isinstance(value, Handle) else ""
    raise OperationError(
        f"the {kind_of(value)} {address} cannot be written out; name one of its attributes"
    )


@function(
    "jsonencode",
    anything("value", null=True, unknown=True, dynamic=True),
    result=STRING,
    nested=True,
    marked=False,
)
def jsonencode(value: Value) -> Value:
    """Return a value as JSON text."""
    return to_json(value) if whole(value) else encoded(value)


def _refuse(name: str) -> Value:
    raise ValueError(f"{name} is no JSON")


def _json_number(written: str) -> int | Decimal:
    return rounded(Decimal(written))


_BEGINNINGS: Final = {
    **dict.fromkeys("{[n", ANY),
    **dict.fromkeys("-0123456789", NUMBER),
    **dict.fromkeys("tf", BOOL),
    '"': STRING,
}


def _json_type(given: Any) -> Type:
    """Return the type of what a JSON text says, as far as its beginning tells."""
    start = given.bounds.prefix.lstrip(" \t\r\n")[:1] if isinstance(given, Unknown) else ""
    if start and start not in _BEGINNINGS:
        raise OperationError(f'the text is no JSON: it begins with "{start}"', 0)
    return _BEGINNINGS.get(start, ANY)


@function("jsondecode", string("str"), result=_json_type)
def jsondecode(_type: Type, value: str) -> Value:
    """Return the value that a JSON text says."""
    try:
        found: Value = json.loads(
            value, parse_int=_json_number, parse_float=_json_number, parse_constant=_refuse
        )
    except json.JSONDecodeError as error:
        raise OperationError(
            f"the text is no JSON: {error.msg} in line {error.lineno}, column {error.colno}", 0
        ) from None
    except ValueError as error:
        raise OperationError(f"the text is no JSON: {error}", 0) from None
    if value.count("[") + value.count("{") > _DEEPEST and _too_deep(found):
        raise OperationError(f"the text has values more than {_DEEPEST} levels deep", 0)
    return found if value.isascii() and "\\u" not in value else _normal(found)


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST + 1):
        parts = [v.values() if isinstance(v, dict) else v for v in level if isinstance(v, _PARTED)]
        level = [inner for part in parts for inner in part]
    return bool(level)


def _normal(value: Any) -> Any:
    if isinstance(value, str):
        # Half a surrogate pair is no character: it becomes the replacement character.
        return normal(value.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    if isinstance(value, dict):
        return {_normal(k): _normal(v) for k, v in value.items()}
    return [_normal(v) for v in value] if isinstance(value, list) else value


@function("csvdecode", string("str"), result=ANY)
def csvdecode(value: str) -> Value:
    """Return the rows of a CSV text as objects; the first row has the names."""
    _check_quotes(value)
    reader = csv.reader(io.StringIO(value, newline=""), strict=True)
    try:
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise OperationError(f"the text is no CSV: {error} in line {reader.line_num}", 0) from None
    if not rows:
        raise OperationError("the first line must have the names of the columns", 0)
    names, *rest = rows
    twice = next((n for i, n in enumerate(names) if n in names[:i]), None)
    if twice is not None:
        raise OperationError(f'the column "{twice}" is there twice', 0)
    for position, row in enumerate(rest, 2):
        if len(row) != len(names):
            raise OperationError(
                f"row {position} has {number_of(len(row), 'field')} for "
                f"{number_of(len(names), 'column')}",
                0,
            )
    check_size(len(names) * len(rest))
    shape = ObjectType(dict.fromkeys(names, STRING))
    return ListValue([dict(zip(names, row, strict=True)) for row in rest], shape)


def _check_quotes(value: str) -> None:
    # The csv module takes a quote inside an unquoted field as text; the standard does not.
    bare = re.search(r'(?:^|[,\n])[^",\n]+"', _QUOTED.sub("x", value))
    if bare is not None:
        raise OperationError("the text is no CSV: a quote stands inside an unquoted field", 0)


_QUOTED: Final = re.compile(r'(?:(?<=[,\n])|^)"(?:[^"]|"")*"(?=[,\r\n]|$)')


def from_base64(value: str) -> bytes:
    """Return the bytes that a Base64 text says. Raises ``OperationError``."""
    try:
        return base64.b64decode(value.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        raise OperationError(f'"{shorten(value)}" is no Base64', 0) from None


@function("base64encode", string("str"), result=STRING)
def base64encode(value: str) -> Value:
    """Return the UTF-8 bytes of a text in Base64."""
    return base64.b64encode(_bytes(value)).decode()


def _bytes(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise OperationError("the text has half a surrogate pair in it", 0) from None


@function("base64decode", string("str"), result=STRING)
def base64decode(value: str) -> Value:
    """Return the text whose UTF-8 bytes are given in Base64."""
    try:
        return normal(from_base64(value).decode())
    except UnicodeDecodeError:
        raise OperationError("the bytes are no UTF-8 text", 0) from None


@function("base64gzip", string("str"), result=STRING)
def base64gzip(value: str) -> Value:
    """Return a text compressed with gzip, in Base64; equal texts give equal results."""
    return base64.b64encode(gzip.compress(_bytes(value), mtime=0)).decode()


def _codec(name: str) -> str:
    names = {"CP936": "gbk"}
    try:
        found = codecs.lookup(names.get(name.upper(), name))
        "".encode(found.name)
    except (LookupError, ValueError, UnicodeError):
        raise OperationError(f'"{shorten(name)}" is no known encoding', 1) from None
    return {"utf-16": "utf-16-be", "utf-32": "utf-32-be"}.get(found.name, found.name)


@function("textencodebase64", string("string"), string("encoding"), result=STRING)
def textencodebase64(value: str, encoding: str) -> Value:
    """Return the bytes of a text in an encoding, in Base64."""
    codec = _codec(encoding)
    try:
        # Without an order of bytes in its name, the text begins with a mark that says it.
        start = "\ufeff" if encoding.upper() in {"UTF-16", "UTF-32"} else ""
        return base64.b64encode((start + value).encode(codec)).decode()
    except UnicodeError:
        raise OperationError(f"the text has characters that {encoding} has not", 0) from None


@function("textdecodebase64", string("source"), string("encoding"), result=STRING)
def textdecodebase64(value: str, encoding: str) -> Value:
    """Return the text whose bytes in an encoding are given in Base64."""
    codec = _codec(encoding)
    try:
        return normal(from_base64(value).decode(codec).removeprefix("\ufeff"))
    except UnicodeError:
        raise OperationError(f"the bytes are no text in {encoding}", 0) from None


@function("urlencode", string("str"), result=STRING)
def urlencode(value: str) -> Value:
    """Return a text as it can stand in the query of a URL."""
    return quote_plus(_bytes(value), safe="~")
