"""Text with styles, painted only where a terminal wants it."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Style: TypeAlias = Literal[
    "", "bold", "dim", "red", "green", "yellow", "blue", "magenta", "cyan", "red bold"
]
Styled: TypeAlias = list[tuple[Style, str]]
"""Pieces of text, each with its style; line ends are in the pieces."""

_CODES: Final[dict[str, str]] = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}


def paint(styled: Styled, *, colour: bool) -> str:
    """Return the text, with ANSI codes if ``colour``."""
    if not colour:
        return "".join(text for _, text in styled)
    parts = []
    for style, text in styled:
        codes = ";".join(_CODES[s] for s in style.split())
        parts.append(f"\x1b[{codes}m{text}\x1b[0m" if codes else text)
    return "".join(parts)
