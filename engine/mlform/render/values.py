"""Values as people read them, short enough for one line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlform.plan import OPEN, Deferred
from mlform.values import handle_in, short

_WIDTH = 96


def value(data: Any) -> str:
    """Write one argument or attribute value the way HCL writes it."""
    text = _value(data)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _value(data: Any) -> str:
    if isinstance(data, Deferred):
        known = "sensitive value" if data.secrets else "known after apply"
        return f"{' '.join(data.text.split())}  ({known})"
    if handle := handle_in(data):
        name = handle.address + (f".{handle.attribute}" if handle.attribute else "")
        return f"{name} @ {short(str(handle.digest))}"
    if isinstance(data, Mapping):
        if data.keys() == {"$sensitive"}:
            return "(sensitive value)"
        if data == OPEN:
            return "(known after apply)"
        if set(data) >= {"digest", "size", "media_type"}:
            return f"{short(data['digest'])} ({size(data['size'])})"
        inner = ", ".join(f"{k} = {_value(v)}" for k, v in data.items() if v is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(data, list | tuple):
        return f"[{', '.join(map(_value, data))}]"
    if isinstance(data, str) and data.startswith("sha256:"):
        return short(data)
    return json.dumps(data, ensure_ascii=False)


def size(count: int) -> str:
    """Write a number of bytes."""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError("the last unit takes every size")


def seconds(count: float) -> str:
    """Write a length of time."""
    if count < 0.1:
        return f"{count * 1000:.0f} ms"
    if count < 60:
        return f"{count:.1f} s"
    minutes, rest = divmod(round(count), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def between(least: float, most: float) -> str:
    """Write a range of lengths of time; one alone where both read the same."""
    first, last = seconds(least), seconds(most)
    return first if first == last else f"{first} … {last}"
