"""``yamldecode``: one YAML 1.1 document, as Terraform reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from importlib import import_module
from typing import Any, Final

from mlform.lang.functions.datetime import Moment
from mlform.lang.functions.encoding import from_base64
from mlform.lang.graphemes import normal
from mlform.lang.operations import OperationError, rounded, shorten, text
from mlform.lang.registry import check_size, function, string
from mlform.types import ANY
from mlform.values import Value

_TAGS: Final = "tag:yaml.org,2002:"
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"})
_FALSE: Final = frozenset(
    {"n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"}
)
_INFINITE: Final = re.compile(r"[+-]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NUMBER: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BASED: Final = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)"
    r"(?:(?:[Tt](\d\d?):(\d\d?):(\d\d?)(?:\.\d+)?(Z|[+-]\d\d:\d\d))"
    r"|(?: +(\d\d?):(\d\d?):(\d\d?)(?:\.\d+)?))?",
    re.ASCII,
)
_MERGE: Final = "<<"


@function("yamldecode", string("src"), result=ANY)
def yamldecode(src: str) -> Value:
    """Return the value that a YAML document says."""
    # Imported at the first document, not before: few specs have one.
    try:
        yaml = import_module("yaml")
    except ModuleNotFoundError:
        detail = "reading YAML needs the package PyYAML, which is not installed"
        raise OperationError(detail) from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Reader(yaml, yaml.parse(src, Loader=loader)).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f" in line {mark.line + 1}, column {mark.column + 1}"
        said = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise OperationError(f"the text is no YAML: {said}{place}", 0) from None


class _Reader:
    """Makes a value of the events of a parser."""

    def __init__(self, yaml: Any, events: Iterator[Any]) -> None:
        self.yaml, self.events = yaml, events
        self.anchors: dict[str, tuple[Value, int]] = {}
        self.open: set[str] = set()
        self.size = 0

    def document(self) -> Value:
        """Return the value of the only document."""
        next(self.events)
        start = next(self.events)
        if isinstance(start, self.yaml.StreamEndEvent):
            raise OperationError("there is no document in the text", 0)
        if start.version not in {None, (1, 1)}:
            raise OperationError("the document is of another version of YAML than 1.1", 0)
        value = self.node(next(self.events))
        next(self.events)
        if not isinstance(next(self.events), self.yaml.StreamEndEvent):
            raise OperationError("there is more than one document in the text", 0)
        return value

    def node(self, event: Any) -> Value:
        """Return the value that begins with an event."""
        if isinstance(event, self.yaml.AliasEvent):
            return self.alias(event.anchor)
        before = self.size
        if event.anchor is not None:
            self.open.add(event.anchor)
        self.grow(1)
        value = self.content(event)
        if event.anchor is not None:
            self.open.discard(event.anchor)
            self.anchors[event.anchor] = value, self.size - before
        return value

    def content(self, event: Any) -> Value:
        if isinstance(event, self.yaml.ScalarEvent):
            return self.scalar(event)
        if isinstance(event, self.yaml.SequenceStartEvent):
            if event.tag not in {None, f"{_TAGS}seq"}:
                raise OperationError(f"a sequence cannot be a {event.tag}", 0)
            return self.sequence()
        if event.tag not in {None, f"{_TAGS}map"}:
            raise OperationError(f"a mapping cannot be a {event.tag}", 0)
        return self.mapping()

    def grow(self, count: int) -> None:
        # Aliases of aliases could make much of little.
        self.size += count
        check_size(self.size)

    def alias(self, anchor: str) -> Value:
        if anchor in self.open:
            raise OperationError(f'the anchor "{anchor}" is used inside itself', 0)
        if anchor not in self.anchors:
            raise OperationError(f'there is no anchor "{anchor}" before its use', 0)
        value, size = self.anchors[anchor]
        self.grow(size)
        return value

    def sequence(self) -> Value:
        found: list[Value] = []
        while not isinstance(event := next(self.events), self.yaml.SequenceEndEvent):
            found.append(self.node(event))
        return found

    def mapping(self) -> Value:
        found: dict[str, Value] = {}
        while not isinstance(event := next(self.events), self.yaml.MappingEndEvent):
            written = getattr(event, "value", None)
            if written == _MERGE and event.tag is None:
                merged = self.node(next(self.events))
                if not isinstance(merged, dict):
                    raise OperationError("only a mapping can be merged into a mapping", 0)
                found.update(merged)
                continue
            key = self.node(event)
            if key is None or isinstance(key, dict | list):
                raise OperationError("the keys of a mapping must be strings", 0)
            found[text(key)] = self.node(next(self.events))
        return found

    def scalar(self, event: Any) -> Value:
        plain = not event.style
        if event.tag is None:
            return _resolved(event.value) if plain else normal(event.value)
        if event.tag == f"{_TAGS}str":
            return normal(event.value)
        return _tagged(event.tag.removeprefix(_TAGS), event.value, plain=plain)


def _tagged(tag: str, written: str, *, plain: bool) -> Value:
    if tag == "binary":
        from_base64(written)
        return written
    if tag not in {"int", "float", "bool", "null", "timestamp"}:
        raise OperationError(f'the tag "{tag}" is not known', 0)
    number = tag in {"int", "float"}
    found = _resolved(written.replace("_", "") if number else written)
    if tag == "null":
        return None if plain else normal(written)
    wrong = isinstance(found, str) and (_TIME.fullmatch(written) is None or tag != "timestamp")
    if wrong and (plain or number):
        raise OperationError(f'"{shorten(written)}" is no {tag}', 0)
    return found if plain else normal(written)


def _resolved(written: str) -> Value:
    """Return what a plain scalar without a tag says."""
    if written in _NULLS:
        return None
    if written in _TRUE or written in _FALSE:
        return written in _TRUE
    if _INFINITE.fullmatch(written):
        raise OperationError(f"there is no number {written}", 0)
    if _NUMBER.fullmatch(written):
        return rounded(Decimal(written))
    if _BASED.fullmatch(written):
        found = int(written[2:], 16 if written[1] == "x" else 8)
        if found >= 2**64:
            raise OperationError(f"the number {shorten(written)} is too large", 0)
        return found
    return _time(written) or normal(written)


def _time(written: str) -> str | None:
    """Return a date or time as RFC 3339 has it, ``None`` for any other text."""
    found = _TIME.fullmatch(written)
    if found is None:
        return None
    year, month, day = found[1], found[2].zfill(2), found[3].zfill(2)
    parts = found.group(4, 5, 6) if found[4] else found.group(8, 9, 10)
    clock = [part.zfill(2) for part in parts if part]
    shown = f"{year}-{month}-{day}T{':'.join(clock or ['00'] * 3)}{found[7] or 'Z'}"
    try:
        return str(Moment.parse(shown, 0))
    except OperationError:
        return None
