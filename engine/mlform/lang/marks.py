"""Sets, and the sensitive marks on values: taking them off, putting them back."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from mlform.values import UNKNOWN, Handle, Sensitive, SetValue, Value


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
    if isinstance(value, str) or not isinstance(value, list | tuple | Mapping):
        return value, False
    if isinstance(value, Mapping):
        pairs = {k: bare(v) for k, v in value.items()}
        if any(m for _, m in pairs.values()):
            return {k: v for k, (v, _) in pairs.items()}, True
        return value, False
    items = [bare(v) for v in value]
    if any(m for _, m in items):
        plain = [v for v, _ in items]
        return (SetValue(plain) if isinstance(value, SetValue) else plain), True
    return value, False


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
            return "number", value
        case str() | None:
            return value
        case Handle(digest=digest):
            return "handle", digest
        case SetValue():
            return "set", *map(identity_of, value)
        case Mapping():
            return "object", frozenset((k, identity_of(v)) for k, v in value.items())
        case list() | tuple():
            return "list", *map(identity_of, value)
        case _:
            return value


def unique(values: Iterable[Value]) -> Value:
    """Return the set of some values; unknown if one of them is, sensitive if one of them is."""
    found: dict[Hashable, Value] = {}
    marked = False
    for value in values:
        plain, had = bare(value)
        marked |= had
        if not _certain(plain):
            return mark(UNKNOWN, marked=marked)
        found.setdefault(identity_of(plain), plain)
    return mark(SetValue(sorted(found.values(), key=_order)), marked=marked)


def _certain(value: Value) -> bool:
    if isinstance(value, str):
        return True
    if isinstance(value, Mapping):
        return all(map(_certain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_certain, value))
    return value is not UNKNOWN and not (isinstance(value, Handle) and value.digest is UNKNOWN)


def _order(value: Value) -> tuple[int, Any]:
    match value:
        case bool():
            return 0, value
        case int() | float() | Decimal():
            return 1, value
        case str():
            return 2, value
        case _:
            return 3, _written(value)


def _written(value: Value) -> str:
    if isinstance(value, Mapping):
        return repr([(k, _written(value[k])) for k in sorted(value)])
    if isinstance(value, list | tuple):
        return repr([_written(v) for v in value])
    return repr(value)
