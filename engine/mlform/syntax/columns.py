"""How many columns a text takes: what people see as characters (Unicode's grapheme clusters)."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_JOINER: Final = "\u200d"
_PICTURE: Final = re.compile(
    "[\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f"
    "\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa"
    "\U0001f400-\U0001faff\U0001fc00-\U0001fffd]"
).match
_EXTENDING: Final = frozenset({"Mn", "Me", "Mc"})
_NOT_EXTENDING: Final = frozenset("\u102b\u102c\u1038\u1062\u1063\u1064\u1067\u1068\u1083\u1a61")
_ALSO_EXTENDING: Final = re.compile(
    "[\u200c\u200d\u0e33\u0eb3\uff9e\uff9f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
).match
_BREAKING: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})


def columns(text: str) -> int:
    """Count the grapheme clusters of a text (UAX #29, without the rules for Indic conjuncts)."""
    if text.isascii():
        return len(text) - text.count("\r\n")
    count = 0
    before = ""
    flags = 0
    picture = False
    for char in text:
        joined = _joined(before, char, flags=flags, picture=picture)
        count += not joined
        flags = flags + 1 if "\U0001f1e6" <= char <= "\U0001f1ff" else 0
        if _PICTURE(char):
            picture = True
        elif not joined:
            picture = False
        before = char
    return count


def _joined(before: str, char: str, *, flags: int, picture: bool) -> bool:
    """Tell whether no cluster begins at ``char``."""
    if not before:
        return False
    if before == "\r" and char == "\n":
        return True
    if before != _JOINER and unicodedata.category(before) in _BREAKING and before != "\u200c":
        return False
    if _extends(char):
        return True
    if before == _JOINER and picture and _PICTURE(char):
        return True
    if flags % 2 and "\U0001f1e6" <= char <= "\U0001f1ff":
        return True
    return _one_syllable(before, char)


def _extends(char: str) -> bool:
    if _ALSO_EXTENDING(char):
        return True
    return unicodedata.category(char) in _EXTENDING and char not in _NOT_EXTENDING


def _one_syllable(before: str, char: str) -> bool:
    """Tell whether two parts of a Hangul syllable stand beside each other."""
    first, second = _hangul(before), _hangul(char)
    return (first, second) in {
        ("L", "L"),
        ("L", "V"),
        ("L", "LV"),
        ("L", "LVT"),
        ("LV", "V"),
        ("V", "V"),
        ("LV", "T"),
        ("V", "T"),
        ("LVT", "T"),
        ("T", "T"),
    }


def _hangul(char: str) -> str:
    if "\u1100" <= char <= "\u115f" or "\ua960" <= char <= "\ua97c":
        return "L"
    if "\u1160" <= char <= "\u11a7" or "\ud7b0" <= char <= "\ud7c6":
        return "V"
    if "\u11a8" <= char <= "\u11ff" or "\ud7cb" <= char <= "\ud7fb":
        return "T"
    if "\uac00" <= char <= "\ud7a3":
        return "LVT" if (ord(char) - 0xAC00) % 28 else "LV"
    return ""
