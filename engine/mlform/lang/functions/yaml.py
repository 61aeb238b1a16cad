"""``yamlencode``: block style, strings quoted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from mlform.lang.operations import OperationError, kind_of, text
from mlform.lang.registry import absent, anything, function
from mlform.types import STRING
from mlform.values import Handle, Value

_ESCAPES: Final = {
    '"': r"\"",
    "\\": r"\\",
    "\0": r"\0",
    "\a": r"\a",
    "\b": r"\b",
    "\t": r"\t",
    "\n": r"\n",
    "\v": r"\v",
    "\f": r"\f",
    "\r": r"\r",
    "\x1b": r"\e",
    "\x85": r"\N",
    "\u2028": r"\L",
    "\u2029": r"\P",
}
# Like libyaml, the encoder does not take what is beyond the basic plane for printable, nor a tab.
_SPECIAL: Final = re.compile(
    r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\U00010000-\U0010ffff]'
)
_FOLDABLE: Final = re.compile(
    r"[^\x00-\x09\x0b-\x1f\x7f-\x9f\ufeff\ufffe\uffff\U00010000-\U0010ffff]*"
)
_BREAK: Final = re.compile(r"[\r\n\x85\u2028\u2029]")
_LONGEST_KEY: Final = 128  # bytes


@function("yamlencode", anything("value", null=True, dynamic=True), result=STRING)
def yamlencode(value: Value) -> Value:
    """Return a value as a YAML document, in the layout of Terraform."""
    if isinstance(value, Mapping | list | tuple) and value:
        return "\n".join(_lines(value, 0)) + "\n"
    shown = "\n".join(_entry("", value, 0)).lstrip(" ")
    # A plain scalar alone needs the end of the document written, so that it can be streamed.
    plain = not isinstance(value, str | Mapping | list | tuple)
    return shown + ("\n...\n" if plain else "\n")


def _lines(value: Any, depth: int) -> list[str]:
    """Return the lines of a collection with elements."""
    found: list[str] = []
    pad = "  " * depth
    if isinstance(value, Mapping):
        for key in sorted(value):
            if _BREAK.search(key) or len(key.encode()) > _LONGEST_KEY:
                found += _inside(f"{pad}?", key, depth)
                found += _inside(f"{pad}:", value[key], depth)
            else:
                found += _entry(f"{pad}{_quote(key)}:", value[key], depth)
        return found
    for item in value:
        found += _inside(f"{pad}-", item, depth)
    return found


def _inside(head: str, value: Any, depth: int) -> list[str]:
    """Return the lines of what begins on the line of its sign."""
    if isinstance(value, Mapping | list | tuple) and value:
        first, *rest = _lines(value, depth + 1)
        return [f"{head} {first.lstrip(' ')}", *rest]
    return _entry(head, value, depth)


def _entry(head: str, value: Any, depth: int) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [head, *_lines(value, depth + 1)]
    if isinstance(value, list | tuple) and value:
        return [head, *_lines(value, depth)]
    if isinstance(value, str) and "\n" in value and _foldable(value):
        return [f"{head} {_style(value)}", *_block(value, depth + 1)]
    return [f"{head} {_scalar(value)}"]


def _foldable(value: str) -> bool:
    trailing = any(line.endswith(" ") for line in value.split("\n"))
    return _FOLDABLE.fullmatch(value) is not None and not trailing


def _style(value: str) -> str:
    indent = "2" if value.startswith((" ", "\n")) else ""
    if not value.endswith("\n"):
        return f"|{indent}-"
    return f"|{indent}+" if value == "\n" or value.endswith("\n\n") else f"|{indent}"


def _block(value: str, depth: int) -> list[str]:
    pad = "  " * depth
    return [pad + line if line else "" for line in value.removesuffix("\n").split("\n")]


def _quote(value: str) -> str:
    return '"' + _SPECIAL.sub(lambda found: _escape(found.group()), value) + '"'


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    if code > 0xFFFF:
        return f"\\U{code:08X}"
    return f"\\x{code:02X}" if code <= 0xFF else f"\\u{code:04X}"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _quote(value)
    if absent(value):
        return "null"
    if isinstance(value, bool | int | float | Decimal):
        return text(value)
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    address = value.address if isinstance(value, Handle) else ""
    raise OperationError(
        f"the {kind_of(value)} {address} cannot be written out; name one of its attributes"
    )
