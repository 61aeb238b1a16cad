"""What people count as one character: grapheme clusters, by the main rules of UAX #29."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final

_JOINER: Final = "\u200d"


def normal(text: str) -> str:
    """Return a text in NFC, as all strings of the language are."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def clusters(text: str) -> list[str]:
    """Return the grapheme clusters of a text, in order."""
    if text.isascii() and "\r" not in text:
        return list(text)
    return list(_clusters(text))


def _clusters(text: str) -> Iterator[str]:
    start = 0
    flags = 0
    for at in range(1, len(text)):
        before, here = text[at - 1], text[at]
        flags = flags + 1 if _is_flag(before) else 0
        joined = (
            (before, here) == ("\r", "\n")
            or (_extends(here) and before not in "\r\n")
            or (before == _JOINER and at >= 2 and _is_symbol(here))
            or (_is_flag(here) and flags % 2 == 1)
            or _hangul(before, here)
        )
        if not joined:
            yield text[start:at]
            start = at
    if text:
        yield text[start:]


def _extends(char: str) -> bool:
    if char < "\u0300":
        return False
    return (
        char in {_JOINER, "\u200c"}
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
        or unicodedata.category(char) in {"Mn", "Me", "Mc"}
    )


def _is_symbol(char: str) -> bool:
    return unicodedata.category(char) in {"So", "Sk", "Sm", "Cn"}


def _is_flag(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _hangul(before: str, here: str) -> bool:
    if before < "\u1100" or here < "\u1100":
        return False
    left, right = _jamo(before), _jamo(here)
    return (left == "L" and right in {"L", "V", "LV", "LVT"}) or (
        (left in {"V", "LV"} and right in {"V", "T"}) or (left in {"T", "LVT"} and right == "T")
    )


def _jamo(char: str) -> str:
    if "\u1100" <= char <= "\u115f" or "\ua960" <= char <= "\ua97c":
        return "L"
    if "\u1160" <= char <= "\u11a7" or "\ud7b0" <= char <= "\ud7c6":
        return "V"
    if "\u11a8" <= char <= "\u11ff" or "\ud7cb" <= char <= "\ud7fb":
        return "T"
    if "\uac00" <= char <= "\ud7a3":
        return "LV" if (ord(char) - 0xAC00) % 28 == 0 else "LVT"
    return ""
