"""Sets, and the sensitive marks on values: taking them off, putting them back."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from mlform.lang.numbers import PreciseDecimal, expansion, shared
from mlform.types import ANY, Type
from mlform.values import (
    Handle,
    ListValue,
    MapValue,
    Null,
    Sensitive,
    SetValue,
    Unknown,
    Value,
    is_known,
)

_FLOATS: Final = 10**300
_ESCAPED: Final = {
    **dict(zip("\a\b\f\n\r\t\v", (rf"\{c}" for c in "abfnrtv"), strict=True)),
    '"': r"\"",
    "\\": r"\\",
}


def reveal(value: Value) -> tuple[Any, bool]:
    """Return a value without its own mark, and whether it had one; what is inside keeps its own."""
    marked = False
    while isinstance(value, Sensitive):
        value, marked = value.value, True
    return value, marked


def bare(value: Value) -> tuple[Any, bool]:
    """Return a value with no mark anywhere inside, and whether there was one."""
    if isinstance(value, Sensitive):
        return bare(value.value)[0], True
    if not isinstance(value, list | tuple | dict | Mapping):
        return value, False
    if isinstance(value, Mapping):
        pairs = {k: bare(v) for k, v in value.items()}
        if not any(m for _, m in pairs.values()):
            return value, False
        found = {k: v for k, (v, _) in pairs.items()}
        return (MapValue(found, value.element) if isinstance(value, MapValue) else found), True
    items = [bare(v) for v in value]
    if not any(m for _, m in items):
        return value, False
    plain = [v for v, _ in items]
    if isinstance(value, ListValue | SetValue):
        return type(value)(plain, value.element), True
    return plain, True


def mark(value: Value, *, marked: bool) -> Value:
    """Return a value, sensitive if ``marked``."""
    return Sensitive(value) if marked and not isinstance(value, Sensitive) else value


def identity_of(value: Value) -> Hashable:
    """Return what equal values share, to look them up by; marks do not count."""
    match value:
        case Sensitive(value=inner):
            return identity_of(inner)
        case bool():
            return "bool", value
        case float():
            return "number", Decimal(repr(value))
        case int() | Decimal():
            return "number", shared(value)
        case str():
            return value
        case None | Null():
            return None
        case Handle(digest=digest):
            return "handle", digest
        case SetValue():
            return "set", frozenset(map(identity_of, value))
        case ListValue():
            return "list", *map(identity_of, value)
        case MapValue():
            return "map", frozenset((k, identity_of(v)) for k, v in value.items())
        case Mapping():
            return "object", frozenset((k, identity_of(v)) for k, v in value.items())
        case list() | tuple():
            return "tuple", *map(identity_of, value)
        case _:
            return value


def unique(values: Iterable[Value], element: Type | None = None) -> Value:
    """Return the set of some values of one type, sensitive if one of them is."""
    found: dict[Hashable, Value] = {}
    marked = False
    for value in values:
        plain, had = bare(value)
        marked |= had
        # What is unknown may turn out to be equal to another, or not.
        identity = identity_of(plain) if is_known(plain) else ("open", len(found))
        found.setdefault(identity, plain)
    ordered = sorted(found.values(), key=_order)
    return mark(SetValue(ordered, ANY if element is None else element), marked=marked)


def _order(value: Value) -> tuple[int, Any]:
    """Order the elements of a set as Terraform shows them: the unknown late, null last."""
    match value:
        case None | Null():
            return 5, 0
        case Unknown():
            return 4, 0
        case bool():
            return 0, value
        case PreciseDecimal():
            return 1, expansion(value)
        case int() | float() | Decimal():
            return 1, value
        case str():
            return 2, value
        case _:
            return 3, _written(value)


def _visible(char: str) -> str:
    """Return a character as Go quotes it."""
    code = ord(char)
    if char.isprintable():
        return char
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _written(value: Value) -> str:
    """Write a value as cty does to order what has no order of its own."""
    match value:
        case None | Null():
            return "~"
        case Unknown():
            return "?"
        case bool():
            return "T" if value else "F"
        case int() | float() | Decimal():
            exact = Decimal(value)
            return f"{exact:.9e}" if abs(exact) > _FLOATS else f"{float(exact):.10g}"
        case str():
            return '"' + "".join(_ESCAPED.get(c) or _visible(c) for c in value) + '"'
        case MapValue():
            pairs = [f"{_written(k)}:{_written(value[k])};" for k in sorted(value)]
            return "{" + "".join(pairs) + "}"
        case Mapping():
            return "<" + "".join(f"{_written(value[k])};" for k in sorted(value)) + ">"
        case ListValue() | SetValue():
            return "[" + "".join(f"{_written(v)};" for v in value) + "]"
        case list() | tuple():
            return "<" + "".join(f"{_written(v)};" for v in value) + ">"
        case _:
            return repr(value)
