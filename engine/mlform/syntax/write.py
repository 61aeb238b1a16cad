"""HCL from plain data: the files that the program itself writes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, cast

from mlform.diagnostics import Diagnostics
from mlform.syntax.layout import layout

_SPECIAL: Final = re.compile(r'["\\\x00-\x1f\x7f]|(?:\$+|%+)\{')
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def write_blocks(blocks: Sequence[tuple[str, Sequence[str], Mapping[str, object]]]) -> str:
    """Write blocks of plain data, each given by its kind, its labels and its attributes.

    Values are what JSON knows. Strings come out literally: ``${`` in them is escaped. The text
    is laid out, and ``parse`` reads the same data back. Raises ``ValueError`` for a kind or an
    attribute that is no name, for a number that is not finite, for half a surrogate pair, and
    for anything that JSON does not know.
    """
    import hcl2  # noqa: PLC0415 - slow to load, and few commands write

    texts = []
    for kind, labels, attributes in blocks:
        builder = hcl2.Builder()
        block = builder.block(_name(kind), [_string(label) for label in labels])
        block.attributes = {_name(name): _value(value) for name, value in attributes.items()}
        texts.append(
            str(hcl2.dumps(cast(Any, builder).build())).strip("\n").replace("{\n\n}", "{\n}")
        )
    diagnostics = Diagnostics()
    written = layout("\n\n".join(texts), "generated configuration", diagnostics)
    diagnostics.stop_on_errors()
    return written


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a block or an attribute")
    return name


def _string(text: str) -> str:
    """Return ``text`` as a quoted literal that means just that."""
    if _SURROGATE.search(text):
        raise ValueError(f"{text!r} holds half a surrogate pair, which no file can hold")
    return '"' + _SPECIAL.sub(_escaped, text) + '"'


def _escaped(found: re.Match[str]) -> str:
    text = found[0]
    if text[-1] == "{":
        return text[0] + text
    return _SHORT.get(text) or f"\\u{ord(text):04x}"


def _value(value: object) -> object:
    """Return ``value`` as the HCL library wants it: strings and keys quoted, null by its name."""
    match value:
        case None:
            return "null"
        case bool() | int():
            return value
        case float() | Decimal():
            if not math.isfinite(value):
                raise ValueError(f"{value!r} has no form in HCL")
            return value if isinstance(value, float) else str(value)
        case str():
            return _string(value)
        case Mapping():
            return {_string(str(key)): _value(inner) for key, inner in value.items()}
        case Sequence():
            return [_value(inner) for inner in value]
        case _:
            raise ValueError(f"{value!r} has no form in HCL")
