"""Two results of one key, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mlform.lazy import dataclass
from mlform.sdk.fields import Artifact, Attributes, FieldClass, field_classes

TOLERANCE: Final = 1e-9
"""How far two numbers may be apart, relative to the larger, to be equal but for rounding."""


@dataclass(frozen=True)
class Difference:
    """One thing in which two results differ: which, how, and whether the type tolerates it."""

    what: str
    text: str
    within: bool = False


def close(one: float, two: float, tolerance: float = TOLERANCE) -> bool:
    """Tell whether two numbers are equal but for rounding."""
    return math.isclose(one, two, rel_tol=tolerance, abs_tol=tolerance)


def differences(one: Attributes, two: Attributes, tolerance: float = TOLERANCE) -> list[Difference]:
    """Compare all attributes that count: numbers within ``tolerance``, all else for equality."""
    classes = field_classes(type(one))
    passing = {FieldClass.VOLATILE, FieldClass.HELD}
    before, after = one.model_dump(mode="json"), two.model_dump(mode="json")
    return [
        found
        for name in before
        if classes[name] not in passing
        for found in _between(name, before[name], after[name], tolerance)
    ]


def _between(what: str, one: Any, two: Any, tolerance: float) -> Iterator[Difference]:
    if one == two:
        return
    if _number(one) and _number(two):
        yield Difference(what, f"{one!r} → {two!r}", within=close(one, two, tolerance))
    elif isinstance(one, Mapping) and isinstance(two, Mapping):
        if one.keys() == Artifact.model_fields.keys() == two.keys():
            yield Difference(what, f"content {_short(one['digest'])} → {_short(two['digest'])}")
            return
        for name in sorted({*one, *two}, key=str):
            yield from _between(f"{what}.{name}", one.get(name), two.get(name), tolerance)
    elif _row(one) and _row(two) and len(one) == len(two):
        for at, (a, b) in enumerate(zip(one, two, strict=True)):
            yield from _between(f"{what}[{at}]", a, b, tolerance)
    else:
        yield Difference(what, f"{_short(one)} → {_short(two)}")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _row(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _short(value: object) -> str:
    if isinstance(value, str) and value.startswith("sha256:"):
        return f"{value[:19]}…"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
