"""Numbers, times and sizes as people write them; ``None`` for what is no such."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from mlform import lengths
from mlform.lang.conversion import ConversionError, convert
from mlform.types import NUMBER
from mlform.values import Value

_SIZE: Final = r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?"
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def seconds(value: Value) -> float | None:
    """Return the seconds of ``"30s"``, ``"5m"``, ``"2h"``, ``"1d"``; ``None`` if it is no time."""
    try:
        return lengths.seconds(value) if isinstance(value, str) else None
    except ValueError:
        return None


def size(value: Value) -> int | None:
    """Return the bytes of ``"4GiB"``, ``"4Gi"``, ``"500MB"``; ``None`` if it is no size."""
    match = re.fullmatch(_SIZE, value) if isinstance(value, str) else None
    if match is None:
        return None
    unit = 1024 if match[3] else 1000
    found = int(float(match[1]) * unit ** _POWERS[match[2]])
    return found or None


def number(value: Value) -> float | None:
    """Return a number above 0."""
    found = _as_number(value)
    return float(found) if found is not None and found > 0 else None


def count(value: Value) -> int | None:
    """Return a whole number, 0 or more."""
    found = _as_number(value)
    return int(found) if found is not None and found >= 0 and found == int(found) else None


def gpus(value: Value) -> float | None:
    """Return a whole number of GPUs, 0 or more, or a share of one between 0 and 1."""
    whole, share = count(value), number(value)
    return whole if whole is not None or share is None or share >= 1 else share


def _as_number(value: Value) -> int | float | Decimal | None:
    """Return a number, or what a text is that converts to one."""
    if isinstance(value, str):
        try:
            value = convert(value, NUMBER)
        except ConversionError:
            return None
    good = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return value if good and isinstance(value, int | float | Decimal) else None


def text(value: Value) -> str | None:
    """Return a string that is not empty."""
    return value if isinstance(value, str) and value else None


def texts(value: Value) -> tuple[str, ...] | None:
    """Return one such string or a list of them, each once."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        return None
    found = [t for t in value if isinstance(t, str) and t]
    return tuple(dict.fromkeys(found)) if len(found) == len(value) else None
