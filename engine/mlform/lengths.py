"""Lengths of time as people write them: ``"90s"``, ``"30m"``, ``"6h"``, ``"30d"``, ``"8w"``."""

from __future__ import annotations

import re
from typing import Final

_LENGTH: Final = r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)"
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def seconds(text: str) -> float:
    """Return how many seconds a length is. Raises ``ValueError`` on what is none."""
    match = re.fullmatch(_LENGTH, text)
    if match is None:
        raise ValueError('is no length of time: write "90s", "30m", "6h", "30d" or "8w"')
    return float(match[1]) * _SECONDS[match[2]]


def length(text: str) -> str:
    """Return a length as it is written. Raises ``ValueError`` on what is none."""
    seconds(text)
    return text
