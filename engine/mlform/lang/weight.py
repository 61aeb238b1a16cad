"""How much a value is: parts that are shared count wherever they stand."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from mlform.lang.evaluator import MOST, TooMuchError
from mlform.values import Sensitive, Value

_SINGLE: Final = frozenset({str, int, float, bool, Decimal, type(None)})


def check_weight(value: Value) -> None:
    """Raise ``TooMuchError`` if a value has more parts than are worth walking through.

    Lists that hold the same list over and over take little memory and no end of time; each is
    looked at once here.
    """
    if type(value) not in _SINGLE:
        _weight(value, {})


def _weight(value: Any, known: dict[int, int]) -> int:
    if isinstance(value, Sensitive):
        return _weight(value.value, known)
    if isinstance(value, Mapping):
        parts: Any = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    else:
        return 1
    found = known.get(id(value))
    if found is None:
        found = len(value)
        for part in parts:
            if type(part) not in _SINGLE:
                found += _weight(part, known)
        if found > MOST:
            raise TooMuchError(f"Its value has more than {MOST:,} parts")
        known[id(value)] = found
    return found
