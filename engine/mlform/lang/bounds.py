"""What stays known of an unknown value: that it is no null, between which numbers, how it starts.

The rules are those of cty, where they are called refinements; so ``"a-${x}" == null`` is false,
whatever ``x`` will be.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from mlform.lang.graphemes import clusters, normal
from mlform.lang.numbers import counted as count
from mlform.lazy import replace
from mlform.types import ANY, BOOL, NUMBER, STRING, Collection, Type
from mlform.values import (
    NO_NULL,
    UNBOUND,
    Bounds,
    Null,
    Sensitive,
    SetValue,
    Unknown,
    Value,
    is_known,
)

Number: TypeAlias = int | Decimal

OPEN_BOOL: Final = Unknown(BOOL, NO_NULL)
OPEN_NUMBER: Final = Unknown(NUMBER, NO_NULL)
OPEN_STRING: Final = Unknown(STRING, NO_NULL)

_LONGEST: Final = 128
_MOST: Final = 2**63 - 1
"""No collection has more elements."""
_ENDS: Final = frozenset("-_:;/\\,.(){}[]|?!~ \t@#%^&*+\"'")
"""After these nothing that follows can become one character with what is before."""


def no_null(type_: Type) -> Unknown:
    """Return an unknown value that is no null, as far as its type is known."""
    return Unknown(type_) if type_ == ANY else Unknown(type_, NO_NULL)


def starting(text: str) -> Unknown:
    """Return an unknown text that starts with another."""
    short = text.encode()[:_LONGEST].decode("utf-8", "ignore")
    known = normal(short)
    if known and known[-1] not in _ENDS:
        known = "".join(clusters(known)[:-1])
    return Unknown(STRING, replace(NO_NULL, prefix=known)) if known else OPEN_STRING


def may_be_null(value: Value) -> bool:
    """Tell whether a value is null or may turn out to be."""
    if isinstance(value, Sensitive):
        return may_be_null(value.value)
    if isinstance(value, Unknown):
        return value.bounds.null
    return value is None or isinstance(value, Null)


def excludes(unknown: Unknown, known: Value) -> bool:
    """Tell whether an unknown value cannot turn out to be a known one of its type."""
    bounds = unknown.bounds
    if bounds is UNBOUND:
        return False
    if known is None or isinstance(known, Null):
        return not bounds.null
    if isinstance(known, str):
        return not known.startswith(bounds.prefix)
    low, high = span(known)
    below = bounds.most is not None and low is not None and low > bounds.most
    return below or (bounds.least is not None and high is not None and high < bounds.least)


def span(value: Value) -> tuple[Number | None, Number | None]:
    """Return between which numbers a number is, or how many elements there are."""
    match value:
        case Unknown(bounds=bounds):
            return bounds.least, bounds.most
        case bool() | str() | None:
            return None, None
        case int() | Decimal():
            return value, value
        case SetValue():
            # Unknown elements may turn out to be like others.
            open_ = not all(map(is_known, value))
            return (min(1, len(value)) if open_ else len(value)), len(value)
        case list() | tuple() | Mapping():
            return len(value), len(value)
        case _:
            return None, None


def compared(operator: str, left: Value, right: Value) -> Value:
    """Return how two numbers compare of which one is unknown at least."""
    (low, high), (least, most) = span(left), span(right)
    if high is not None and least is not None and high < least:
        return operator in {"<", "<="}
    if low is not None and most is not None and low > most:
        return operator in {">", ">="}
    return OPEN_BOOL


def either(left: Value, right: Value, type_: Type) -> Unknown:
    """Return what is known of a value of a type that is one of two."""
    if may_be_null(left) or may_be_null(right) or type_ == ANY:
        return Unknown(type_)
    if type_ != NUMBER and not isinstance(type_, Collection):
        return Unknown(type_, NO_NULL)
    if any(type(side) in {list, tuple, dict} for side in (left, right)):
        # They are of other types than the result, and cty tells nothing then.
        return Unknown(type_, NO_NULL)
    if any(isinstance(side, SetValue) and len(set(span(side))) > 1 for side in (left, right)):
        # Nor of a set that may turn out to have fewer elements.
        return Unknown(type_, NO_NULL)
    (low, high), (least, most) = span(left), span(right)
    bounds = Bounds(
        null=False,
        least=None if low is None or least is None else min(low, least),
        most=None if high is None or most is None else max(high, most),
    )
    return Unknown(type_, bounds)


def counted(value: Value) -> Value:
    """Return how many elements, or characters, there are, where that may be open."""
    if isinstance(value, Unknown) and value.type == STRING:
        return Unknown(NUMBER, Bounds(null=False, least=len(clusters(value.bounds.prefix))))
    least, most = span(value)
    if isinstance(value, Unknown) and isinstance(value.type, Collection):
        least, most = least or 0, _MOST if most is None else most
    if isinstance(least, int) and least == most:
        return count(least)
    return Unknown(NUMBER, Bounds(null=False, least=least, most=most))


def encoded(value: Value) -> Unknown:
    """Return what is known of the JSON text of a value."""
    start = ""
    if not may_be_null(value):
        match value.type if isinstance(value, Unknown) else value:
            case Collection(name="map") | Mapping():
                start = "{"
            case Collection() | list() | tuple():
                start = "["
            case _ if isinstance(value, Unknown) and value.type == STRING:
                start = '"'
            case _:
                pass
    return Unknown(STRING, replace(NO_NULL, prefix=start))
