"""JSON text to values that know where they stand."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Final, NamedTuple, NoReturn, TypeAlias

from mlform.syntax.problems import BAD_JSON, MAX_DEPTH, TOO_DEEP
from mlform.syntax.scanner import Scanner, describe


class String(NamedTuple):
    """A string with its quotes in the source, and what it says."""

    start: int
    end: int
    text: str


class Scalar(NamedTuple):
    """A number, a bool or null."""

    start: int
    end: int
    value: None | bool | int | Decimal


class Array(NamedTuple):
    """A list of values."""

    start: int
    end: int
    items: tuple[JsonValue, ...]


class Object(NamedTuple):
    """Properties in the order of the source, repeated ones included."""

    start: int
    end: int
    properties: tuple[tuple[String, JsonValue], ...]


JsonValue: TypeAlias = String | Scalar | Array | Object

_BLANK: Final = re.compile(r"[ \t\n\r]*+").match
_STRING: Final = re.compile(r'"((?>(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*))"').match
_SCALAR: Final = re.compile(
    r"(-?(?:0|[1-9]\d*+)(?>(?:\.\d++)?)(?>(?:[eE][+-]?\d++)?)|true|false|null)(?![\w.])", re.ASCII
).match
_ESCAPE: Final = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})').match
_UNIT: Final = re.compile(r"\\u([0-9a-fA-F]{4})|\\.|[\s\S]").finditer
_CONSTANTS: Final[dict[str, None | bool]] = {"true": True, "false": False, "null": None}


class JsonReader(Scanner):
    """Reads JSON (RFC 8259)."""

    def document(self) -> JsonValue:
        """Read the whole text as one value."""
        self._blank()
        value = self._value()
        self._blank()
        if self.pos < self.end:
            self._wrong("the end of the text after the outermost value")
        return value

    def _blank(self) -> str:
        """Go to the next token and return its first character, ``""`` at the end."""
        if blank := _BLANK(self.text, self.pos):
            self.pos = min(blank.end(), self.end)
        return self.text[self.pos] if self.pos < self.end else ""

    def _value(self) -> JsonValue:
        match self.text[self.pos] if self.pos < self.end else "":
            case '"':
                return self._string()
            case "{":
                return self._object()
            case "[":
                return self._array()
            case _:
                return self._scalar()

    def _enter(self) -> int:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            detail = f"Objects and arrays may be nested at most {MAX_DEPTH} levels deep."
            self.fail(TOO_DEEP, detail, self.pos)
        start = self.pos
        self.pos += 1
        return start

    def _object(self) -> Object:
        start = self._enter()
        properties: list[tuple[String, JsonValue]] = []
        while self._blank() != "}" or properties:
            if self._blank() != '"':
                self._wrong("a property name in double quotes", comma=bool(properties))
            key = self._string()
            if self._blank() != ":":
                self._wrong(f'":" after the property name "{key.text}"')
            self.pos += 1
            self._blank()
            properties.append((key, self._value()))
            if not self._more("}"):
                break
        self.pos += 1
        self.depth -= 1
        return Object(start, self.pos, (*properties,))

    def _array(self) -> Array:
        start = self._enter()
        items: list[JsonValue] = []
        while self._blank() != "]" or items:
            items.append(self._value())
            if not self._more("]"):
                break
        self.pos += 1
        self.depth -= 1
        return Array(start, self.pos, (*items,))

    def _more(self, closer: str) -> bool:
        char = self._blank()
        if char == ",":
            self.pos += 1
            self._blank()
            return True
        if char != closer:
            self._wrong(f'a comma or "{closer}"')
        return False

    def _scalar(self) -> Scalar:
        found = _SCALAR(self.text, self.pos)
        if found is None:
            self._wrong("a value", comma=self.text[self.pos] in "]}")
        start, self.pos = found.span()
        if found[1] in _CONSTANTS:
            return Scalar(start, self.pos, _CONSTANTS[found[1]])
        negative = found[1][0] == "-"
        value = self.number(start + negative, self.pos)
        return Scalar(start, self.pos, -value if negative else value)

    def _string(self) -> String:
        found = _STRING(self.text, self.pos)
        if found is None:
            self._bad_string()
        start, self.pos = found.span()
        text = found[1]
        if "\\" in text:
            text = str(json.loads(found[0]))
            if not text.isascii() and any("\ud800" <= char < "\ue000" for char in text):
                self.fail(BAD_JSON, "This string has half a surrogate pair.", start, self.pos)
        return String(start, self.pos, text)

    def _bad_string(self) -> NoReturn:
        start = at = self.pos
        at += 1
        while at < self.end and self.text[at] != '"':
            if self.text[at] < " ":
                detail = f"{describe(self.text[at])} must be written as an escape in a string."
                if self.text[at] in "\r\n":
                    detail = "This string is not closed before the end of its line."
                self.fail(BAD_JSON, detail, start, at)
            if self.text[at] == "\\" and not _ESCAPE(self.text, at):
                shown = self.text[at : at + 2]
                detail = f"{shown} is no escape of JSON; a backslash itself is \\\\."
                self.fail(BAD_JSON, detail, at, at + 2)
            at += 2 if self.text[at] == "\\" else 1
        self.fail(BAD_JSON, "This string is never closed.", start, self.end)

    def _wrong(self, wanted: str, *, comma: bool = False) -> NoReturn:
        hint = " JSON has no comma after the last item." if comma else ""
        if self.text.startswith(("//", "#", "/*"), self.pos):
            hint = ' JSON has no comments; a property named "//" is one.'
        self.fail(
            BAD_JSON,
            f"Expected {wanted}, found {self.found_in_json()}.{hint}",
            self.pos,
            self.token_end(self.pos),
        )

    def found_in_json(self) -> str:
        """Say what stands at the position."""
        if self.text.startswith("#", self.pos):
            return '"#"'
        if self.text.startswith("//", self.pos):
            return '"//"'
        return self.found(self.pos)


def offsets(source: str, value: String) -> list[int]:
    """Return where each character of the string's text stands in the source, and its end.

    A character outside the basic plane is written as two escapes and stands at the first.
    """
    inside = source[value.start + 1 : value.end - 1]
    base = value.start + 1
    if "\\" not in inside:
        return list(range(base, value.end))
    found: list[int] = []
    high = False
    for unit in _UNIT(inside):
        code = int(unit[1], 16) if unit[1] else 0
        if not (high and 0xDC00 <= code < 0xE000):
            found.append(base + unit.start())
        high = 0xD800 <= code < 0xDC00
    return [*found, value.end - 1]
