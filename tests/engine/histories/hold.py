"""What a broken history raises."""

from __future__ import annotations


class BrokenError(AssertionError):
    """Something that must hold does not."""


def hold(condition: object, what: str, *about: object) -> None:
    if not condition:
        raise BrokenError(f"{what}: {' | '.join(map(str, about))}")
