"""``count`` and ``for_each``: which instances a block has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal

from mlform.address import Address, Key
from mlform.config.model import Bindings
from mlform.config.names import Names
from mlform.diagnostics import Diagnostics
from mlform.lang import evaluate
from mlform.lazy import dataclass
from mlform.syntax.tree import Attribute, Block
from mlform.types import NUMBER, STRING
from mlform.values import (
    UNKNOWN,
    Handle,
    Sensitive,
    SetValue,
    Unknown,
    Value,
    is_known,
    is_sensitive,
    plain,
)

MOST = 100_000
"""Instances of one block."""


class NotYetError(Exception):
    """How many instances there are is known only once something is applied."""


@dataclass(frozen=True)
class Repetition:
    """Works out the instances of blocks in one module instance."""

    names: Names
    roots: Mapping[str, Value]
    diagnostics: Diagnostics

    def needed(self, block: Block) -> frozenset[Address]:
        """Return the resource blocks that say how many instances there are."""
        attributes = block.body.attributes
        written = [attributes[n] for n in ("count", "for_each") if n in attributes]
        return frozenset(a for w in written for a in self.names.needed(w))

    def instances(self, what: str, block: Block) -> Iterator[tuple[Key, Bindings]]:
        """Yield the key of each instance, and what ``each`` or ``count`` is there.

        Raises ``NotYetError`` where that rests on what is still to be applied.
        """
        attributes = block.body.attributes
        count, for_each = attributes.get("count"), attributes.get("for_each")
        if count is not None and for_each is not None:
            detail = f"{what} has both `count` and `for_each`. Keep one."
            self._error("Invalid repetition", detail, for_each, what)
        elif count is not None:
            yield from self._counted(what, count)
        elif for_each is not None:
            yield from self._for_each(what, for_each)
        else:
            yield None, {}

    def _counted(self, what: str, attribute: Attribute) -> Iterator[tuple[Key, Bindings]]:
        number = self._settled(what, attribute)
        if isinstance(number, str) and number.isdecimal():
            number = int(number)
        if isinstance(number, Decimal) and number == number.to_integral_value():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MOST:
            self._bad(what, attribute, f"a whole number from 0 to {MOST:,}", number)
            return
        for index in range(number):
            yield index, {"count": {"index": index}}

    def _for_each(self, what: str, attribute: Attribute) -> Iterator[tuple[Key, Bindings]]:
        value = self._settled(what, attribute)
        if isinstance(value, Mapping):
            for key in sorted(value):
                yield key, {"each": {"key": key, "value": value[key]}}
        elif isinstance(value, SetValue) and all(isinstance(v, str) for v in value):
            for key in sorted({str(v) for v in value}):
                yield key, {"each": {"key": key, "value": key}}
        elif isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
            detail = (
                "`for_each` must be a map, or a set of strings; it is a list, whose elements have "
                f"no names of their own. Write toset({attribute.text})."
            )
            self._error("Invalid repetition", detail, attribute, what)
        else:
            self._bad(what, attribute, "a map, or a set of strings", value)

    def _settled(self, what: str, attribute: Attribute) -> Value:
        nothing: Value = 0 if attribute.name == "count" else {}
        value = evaluate(attribute.expr, self.roots, self.diagnostics, attribute.source)
        whole = self.diagnostics.errors and not self.diagnostics.partial
        if not _countable(value) and (self.names.needed(attribute) or not whole):
            raise NotYetError
        if is_sensitive(value):
            if attribute.name == "for_each" and isinstance(value, Mapping):
                return value  # its keys are not sensitive, only values are
            detail = (
                f"`{attribute.name}` is sensitive, and would show in every address. If it may be "
                "seen, write nonsensitive(…)."
            )
            self._error("Invalid repetition", detail, attribute, what)
            return nothing
        if isinstance(value, Unknown) and self.diagnostics.errors:
            return nothing
        return value

    def _bad(self, what: str, attribute: Attribute, wanted: str, value: Value) -> None:
        detail = f"`{attribute.name}` must be {wanted}; it is {shown(value)}."
        self._error("Invalid repetition", detail, attribute, what)

    def _error(self, summary: str, detail: str, attribute: Attribute, what: str) -> None:
        self.diagnostics.error(summary, detail, at=attribute.value_span, of=what)


def _countable(value: Value) -> bool:
    """Tell whether it is known which keys a value has, or which number it is."""
    value = value.value if isinstance(value, Sensitive) else value
    if isinstance(value, Unknown) or (isinstance(value, Handle) and not is_known(value)):
        return False
    return isinstance(value, Mapping) or is_known(value)


def unknown_bindings(block: Block) -> Bindings:
    """Return ``each`` and ``count`` of an instance that cannot be told yet."""
    attributes = block.body.attributes
    if "count" in attributes:
        return {"count": {"index": Unknown(NUMBER)}}
    return {"each": {"key": Unknown(STRING), "value": UNKNOWN}}


def shown(value: Value) -> str:
    """Write a value the way the language does."""
    if isinstance(value, Sensitive):
        return "a sensitive value"
    return json.dumps(plain(value), ensure_ascii=False) if is_known(value) else "not known yet"
